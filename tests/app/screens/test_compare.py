"""Trials side by side: what differs, by how much, and the keys that choose, remove and open them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.app.screens.driving import HOSTILE, SIZES, control_codes, playing, shown, told, until, words_on
from textual.pilot import Pilot

from bertdistill.app.keymap import of
from bertdistill.app.screens.compare import CompareScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.ui import BertDistill
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store import writes
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]


def row(pilot: Pilot[None], name: str) -> list[str]:
    """The cells of the first row with that name, as words."""
    lines = (line.strip("│› ").split() for line in words_on(pilot).split("\n"))
    return next(words[1:] for words in lines if words and words[0] == name)


def test_every_key_of_the_table_does_something() -> None:
    """Each action of this place is a method of the screen or of the app."""
    names = [action.name.partition("(")[0] for action in of("compare")]
    places = (CompareScreen, BertDistill)
    assert [] == [name for name in names if not any(hasattr(place, f"action_{name}") for place in places)]


async def test_differences_are_to_the_first(ws: Workspace) -> None:
    """Objectives with their better side, the states, and only settings that differ."""
    async with playing(ws, CompareScreen("demo", (1, 7, 5))) as pilot:
        await shown(pilot, "Against #1")
        assert ["reference", "★#1", "#7", "[#5]"] == words_on(pilot).split("\n")[2].strip("│").split()[:4]
        assert ["↑", "88.00", "86.00", "(-2.00)", "–"] == row(pilot, "exact")[:5]
        assert ["↓", "80.0k", "80.0k", "(0", "%)", "120k", "(+50", "%)"] == row(pilot, "params")[:8]
        assert ["✓", "complete", "✓", "complete", "✗", "failed"] == row(pilot, "state")[:6]
        assert ["0.001", "0.002", "0.009"] == row(pilot, "learning_rate")[:3]
        assert "temperature" not in words_on(pilot)
        assert "are the same, = shows them" in words_on(pilot)


async def test_what_is_the_same_is_shown_on_demand(ws: Workspace) -> None:
    """The key toggles."""
    async with playing(ws, CompareScreen("demo", (1, 7))) as pilot:
        await pilot.press("equals_sign")
        await shown(pilot, "hidden_size")
        assert "are the same" not in words_on(pilot)
        await pilot.press("equals_sign")
        await shown(pilot, "are the same")
        assert "hidden_size" not in words_on(pilot)


async def test_choose_the_reference_and_take_one_out(ws: Workspace) -> None:
    """[ and ] choose, r puts the chosen one first, x takes it out; two always stay."""
    screen = CompareScreen("demo", (0, 1, 7))
    async with playing(ws, screen) as pilot:
        await shown(pilot, "chosen: #7")
        await pilot.press("right_square_bracket")
        await shown(pilot, "chosen: #0")
        assert "r reference" not in words_on(pilot)
        await pilot.press("left_square_bracket", "left_square_bracket")
        await shown(pilot, "chosen: #1")
        await pilot.press("r")
        await shown(pilot, "Against #1")
        assert (1, 0, 7) == screen.numbers
        assert ["↑", "88.00", "90.00", "(+2.00)"] == row(pilot, "exact")[:4]
        await pilot.press("x")
        await shown(pilot, "Against #0")
        assert ((0, 7), 0) == (screen.numbers, screen.chosen)
        await pilot.press("x")
        await pilot.pause()
        assert (0, 7) == screen.numbers
        assert "x remove" not in words_on(pilot)


async def test_enter_opens_the_chosen_trial(ws: Workspace) -> None:
    """And escape comes back."""
    async with playing(ws, CompareScreen("demo", (0, 1))) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial")
        assert 1 == getattr(pilot.app.screen, "number", None)
        await pilot.press("escape")
        await shown(pilot, "Against #0")


async def test_copy_offers_the_command(ws: Workspace) -> None:
    """The command that prints the same comparison."""
    screen = CompareScreen("demo", (0, 1))
    async with playing(ws, screen) as pilot:
        assert "engine compare demo/0 demo/1" in dict(screen.copies())["command"]
        await pilot.press("y")
        await shown(pilot, "trials: demo/0 demo/1")


async def test_curves_of_all_trials_are_in_one_chart(ws: Workspace, edit: Edit) -> None:
    """Each named at its end."""

    def draw(session: Writing) -> None:
        for trial_id in (1, 2, 8):
            points = [("train/loss", step, 2.0 / (step + trial_id), 1.0) for step in range(1, 30)]
            writes.store_points(session, 1, trial_id, points)

    edit(draw)
    async with playing(ws, CompareScreen("demo", (0, 1, 7))) as pilot:
        await shown(pilot, "Curves #0 #1 #7: loss (live)")
        await shown(pilot, "#7 loss")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("numbers", [(0, 1), (0, 1, 2, 3, 6, 7)])
async def test_it_is_usable_everywhere(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], numbers: tuple[int, ...]
) -> None:
    """The chosen trial's column is on screen at any width, in ASCII and without colour; both panes can be reached."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with playing(ws, CompareScreen("demo", numbers), size, marker="ascii") as pilot:
        for number in numbers:
            await pilot.press("right_square_bracket")
            await shown(pilot, f"#{number}]")
            assert size[0] < 80 or "reference" in words_on(pilot), "what the others are compared with stays"
        await pilot.press("2")
        await shown(pilot, "Curves (live)" if len(numbers) == 2 else "Curves #6")
        await pilot.press("1")
        await shown(pilot, "exact max")


async def test_maximise_leaves_one_pane(ws: Workspace) -> None:
    """m on the chart hides the table, m again brings it back."""
    async with playing(ws, CompareScreen("demo", (0, 1))) as pilot:
        await pilot.press("2", "m")
        await until(pilot, lambda: not pilot.app.screen.query_one("#compared").display, "the chart alone")
        await pilot.press("m")
        await until(pilot, lambda: pilot.app.screen.query_one("#compared").display, "both")


async def test_text_from_outside_is_harmless(ws: Workspace, edit: Edit) -> None:
    """Notes and tags with control codes and markup."""
    edit(lambda session: writes.edit_trial(session, 2, note=HOSTILE, tags=[HOSTILE]))
    async with playing(ws, CompareScreen("demo", (0, 1))) as pilot:
        await shown(pilot, "[red]markup[/]")
        assert set() == control_codes(pilot)


async def test_a_trial_that_does_not_exist_is_told(ws: Workspace) -> None:
    """One trial is no comparison; the app goes on."""
    async with playing(ws) as pilot:
        pilot.app.push_screen(CompareScreen("demo", (0, 99)))
        await told(pilot, "compare takes 2 to 6 trials, not 1")
        await pilot.press("escape")
        await shown(pilot, "Studies")


# ------------------------------------------------------------------------------------------ marks of the study screen


async def test_marked_trials_are_compared_in_the_order_of_marking(ws: Workspace) -> None:
    """The border names them; c opens the comparison with the first as reference; U unmarks all."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await pilot.press("j", "space", "k", "space")
        await shown(pilot, "marked: #1 #0, c compares them")
        await pilot.press("c")
        await shown(pilot, "Against #1")
        await pilot.press("escape", "U")
        await until(pilot, lambda: screen.marked == (), "no mark")
        assert "marked:" not in words_on(pilot)


async def test_compare_without_two_marks(ws: Workspace) -> None:
    """With one mark it takes the trial under the cursor; without any the baseline and the cursor's."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        assert not screen.check_action("compare", ())  # the cursor is on the baseline itself
        await pilot.press("j", "c")
        await shown(pilot, "2 trials: #0 #1")
        await pilot.press("escape", "space", "j", "c")
        await shown(pilot, "2 trials: #1 #2")


async def test_a_seventh_mark_is_refused(ws: Workspace) -> None:
    """It says how to go on."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        for _ in range(7):
            await pilot.press("space", "j")
        await told(pilot, "Six trials are already marked")
        assert 6 == len(screen.marked)
