"""The help begins with the keys that belong to where it was opened."""

from __future__ import annotations

import pytest
from tests.app.screens.driving import SIZES, playing, shown, until, words_on

from bertdistill.app.screens.help import HelpScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.engine.contract.workspace import Workspace


@pytest.mark.parametrize("size", SIZES)
async def test_it_begins_with_the_screen(ws: Workspace, size: tuple[int, int]) -> None:
    """Movement in a table and what works everywhere come behind the keys of the study."""
    async with playing(ws, StudyScreen("demo"), size) as pilot:
        await pilot.press("question_mark")
        await shown(pilot, "Open the trial")
        dialogue = [line.strip("│ ▔") for line in words_on(pilot).splitlines() if "│" in line]
        assert "enter  Open the trial" in next(line for line in dialogue if "enter" in line)
        assert "Everywhere" not in words_on(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen), "the study")


async def test_the_keys_of_a_focused_chart_come_first(ws: Workspace) -> None:
    """Then those of the screen, then movement."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await pilot.press("2", "question_mark")
        await shown(pilot, "In the frontier chart")
        text = words_on(pilot)
        assert text.index("Next metric on the x axis") < text.index("Open the trial")
        assert text.index("Next metric on the x axis") < text.index("joined by steps")


async def test_arrows_are_words_in_ascii(ws: Workspace) -> None:
    """No glyph that such a terminal lacks."""
    async with playing(ws, StudyScreen("demo"), marker="ascii") as pilot:
        await pilot.press("2", "question_mark")
        await shown(pilot, "left   Next point to the left")
