"""Searching a log: hits are marked and counted, keys go from one to the next, escape leaves."""

from __future__ import annotations

import pytest
from tests.app.screens.driving import playing, shown, until, words_on
from textual.pilot import Pilot

from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.widgets.log import LogPane
from bertdistill.engine.contract.workspace import Workspace

LINES = [(number, "out of Memory" if number % 4 == 0 else f"step {number}") for number in range(1, 18)]


def log_of(pilot: Pilot[None]) -> LogPane:
    """The log, with lines of a worker instead of what happened."""
    log = pilot.app.screen.query_one(LogPane)
    log.show_events = lambda events: None  # type: ignore[method-assign]  # the study's own lines would replace them
    log.show_lines(LINES, empty="")
    return log


@pytest.mark.parametrize("size", [(120, 40), (40, 12)])
async def test_a_burst_searches_and_goes_on(ws: Workspace, size: tuple[int, int]) -> None:
    """From the cursor on, around the end, back, and out."""
    async with playing(ws, StudyScreen("demo"), size, marker="ascii") as pilot:
        await pilot.press("4")
        await until(pilot, lambda: isinstance(pilot.app.focused, LogPane), "the log")
        log = log_of(pilot)
        await pilot.press("g", "slash", *"MEM", "enter", "n")
        await shown(pilot, "/mem: 2 of 4")
        assert 8 == log.cursor_key
        await pilot.press("N", "N")
        await shown(pilot, "/mem: 4 of 4")
        log.show_lines([*LINES, (18, "memory again")], empty="")
        await shown(pilot, "of 5")
        assert 16 == log.cursor_key
        await pilot.press("escape")
        await until(pilot, lambda: "/mem" not in words_on(pilot), "the end of the search")
        assert isinstance(pilot.app.screen, StudyScreen)


async def test_what_is_not_there_is_said_and_escape_forgets_it(ws: Workspace) -> None:
    """While it is typed."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: isinstance(pilot.app.focused, LogPane), "the log")
        log_of(pilot)
        await pilot.press("slash", *"xyz")
        await shown(pilot, "/xyz: not found")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.focused, LogPane), "the log again")
        assert "/xyz" not in words_on(pilot)
