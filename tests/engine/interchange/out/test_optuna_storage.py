"""Optuna itself reads the storages back."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
from tests.engine.interchange.out.conftest import HOSTILE, NOW, SECRET

from bertdistill.engine.interchange.out.optuna_storage import write
from bertdistill.engine.interchange.out.outgoing import Losses, Outgoing, all_metrics


def load(file: Path, name: str) -> optuna.Study:
    storage: str | optuna.storages.BaseStorage = f"sqlite:///{file}"
    if file.suffix == ".log":
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(file)))
    return optuna.load_study(study_name=name, storage=storage)


@pytest.mark.parametrize("name", ["toy.db", "toy.log"])
def test_trials_come_back(name: str, toy: Outgoing, tmp_path: Path) -> None:
    """Parameters, values, states, times, thresholds, the curve of the score and what a person wrote."""
    losses = Losses()
    write(toy, tmp_path / name, losses)
    study = load(tmp_path / name, "toy")
    assert (["accuracy", "params"], ["MAXIMIZE", "MINIMIZE"]) == (
        study.metric_names,
        [one.name for one in study.directions],
    )
    assert len(toy.trials) == len(study.trials)
    for ours, theirs in zip(toy.trials, study.trials, strict=True):
        assert ours.params == theirs.params
        assert all_metrics(ours) == {key: theirs.user_attrs[key] for key in all_metrics(ours)}
        assert ours.state.value == theirs.user_attrs["bertdistill.state"]
        if theirs.datetime_start is not None:
            assert ours.started_at == pytest.approx(theirs.datetime_start.timestamp(), abs=1e-5)
    states = [one.state.name for one in study.trials]
    assert ["COMPLETE"] * 3 + ["PRUNED", "FAIL", "FAIL", "FAIL", "RUNNING", "WAITING"] == states
    first, second, third = study.trials[:3]
    assert ([55.0, 1000.0], {"0": 5.0, "accuracy": 5.0}) == (first.values, first.constraints)
    assert {10: 50.01, 300: 50.3, 70_000: 120.0} == first.intermediate_values
    assert (["good", HOSTILE], f"=1+1 {HOSTILE}\nsecond line", 1) == tuple(
        second.user_attrs[f"bertdistill.{key}"] for key in ("tags", "note", "seed")
    )
    assert 0 == third.user_attrs["bertdistill.parent"]
    assert "cuda_oom" == study.trials[4].user_attrs["bertdistill.reason"]
    assert [1, 2] == [one.number for one in study.best_trials]  # trial 0 misses the threshold
    assert [1, 2] == sorted(number for number, row in toy.ranked.items() if row.on_frontier)
    assert losses.counts.keys() == {
        "infeasible trials, written as FAIL with bertdistill.state",
        "stopped trials, written as FAIL with bertdistill.state",
        "running trials, which stay so in the copy",
        "waiting trials, which stay so in the copy",
        "curves with 45 points; optuna has one for a trial, and search/accuracy is kept",
    }


def test_the_space_is_that_of_the_study_file(toy: Outgoing, tmp_path: Path) -> None:
    """So importances and slices use the ranges that were searched; and no address of a webhook goes along."""
    write(toy, tmp_path / "toy.db", Losses())
    study = load(tmp_path / "toy.db", "toy")
    shapes = study.trials[0].distributions
    assert optuna.distributions.IntDistribution(1, 4) == shapes["layers"]
    assert optuna.distributions.FloatDistribution(1e-5, 1e-3, log=True) == shapes["learning_rate"]
    assert 'name = "toy"' in study.user_attrs["bertdistill.study_file"]
    assert SECRET.encode() not in (tmp_path / "toy.db").read_bytes()


def test_logged_runs_of_any_values(mine: Outgoing, tmp_path: Path) -> None:
    """Without objectives and a space; values that optuna cannot hold are text, and counted."""
    losses = Losses()
    write(mine, tmp_path / "mine.db", losses)
    first, second, third = load(tmp_path / "mine.db", "mine").trials
    assert {"lr": 0.1, "name": "a", "flag": True, "big": str(2**60), "mixed": 1, "none": None} == {
        key: first.params[key] for key in ("lr", "name", "flag", "big", "mixed", "none")
    }
    assert ("[1, 2]", "12", "one") == (first.params["list"], second.params["list"], second.params["mixed"])
    assert ({"lr": 0.001}, [2.5], 2 / 7) == (third.params, third.values, third.intermediate_values[2])
    assert losses.lines() == [
        "1 studies without an objective; acc is written as one",
        "2 parameter values that optuna cannot hold, written as text",
    ]
    assert not any(math.isnan(value) for value in first.intermediate_values.values())
    assert NOW + 1 == pytest.approx(third.datetime_complete.timestamp(), abs=1e-5)
