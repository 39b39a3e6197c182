"""What goes out and is imported again is what it was; whatever a form cannot hold is listed here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.interchange.out.conftest import ENDS
from tests.engine.interchange.readers.sources import Stored, bring, everything, stored

from bertdistill.engine.contract.imported import series_name
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange.out.export import export_study
from bertdistill.engine.interchange.out.mlflow_names import Names
from bertdistill.engine.interchange.out.outgoing import Outgoing, all_metrics

FILES = {"optuna": "out.db", "optuna journal": "out.log", "tensorboard": "out", "csv": "out", "mlflow": "out.db"}
NO_MLFLOW = pytest.mark.skipif(find_spec("mlflow") is None, reason="the extra mlflow is not installed")
FORMS = [pytest.param(one, marks=NO_MLFLOW if one == "mlflow" else ()) for one in FILES]
STATES: dict[str, dict[str, str | None]] = {
    "optuna": {"running": "stopped", "waiting": None},
    "csv": {"running": "stopped", "waiting": "stopped"},
    "tensorboard": {
        "pruned": "complete",
        "infeasible": "failed",
        "stopped": "failed",
        "running": "stopped",
        "waiting": "complete",
    },
    "mlflow": {"pruned": "stopped", "infeasible": "failed", "running": "stopped", "waiting": "stopped"},
}
"""States that change, because nothing follows an imported run or the form has no such state; None: left out."""
BIG = str(2**60)
PARAMS: dict[str, dict[tuple[int, str], Any]] = {
    "optuna": {(0, "big"): BIG, (0, "list"): "[1, 2]"},
    "csv": {(0, "list"): "[1, 2]", (1, "list"): '"12"', (1, "mixed"): '"one"', (0, "none"): None},
    "tensorboard": {(0, "big"): BIG, (1, "big"): "3", (0, "list"): "[1, 2]", (0, "mixed"): "1", (0, "none"): None},
}
"""Parameters of logged runs that become text, by number and name; None: left out, except in optuna."""


def imported(workspace: Workspace, study: str, name: str, folder: Path) -> tuple[Stored, dict[int, int]]:
    """A study after both ways, and the numbers of its trials by those that they had."""
    target = folder / FILES[name]
    export_study(workspace, study, name.split()[0], target)
    [done] = [one for one in bring(folder, target).studies if one.new]
    before = everything(folder)
    bring(folder, target)
    assert before == everything(folder)
    found = stored(folder, done.study)
    titles = {one.note.partition("\n")[0]: one.number for one in found.trials}
    others = {title for title in titles if title in ("preparation", "toy")}
    numbers = {int(title[6:]): at for title, at in titles.items() if title.startswith("trial") and title not in others}
    return found, numbers or {one.number: one.number for one in found.trials}


def curves_of(out: Outgoing, trial_id: int, form: str) -> dict[str, list[tuple[int, float | None]]]:
    """As the form holds them: optuna one for a trial, TensorBoard 32 bits; and no import has steps below 0."""
    found: dict[str, list[tuple[int, float | None]]] = {}
    kept = ("search/accuracy", "acc")
    for piece in out.curves(trial_id):
        if form != "optuna" or piece.name in kept:
            rows = [pair for pair in zip(piece.steps, piece.values, strict=True) if pair[0] >= 0]
            name = Names().of(piece.name) if form == "mlflow" else piece.name
            found[series_name(name)] = [(step, _held(value, form)) for step, value in rows]
    return found


def _held(value: float | None, form: str) -> float | None:
    if value is None or form != "tensorboard":
        return value
    with np.errstate(over="ignore"):
        rounded = float(np.float32(value))
    return rounded if np.isfinite(rounded) else None


@pytest.mark.parametrize("name", FORMS)
def test_a_search_comes_back(name: str, toy: Outgoing, workspace: Workspace, tmp_path: Path) -> None:
    """Trials with their states, parameters, final metrics and curves; the preparation only where a form has it."""
    form = name.split()[0]
    found, numbers = imported(workspace, "toy", name, tmp_path)
    assert len(ENDS) + 1 <= len(numbers) <= len(toy.trials)
    for ours in toy.trials:
        state = STATES[form].get(ours.state.value, ours.state.value)
        assert (state is None) == (ours.number not in numbers)
        if state is None:
            continue
        theirs = found.trials[numbers[ours.number]]
        assert (state, ours.params) == (theirs.state.value, theirs.params)
        _same_metrics(ours, theirs, form)
        curves = {curve: rows for (number, curve), rows in found.curves.items() if number == theirs.number}
        wanted = curves_of(toy, ours.id, form)
        assert wanted == {curve: curves[curve] for curve in wanted}
    if form != "tensorboard" and form != "mlflow":
        assert [("accuracy", "maximize"), ("params", "minimize")] == [
            (one["metric"], one["direction"]) for one in found.study.spec["objectives"]
        ]
        assert (list(toy.trials[1].tags), toy.trials[1].note) == (found.trials[1].tags, found.trials[1].note)


def _same_metrics(ours: Any, theirs: Any, form: str) -> None:
    """Those with a value; TensorBoard's have a prefix. Besides them there is the newest value of each curve."""
    prefix = "final/" if form == "tensorboard" else ""
    wanted = {series_name(prefix + key): _held(one, form) for key, one in all_metrics(ours).items() if one is not None}
    assert wanted == {key: theirs.metrics[key] for key in wanted}
    assert not any(key.startswith("bertdistill.") for key in theirs.metrics)


@pytest.mark.parametrize("name", ["optuna", "optuna journal", "tensorboard", "csv"])
def test_logged_runs_come_back(name: str, mine: Outgoing, workspace: Workspace, tmp_path: Path) -> None:
    """Values of all kinds."""
    form = name.split()[0]
    found, numbers = imported(workspace, "mine", name, tmp_path)
    assert len(mine.trials) == len(numbers) == len(found.trials)
    for ours in mine.trials:
        theirs, wanted = found.trials[numbers[ours.number]], dict(ours.params)
        for (number, key), value in PARAMS[form].items():
            if number == ours.number:
                wanted[key] = value
        if form != "optuna":
            wanted = {key: value for key, value in wanted.items() if value is not None}
        assert wanted == theirs.params
        _same_metrics(ours, theirs, form)
        curves = curves_of(mine, ours.id, form)
        assert curves == {curve: found.curves[theirs.number, curve] for curve in curves}
