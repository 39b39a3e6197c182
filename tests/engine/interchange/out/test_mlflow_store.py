"""MLflow's package, where the extra is installed, reads the store back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.engine.interchange.out.conftest import HOSTILE, NOW, SECRET

from bertdistill.engine.interchange.out.mlflow_store import write
from bertdistill.engine.interchange.out.outgoing import PREPARATION, Losses, Outgoing, all_metrics

pytest.importorskip("mlflow", reason="the extra mlflow is not installed")


def opened(file: Path) -> Any:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    return SqlAlchemyStore(f"sqlite:///{file}", "mlflow-artifacts:/")


def runs_of(store: Any, name: str) -> dict[str, Any]:
    from mlflow.entities import ViewType

    experiment = store.get_experiment_by_name(name)
    found = store.search_runs([experiment.experiment_id], "", ViewType.ACTIVE_ONLY, max_results=100)
    return {run.info.run_name: run for run in found}


def curve(store: Any, run: Any, key: str) -> list[tuple[int, float, int]]:
    found = store.get_metric_history(run.info.run_id, key)
    return sorted((one.step, one.value, one.timestamp) for one in found)


def test_a_study_comes_back(toy: Outgoing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, parameters, curves, states, tags; nothing is made in the current folder."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    losses = Losses()
    write(toy, tmp_path / "toy.db", losses)
    store = opened(tmp_path / "toy.db")
    runs = runs_of(store, "toy")
    assert [] == list((tmp_path / "cwd").iterdir())
    assert SECRET.encode() not in (tmp_path / "toy.db").read_bytes()
    assert {"toy", *(f"trial {trial.number}" for trial in toy.trials)} == runs.keys()
    sources = [(runs["toy"], PREPARATION), *((runs[f"trial {trial.number}"], trial.id) for trial in toy.trials)]
    for run, trial_id in sources:
        for piece in toy.curves(trial_id):
            key = piece.name if piece.name != HOSTILE else next(k for k in run.data.metrics if "script" in k)
            rows = zip(piece.steps, piece.values, piece.times, strict=True)
            wanted = [(step, math.nan if value is None else value, round(time * 1000)) for step, value, time in rows]
            assert str(wanted) == str(curve(store, run, key))
    for trial in toy.trials:
        run = runs[f"trial {trial.number}"]
        assert {name: str(value) for name, value in trial.params.items()} == run.data.params
        assert runs["toy"].info.run_id == run.data.tags["mlflow.parentRunId"]
        assert trial.state.value == run.data.tags["bertdistill.state"]
        finals = {name: math.nan if value is None else float(value) for name, value in all_metrics(trial).items()}
        assert str(finals) == str({name: run.data.metrics[name] for name in finals})
    statuses = [runs[f"trial {number}"].info.status for number in range(9)]
    wanted_statuses = ["FINISHED"] * 3 + ["KILLED", "FAILED", "FAILED", "KILLED", "RUNNING", "SCHEDULED"]
    assert wanted_statuses == statuses
    tags = runs["trial 1"].data.tags
    assert (["good", HOSTILE], f"=1+1 {HOSTILE}\nsecond line") == (
        json.loads(tags["bertdistill.tags"]),
        tags["mlflow.note.content"],
    )
    assert round((NOW + 100) * 1000) == runs["trial 0"].info.end_time
    assert ["1 names with characters that MLflow refuses, written with underscores"] == losses.lines()


def test_a_final_metric_does_not_extend_a_curve(mine: Outgoing, tmp_path: Path) -> None:
    """It gets a name of its own where there is a curve of that name."""
    write(mine, tmp_path / "mine.db", Losses())
    store = opened(tmp_path / "mine.db")
    run = runs_of(store, "mine")["trial 1"]
    assert [-2, -1, 0, 1, 2] == [step for step, _, _ in curve(store, run, "acc")]
    assert 1.5 == run.data.metrics["final/acc"]
