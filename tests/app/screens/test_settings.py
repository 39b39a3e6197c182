"""The settings of a study: what may change, what was changed by whom, and changing it with a check while one types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.app.screens.driving import HARMLESS, HOSTILE, SIZES, control_codes, playing, shown, told, until, words_on
from textual.pilot import Pilot
from textual.widgets import Input

from bertdistill.app.keymap import of
from bertdistill.app.screens.dialogues import Ask
from bertdistill.app.screens.history import HistoryScreen
from bertdistill.app.screens.settings import SettingsScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.ui import BertDistill
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import actions
from bertdistill.store import reads, writes
from bertdistill.store.rows import Request, StudyState, TrialState
from bertdistill.store.writing import Writing

Asked = Callable[[], list[Request]]
Edit = Callable[[Callable[[Writing], Any]], Any]


async def type_value(pilot: Pilot[None], key: str, text: str) -> Ask:
    """Open the line for a setting and put this text in it."""
    pilot.app.screen.query_one("#settings", LineTable).move_to(key)
    await pilot.press("enter")
    ask = await until(pilot, lambda: isinstance(pilot.app.screen, Ask) and pilot.app.screen, "the line")
    ask.query_one(Input).value = text
    await pilot.pause()
    assert isinstance(ask, Ask)
    return ask


def line_of(pilot: Pilot[None], key: str) -> str:
    lists = [line.partition("││")[0] for line in words_on(pilot).split("\n")]
    line = next(line for line in lists if key in line and "╭" not in line)
    return " ".join(line.strip("│› •»").split())


def test_every_key_of_the_table_does_something() -> None:
    """Each action of this place is a method of the screen."""
    assert [] == [a.name for a in of("settings") if not hasattr(SettingsScreen, f"action_{a.name.partition('(')[0]}")]


async def test_the_inspector_shows_what_a_setting_decides_about(ws: Workspace) -> None:
    """A threshold beside the frontier, a range beside the scores along it and what was tried, a key with its limits."""
    async with playing(ws, SettingsScreen("demo")) as pilot:
        await shown(pilot, "#0◆")
        await pilot.press("j", "j")
        await shown(pilot, "by itself")
        while pilot.app.screen.query_one("#settings", LineTable).cursor_key != "range.layers":
            await pilot.press("j")
        await shown(pilot, "tried       1 (")
        await shown(pilot, "layers│")


@pytest.mark.parametrize("size", SIZES)
async def test_settings_at_every_size(ws: Workspace, size: Any) -> None:
    """The values in force, and what the one under the cursor means."""
    async with playing(ws, SettingsScreen("demo"), size) as pilot:
        await shown(pilot, "threshold.exact")
        assert "threshold.exact 20" in line_of(pilot, "threshold.exact")
        assert "a feasible trial has" in words_on(pilot)
        assert "budget.trials" in words_on(pilot)
        assert "changed" not in line_of(pilot, "setting   "), "nothing is, so the values have its room"


async def test_ranges_name_the_space_of_the_study_file(ws: Workspace) -> None:
    """And a narrowed one is told from it."""
    actions.set_range(ws, "demo", "hidden_size", "16,32", who="ada")
    async with playing(ws, SettingsScreen("demo")) as pilot:
        await shown(pilot, "16,32")
        await pilot.press("i")
        await shown(pilot, "1 to 2")
        assert "range.layers 1 to 2 1 to 2" == line_of(pilot, "range.layers")
        assert line_of(pilot, "range.hidden_size").startswith("range.hidden_size 16,32 16, 32 or 64 by ada ")


@pytest.mark.parametrize(
    ("key", "text", "verb", "arguments"),
    [
        ("threshold.exact", "65.5", "threshold", {"metric": "exact", "threshold": 65.5}),
        ("threshold.params", "40k", "threshold", {"metric": "params", "threshold": 40_000}),
        ("threshold.exact", "", "threshold", {"metric": "exact", "threshold": None}),
        ("budget.trials", "12", "budget", {"trials": 12}),
        ("budget.hours", "1.5", "budget", {"hours": 1.5}),
        ("runner.slots", "3", "slots", {"slots": 3}),
        ("range.layers", "1", "range", {"parameter": "layers", "range": 1}),
        ("range.learning_rate", "1e-3..5e-3", "range", {"parameter": "learning_rate"}),
        ("note", "[red]try[/] 1=2", "note", {"note": "[red]try[/] 1=2"}),
        ("runner.retries", "5", "runner", {"retries": 5}),
    ],
)
async def test_a_change_is_recorded_and_shown(
    ws: Workspace, asked: Asked, key: str, text: str, verb: str, arguments: dict[str, Any]
) -> None:
    """With who made it; the row has a mark."""
    async with playing(ws, SettingsScreen("demo")) as pilot:
        await type_value(pilot, key, text)
        await pilot.press("enter")
        await told(pilot, f"{key} is changed; u undoes this.")
        request = asked()[-1]
        assert (verb, arguments) == (request.verb, {name: request.arguments[name] for name in arguments})
        await shown(pilot, "Settings: 1 changed")
        assert f"by {request.who} " in line_of(pilot, key)


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("threshold.exact", "high", "threshold"),
        ("budget.trials", "0", "trials = 0"),
        ("budget.trials", "many", "trials"),
        ("range.layers", "2..9", "outside the range in the study file"),
        ("range.layers", "2..", ""),
        ("runner.slots", "-1", "slots"),
        ("stopping.rule", "sometimes", "rule"),
    ],
)
async def test_a_wrong_value_says_so_while_it_is_typed(
    ws: Workspace, asked: Asked, key: str, text: str, problem: str
) -> None:
    """Enter does not take it; the right one, of which there is one here, is taken."""
    async with playing(ws, SettingsScreen("demo")) as pilot:
        ask = await type_value(pilot, key, text)
        assert "enter confirms, esc cancels" in words_on(pilot)
        assert problem in ask.problem(text)
        assert "--set" not in ask.problem(text)
        await pilot.press("enter")
        await pilot.pause()
        assert (pilot.app.screen is ask) == bool(problem)
        if problem:
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen), "the settings")
            assert [] == asked()


async def test_the_same_value_changes_nothing(ws: Workspace, asked: Asked) -> None:
    """It is said, not recorded."""
    async with playing(ws, SettingsScreen("demo")) as pilot:
        await type_value(pilot, "budget.trials", "8")
        await pilot.press("enter")
        await told(pilot, "budget.trials already has that value.")
        assert [] == asked()


async def test_undo_takes_the_mark_away(ws: Workspace) -> None:
    """What is as in the study file again was changed by nobody."""
    actions.set_budget(ws, "demo", trials=20, who="ada")
    async with playing(ws, SettingsScreen("demo")) as pilot:
        await shown(pilot, "by ada")
        await pilot.press("u")
        await shown(pilot, "Settings: 0 changed")
        assert "by ada" not in line_of(pilot, "budget.trials")


async def test_the_history_is_one_key_away(ws: Workspace) -> None:
    """Of the same study."""
    async with playing(ws, SettingsScreen("demo")) as pilot:
        await pilot.press("h")
        await until(pilot, lambda: isinstance(pilot.app.screen, HistoryScreen), "the history")


async def test_a_complete_study_with_a_larger_budget_gets_a_runner(
    ws: Workspace, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on, which nothing would do without one."""
    started: list[Workspace] = []
    monkeypatch.setattr(actions, "ensure_runner", started.append)

    def complete(session: Writing) -> None:
        writes.set_trial_state(session, 7, TrialState.STOPPED, now=2e9)
        writes.set_study_state(session, 1, StudyState.COMPLETE, now=2e9)

    edit(complete)
    async with playing(ws, SettingsScreen("demo")) as pilot:
        await type_value(pilot, "budget.trials", "30")
        await pilot.press("enter")
        await shown(pilot, "▶ running")
        assert 1 == len(started)


async def test_hostile_text_is_harmless(ws: Workspace) -> None:
    """In the note, in the name of who changed it, and in the line where it is edited."""
    actions.set_note(ws, "demo", HOSTILE, who=HOSTILE)
    async with playing(ws, SettingsScreen("demo"), (200, 40)) as pilot:
        await shown(pilot, f"by {HARMLESS}")
        await type_value(pilot, "note", HARMLESS)
        assert set() == control_codes(pilot)
        assert isinstance(pilot.app, BertDistill)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen), "the settings")
        words = [text for _, text in pilot.app.screen.copies()]  # type: ignore[attr-defined]  # it is a LiveScreen
        assert f"note={HARMLESS}" in words


async def test_a_value_that_cannot_be_written_is_not_lost(
    ws: Workspace, asked: Asked, rename_study: Callable[[str, str], None]
) -> None:
    """The line stays with what was typed and the reason; enter tries again."""
    async with playing(ws, SettingsScreen("demo")) as pilot:
        ask = await type_value(pilot, "note", "a long thought")
        rename_study("demo", "away")
        await pilot.press("enter")
        await shown(pilot, "Not written: study 'demo' does not exist")
        assert "a long thought" == ask.query_one(Input).value
        rename_study("away", "demo")
        await pilot.press("enter")
        await told(pilot, "note is changed")
        assert {"note": "a long thought"} == asked()[-1].arguments


@pytest.mark.parametrize("size", SIZES)
async def test_what_came_of_it_hides_nothing(ws: Workspace, size: Any) -> None:
    """It stands in a line of its own above the footer, not over the page; no hours are no limit."""
    async with playing(ws, SettingsScreen("demo"), size) as pilot:
        await type_value(pilot, "budget.hours", "2")
        await pilot.press("enter")
        await shown(pilot, "budget.hours is changed")
        assert 0 == len(pilot.app._notifications)
        assert "budget.hours" in pilot.app.screen.copies()[0][1]  # type: ignore[attr-defined]  # it is a LiveScreen
        assert "Start no new trial" in words_on(pilot)
        await type_value(pilot, "budget.hours", "0")
        await pilot.press("enter")
        await until(pilot, lambda: "no limit" in line_of(pilot, "budget.hours"), "no limit")


async def test_the_setting_that_a_diagnosis_names_has_the_cursor(ws: Workspace, edit: Edit) -> None:
    """From the study that waits for room to the limit, by the key that its banner names."""

    def full(session: Writing) -> None:
        study = reads.study(session, "demo")
        words = "only 1.0 GB of the disk are free: free some, or lower runner.min_free_gb"
        writes.set_study_state(session, study.id, StudyState.PAUSED, now=9.0, diagnosis=words)

    edit(full)
    async with playing(ws, StudyScreen("demo")) as pilot:
        await shown(pilot, "runner.min_free_gb (E)")
        await pilot.press("E")
        await until(
            pilot,
            lambda: (
                isinstance(pilot.app.screen, SettingsScreen)
                and pilot.app.screen.query_one(LineTable).cursor_key == "runner.min_free_gb"
            ),
            "the limit",
        )
