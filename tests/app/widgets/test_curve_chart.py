"""Curves are read as finely as they are drawn."""

from __future__ import annotations

from typing import Any

import pytest
from tests.app.screens.driving import playing, until

from bertdistill.app.reader import Reader
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.widgets.curve_chart import CurvesChart
from bertdistill.engine.contract.workspace import Workspace


async def test_zooming_in_reads_the_values_between(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zoomed chart of thinned curves shows no more than before."""
    asked, read = list[int](), Reader.curves

    def curves(reader: Reader, view: Any, numbers: Any, choose: Any, columns: int) -> Any:
        asked.append(columns)
        return read(reader, view, numbers, choose, columns)

    monkeypatch.setattr(Reader, "curves", curves)
    async with playing(ws, TrialScreen("demo", 6)) as pilot:
        chart = pilot.app.screen.query_one(CurvesChart)
        await until(pilot, lambda: chart.drawing.window is not None, "the curves")
        whole = asked[-1]
        chart.focus()
        await pilot.press("plus", "plus")
        await until(pilot, lambda: asked[-1] == round(whole / 0.36), "the values between")
        await pilot.press("0")
        await until(pilot, lambda: asked[-1] == whole, "all of them")
