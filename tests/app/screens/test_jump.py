"""Letters on panes, fields and tabs."""

from __future__ import annotations

import pytest
from tests.app.screens.driving import SIZES, playing, shown, until

from bertdistill.app.screens.analysis import AnalysisScreen
from bertdistill.app.screens.jump import JumpScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.engine.contract.workspace import Workspace


@pytest.mark.parametrize("size", SIZES)
async def test_a_letter_leads_to_a_pane(ws: Workspace, size: tuple[int, int]) -> None:
    """A burst of both keys too; where one pane is shown, only that one has a letter."""
    async with playing(ws, StudyScreen("demo"), size) as pilot:
        await shown(pilot, "rank")
        screen = pilot.app.screen
        await pilot.press("semicolon", "s")
        await until(pilot, lambda: pilot.app.screen is screen, "the study")
        there = "frontier" if size[0] > 100 else "trials"
        await until(pilot, lambda: screen.focused is not None and screen.focused.id == there, "the focus")


async def test_a_letter_leads_to_a_tab_and_others_back(ws: Workspace) -> None:
    """Escape, a letter without a place, and a click only close it."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        for key in ("escape", "0", ""):
            await pilot.press("semicolon")
            await until(pilot, lambda: isinstance(pilot.app.screen, JumpScreen), "letters")
            await (pilot.press(key) if key else pilot.click(offset=(30, 20)))
            await until(pilot, lambda: isinstance(pilot.app.screen, AnalysisScreen), "the analysis")
        await pilot.press("semicolon")
        await shown(pilot, "escape goes back")
        await pilot.press("f")
        await until(pilot, lambda: pilot.app.screen.current != "importance", "another tab")  # type: ignore[attr-defined]  # an analysis
