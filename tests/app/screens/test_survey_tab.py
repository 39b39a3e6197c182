"""The tab of the survey: at once from the database, then with ties from a child process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.app.screens.driving import SIZES, control_codes, playing, shown, until, words_on
from tests.ladders import Climbed

from bertdistill.app.screens import importance_tab, survey_tab
from bertdistill.app.screens.analysis import AnalysisScreen
from bertdistill.app.screens.survey_tab import SurveyTab
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.views.survey import read_survey
from bertdistill.app.views.view import read_view
from bertdistill.engine.analysis.survey import Survey
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store.db import open_db


@pytest.fixture(autouse=True)
def no_importances(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first tab starts no process."""

    async def none(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(importance_tab, "ask_importances", none)


@pytest.fixture
def climbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Climbed:
    """The workspace; the child process is a thread of this one."""

    async def ask(ws: Workspace, study: str) -> Survey:
        def read() -> Survey:
            db = open_db(ws.path, read_only=True)
            try:
                return read_survey(ws, read_view(db, study))[0]
            finally:
                db.close()

        return await asyncio.to_thread(read)

    monkeypatch.setattr(survey_tab, "ask_survey", ask)
    return Climbed(tmp_path)


async def test_methods_by_compression(climbed: Climbed) -> None:
    """The cursor moves along the rows and the chart reads its point; enter opens the trial."""
    async with playing(climbed.workspace, AnalysisScreen("toy")) as pilot:
        await pilot.press("9")
        await shown(pilot, "Methods by compression, best first")
        await shown(pilot, "% of the teacher's accuracy over compression")
        await until(pilot, lambda: "reading predictions" not in words_on(pilot), "the answer")
        await shown(pilot, "The best small models: layers at")
        tab = pilot.app.screen.query_one(SurveyTab)
        assert tab.found is not None
        best = next(one.entry for one in tab.found.best if one.entry is not None)
        assert tab.number == best.numbers[0]  # the winners are the first
        await pilot.press("S", "slash", *"layers", "enter")
        await shown(pilot, "methods, esc clears: layers")
        assert {"layers"} == {key[0] for key in (row.key for row in tab._table._rows)}
        await pilot.press("escape", "S", "g")
        assert isinstance(pilot.app.screen, AnalysisScreen)
        assert tab.number == best.numbers[0]
        await pilot.press("down")
        await until(pilot, lambda: tab.number != best.numbers[0], "the next row")
        number = tab.number
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial")
        trial = pilot.app.screen
        assert isinstance(trial, TrialScreen)
        assert number == trial.number


@pytest.mark.parametrize("size", SIZES)
async def test_it_fits_every_window(climbed: Climbed, size: tuple[int, int]) -> None:
    async with playing(climbed.workspace, AnalysisScreen("toy"), size=size) as pilot:
        await pilot.press("9")
        await until(pilot, lambda: "layers" in words_on(pilot), "the table")
        assert not control_codes(pilot)
