"""The tab of the ladder: at once from the database, then with intervals from a child process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.app.screens.driving import HARMLESS, HOSTILE, SIZES, control_codes, playing, shown, until, words_on
from tests.ladders import REPORTED, Climbed

from bertdistill.app.screens import importance_tab, ladder_tab
from bertdistill.app.screens.analysis import AnalysisScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.views.ladder import read_ladder
from bertdistill.app.views.view import read_view
from bertdistill.engine.analysis.ladder import Ladder
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store.db import open_db


@pytest.fixture(autouse=True)
def no_importances(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first tab starts no process."""

    async def none(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(importance_tab, "ask_importances", none)


@pytest.fixture
def climbed(tmp_path: Path) -> Climbed:
    """The workspace."""
    return Climbed(tmp_path)


class Child:
    """Stands for the child process; it answers when the test lets it."""

    def __init__(self, problem: str = "") -> None:
        self.asked = 0
        self.free = asyncio.Event()
        self.problem = problem

    async def __call__(self, ws: Workspace, study: str) -> Ladder:
        self.asked += 1
        await self.free.wait()
        if self.problem:
            raise WorkerFailed(self.problem)
        return await asyncio.to_thread(self._read, ws, study)

    def _read(self, ws: Workspace, study: str) -> Ladder:
        db = open_db(ws.path, read_only=True)
        try:
            return read_ladder(ws, read_view(db, study))[0]
        finally:
            db.close()


async def test_the_table_is_there_at_once_and_gains_intervals(
    climbed: Climbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child is asked once; what it adds are intervals of differences."""
    climbed.scored_on_report(REPORTED)
    monkeypatch.setattr(ladder_tab, "ask_ladder", child := Child())
    async with playing(climbed.workspace, AnalysisScreen("toy")) as pilot:
        await pilot.press("8")
        await shown(pilot, "Ladder by accuracy (reading predictions)")
        assert "80.00" in words_on(pilot)
        assert "93.00 ± 1.41 (2)" in words_on(pilot), "a column is as wide as its longest cell"
        assert "report split" not in words_on(pilot).split("\n")[4]
        child.free.set()
        await until(pilot, lambda: "reading predictions" not in words_on(pilot), "the answer")
        await shown(pilot, "No student is within 1 point of the teacher on the report split")
        assert 1 == child.asked


async def test_enter_opens_the_best_trial_of_a_row(climbed: Climbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher and references have none."""
    monkeypatch.setattr(ladder_tab, "ask_ladder", Child())
    async with playing(climbed.workspace, AnalysisScreen("toy")) as pilot:
        await pilot.press("8")
        await shown(pilot, "Ladder by accuracy")
        screen: Any = pilot.app.screen
        await until(pilot, lambda: screen.ladder.number == 1, "the first row")
        await pilot.press("G")
        assert screen.ladder.number is None
        await pilot.press("g", "j", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial")
        assert 2 == getattr(pilot.app.screen, "number", None)


async def test_a_child_that_fails_leaves_the_table(climbed: Climbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words stand in the title, made harmless."""
    monkeypatch.setattr(ladder_tab, "ask_ladder", child := Child(f"no data {HOSTILE}"))
    child.free.set()
    async with playing(climbed.workspace, AnalysisScreen("toy")) as pilot:
        await pilot.press("8")
        await shown(pilot, f"(without predictions: no data {HARMLESS}")
        assert "80.00" in words_on(pilot)
        assert set() == control_codes(pilot)


async def test_a_study_without_a_ladder_says_why(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """And asks no child."""
    monkeypatch.setattr(ladder_tab, "ask_ladder", child := Child())
    monkeypatch.setattr(ladder_tab, "quick_ladder", refuse)
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("8")
        await shown(pilot, "no complete trial")
        assert 0 == child.asked


def refuse(_: Any) -> Ladder:
    """As for a study without a complete trial."""
    raise WorkerFailed("there is no complete trial with a family", hint="Wait for one.")


@pytest.mark.parametrize("size", SIZES)
async def test_it_fits(climbed: Climbed, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    """The students are there in every size."""
    monkeypatch.setattr(ladder_tab, "ask_ladder", Child())
    async with playing(climbed.workspace, AnalysisScreen("toy"), size) as pilot:
        await pilot.press("8")
        await shown(pilot, "tagger")
