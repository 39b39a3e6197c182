"""The filter counts and completes while one types; the choice of columns keeps its order; escape keeps all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.app.screens.driving import HARMLESS, HOSTILE, SIZES, control_codes, playing, shown, until, words_on
from textual.pilot import Pilot
from textual.widgets import Input

from bertdistill.app.screens.choose import ChooseColumns, FilterDialogue
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]


async def typed(pilot: Pilot[None], text: str) -> None:
    """Put a text into the input of the screen on top, as a paste does."""
    field = pilot.app.screen.query_one(Input)
    field.value = text
    field.cursor_position = len(text)
    await pilot.pause()


def numbers(screen: StudyScreen) -> list[Any]:
    """Keys of the rows of the table, from the top."""
    return [row.key for row in screen.query_one("#trials", LineTable)._rows]


async def open_filter(pilot: Pilot[None]) -> None:
    """Press the key of the filter and wait for its dialogue."""
    await pilot.press("slash")
    await until(pilot, lambda: isinstance(pilot.app.screen, FilterDialogue), "the filter")


async def test_the_filter_counts_applies_and_clears(ws: Workspace) -> None:
    """The count follows the typing, enter uses the filter, an empty one shows all again."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        everything = numbers(screen)
        await open_filter(pilot)
        await typed(pilot, "layers<=1 exact>60")
        await shown(pilot, "2 of 8 trials")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen, "the study")
        assert [1, 7] == numbers(screen)
        await shown(pilot, "2 of 8 trials by rank: layers<=1 exact>60")
        await open_filter(pilot)
        assert pilot.app.screen.query_one(Input).value == "layers<=1 exact>60"
        await typed(pilot, "")
        await pilot.press("enter")
        await until(pilot, lambda: numbers(screen) == everything, "every trial")


async def test_a_wrong_filter_stays_open_and_escape_keeps_the_old_one(ws: Workspace) -> None:
    """The error stands under what was typed; nothing is applied, nothing is lost."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await open_filter(pilot)
        await typed(pilot, "state:failed")
        await pilot.press("enter")
        await until(pilot, lambda: numbers(screen) == [5], "the failed trial")
        await open_filter(pilot)
        await typed(pilot, "layrs>1")
        await shown(pilot, "Did you mean layers?")
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, FilterDialogue)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen, "the study")
        assert [5] == numbers(screen)


async def test_tab_takes_the_first_completion(ws: Workspace) -> None:
    """The last word is completed in its place: first the key, then its value."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await open_filter(pilot)
        await typed(pilot, "exact>50 -sta")
        await shown(pilot, "-state:")
        await pilot.press("tab")
        field = pilot.app.screen.query_one(Input)
        assert field.value == "exact>50 -state:"
        await pilot.press("f", "tab")
        assert field.value == "exact>50 -state:failed"


async def test_the_filter_of_losses(ws: Workspace, edit: Edit) -> None:
    """`loss` is known to the dialogue and to the table."""
    edit(lambda session: writes.store_points(session, 1, 7, [("train/loss", 3, 1.5, 2e9)]))
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await open_filter(pilot)
        await typed(pilot, "loss>1")
        await shown(pilot, "1 of 8 trials")
        await pilot.press("enter")
        await until(pilot, lambda: numbers(screen) == [6], "the trial with a loss")


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_tags_are_harmless_in_the_filter(ws: Workspace, edit: Edit, size: tuple[int, int]) -> None:
    """A note is found by its words, and what is typed or completed drives no terminal."""

    def write(session: Writing) -> None:
        trial = reads.trial(session, 1, 2)
        writes.edit_trial(session, trial.id, note=HOSTILE, tags=["\x1b[31mred", "[b]bold[/]"])

    edit(write)
    async with playing(ws, StudyScreen("demo"), size) as pilot:
        await open_filter(pilot)
        await typed(pilot, f'note:"{HARMLESS}"')
        await shown(pilot, "1 of 8 trials")
        await typed(pilot, "tag:")
        await shown(pilot, "1 of 8 trials")
        await shown(pilot, "tag:[b]bold[/]")
        assert set() == control_codes(pilot)
        await shown(pilot, "apply")


async def choose(pilot: Pilot[None]) -> LineTable:
    """Press the key of the columns and wait for the list."""
    await pilot.press("C")
    await until(pilot, lambda: isinstance(pilot.app.screen, ChooseColumns), "the columns")
    return pilot.app.screen.query_one(LineTable)


def titles(screen: StudyScreen) -> list[str]:
    """The columns of the table of trials."""
    return [column.key for column in screen.query_one("#trials", LineTable)._columns]


async def test_columns_are_shown_hidden_and_moved(ws: Workspace) -> None:
    """Space turns a column on or off, J and K move it, enter applies, R brings the study's own back."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        own = titles(screen)
        assert own[:4] == ["trial", "state", "exact", "params"]
        table = await choose(pilot)
        await pilot.press("space", "j", "J")
        assert table.cursor_key == "exact"
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen, "the study")
        assert ["trial", "params", "exact"] == titles(screen)[:3]
        assert "state" not in titles(screen)
        table = await choose(pilot)
        assert [row.key for row in table._rows][:2] == ["params", "exact"]
        await pilot.press("j", "K", "escape")
        await until(pilot, lambda: pilot.app.screen is screen, "the study")
        assert ["trial", "params", "exact"] == titles(screen)[:3]
        await choose(pilot)
        await pilot.press("R")
        await until(pilot, lambda: titles(screen) == own, "the study's own columns")


async def test_columns_at_their_ends_stay(ws: Workspace) -> None:
    """The first cannot go further left; the list can be reached to its end."""
    async with playing(ws, StudyScreen("demo"), SIZES[2]) as pilot:
        table = await choose(pilot)
        first = [row.key for row in table._rows]
        await pilot.press("K")
        assert first == [row.key for row in table._rows]
        await pilot.press("G", "space")
        assert "[x]" in words_on(pilot)
        assert table.cursor_key == first[-1]
