"""A study as an MLflow tracking store in one SQLite file: an experiment, a parent run for the study, a run a trial.

Everything is written through MLflow's package (an extra), except that points go into its table of metrics in large
transactions: its own call stores 4,000 points a second. MLflow sends nothing from here: its telemetry is off.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import InvalidRequest
from bertdistill.engine.interchange.out.mlflow_names import LONGEST_PARAM, LONGEST_TAG, Names, cut
from bertdistill.engine.interchange.out.outgoing import PREPARATION, Losses, Outgoing, all_metrics, study_file
from bertdistill.store.foreign import foreign_errors, hurry
from bertdistill.store.rows import StudyState, Trial, TrialState

OURS = "bertdistill."
"""Prefix of the tags that MLflow gives no meaning to."""
FINAL = "final/"
"""Prefix of a final metric where a curve has its name already."""
_BATCH = 100
"""Parameters or tags that MLflow takes at once; it takes ten times as many metrics."""
_ROWS = 10_000
_LONGEST_STUDY_FILE = 20_000
_STATUS: Mapping[str, str] = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.STOPPED: "KILLED",
    TrialState.RUNNING: "RUNNING",
    TrialState.WAITING: "SCHEDULED",
    StudyState.COMPLETE: "FINISHED",
    StudyState.RUNNING: "RUNNING",
    StudyState.PAUSED: "SCHEDULED",
    StudyState.STOPPED: "KILLED",
}
"""By state; any other one is FAILED."""


def write(out: Outgoing, file: Path, losses: Losses) -> None:
    """Write the study to a new file."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read while the package is imported
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    except ImportError as error:
        raise InvalidRequest(
            f"MLflow's package cannot be loaded: {error}", hint="Install it: pip install 'bertdistill-tui[mlflow]'"
        ) from error
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)  # each table that is created would be reported
    with foreign_errors(file, MlflowException):
        # Artifacts are not exported; this root is no folder, so none is made in the current one.
        store = SqlAlchemyStore(f"sqlite:///{file}", "mlflow-artifacts:/")
        hurry(store.engine)
        try:
            _Writer(store, out, losses).study()
        finally:
            store.engine.dispose()


@dataclass
class _Writer:
    """Writes one study into a store."""

    store: Any
    out: Outgoing
    losses: Losses
    names: Names = field(default_factory=Names)
    """Of metrics and parameters."""
    experiment: str = ""

    def study(self) -> None:
        out = self.out
        self.experiment = self._experiment(out.study.name)
        spec = out.outline.spec
        parent = self._run(out.study.name, out.study.started_at or out.study.created_at, {})
        self._tags(parent, {"mlflow.note.content": _about(out), OURS + "kind": out.study.kind})
        self._experiment_tag("mlflow.experimentKind", "custom_model_development")  # else its page is that of agents
        if spec is not None:
            self._experiment_tag(OURS + "study_file", study_file(spec))
        self._points(parent, PREPARATION)
        self._end(parent, out.study.state, out.study.finished_at, out.study.name)
        for trial in out.trials:
            self._trial(trial, parent)
        self.losses.add("names with characters that MLflow refuses, written with underscores", self.names.changed)

    def _experiment(self, name: str) -> str:
        found = self.store.get_experiment_by_name(name)  # MLflow makes one called Default
        return str(found.experiment_id if found else self.store.create_experiment(name, "mlflow-artifacts:/study"))

    def _experiment_tag(self, name: str, text: str) -> None:
        from mlflow.entities import ExperimentTag

        self.losses.add("study files that are longer than MLflow allows, cut", len(text) > _LONGEST_STUDY_FILE)
        self.store.set_experiment_tag(self.experiment, ExperimentTag(name, cut(text, _LONGEST_STUDY_FILE)))

    def _run(self, name: str, started: float, tags: Mapping[str, str]) -> str:
        from mlflow.entities import RunTag

        given = [RunTag(key, value) for key, value in tags.items()]
        return str(self.store.create_run(self.experiment, "", _ms(started), given, name).info.run_id)

    def _trial(self, trial: Trial, parent: str) -> None:
        from mlflow.entities import Param

        name = f"trial {trial.number}"
        run = self._run(name, trial.started_at or trial.created_at, {"mlflow.parentRunId": parent})
        params = [Param(self.names.of(key), self._text(value)) for key, value in trial.params.items()]
        for some in _parts(params, _BATCH):
            self.store.log_batch(run, [], some, [])
        self._tags(run, self._facts(trial))
        self._points(run, trial.id, trial)
        self._end(run, trial.state, trial.finished_at, name)

    def _text(self, value: Any) -> str:
        text = value if isinstance(value, str) else json.dumps(value) if isinstance(value, (list, dict)) else str(value)
        self.losses.add("parameter values that are longer than MLflow allows, cut", len(text) > LONGEST_PARAM)
        return cut(text, LONGEST_PARAM)

    def _tags(self, run: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self.losses.add(
            "texts that are longer than MLflow allows, cut", sum(len(v) > LONGEST_TAG for v in tags.values())
        )
        given = [RunTag(name, cut(value, LONGEST_TAG)) for name, value in tags.items() if value]
        self.store.log_batch(run, [], [], given)

    def _facts(self, trial: Trial) -> dict[str, str]:
        """What MLflow has no field for; without what is empty."""
        standing = self.out.ranked.get(trial.number)
        parent = self.out.parents.get(trial.number)
        found = {
            "trial": str(trial.number),
            "state": trial.state.value,
            "origin": trial.origin,
            "parent": "" if parent is None else str(parent),
            "seed": str(trial.settings.get("seed", "")),
            "reason": trial.reason,
            "detail": trial.detail,
            "tags": json.dumps(trial.tags) if trial.tags else "",
            "archived": "true" if trial.archived else "",
            "frontier": str(standing.on_frontier).lower() if standing else "",
        }
        return {"mlflow.note.content": trial.note} | {OURS + name: text for name, text in found.items()}

    def _end(self, run: str, state: str, ended: float | None, name: str) -> None:
        from mlflow.entities import RunStatus

        status = RunStatus.from_string(_STATUS.get(state, "FAILED"))
        self.store.update_run_info(run, status, None if ended is None else _ms(ended), name)

    # ---------------------------------------------------------------------------------------------------------- points

    def _points(self, run: str, trial_id: int, trial: Trial | None = None) -> None:
        """All curves of a run, and the final metrics of a trial. The newest point of each goes through MLflow's own
        call, which also files it as the latest."""
        from mlflow.entities import Metric

        latest: dict[str, tuple[int, float | None, float]] = {}
        rows: list[dict[str, Any]] = []
        for piece in self.out.curves(trial_id):
            key = self.names.of(piece.name)
            points = list(zip(piece.steps, piece.values, piece.times, strict=True))
            before = [latest[key]] if key in latest else []
            latest[key] = points.pop()
            rows += (_row(run, key, point) for point in (*before, *points))
            if len(rows) >= _ROWS:
                self._insert(rows)
                rows = []
        self._insert(rows)
        if trial is not None:
            at = trial.finished_at or trial.started_at or trial.created_at
            for name, value in all_metrics(trial).items():
                key = self.names.of(name)
                latest[self.names.of(FINAL + name) if key in latest else key] = (0, value, at)
        metrics = [Metric(key, _float(value), _ms(time), step) for key, (step, value, time) in latest.items()]
        for some in _parts(metrics, 10 * _BATCH):
            self.store.log_batch(run, some, [], [])

    def _insert(self, rows: list[dict[str, Any]]) -> None:
        from mlflow.store.tracking.dbmodels.models import SqlMetric

        if rows:
            with self.store.engine.begin() as connection:
                connection.execute(SqlMetric.__table__.insert(), rows)


def _row(run: str, key: str, point: tuple[int, float | None, float]) -> dict[str, Any]:
    step, value, time = point
    return {
        "run_uuid": run,
        "key": key,
        "value": 0.0 if value is None else value,
        "is_nan": value is None,
        "step": step,
        "timestamp": _ms(time),
    }


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _parts(values: list[Any], most: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), most):
        yield values[start : start + most]


def _about(out: Outgoing) -> str:
    """The description that MLflow shows on the page of the parent run."""
    aims = [f"{one.direction} {one.metric}" for one in out.outline.objectives]
    sentence = f"{len(out.trials)} trials" + (f": {', '.join(aims)}." if aims else ".")
    return "\n\n".join(filter(None, [sentence, out.outline.note, out.study.diagnosis]))
