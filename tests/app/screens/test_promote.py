"""A promotion is named, watched step by step, and judged; it continues without its screen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.app.screens.driving import HOSTILE, SIZES, control_codes, playing, shown, toasts, told, until, words_on
from tests.fakes import Workbench, behave, wait_for
from textual.events import Paste
from textual.widgets import Input

from bertdistill.app.screens.promote import PromoteScreen
from bertdistill.app.views.verification import look, steps
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.engine.launch.protocol import Handle
from bertdistill.engine.steering import actions
from bertdistill.store import reads, writes
from bertdistill.store.rows import ModelVersion, Study

Make = Callable[..., Workbench]
ONE = {"budget": {"trials": 1}}


def version(of: Workbench, number: int = 0) -> ModelVersion:
    with of.db.read() as session:
        return reads.model_versions(session)[number]


def state_of(screen: PromoteScreen) -> str:
    followed = screen.news.followed if screen.news else None
    return followed.version.state if followed else ""


async def test_from_the_form_to_a_verified_model(bench: Make, tmp_path: Path) -> None:
    """Name, alias and note are typed; each step is shown; at the end stand the scores, the folder and what to do."""
    hold = tmp_path / "hold"
    hold.touch()
    of = bench(ONE)
    behave(tmp_path, hold_promotion=str(hold))
    screen = PromoteScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await shown(pilot, "Measure latency and throughput")  # of what lies ahead, in the inspector
        await pilot.press("f7")  # without it the sentences below stand in one line
        await shown(pilot, "enter creates toy:1 of the best checkpoint")
        await pilot.press(*"-qa", "down", *"prod", "down", *"first")
        await shown(pilot, "enter creates toy-qa:1 of the best checkpoint; prod will point to it")
        await pilot.press("enter")
        await shown(pilot, "Verify the best checkpoint of #0 (accuracy ")
        await pilot.press("y")
        await told(pilot, "toy-qa:1 is being verified.")
        await shown(pilot, "2 ▶ running  Score the validation split again  3 of 6 windows")
        assert "1 ✓ done     Load the checkpoint in a clean process" in words_on(pilot)
        assert "3 … waiting  Compare with the record" in words_on(pilot)
        assert screen.query_one("#promote-steps").has_focus
        hold.unlink()
        await until(pilot, lambda: state_of(screen) == "verified", "the verdict")
        await shown(pilot, "7 ✓ done     Export and write the card")
        made = version(of)
        assert ("toy-qa", "first", "verified") == (made.name, made.note, made.state)
        await shown(pilot, "Ask it: ")
        assert str(of.workspace.path / "models/toy-qa/v1") in "".join(words_on(pilot).replace("│", "").split())
    with of.db.read() as session:
        assert ["prod"] == [one.alias for one in reads.aliases(session)]


async def test_a_mismatch_is_refused_and_taken_by_force(bench: Make, tmp_path: Path) -> None:
    """The numbers are shown; F asks, y promotes it once more by force, and the new version says so."""
    of = bench(ONE)
    behave(tmp_path, worse=3.0)
    screen = PromoteScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await pilot.press("down", *"prod", "enter")
        await shown(pilot, "Promote it")
        await pilot.press("y")
        await until(pilot, lambda: state_of(screen) == "refused", "the verdict")
        await shown(pilot, "3 ✗ failed   Compare with the record")
        recorded = of.trial(0).metrics["accuracy"]
        await shown(pilot, f"{recorded:.2f}    {recorded - 3:.2f}")
        await pilot.press("F")
        await shown(pilot, "Export it although accuracy differs from the record?")
        await pilot.press("n")
        await pilot.press("F")
        await shown(pilot, "Export it by force")
        await pilot.press("y")
        await until(pilot, lambda: state_of(screen) == "verified", "the verdict of force")
        await shown(pilot, "verified by force")
        await shown(pilot, "differs, accepted by force: accuracy differs from the record")
    assert ["refused", "verified"] == [version(of, 0).state, version(of, 1).state]
    with of.db.read() as session:
        assert ["prod"] == [one.alias for one in reads.aliases(session)]


async def test_leaving_stops_nothing(bench: Make, tmp_path: Path) -> None:
    """Escape says that it continues; reopening shows how far it is; n starts over. A missed threshold is said before,
    in the question and after."""
    hold = tmp_path / "hold"
    hold.touch()
    of = bench(ONE)
    behave(tmp_path, hold_promotion=str(hold))
    actions.set_threshold(of.workspace, "toy", "accuracy", 99.9, who="ada")
    async with playing(of.workspace, PromoteScreen("toy", 0)) as pilot:
        await shown(pilot, "! enter creates toy:1 of the best")
        await shown(pilot, "below the threshold 99.90")
        await pilot.press("f5")
        await shown(pilot, "Promote it")
        await shown(pilot, "It misses a limit of the study")
        await pilot.press("y")
        await shown(pilot, "2 ▶ running")
        await pilot.press("escape")
        await told(pilot, "The verification continues")
        again = PromoteScreen("toy", 0)
        pilot.app.push_screen(again)
        await shown(pilot, "2 ▶ running")
        assert not again.check_action("another", ())
        hold.unlink()
        await until(pilot, lambda: state_of(again) == "verified", "the verdict")
        await shown(pilot, "It misses a limit of the study: accuracy")
        await pilot.press("n")
        await shown(pilot, "enter creates toy:2 of the best checkpoint")
        await shown(pilot, "Promoted before: toy:1 verified")


async def test_an_app_that_was_killed_finds_the_truth(bench: Make, tmp_path: Path) -> None:
    """A verification that ended, or died, while no app was open is settled by the next look."""
    hold = tmp_path / "hold"
    hold.touch()
    of = bench(ONE)
    behave(tmp_path, hold_promotion=str(hold))
    made = actions.promote(of.workspace, "toy", 0, "model", who="ada")
    paths = RunPaths(of.workspace.absolute(made.attempt_folder))
    wait_for(lambda: paths.events.exists() and b"validation split again" in paths.events.read_bytes(), "its worker")
    async with playing(of.workspace, PromoteScreen("toy", 0)) as pilot:
        await shown(pilot, "Verification of model:1")
    of.launcher.kill(paths, Handle.from_dict(made.handle))
    wait_for(lambda: not process.held(paths.lock), "the end of the worker")
    screen = PromoteScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await shown(pilot, "Promoted before: model:1 failed")
        assert not screen.check_action("force", ())
    assert "failed" == version(of).state


async def test_what_cannot_be_promoted_says_why(bench: Make) -> None:
    """A name or alias that is none is told while it is typed; enter starts nothing."""
    of = bench(ONE)
    screen = PromoteScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await pilot.press(*"/..")
        await shown(pilot, "✗ the model name 'toy/..'")
        await pilot.press("enter")
        assert (screen, []) == (pilot.app.screen, toasts(pilot))
        screen.query_one("#name", Input).value = "toy"
        await pilot.press("down", *"a b")
        await shown(pilot, "✗ the alias 'a b'")
    with of.db.read() as session:
        assert [] == reads.model_versions(session)


async def test_a_form_that_cannot_be_written_is_not_lost(bench: Make) -> None:
    """The study is gone when it is to be started: the reason is told, name and note stand there still."""
    of = bench(ONE)
    screen = PromoteScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        screen.query_one("#note", Input).value = "the best so far"
        await pilot.press("f5")
        await shown(pilot, "Promote it")
        with of.db.write() as session:
            session.change(Study, reads.study(session, "toy").id, name="away")
        await pilot.press("y")
        await told(pilot, "Not done: study 'toy' does not exist")
        assert (screen, "the best so far") == (pilot.app.screen, screen.query_one("#note", Input).value)


async def test_a_running_trial_waits(ws: Workspace) -> None:
    """A trial that runs, and one without a checkpoint, say what to do."""
    async with playing(ws, PromoteScreen("demo", 6)) as pilot:
        await shown(pilot, "trial #6 is running; wait until it ends, or stop it")
    async with playing(ws, PromoteScreen("demo", 1)) as pilot:
        await shown(pilot, "there is no checkpoint on disk; run the trial again")
        await shown(pilot, "No checkpoint is on disk: none was written")


async def test_the_last_checkpoint_can_be_chosen(bench: Make) -> None:
    """Both roles are listed with their scores; the chosen one is promoted."""
    of = bench(ONE)
    with of.db.write() as session:
        best = reads.checkpoints(session, trial_id=1)[-1]
        writes.add_checkpoint(
            session,
            trial_id=1,
            attempt_id=best.attempt_id,
            role="last",
            step=best.step + 1,
            folder=best.folder,
            sha256=best.sha256,
            size_bytes=best.size_bytes,
            metrics={"accuracy": 11.0},
            now=best.created_at,
        )
    screen = PromoteScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await shown(pilot, "accuracy 11.00")
        await pilot.press("up")
        assert screen.query_one(LineTable).has_focus
        await pilot.press("j")
        await shown(pilot, "enter creates toy:1 of the last checkpoint")
        await pilot.press("enter")
        assert screen.query_one("#name").has_focus
        await pilot.press("enter")
        await shown(pilot, "Verify the last checkpoint of #0 (accuracy 11.00)")


async def test_an_alias_that_moves_says_from_where(bench: Make) -> None:
    """Promoting under an alias in use names the version that loses it."""
    of = bench(ONE)
    made = actions.promote(of.workspace, "toy", 0, "toy", alias="prod", who="ada")
    wait_for(lambda: actions.settle_promotion(of.workspace, made.id).state == "verified", "the verdict")
    async with playing(of.workspace, PromoteScreen("toy", 0)) as pilot:
        await pilot.press("f7", "down", *"prod")
        await shown(pilot, "prod moves to it from toy:1")


async def test_hostile_text_is_harmless(bench: Make) -> None:
    """A pasted name, and the note and the report of a refused version, drive no terminal and are no markup."""
    of = bench(ONE)
    screen = PromoteScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        screen.query_one("#note", Input).post_message(Paste(HOSTILE))
        await shown(pilot, "[red]markup[/]")
        screen.query_one("#name", Input).post_message(Paste(HOSTILE))
        await shown(pilot, "✗ the model name")
        assert set() == control_codes(pilot)
    made = actions.promote(of.workspace, "toy", 0, "model", who="ada", note=HOSTILE)
    screen = PromoteScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await until(pilot, lambda: screen.news is not None, "the news")
        screen._following = made.id
        pilot.app.look_again()  # type: ignore[attr-defined]  # our App
        await until(pilot, lambda: state_of(screen) == "verified", "the verdict")
        with of.db.write() as session:
            report = reads.model_version(session, "model:1").report
            more = {"problem": HOSTILE, "remarks": [HOSTILE], "accuracy_repeated": 1.0}
            session.change(ModelVersion, made.id, report={**report, **more})
        await shown(pilot, "accepted by force: [red]markup[/]")
        assert set() == control_codes(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_usable_at_every_size(bench: Make, size: tuple[int, int]) -> None:
    """All fields and the verdict are on screen; the copy is the command."""
    of = bench(ONE)
    screen = PromoteScreen("toy", 0)
    async with playing(of.workspace, screen, size, marker="ascii") as pilot:
        words = words_on(pilot)
        assert all(word in words for word in ("best", "name", "alias", "note", "enter creates toy:1"))
        assert "promote toy/0 toy" in dict(screen.copies())["command"]


def test_steps_follow_the_phases() -> None:
    """What a phase was seen of is done up to it; a crash fails the step it was in; a rate only where it belongs."""
    base = ModelVersion(name="m", version=1, trial_id=1, checkpoint_id=1, created_at=0.0, state="verifying")
    states = [step.state for step in steps((), {}, base)]
    assert ["running", *["waiting"] * 6] == states
    seen = steps(("validation split again", "report split"), {"phase": "report split", "done": 5, "total": 9}, base)
    assert ["complete", "complete", "complete", "running"] == [step.state for step in seen[:4]]
    assert seen[3].note.startswith("5 of 9")
    failed = dataclasses.replace(base, state="failed")
    assert "failed" == steps(("bootstrap",), {}, failed)[4].state
    assert "" == steps(("bootstrap",), {"phase": "report split"}, base)[4].note


def test_a_damaged_run_folder_is_no_error(bench: Make) -> None:
    """Without spec and log the steps that are known are shown, and the order is empty."""
    of = bench(ONE)
    made = actions.promote(of.workspace, "toy", 0, "model", who="ada")
    paths = RunPaths(of.workspace.absolute(made.attempt_folder))
    wait_for(lambda: not process.held(paths.lock), "its end")
    for path in (paths.spec, paths.log, paths.events):
        path.unlink()
    found = look(of.workspace, made)
    assert (None, "running") == (found.order, found.steps[0].state)
