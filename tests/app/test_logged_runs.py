"""Logged runs, and a study whose spec no longer validates: listed, shown, ranked and deleted like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.app.screens.driving import SIZES, playing, shown, told, until, words_on
from textual.screen import Screen

import bertdistill
from bertdistill.app.cli import main
from bertdistill.app.screens.analysis import AnalysisScreen
from bertdistill.app.screens.compare import CompareScreen
from bertdistill.app.screens.history import HistoryScreen
from bertdistill.app.screens.queue_trial import QueueTrialScreen
from bertdistill.app.screens.rerun import RerunScreen
from bertdistill.app.screens.settings import SettingsScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.screens.workers import WorkersScreen
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import StudyState, TrialState

Type = Callable[..., str]
OBJECTIVES = [{"metric": "accuracy"}, {"metric": "cost", "direction": "minimize"}]


@pytest.fixture(params=["log", "search"])
def logged(tmp_path: Path, request: pytest.FixtureRequest) -> Workspace:
    """Three runs with two metrics each, one of them of their own; no study file stands behind them."""
    workspace = Workspace((tmp_path / "ws").resolve())
    db = open_db(workspace.path)
    with db.write() as session:
        given = {"name": "runs", "task": "text-classification", "kind": request.param, "state": StudyState.STOPPED}
        study = writes.create_study(session, spec={"objectives": OBJECTIVES}, now=1.0, **given)
        for number, (accuracy, cost) in enumerate([(80.0, 2.0), (85.0, 4.0), (70.0, 3.0)]):
            parts = {"params": {"rate": number}, "settings": {}, "known": {}}
            trial = writes.create_trial(session, study_id=study.id, origin="logged", now=2.0, **parts)
            writes.set_trial_state(session, trial.id, TrialState.RUNNING, now=3.0)
            writes.set_trial_metrics(session, trial.id, {"accuracy": accuracy, "cost": cost})
            points = [("train/loss", step, 1.0 / step, 3.0) for step in range(1, 5)]
            writes.store_points(session, study.id, trial.id, points)
            writes.set_trial_state(session, trial.id, TrialState.COMPLETE, now=4.0 + number)
    db.close()
    return workspace


@pytest.fixture
def engine(logged: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """What a command of the engine prints; it must succeed."""
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(logged.path))

    def run(*words: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["engine", *words])
        out, err = capsys.readouterr()
        assert 0 == ended.value.code, err
        return out

    return run


def test_commands_read_it(engine: Type) -> None:
    """Rank, metrics and frontier by the objectives that it has."""
    [study] = json.loads(engine("status", "--json"))["studies"]
    assert ([1, 0], None, 1.0) == (study["frontier"], study["budget"], study["progress"])
    assert "3 complete" in engine("status")
    assert [1, 0, 2] == [row["trial"] for row in json.loads(engine("trials", "runs", "--json"))]
    assert "misses" not in engine("trials", "runs")
    shown_trial = json.loads(engine("show", "runs/1", "--json"))
    assert ({"accuracy": 85.0, "cost": 4.0}, ["train/loss"]) == (
        shown_trial["metrics"],
        [one["name"] for one in shown_trial["series"]],
    )
    assert "runs/1" in engine("show", "runs/1")
    assert "cost" in engine("frontier", "runs")
    assert "runs" in engine("export", "runs")
    assert "tracker.db" in engine("disk")
    assert "slot" in engine("workers")


def test_it_is_deleted_and_brought_back(engine: Type, logged: Workspace) -> None:
    """Without a folder of its own."""
    engine("delete", "runs", "--yes")
    assert [] == json.loads(engine("status", "--json"))["studies"]
    engine("undo")
    assert 3 == len(json.loads(engine("trials", "runs", "--json")))
    engine("delete", "runs", "--yes", "--keep-days", "0")
    db = open_db(logged.path)
    with db.read() as session:
        assert [] == reads.series(session, 1)
    db.close()


async def test_screens_show_it(logged: Workspace) -> None:
    """In the list of studies, as a study, as a trial; what needs a study file says that there is none."""
    async with playing(logged) as pilot:
        await shown(pilot, "runs")
        await shown(pilot, "#1 · 85.00")
    async with playing(logged, StudyScreen("runs")) as pilot:
        await shown(pilot, "85.00")
        await pilot.press("l")
    async with playing(logged, TrialScreen("runs", 1)) as pilot:
        await shown(pilot, "85.00")


async def test_a_run_that_still_logs(logged: Workspace) -> None:
    """It is no rerun beyond a budget and has no share of anything."""
    db = open_db(logged.path)
    with db.write() as session:
        trial = writes.create_trial(session, study_id=1, origin="logged", params={}, settings={}, known={}, now=5.0)
        writes.set_trial_state(session, trial.id, TrialState.RUNNING, now=6.0)
        writes.set_trial_metrics(session, trial.id, {"loss": 0.25})
    db.close()
    async with playing(logged, StudyScreen("runs"), SIZES[1]) as pilot:
        await shown(pilot, "▶ running  ")
        assert "3/4" in words_on(pilot).splitlines()[0]
        assert "rerun" not in words_on(pilot).splitlines()[0]


async def test_delete_in_the_app(logged: Workspace) -> None:
    """The dialogue says what goes; u restores it though no study is left."""
    async with playing(logged) as pilot:
        await shown(pilot, "runs")
        await pilot.press("D")
        await shown(pilot, "study runs: 3 trials")
        await pilot.press("y")
        await told(pilot, "runs is in the bin for 7 days; u restores it")
        await shown(pilot, "Use my own data")
        await pilot.press("u")
        await shown(pilot, "#1 · 85.00")


# --------------------------------------------------------------------------------------- runs that programs have logged


@pytest.fixture
def mine(tmp_path: Path) -> Workspace:
    """Six runs that nobody has stored yet."""
    workspace = Workspace((tmp_path / "mine").resolve())
    for number in range(6):
        given = {"params": {"lr": 0.1 / (number + 1), "act": "gelu" if number % 2 else "relu"}}
        objectives = {"acc": "maximize", "cost": "minimize"}
        with bertdistill.start("nightly", objectives=objectives, workspace=workspace.path, **given) as run:
            for step in range(20):
                run.log({"acc": number / 100 + step / 50, "cost": 9.0 - number, "train/loss": 1 / (step + 1)})
    return workspace


SCREENS: dict[str, Callable[[], Screen[Any]]] = {
    "study": lambda: StudyScreen("nightly"),
    "trial": lambda: TrialScreen("nightly", 5),
    "compare": lambda: CompareScreen("nightly", (0, 5)),
    "analysis": lambda: AnalysisScreen("nightly"),
    "history": lambda: HistoryScreen("nightly"),
    "workers": lambda: WorkersScreen(),
}


@pytest.mark.parametrize("name", SCREENS)
async def test_every_screen_shows_what_was_logged(name: str, mine: Workspace) -> None:
    """The app stores it first; then each pane is opened once."""
    async with playing(mine) as pilot:
        await shown(pilot, "nightly")
        pilot.app.push_screen(SCREENS[name]())
        await shown(pilot, "slot" if name == "workers" else "nightly")
        for key in "1234567":
            await pilot.press(key)
            await pilot.pause()
            assert "cannot be read" not in words_on(pilot)


async def test_what_needs_a_search_says_so(mine: Workspace) -> None:
    """The key does nothing else; a screen that is opened all the same says it, too."""
    async with playing(mine) as pilot:
        await shown(pilot, "nightly")
        for screen, keys in ((None, "zZ"), (StudyScreen("nightly"), "rPbnEzZx"), (TrialScreen("nightly", 5), "rPbx")):
            if screen is not None:
                pilot.app.push_screen(screen)
                await until(pilot, lambda: getattr(pilot.app.screen, "news", None) is not None, "the screen")
            for key in keys:
                here = pilot.app.screen
                here.tell("")  # type: ignore[attr-defined]  # of every live screen
                await pilot.press(key)
                await told(pilot, "a collection of logged runs")
                assert here is pilot.app.screen
        for other in (SettingsScreen("nightly"), QueueTrialScreen("nightly"), RerunScreen("nightly", 5)):
            pilot.app.push_screen(other)
            await shown(pilot, "a collection of logged runs, not a search")
            await pilot.press("escape")


async def test_a_curve_grows_without_a_runner(mine: Workspace) -> None:
    """The app asks the run folders itself."""
    run = bertdistill.start("live", objectives=["f1"], workspace=mine.path)
    async with playing(mine) as pilot:
        await shown(pilot, "live")
        pilot.app.push_screen(StudyScreen("live"))
        for value in (0.125, 0.625):
            run.log({"f1": value})
            await shown(pilot, f"{value}")
        run.finish(f1=0.875)
        await shown(pilot, "0.875")
        await until(pilot, lambda: "complete" in words_on(pilot), "its end")
