"""The list of studies: where the app begins, what it says of each, and what its keys do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.app.screens.driving import HOSTILE, SIZES, control_codes, playing, shown, toasts, told, until, words_on

from bertdistill.app.preferences import Options
from bertdistill.app.screens.dialogues import Confirm, CopyDialogue
from bertdistill.app.screens.history import HistoryScreen
from bertdistill.app.screens.new_study import NewStudyScreen
from bertdistill.app.screens.studies import StudiesScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.ui import BertDistill
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.rows import Request, StudyState
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]
Asked = Callable[[], list[Request]]


@pytest.mark.parametrize(
    ("down", "words"), [(0, "demo-data"), (1, "Type the path of your data file"), (2, "Begin from")]
)
async def test_a_workspace_without_studies_says_how_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, down: int, words: str
) -> None:
    """Three ways, in every size of window, and no database is made by looking."""
    monkeypatch.chdir(tmp_path)  # without data files
    ws = Workspace(tmp_path / "empty")
    async with playing(ws, size=SIZES[down]) as pilot:
        await shown(pilot, "Use my own data")
        assert "Welcome" in words_on(pilot)
        await pilot.press("h", "A", "z", "Z", "u", "i")
        assert isinstance(pilot.app.screen, StudiesScreen)
        await pilot.press(*["down"] * down, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewStudyScreen), "a new study")
        if down < 2:
            await shown(pilot, words)
    assert not ws.database.exists()


@pytest.mark.parametrize("size", SIZES)
async def test_what_stands_in_the_list(ws: Workspace, runner_here: None, size: tuple[int, int]) -> None:
    """Name, state in glyph and word, progress, trials."""
    async with playing(ws, size=size) as pilot:
        await shown(pilot, "demo")
        await shown(pilot, "▶ running")
        assert ["trials"] == [word for word in words_on(pilot).split() if word == "trials"][:1]
        if size[0] > 100:
            await shown(pilot, "#0 · 90.00 · 120k")
            await shown(pilot, " exact smallest ")  # of one score the name is the title


async def test_the_inspector_follows_the_cursor(ws: Workspace, edit: Edit) -> None:
    """The chart and the facts are those of the study under it; a hostile name does no harm."""

    def another(session: Writing) -> None:
        spec = reads.study(session, "demo").spec
        writes.create_study(session, name="other", task="question-answering", spec={**spec, "name": "other"}, now=3e9)

    edit(another)
    async with playing(ws) as pilot:
        await shown(pilot, "other: exact ↑ over params ↓")
        await shown(pilot, "○published")
        await pilot.press("down")
        await shown(pilot, "demo: exact ↑ over params ↓")
        await shown(pilot, "#2 · 50.00 · 15.0k")


async def test_the_inspector_can_be_hidden_and_stays_so(ws: Workspace) -> None:
    """In this workspace; then the list says more of each study."""
    async with playing(ws) as pilot:
        await shown(pilot, "#0 · 90.00 · 120k")
        await pilot.press("i")
        await shown(pilot, "#0 90.00 120k")
    async with playing(ws) as pilot:
        await shown(pilot, "#0 90.00 120k")
        assert "teacher 95" not in words_on(pilot)


async def test_a_study_without_a_runner(ws: Workspace) -> None:
    """The state is the truth: nothing runs without a runner."""
    async with playing(ws) as pilot:
        await shown(pilot, "✗ no runner")


async def test_a_study_that_is_prepared(ws: Workspace, edit: Edit, runner_here: None) -> None:
    """Before the first trial the study is prepared, and the list says so."""

    def prepare(session: Writing) -> None:
        writes.create_attempt(
            session, study_id=1, trial_id=None, kind="prepare", folder="runs/demo/prepare-1", slot="cpu1", now=2e9
        )

    edit(prepare)
    async with playing(ws, marker="ascii") as pilot:
        await shown(pilot, "> preparing")


async def test_keys_open_studies_and_screens(ws: Workspace) -> None:
    """enter, n and h; escape comes back, and never leaves the list itself."""
    async with playing(ws) as pilot:
        for key, kind in (("enter", StudyScreen), ("n", NewStudyScreen), ("h", HistoryScreen)):
            await pilot.press(key)
            await until(pilot, lambda kind=kind: isinstance(pilot.app.screen, kind), f"the screen of {key}")
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, StudiesScreen), "the studies")
        await pilot.press("escape", "escape")
        assert isinstance(pilot.app.screen, StudiesScreen)


async def test_the_way_back_from_a_study_opened_first_ends_here(ws: Workspace) -> None:
    """With --study no list was made; escape makes it, and then stays."""
    async with BertDistill(Options(ws.path, open_study="demo")).run_test(size=SIZES[0]) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, StudyScreen), "the study")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudiesScreen), "the studies")
        await shown(pilot, "demo")
        await pilot.press("escape", "escape")
        assert isinstance(pilot.app.screen, StudiesScreen)


async def test_a_key_that_can_do_nothing_says_why(tmp_path: Path, ws: Workspace, edit: Edit) -> None:
    """In an empty workspace all of them do; a study that is complete has nothing to stop."""
    async with playing(Workspace(tmp_path / "empty")) as pilot:
        for key in ("h", "A", "z", "Z", "u"):
            before = len(toasts(pilot))
            await pilot.press(key)
            await until(pilot, lambda before=before: len(toasts(pilot)) > before, f"what {key} says")
        assert ["There are no studies here yet; press n to create one."] * 4 == toasts(pilot)[:4]
        await pilot.press("R")
        await told(pilot, "A runner would have nothing to do")
    edit(lambda session: writes.set_study_state(session, 1, StudyState.COMPLETE, now=2e9))
    async with playing(ws) as pilot:
        await pilot.press("Z")
        await told(pilot, "The study is complete: nothing is running")
        await pilot.press("H")
        await told(pilot, "No study is archived")


async def test_archive_and_back(ws: Workspace, edit: Edit) -> None:
    """A archives, the list says so, H shows it pale, A restores it."""
    edit(lambda session: writes.set_study_state(session, 1, StudyState.COMPLETE, now=2e9))
    async with playing(ws) as pilot:
        await pilot.press("A")
        await shown(pilot, "All studies are archived")
        await shown(pilot, "1 archived, H shows them")
        await pilot.press("enter")
        await told(pilot, "All studies are archived. Press H to see them.")
        await pilot.press("H")
        await until(pilot, lambda: pilot.app.screen.study_name == "demo", "the archived study")
        await pilot.press("A")
        await told(pilot, "demo is restored")


async def test_pause_stop_and_resume(ws: Workspace, runner_here: None, asked: Asked, edit: Edit) -> None:
    """z and Z leave requests to the runner; stopping asks first, and the safe answer has the focus."""
    async with playing(ws) as pilot:
        await pilot.press("z")
        await until(pilot, lambda: asked() and asked()[-1].verb == "pause", "the request to pause")
        await pilot.press("Z")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudiesScreen), "the studies")
        assert asked()[-1].verb == "pause"
        await pilot.press("Z")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("y")
        await until(pilot, lambda: asked()[-1].verb == "stop_study", "the request to stop")
        edit(lambda session: writes.set_study_state(session, 1, StudyState.PAUSED, now=2e9))
        await shown(pilot, "paused")
        await pilot.press("z")
        await until(pilot, lambda: asked()[-1].verb == "resume", "the request to go on")
        edit(lambda session: writes.set_study_state(session, 1, StudyState.COMPLETE, now=3e9))
        await shown(pilot, "complete")
        await pilot.press("z")
        await told(pilot, "demo is complete, so nothing is paused or resumed. In the study, E raises budget.trials")


async def test_starting_the_runner(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """R starts one, and only where there is none."""
    started: list[Workspace] = []
    from bertdistill.engine.steering import actions

    monkeypatch.setattr(actions, "ensure_runner", lambda ws: started.append(ws) or actions.runner_status(ws))
    async with playing(ws) as pilot:
        await pilot.press("R")
        await until(pilot, lambda: started, "the runner")
    assert [ws.path] == [one.path for one in started]


async def test_copies_name_study_and_commands(ws: Workspace) -> None:
    """y offers what a shell needs."""
    async with playing(ws) as pilot:
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, CopyDialogue), "the choice of copies")
        await shown(pilot, "study: demo")
        found = dict(pilot.app.screen._items)
        assert "frontier demo" in found["frontier"]
        assert str(ws.path) == found["workspace"]


async def test_hostile_notes_and_diagnoses_are_harmless(ws: Workspace, edit: Edit) -> None:
    """What a study file or a worker wrote is text, cut to a line."""

    def spoil(session: Writing) -> None:
        study = reads.study_by_id(session, 1)
        writes.set_study_spec(session, 1, {**study.spec, "note": HOSTILE})
        writes.set_study_state(session, 1, StudyState.FAILED, now=2e9, diagnosis=HOSTILE)

    edit(spoil)
    async with playing(ws, size=(200, 40)) as pilot:
        await shown(pilot, "[red]markup[/] [/no")
        assert set() == control_codes(pilot)


def names(screen: Any) -> list[str]:
    """The studies in the list, from the top."""
    return [row.key for row in screen.query_one(LineTable)._rows]


async def test_studies_are_sorted_and_filtered(ws: Workspace, edit: Edit) -> None:
    """What changed last is the first; s and a click on a head sort, / filters while it is typed, escape shows all."""

    def others(session: Writing) -> None:
        spec = reads.study(session, "demo").spec
        for name, now in (("alpha", 5.0), ("zeta", 9e9)):
            writes.create_study(session, name=name, task="question-answering", spec={**spec, "name": name}, now=now)

    edit(others)
    async with playing(ws) as pilot:
        screen = pilot.app.screen
        assert names(screen) == ["zeta", "demo", "alpha"]
        await pilot.press("s")
        await shown(pilot, "Studies by study")
        assert names(screen) == ["alpha", "demo", "zeta"]
        await pilot.press("S")
        assert names(screen) == ["zeta", "demo", "alpha"]
        await pilot.press("slash", "a", "l")
        await until(pilot, lambda: names(screen) == ["alpha"], "the study that matches")
        await shown(pilot, "1 of 3 studies, esc clears: al")
        await pilot.press("tab", "enter")
        assert names(screen) == ["alpha"]
        await pilot.press("slash", "x", "enter")
        await shown(pilot, "No study matches alphax")
        await until(pilot, lambda: "exact ↑ over" not in words_on(pilot), "the chart of another study to go")
        await pilot.press("h")
        await told(pilot, "esc clears the filter")
        await pilot.press("escape")
        assert names(screen) == ["zeta", "demo", "alpha"]
    async with playing(ws) as pilot:  # the order is remembered
        await shown(pilot, "Studies by study, reversed")
