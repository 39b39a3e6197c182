"""The history says who changed what; enter takes the chosen change back, or says why it stays."""

from __future__ import annotations

from collections.abc import Callable

from tests.app.screens.driving import HARMLESS, HOSTILE, SIZES, control_codes, playing, shown, told, until, words_on
from tests.fakes import Workbench
from textual.pilot import Pilot

from bertdistill.app.keymap import of
from bertdistill.app.screens.dialogues import Confirm
from bertdistill.app.screens.history import HistoryScreen
from bertdistill.app.widgets.inspector import Facts
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import actions
from bertdistill.store.rows import Request

Asked = Callable[[], list[Request]]


def test_every_key_of_the_table_does_something() -> None:
    """Each action of this place is a method of the screen."""
    assert [] == [a.name for a in of("history") if not hasattr(HistoryScreen, f"action_{a.name.partition('(')[0]}")]


def beside(pilot: Pilot[None]) -> str:
    """What stands beside the list, as one line."""
    return " ".join(str(pilot.app.screen.query_one(Facts).content).split())


async def told_beside(pilot: Pilot[None], words: str) -> None:
    """Wait until these words stand beside the list."""
    await until(pilot, lambda: words in beside(pilot), f"{words!r} beside the list")


async def test_changes_are_listed_newest_first(ws: Workspace) -> None:
    """From what to what, by whom; the one under the cursor in full beside the list."""
    actions.set_threshold(ws, "demo", "exact", 60.0, who="ada")
    actions.set_range(ws, "demo", "layers", "1", who="bob")
    async with playing(ws, HistoryScreen("demo")) as pilot:
        await told_beside(pilot, "by bob")
        assert "outcome done" in beside(pilot)
        await pilot.press("j")
        await told_beside(pilot, "threshold, before 20 threshold, after 60 by ada")


async def test_one_pane_has_the_change_below(ws: Workspace) -> None:
    """In a small window there is no room beside the list."""
    size = SIZES[1]
    actions.set_threshold(ws, "demo", "exact", 60.0, who="ada")
    actions.set_range(ws, "demo", "layers", "1", who="bob")
    async with playing(ws, HistoryScreen("demo"), size) as pilot:
        await shown(pilot, "#2 range.layers whole range -> 1")
        assert "by bob, done. enter undoes it" in words_on(pilot)
        await pilot.press("j")
        await shown(pilot, "#1 threshold.exact 20 -> 60")
        assert "by ada, done." in words_on(pilot)


async def test_enter_undoes_the_chosen_change(ws: Workspace, asked: Asked) -> None:
    """After a question whose safe answer has the focus; the later change stays."""
    actions.set_threshold(ws, "demo", "exact", 60.0, who="ada")
    actions.set_range(ws, "demo", "layers", "1", who="bob")
    async with playing(ws, HistoryScreen("demo")) as pilot:
        await pilot.press("j", "enter")
        await shown(pilot, "Undo #1 of ada? threshold.exact 20 -> 60")
        assert isinstance(pilot.app.screen, Confirm)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, HistoryScreen), "the history")
        assert 2 == len(asked())
        await pilot.press("enter")
        await shown(pilot, "Undo #1 of ada?")
        await pilot.press("y")
        await told(pilot, "Undone: #1. The undo is #3 and can be undone as well.")
        await shown(pilot, "undone by #3")
        assert ("undo", {"undoes": 1, "metric": "exact", "threshold": 20.0}) == (
            asked()[-1].verb,
            asked()[-1].arguments,
        )


async def test_what_cannot_be_undone_says_why(ws: Workspace, asked: Asked) -> None:
    """A later change of the same thing overrides it; nothing is asked and nothing changes."""
    actions.set_threshold(ws, "demo", "exact", 60.0, who="ada")
    actions.set_threshold(ws, "demo", "exact", 70.0, who="bob")
    async with playing(ws, HistoryScreen("demo")) as pilot:
        await pilot.press("j")
        await told_beside(pilot, "a later change overrides it: #2 (threshold)")
        await pilot.press("enter")
        await told(pilot, "#1 stays: a later change overrides it: #2 (threshold)")
        assert 2 == len(asked())


async def test_a_trial_that_has_run_says_what_to_do_instead(bench: Callable[..., Workbench]) -> None:
    """Before anything is asked, and in the words of u as well."""
    of = bench({"budget": {"trials": 1}})
    actions.rerun(of.workspace, "toy", 0, "layers", 2, who="ada")
    of.run()
    async with playing(of.workspace, HistoryScreen("toy"), (120, 24)) as pilot:
        await told_beside(pilot, "trial 1 has run since it was requested and is complete; its results are kept.")
        await pilot.press("enter")
        await told(pilot, "stays: trial 1 has run since it was requested")
        await pilot.press("u")
        await told(pilot, "Archive it: A on the trial")
        assert 1 == len(of.trials()) - 1


async def test_u_undoes_the_newest(ws: Workspace, asked: Asked) -> None:
    """Without looking for it in the list."""
    actions.set_note(ws, "demo", "first", who="ada")
    async with playing(ws, HistoryScreen("demo")) as pilot:
        await shown(pilot, 'note none -> "first"')
        await pilot.press("u")
        await shown(pilot, "undone by #2")
        assert "undo" == asked()[-1].verb


async def test_an_open_request_waits_for_the_runner(ws: Workspace, runner_here: None) -> None:
    """It is no more than asked for."""
    actions.pause_study(ws, "demo", who="ada")
    async with playing(ws, HistoryScreen("demo")) as pilot:
        await told_beside(pilot, "the runner has not processed it yet")


async def test_nothing_was_asked_yet(ws: Workspace) -> None:
    """Enter and undo have nothing to work on and do nothing."""
    async with playing(ws, HistoryScreen("demo")) as pilot:
        await shown(pilot, "There are no requests yet.")
        await pilot.press("enter", "u")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HistoryScreen)


async def test_the_whole_workspace_has_a_history(ws: Workspace) -> None:
    """Without a name the requests of all studies stand in it, each with its study."""
    actions.annotate(ws, "demo", 1, note="kept", who="ada")
    async with playing(ws, HistoryScreen()) as pilot:
        await shown(pilot, "History of the workspace")
        line = next(line for line in words_on(pilot).split("\n") if 'note none -> "kept"' in line)
        assert "#1 " in line
        assert 'note none -> "kept"' in dict(pilot.app.screen.copies())["change"]  # type: ignore[attr-defined]  # a LiveScreen


async def test_hostile_text_is_harmless(ws: Workspace) -> None:
    """Notes and names of people are foreign text."""
    actions.set_note(ws, "demo", HOSTILE, who=HOSTILE)
    async with playing(ws, HistoryScreen("demo"), (200, 40)) as pilot:
        await told_beside(pilot, f"by {HARMLESS}")
        assert set() == control_codes(pilot)
        await pilot.press("enter")
        await shown(pilot, f"Undo #1 of {HARMLESS}?")
        assert set() == control_codes(pilot)
