"""What the screens read: one read-only database, in one thread at a time, keeping what is still true between looks.

It draws nothing and changes nothing. A look at an unchanged study of 1,000 trials costs a few small queries.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bertdistill.app.view import StudyView, make_view
from bertdistill.engine import process
from bertdistill.engine.actions import RunnerStatus, runner_status
from bertdistill.engine.config import StudySpec, study_from_dict
from bertdistill.engine.workspace import Workspace
from bertdistill.store import reads
from bertdistill.store.db import Database, Session, open_db
from bertdistill.store.errors import NotFound
from bertdistill.store.metrics import CurvePoint
from bertdistill.store.models import Series, Study, Trial, TrialState

LOSS, EXAMPLES = "train/loss", "examples"
MOST_CURVES = 500
"""Curves kept in memory at most, of at most some hundred points each."""
NOTHING_YET = -1
"""Version of a workspace without a database."""


@dataclass(frozen=True)
class TrialCurve:
    """One series of one trial, thinned to the columns of a chart."""

    trial: int
    series: str
    points: tuple[CurvePoint, ...]
    not_finite: int
    """Points of the whole series that are not drawn."""
    examples_per_step: float
    started_at: float

    def steps(self, axis: str) -> list[float]:
        """Where each point stands on the x axis: `step`, `examples` or `minutes` since the trial began."""
        if axis == "examples":
            return [p.step * self.examples_per_step for p in self.points]
        if axis == "minutes":
            return [(p.time - self.started_at) / 60 for p in self.points]
        return [float(p.step) for p in self.points]


@dataclass
class _Kept:
    """A study as it was read last."""

    mark: Any
    spec_dict: dict[str, Any]
    spec: StudySpec
    view: StudyView
    losses: dict[int, float] = field(default_factory=dict)
    """Newest training loss by trial number."""


@dataclass
class Reader:
    """The workspace as the screens see it. Opens the database as soon as there is one, and again if it was replaced."""

    workspace: Workspace
    _db: Database | None = None
    _views: dict[str, _Kept] = field(default_factory=dict)
    _curves: dict[tuple[int, int], tuple[Any, tuple[CurvePoint, ...]]] = field(default_factory=dict)

    @property
    def db(self) -> Database | None:
        """The database, or None while the workspace has none. Raises StoreError when it cannot be read."""
        if self._db is not None and self._db.replaced():
            self.close()
        if self._db is None and self.workspace.database.is_file():
            self._db = open_db(self.workspace.path, read_only=True)
        return self._db

    def version(self) -> tuple[int, bool]:
        """Changes whenever anything was committed or the runner came or went. Costs about 15 µs."""
        db = self.db
        return NOTHING_YET if db is None else db.data_version(), process.held(self.workspace.runner_lock)

    def runner(self) -> RunnerStatus:
        """Who is, or last was, the runner."""
        return runner_status(self.workspace)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A consistent view for a few short SELECTs; NotFound while the workspace has no database."""
        db = self.db
        if db is None:
            raise NotFound("this workspace has no study yet")
        with db.read() as session:
            yield session

    def studies(self) -> list[Study]:
        """Every study, oldest first; empty while there is no database."""
        db = self.db
        if db is None:
            return []
        with db.read() as session:
            return reads.studies(session)

    def archived(self) -> set[int]:
        """Row ids of the studies that were put away."""
        with self.session() as session:
            return reads.archived_studies(session)

    def view(self, name: str) -> StudyView:
        """One study, ranked; NotFound names the nearest one. Only what may have changed is read again."""
        db = self.db
        if db is None:
            raise NotFound(f"study {name!r} does not exist", hint="This workspace has no study yet.")
        with db.read() as session:
            return self._view(session, reads.study(session, name)).view

    def losses(self, name: str) -> dict[int, float]:
        """Newest training loss by trial number, as of the last `view` of that study."""
        return dict(self._views[name].losses) if name in self._views else {}

    def _view(self, session: Session, study: Study) -> _Kept:
        study_id = study.id or 0
        running = reads.trials(session, study_id, states=(TrialState.RUNNING,))
        counts, request = reads.counts(session, study_id), reads.newest_request(session, study_id)
        mark = (study_id, counts, request, [t.id for t in running])
        kept = self._views.get(study.name)
        if kept is not None and kept.mark == mark and kept.spec_dict == study.spec:
            moving = {t.id: t for t in running}
            kept.view = dataclasses.replace(kept.view, study=study, trials=_updated(kept.view.trials, moving))
            kept.losses |= _losses(session, study_id, running)
            return kept
        same_spec = kept is not None and kept.spec_dict == study.spec
        spec = kept.spec if kept and same_spec else study_from_dict(study.spec, where=f"study {study.name}")
        trials = reads.trials(session, study_id)
        kept = _Kept(mark, study.spec, spec, make_view(study, spec, trials), _losses(session, study_id, trials))
        self._views[study.name] = kept
        return kept

    def curves(self, view: StudyView, numbers: Sequence[int], names: Sequence[str], columns: int) -> list[TrialCurve]:
        """The named series of these trials, in that order; series that a trial does not have are left out."""
        db = self.db
        chosen = [trial for number in numbers if (trial := view.trial(number)) is not None]
        if db is None or not chosen:
            return []
        found: list[TrialCurve] = []
        with db.read() as session:
            for trial in chosen:
                by_name = {s.name: s for s in reads.series(session, view.study.id or 0, trial_id=trial.id)}
                rate = _examples_per_step(by_name.get(EXAMPLES))
                for name in names:
                    if series := by_name.get(name):
                        points = self._curve(session, series, columns)
                        start = trial.started_at or trial.created_at
                        found.append(TrialCurve(trial.number, name, points, series.not_finite, rate, start))
        return found

    def _curve(self, session: Session, series: Series, columns: int) -> tuple[CurvePoint, ...]:
        """A series that has not grown is not read again."""
        key, mark = (series.id or 0, columns), (series.points, series.last_step)
        kept = self._curves.get(key)
        if kept is None or kept[0] != mark:
            if len(self._curves) > MOST_CURVES:
                self._curves.clear()
            kept = (mark, tuple(reads.curve(session, series.id or 0, columns=columns)))
            self._curves[key] = kept
        return kept[1]

    def series_names(self, view: StudyView, numbers: Sequence[int]) -> list[str]:
        """Every series that any of these trials has, sorted."""
        db = self.db
        ids = [trial.id for number in numbers if (trial := view.trial(number)) is not None]
        if db is None:
            return []
        with db.read() as session:
            return sorted({n for i in ids for n in reads.series_names(session, view.study.id or 0, i or 0)})

    def close(self) -> None:
        """Close the database; the next look opens it again."""
        if self._db is not None:
            self._db.close()
        self._db = None
        self._views.clear()
        self._curves.clear()


def _losses(session: Session, study_id: int, trials: list[Trial]) -> dict[int, float]:
    numbers = {t.id: t.number for t in trials if t.id is not None}
    found = reads.last_values(session, study_id, LOSS, list(numbers))
    return {numbers[trial_id]: value for trial_id, value in found.items()}


def _examples_per_step(series: Series | None) -> float:
    """Every step takes as many examples as every other, up to the last batch of an epoch."""
    if series is None or not series.last_step or series.last_value is None:
        return 0.0
    return series.last_value / series.last_step


def _updated(trials: tuple[Trial, ...], moving: dict[int | None, Trial]) -> tuple[Trial, ...]:
    return tuple(moving.get(t.id, t) for t in trials) if moving else trials
