"""The form for a trial of one's own: exact size before it waits, refusals with the remedy, the request at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.app.screens.driving import HARMLESS, HOSTILE, SIZES, control_codes, playing, shown, told, until, words_on
from tests.fakes import Workbench
from textual.pilot import Pilot
from textual.widgets import Input

from bertdistill.app.keymap import of
from bertdistill.app.screens.dialogues import Ask
from bertdistill.app.screens.queue_trial import QueueTrialScreen
from bertdistill.app.screens.studies import StudiesScreen
from bertdistill.app.ui import BertDistill
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.steering import actions
from bertdistill.store import reads, writes
from bertdistill.store.rows import Request, Study, StudyState, Trial
from bertdistill.store.writing import Writing

Asked = Callable[[], list[Request]]
Edit = Callable[[Callable[[Writing], Any]], Any]
FACTS = {
    "teacher_shape": bert_shape(
        vocab_size=500, positions=64, hidden_size=64, ffn_size=128, layers=2, head_size=16
    ).to_dict(),
    "labels": [],
    "mean_length": 20.0,
}
ONE_LAYER = (500 + 64 + 2 + 2) * 64 + (4 * (64 * 64 + 64) + 2 * (64 * 64 + 64) + 4 * 64) + 2 * 64 + 2
"""Embeddings, attention, feed-forward and head of a student with one layer of width 64."""


@pytest.fixture(autouse=True)
def prepared(edit: Edit, runner_here: None) -> None:
    """The study is prepared, so that sizes are known."""
    edit(lambda session: writes.set_prepared(session, 1, FACTS))


async def put(pilot: Pilot[None], parameter: str, text: str) -> None:
    """Type a value for a parameter."""
    pilot.app.screen.query_one("#parameters", LineTable).move_to(parameter)
    await pilot.press("enter")
    ask = await until(pilot, lambda: isinstance(pilot.app.screen, Ask) and pilot.app.screen, "the line")
    ask.query_one(Input).value = text
    await pilot.press("enter")


def line_of(pilot: Pilot[None], key: str) -> str:
    line = next(line for line in words_on(pilot).split("\n") if key in line)
    return " ".join(line.strip("│› •»").split())


def test_every_key_of_the_table_does_something() -> None:
    """Each action of this place is a method of the screen."""
    assert [] == [a.name for a in of("queue") if not hasattr(QueueTrialScreen, f"action_{a.name.partition('(')[0]}")]


@pytest.mark.parametrize("size", SIZES)
async def test_the_form_at_every_size(ws: Workspace, size: Any) -> None:
    """Values of the trial under the cursor, and whether it can be queued."""
    async with playing(ws, QueueTrialScreen("demo", 3), size) as pilot:
        await shown(pilot, "from #3")
        assert "hidden_size 32" in line_of(pilot, "hidden_size")
        assert "Cannot be queued: trial #3" in words_on(pilot)


async def test_without_a_trial_it_begins_with_the_baseline(ws: Workspace) -> None:
    """Which is the reference in the third column."""
    async with playing(ws, QueueTrialScreen("demo")) as pilot:
        await shown(pilot, "layers")
        assert "layers 2 2 1 to 2" == line_of(pilot, "layers ")
        assert "learning_rate 0.001 0.001 0.0001 to 0.01, logarithmic" == line_of(pilot, "learning_rate")


async def test_a_trial_is_queued(ws: Workspace, asked: Asked) -> None:
    """Exact size, time and memory as far as they can be judged, then the request; the form closes."""
    async with playing(ws, QueueTrialScreen("demo")) as pilot:
        await put(pilot, "layers", "1")
        await put(pilot, "learning_rate", "0.0005")
        await shown(pilot, "Q queues it; 1 of 8 trials of the budget are left.")
        assert "learning_rate 0.0005 0.001" in line_of(pilot, "learning_rate")
        assert "no complete trial of its family to estimate time and memory from" in words_on(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, QueueTrialScreen)
        forecast = screen.outlook.forecast
        assert forecast is not None
        assert f"params {forecast.known['params']:,} ({forecast.known['params'] / 120_000:.0%} of the baseline)" in (
            words_on(pilot)
        )
        assert "--set layers=1 --set hidden_size=64 --set learning_rate=0.0005" in dict(screen.copies())["command"]
        await pilot.press("Q")
        await told(pilot, "Trial #8 is queued, ahead of proposed ones.")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudiesScreen), "the screen before")
        request = asked()[-1]
        assert ("queue", {"layers": 1, "hidden_size": 64, "learning_rate": 0.0005}) == (
            request.verb,
            request.arguments,
        )


async def test_settings_that_are_not_searched_come_along(ws: Workspace, edit: Edit) -> None:
    """A trial that a rerun has changed outside the search space is not silently another one; `b` takes them away."""

    def change(session: Writing) -> None:
        trial = reads.trial(session, 1, 1)
        session.change(Trial, trial.id, settings={**trial.settings, "weight_decay": 0.3})

    edit(change)
    screen = QueueTrialScreen("demo", 1)
    async with playing(ws, screen) as pilot:
        await shown(pilot, "as in #1")
        assert "weight_decay 0.3 not searched; as in #1" in line_of(pilot, "weight_decay")
        await shown(pilot, "trial #1 (complete) has exactly these values")
        await put(pilot, "learning_rate", "0.0005")
        await shown(pilot, "Q queues it")
        assert ["values"] == [name for name, _ in screen.copies()], "the command could not say it"
        await pilot.press("Q")
        await told(pilot, "Trial #8 is queued")
    assert 0.3 == edit(lambda session: reads.trial(session, 1, 8).settings["weight_decay"])


async def test_the_size_is_that_of_the_architecture(ws: Workspace, edit: Edit) -> None:
    """Shown is what the trial's row then has."""
    async with playing(ws, QueueTrialScreen("demo")) as pilot:
        await put(pilot, "layers", "1")
        await put(pilot, "learning_rate", "0.0005")
        await shown(pilot, "Q queues it")
        assert f"params {ONE_LAYER:,} " in words_on(pilot)
        await pilot.press("Q")
        await told(pilot, "Trial #8 is queued")
    assert ONE_LAYER == edit(lambda session: reads.trial(session, 1, 8).known["params"])


async def test_a_repeated_trial_is_refused_and_can_be_opened(
    ws: Workspace, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says which, and Q says it again without taking the next key: enter opens the editor at once."""
    opened: list[Any] = []
    monkeypatch.setattr(BertDistill, "open_trial", lambda _, *where: opened.append(where))
    async with playing(ws, QueueTrialScreen("demo", 1)) as pilot:
        await shown(pilot, "Cannot be queued: trial #1 (complete) has exactly these values; o opens it")
        await pilot.press("Q", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask), "the editor")
        await pilot.press("escape")
        await told(pilot, "Not queued: trial #1 (complete) has exactly these values; o opens it")
        await pilot.press("o")
        assert [("demo", 1)] == opened
        assert [] == asked()


async def test_a_wrong_value_says_so_while_it_is_typed(ws: Workspace) -> None:
    """With the search space beside it."""
    async with playing(ws, QueueTrialScreen("demo", 1)) as pilot:
        await put(pilot, "hidden_size", "48")
        await shown(pilot, "hidden_size = 48 is outside the search space: 16, 32 or 64")
        assert isinstance(pilot.app.screen, Ask)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, QueueTrialScreen), "the form")
        assert "hidden_size 64" in line_of(pilot, "hidden_size")


async def test_b_takes_the_baseline(ws: Workspace) -> None:
    """All of its values at once."""
    async with playing(ws, QueueTrialScreen("demo", 4)) as pilot:
        await shown(pilot, "trial #4")
        await pilot.press("b")
        await shown(pilot, "trial #0 (complete) has exactly these values")
        assert "layers 2 2" in line_of(pilot, "layers ")


async def test_a_used_budget_and_a_broken_threshold_are_told_before(ws: Workspace, asked: Asked) -> None:
    """Both name what to change; Q says it again and asks for nothing then."""
    actions.set_budget(ws, "demo", trials=7, who="ada")
    actions.set_threshold(ws, "demo", "params", 1000, who="ada")
    async with playing(ws, QueueTrialScreen("demo", 1)) as pilot:
        await put(pilot, "learning_rate", "0.005")
        await shown(pilot, "above the threshold 1,000; choose a smaller student")
        await pilot.press("Q")
        await told(pilot, "Not queued: ")
        await pilot.app.workers.wait_for_complete()
        actions.set_threshold(ws, "demo", "params", None, who="ada")
        await shown(pilot, "the budget of 7 trials is used up; raise budget.trials")
        assert ["budget", "threshold", "threshold"] == [request.verb for request in asked()]


async def test_a_study_that_is_not_prepared_has_no_sizes(ws: Workspace, edit: Edit) -> None:
    """It says so, and what to wait for."""

    def forget(session: Writing) -> None:
        session.change(Study, 1, prepared=None)

    edit(forget)
    async with playing(ws, QueueTrialScreen("demo", 1)) as pilot:
        await shown(pilot, "study 'demo' is not prepared yet")


@pytest.mark.parametrize(("state", "runners"), [(StudyState.COMPLETE, 1), (StudyState.PAUSED, 0)])
async def test_a_study_that_goes_on_gets_a_runner(
    ws: Workspace, edit: Edit, monkeypatch: pytest.MonkeyPatch, state: StudyState, runners: int
) -> None:
    """A paused one keeps the trial until it is resumed."""
    started: list[Workspace] = []
    monkeypatch.setattr(actions, "ensure_runner", started.append)
    edit(lambda session: writes.set_study_state(session, 1, state, now=2e9))
    async with playing(ws, QueueTrialScreen("demo", 1)) as pilot:
        await put(pilot, "learning_rate", "0.005")
        await shown(pilot, "Q queues it")
        await pilot.press("Q")
        await told(pilot, "Trial #8 is queued")
        assert runners == len(started)


async def test_hostile_text_is_harmless(ws: Workspace, edit: Edit) -> None:
    """A value that the search space does not hold is not taken over, whatever it is."""

    def spoil(session: Writing) -> None:
        trial = reads.trial(session, 1, 1)
        session.change(Trial, trial.id, settings={**trial.settings, "hidden_size": HOSTILE})

    edit(spoil)
    async with playing(ws, QueueTrialScreen("demo", 1), (160, 40)) as pilot:
        await shown(pilot, "Q queues it")
        assert "hidden_size 64 64" in line_of(pilot, "hidden_size")
        assert HARMLESS not in words_on(pilot)
        assert set() == control_codes(pilot)


async def test_values_that_cannot_be_queued_are_not_lost(
    ws: Workspace, asked: Asked, rename_study: Callable[[str, str], None]
) -> None:
    """They stay in the form with the reason; Q tries again."""
    async with playing(ws, QueueTrialScreen("demo", 1)) as pilot:
        await put(pilot, "learning_rate", "0.005")
        rename_study("demo", "away")
        await pilot.press("Q")
        await told(pilot, "Not done: study 'demo' does not exist")
        assert "0.005" in line_of(pilot, "learning_rate")
        rename_study("away", "demo")
        await pilot.press("Q")
        await told(pilot, "Trial #8 is queued")
        assert 0.005 == asked()[-1].arguments["learning_rate"]


async def test_without_a_baseline_there_is_none_to_take(bench: Callable[..., Workbench]) -> None:
    """No column of values that are called so, and the key says how to get one."""
    of = bench({"baseline": None, "budget": {"trials": 2}})
    async with playing(of.workspace, QueueTrialScreen("toy")) as pilot:
        await shown(pilot, "learning_rate")
        await pilot.press("b")
        await told(pilot, "The study has no baseline; with a [baseline] table in its file, trial 0 is the baseline.")
