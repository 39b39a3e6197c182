"""The choice of columns keeps its order; escape keeps all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.app.screens.driving import SIZES, playing, until, words_on
from textual.pilot import Pilot

from bertdistill.app.screens.choose import ChooseColumns
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]


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
