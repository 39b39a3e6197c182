"""The overview shows a study on one page, two charts beside another or all below one another."""

from __future__ import annotations

from typing import Any

import pytest
from tests.app.screens.driving import playing, shown, until

from bertdistill.app.screens import importance_tab
from bertdistill.app.screens.overview_tab import CHARTS, OverviewTab
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.widgets.chart import Chart
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.search.importances import Importances, Weight


async def test_a_study_on_one_page(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the importances say is kept: the list of trials has its parameters in that order afterwards."""

    async def ask(*_: Any) -> list[Importances]:
        weights = (Weight("layers", 0.8, 5, conditional=False), Weight("hidden_size", 0.2, 5, conditional=False))
        return [Importances("exact", "ped-anova", 5, weights)]

    monkeypatch.setattr(importance_tab, "ask_importances", ask)
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await pilot.press("o")
        for words in ("History of exact: the line is", "Timeline: how each trial", "80%", "exact ↑ over params ↓"):
            await shown(pilot, words)
        tab = pilot.app.screen.query_one(OverviewTab)
        assert not tab.has_class("-column")
        await pilot.resize_terminal(40, 12)
        await until(pilot, lambda: tab.has_class("-column"), "one below another")
        charts = [tab.query_one(f"#overview-{name}", Chart) for name in CHARTS]
        await until(pilot, lambda: len({chart.region.x for chart in charts}) == 1, "the charts below one another")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen, "the study")
        assert screen._important == ["layers", "hidden_size"]
