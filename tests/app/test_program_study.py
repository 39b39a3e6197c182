"""The screens on a study of a program, and logged runs ranked by the axes of their chart."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.app.screens.driving import playing, shown, told, until, words_on

import bertdistill
from bertdistill.app.screens.rerun import RerunScreen
from bertdistill.app.screens.settings import SettingsScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.views.study_form import form
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import actions
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import StudyState, TrialState


def spec() -> StudySpec:
    raw = {
        "name": "prog",
        "program": {"command": ["train", "{rate}"]},
        "settings": {"seed": 1},
        "search": {"rate": {"low": 0.0, "high": 1.0}, "kind": {"choices": ["tree", "forest"]}},
        "objectives": [{"metric": "score"}, {"metric": "nodes", "direction": "minimize"}],
        "budget": {"trials": 3},
    }
    return study_from_dict(raw, where="test")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three complete trials; no program has run."""
    found = Workspace((tmp_path / "ws").resolve())
    study = actions.start_study(found, spec(), who="test")
    db = open_db(found.path)
    with db.write() as session:
        for number, (score, nodes) in enumerate([(0.8, 20.0), (0.85, 40.0), (0.7, 30.0)]):
            params = {"rate": number / 4, "kind": "tree"}
            settings = {"seed": 1, **params}
            parts = {"params": params, "settings": settings, "known": {}, "now": 2.0}
            trial = writes.create_trial(session, study_id=study.id, origin="sampler", **parts)
            writes.set_trial_state(session, trial.id, TrialState.RUNNING, now=3.0)
            writes.set_trial_metrics(session, trial.id, {"score": score, "nodes": nodes})
            points = [("score", step, score * step / 4, 3.0) for step in range(1, 5)]
            writes.store_points(session, study.id, trial.id, points)
            writes.set_trial_state(session, trial.id, TrialState.COMPLETE, now=4.0 + number)
        writes.set_study_state(session, study.id, StudyState.COMPLETE, now=9.0)
    db.close()
    return found


async def test_the_screens_show_it(workspace: Workspace) -> None:
    """The study, a trial, a rerun with its forecast, the settings; what needs a model says so."""
    async with playing(workspace) as pilot:
        pilot.app.push_screen(StudyScreen("prog"))
        await shown(pilot, "0.85")
        pilot.app.push_screen(TrialScreen("prog", 0))
        await shown(pilot, "seed")
        here = pilot.app.screen
        await pilot.press("P")
        await told(pilot, "searches a program")
        assert here is pilot.app.screen
        pilot.app.push_screen(RerunScreen("prog", 0))
        await shown(pilot, "tree or forest")
        assert "fixed in the study" in words_on(pilot)
        pilot.app.push_screen(SettingsScreen("prog"))
        await shown(pilot, "stopping.metric")


def test_the_form_of_a_program_has_its_keys() -> None:
    """None of data and teacher; names that are settings elsewhere have no help of theirs."""
    raw = {**dump(spec()), "settings": {"learning_rate": 1}}
    found = {field.key.name: field for field in form(raw)}
    assert {"program.command", "program.directory", "settings.learning_rate", "search.rate", "budget.trials"} <= set(
        found
    )
    assert [] == [name for name in found if name.startswith(("data.", "teacher.", "student."))]
    assert "A fixed value that the program gets." == found["settings.learning_rate"].key.help
    assert '["train", "{rate}"]' == found["program.command"].value


async def test_logged_runs_are_ranked_by_the_axes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frontier over any two metrics: the list follows the chart."""
    path = (tmp_path / "ws").resolve()
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(path))
    for acc, cost, bits in ((0.9, 3.0, 8.0), (0.8, 2.0, 4.0), (0.7, 1.0, 2.0)):
        bertdistill.start("mine", objectives={"acc": "maximize"}).finish(acc=acc, cost=cost, bits=bits)
    async with playing(Workspace(path)) as pilot:
        screen = StudyScreen("mine")
        pilot.app.push_screen(screen)
        await until(pilot, lambda: screen.news is not None, "the study")
        assert screen.news is not None
        assert ["acc"] == [one.metric for one in screen.news.view.objectives]
        screen._frontier.focus()
        await pilot.press("X")

        def ranked() -> bool:
            names = [one.metric for one in screen.news.view.objectives] if screen.news is not None else []
            return len(names) == 2

        await until(pilot, ranked, "another ranking")
        assert "mine" in words_on(pilot)
