"""The libraries call our callbacks themselves here; their runs are stored and read back."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from transformers import TrainerControl, TrainerState
from transformers.trainer_callback import CallbackHandler, DefaultFlowCallback

from bertdistill.callbacks import OptunaCallback, TrainerCallback
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange import log as log_module
from bertdistill.engine.runner.logged import LoggedRuns
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.rows import Series, Study, Trial


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """No run outlives its test."""
    yield
    for run in list(log_module._open_runs.values()):
        run.finish()


def stored(path: Path, name: str) -> tuple[Study, list[Trial], list[Series]]:
    """A study with its trials and all series, after they were collected."""
    LoggedRuns(Workspace(path)).catch_up()
    db = open_db(path, read_only=True)
    with db.read() as session:
        study = reads.study(session, name)
        found = study, reads.trials(session, study.id), reads.series(session, study.id)
    db.close()
    return found


def handler(callback: Any) -> CallbackHandler:
    """What a `Trainer` calls for every event."""
    return CallbackHandler([DefaultFlowCallback(), callback], None, None, None, None)


def arguments(folder: Path) -> Any:
    """What of `TrainingArguments` is read, which cannot be made without accelerate; saving and logging as they are."""
    never: dict[str, Any] = dict.fromkeys(("logging_strategy", "eval_strategy", "save_strategy"), "no")
    return SimpleNamespace(output_dir=str(folder), learning_rate=3e-5, logging_first_step=False, **never)


def test_a_trainer_is_logged(tmp_path: Path) -> None:
    """Every event of the real handler; the losses and scores are curves, the checkpoints are noted."""
    callback = TrainerCallback("tuned", params={"layers": 2}, objectives={"eval/f1": "maximize"}, workspace=tmp_path)
    events, control = handler(callback), TrainerControl()
    args = arguments(tmp_path / "out")
    state = TrainerState(max_steps=4, is_world_process_zero=True)
    events.on_init_end(args, state, control)
    events.on_train_begin(args, state, control)
    events.on_epoch_begin(args, state, control)
    for step in range(1, 5):
        state.global_step = step
        events.on_step_begin(args, state, control)
        events.on_step_end(args, state, control)
        events.on_log(args, state, control, {"loss": 1 / step, "epoch": step / 4})
    events.on_evaluate(args, state, control, {"eval_f1": 0.5})
    events.on_log(args, state, control, {"eval_f1": 0.5})
    events.on_save(args, state, control)
    _, [trial], _ = stored(tmp_path, "tuned")
    assert ("running", 1.0) == (trial.state, trial.progress)
    events.on_train_end(args, state, control)
    study, [trial], series = stored(tmp_path, "tuned")
    assert ("complete", 3e-5, 2) == (trial.state, trial.params["learning_rate"], trial.params["layers"])
    assert {"train/loss": 4, "train/epoch": 4, "eval/f1": 1} == {one.name: one.points for one in series}
    assert {"eval/f1": 0.5, "train/loss": 0.25, "train/epoch": 1.0} == trial.metrics
    assert [{"metric": "eval/f1", "direction": "maximize"}] == study.spec["objectives"]
    db = open_db(tmp_path, read_only=True)
    with db.read() as session:
        [notice] = reads.notices(session, study_id=study.id)
    db.close()
    assert f"Checkpoint of step 4: {tmp_path}/out/checkpoint-4" == notice.text


def test_another_process_of_the_trainer_logs_nothing(tmp_path: Path) -> None:
    """Only the first of the world."""
    events, control = handler(TrainerCallback(workspace=tmp_path / "ws")), TrainerControl()
    args, state = arguments(tmp_path), TrainerState(is_world_process_zero=False)
    events.on_train_begin(args, state, control)
    events.on_log(args, state, control, {"loss": 1.0})
    events.on_train_end(args, state, control)
    assert not (tmp_path / "ws").exists()


def test_an_optuna_study_is_followed(tmp_path: Path) -> None:
    """While it is optimised: complete, pruned and failed trials, with what they reported."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seen: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_categorical("act", ["relu", "gelu"])
        trial.report(x / 2, step=0)
        trial.report(math.nan, step=1)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ValueError("bad")
        return x

    def look(study: optuna.Study, trial: Any) -> None:
        seen.append(len(stored(tmp_path, "tuned")[1]))

    study = optuna.create_study(study_name="tuned", direction="minimize", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(objective, n_trials=4, callbacks=[OptunaCallback(workspace=tmp_path), look], catch=(ValueError,))
    found, trials, series = stored(tmp_path, "tuned")
    assert [1, 2, 3, 4] == seen
    assert ["complete", "pruned", "failed", "complete"] == [one.state for one in trials]
    assert [one.params for one in study.trials] == [one.params for one in trials]
    assert [study.trials[n].value for n in (0, 3)] == [trials[n].metrics["value"] for n in (0, 3)]
    assert [{"metric": "value", "direction": "minimize"}] == found.spec["objectives"]
    assert [("reported", 2, 1)] * 4 == [(one.name, one.points, one.not_finite) for one in series]


def test_an_optuna_study_of_two_objectives(tmp_path: Path) -> None:
    """Under the names that it gives them."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize", "minimize"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that naming them is experimental
        study.set_metric_names(["acc", "cost"])
    study.optimize(lambda trial: (1.0, 2.0), n_trials=1, callbacks=[OptunaCallback("mine", workspace=tmp_path)])
    found, [trial], _ = stored(tmp_path, "mine")
    assert ({"acc": 1.0, "cost": 2.0}, ["maximize", "minimize"]) == (
        trial.metrics,
        [one["direction"] for one in found.spec["objectives"]],
    )


def test_a_callback_loads_no_library() -> None:
    """Neither the one it is for nor the other."""
    code = "import sys, bertdistill.callbacks; print({'torch', 'transformers', 'optuna', 'numpy'} & sys.modules.keys())"
    assert "set()\n" == subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True).stdout
