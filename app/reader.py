"""What the screens read: one read-only database, in one thread at a time, keeping what is still true between looks.

It draws nothing and changes nothing. A look at an unchanged study of 1,000 trials costs a few small queries.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bertdistill.app.text.format import value_of
from bertdistill.app.views.alerts import Glance
from bertdistill.app.views.curves import PREPARATION, GrowingCurve, TrialCurve
from bertdistill.app.views.view import StudyView, cause_of, make_view
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.engine.runner.lease import RunnerStatus, runner_status
from bertdistill.engine.study.outline import outline
from bertdistill.store import reads
from bertdistill.store.db import Database, Reading, open_db
from bertdistill.store.errors import NotFound
from bertdistill.store.metrics import CurvePoint
from bertdistill.store.rows import Series, Study, Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.engine.analysis.joined import Joined
    from bertdistill.engine.analysis.noise_inputs import Kept
    from bertdistill.engine.steering.history import Entry
    from bertdistill.engine.study.study_spec import StudySpec

LOSS, EXAMPLES = "train/loss", "examples"
MOST_NEW = 2_000
"""New points of one look that are added one by one; behind more the curve is read afresh."""
MOST_CURVES = 500
"""Curves kept in memory at most, of at most some hundred points each."""
MOST_JOINED = 12
"""Frontier trials that are joined in pairs, in ranked order: with the teacher 78 pairs."""
NOTHING_YET = -1
"""Version of a workspace without a database."""


@dataclass
class _Kept:
    """A study as it was read last."""

    mark: Any
    spec_dict: dict[str, Any]
    view: StudyView
    losses: dict[int, float] = field(default_factory=dict)
    """Newest training loss by trial number."""
    certain: Any = None
    """What the certainty of the view was computed for."""


@dataclass
class _KeptCurve:
    """A series as it was read last: its newest step and how many points it had."""

    curve: GrowingCurve
    mark: Any = None
    last: int | None = None
    points: int = 0


@dataclass
class Reader:
    """The workspace as the screens see it. Opens the database as soon as there is one, and again if it was replaced."""

    workspace: Workspace
    _db: Database | None = None
    _views: dict[str, _Kept] = field(default_factory=dict)
    _changes: dict[str, tuple[Any, list[Entry], StudySpec | None]] = field(default_factory=dict)
    _curves: dict[tuple[int, int], _KeptCurve] = field(default_factory=dict)
    _cascades: dict[str, tuple[Any, list[Joined]]] = field(default_factory=dict)
    _noise: Kept = field(default_factory=dict)

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
        return runner_status(self.workspace, self.db)

    @contextmanager
    def session(self) -> Iterator[Reading]:
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

    def glances(self) -> dict[str, Glance]:
        """Every study by name, as alerts need it."""
        db = self.db
        if db is None:
            return {}
        with db.read() as session:
            return {
                one.name: Glance(one.state.value, len(reads.trial_ids(session, one.id, TrialState.FAILED)))
                for one in reads.studies(session)
            }

    def archived(self) -> set[int]:
        """Row ids of the archived studies."""
        with self.session() as session:
            return reads.archived_studies(session)

    def view(self, name: str) -> StudyView:
        """One study, ranked; NotFound names the nearest one. Only what may have changed is read again."""
        db = self.db
        if db is None:
            raise NotFound(f"study {name!r} does not exist", hint="This workspace has no study yet.")
        with db.read() as session:
            return self._view(session, reads.study(session, name)).view

    def cascades(self, view: StudyView) -> list[Joined]:
        """Cascades of the frontier trials and the teacher; computed again only when one of these changes."""
        front = view.frontier[:MOST_JOINED]
        mark = (view.study.prepared, [(trial.number, trial.metrics) for trial in front])
        kept = self._cascades.get(view.study.name)
        if kept is None or kept[0] != mark:
            from bertdistill.engine.analysis.cascade_inputs import points_in  # numpy: 0.1 s that few screens need

            with self.session() as session:
                kept = (mark, points_in(session, self.workspace, view.study, front))
            self._cascades[view.study.name] = kept
        return kept[1]

    def certain(self, name: str) -> StudyView:
        """The same as `view`, with how sure it is; that is computed again when a trial has ended."""
        view = self.view(name)
        kept = self._views[name]
        mark = (view.study.prepared, view.objectives, view.ranked)
        if kept.certain != mark:
            from bertdistill.app.views.certain import with_certainty  # numpy: 0.1 s that few screens need

            with self.session() as session:
                kept.view = with_certainty(view, session, self.workspace, self._noise)
            kept.certain = mark
        return kept.view

    def details(self, view: StudyView, number: int) -> tuple[Trial, dict[str, Any]]:
        """One trial of a view with its attempts, checkpoints and series, as `show --json` prints it."""
        from bertdistill.app.report.details import read_details

        db = self.db
        if db is None:
            raise NotFound("this workspace has no study yet")
        return read_details(db, view, number)

    def changes(self, name: str) -> list[Entry]:
        """What people asked of a study (empty: of the workspace), oldest first; NotFound for the study."""
        return self._history(name)[0]

    def filed(self, name: str) -> StudySpec:
        """The study as its file said when it was last run, without what was changed since."""
        spec = self._history(name)[1]
        return self.view(name).spec if spec is None else spec

    def _history(self, name: str) -> tuple[list[Entry], StudySpec | None]:
        """Read again only after a new request or after the runner has carried one out."""
        from bertdistill.engine.steering.changes import as_filed
        from bertdistill.engine.steering.history import history

        db = self.db
        if db is None:
            raise NotFound("this workspace has no study yet")
        with db.read() as session:
            mark = (reads.newest_request(session), [request.id for request in reads.pending_requests(session)])
        kept = self._changes.get(name)
        if kept is None or kept[0] != mark:
            spec = None
            if name:
                with db.read() as session:
                    study = reads.study(session, name)
                    requests = reads.requests(session, study.id)
                found = outline(study).spec
                spec = None if found is None else as_filed(found, requests)
            kept = (mark, history(db, name), spec)
            self._changes[name] = kept
        return kept[1], kept[2]

    def losses(self, name: str) -> dict[int, float]:
        """Newest training loss by trial number, as of the last `view` of that study."""
        return dict(self._views[name].losses) if name in self._views else {}

    def _view(self, session: Reading, study: Study) -> _Kept:
        study_id = study.id
        running = reads.trials(session, study_id, states=(TrialState.RUNNING,))
        counts, request = reads.counts(session, study_id), reads.newest_request(session, study_id)
        mark = (study_id, study.state, counts, request, [t.id for t in running])
        kept = self._views.get(study.name)
        if kept is not None and kept.mark == mark and kept.spec_dict == study.spec:
            updated = _updated(kept.view, running)
            kept.view = dataclasses.replace(kept.view, study=study, trials=updated, running=tuple(running))
            kept.losses |= _losses(session, study_id, running)
            return kept
        known = kept.view.outline if kept is not None and kept.spec_dict == study.spec else outline(study)
        trials = reads.trials(session, study_id)
        view = make_view(study, known, trials, kept.view if kept else None)
        screened, cause = tuple(reads.screened(session, study_id)), cause_of(session, study)
        view = dataclasses.replace(view, screened=screened, cause=cause)
        kept = _Kept(mark, study.spec, view, _losses(session, study_id, trials), kept.certain if kept else None)
        self._views[study.name] = kept
        return kept

    def curves(
        self, view: StudyView, numbers: Sequence[int], choose: Callable[[list[str]], Sequence[str]], columns: int
    ) -> tuple[list[TrialCurve], list[str]]:
        """Curves of these trials, and the names of all series they have; `choose` says which of those names to read.

        The number PREPARATION stands for the teacher's own training.
        """
        chosen = [owner for number in numbers if (owner := _owner(view, number)) is not None]
        if self.db is None or not chosen:
            return [], []
        found: list[TrialCurve] = []
        with self.session() as session:
            existing = [{s.name: s for s in reads.series(session, view.study.id, row)} for _, row, _ in chosen]
            names = sorted({name for by_name in existing for name in by_name})
            for (number, _, start), by_name in zip(chosen, existing, strict=True):
                rate = _examples_per_step(by_name.get(EXAMPLES))
                for name in choose(names):
                    if series := by_name.get(name):
                        points = self._curve(session, series, columns)
                        found.append(TrialCurve(number, name, points, series.not_finite, rate, start))
        return found, names

    def _curve(self, session: Reading, series: Series, columns: int) -> tuple[CurvePoint, ...]:
        """Only points behind the last ones are read, unless older ones were replaced too (a trial that went back)."""
        key, series_id = (series.id, columns), series.id
        mark = (series.points, series.last_step, series.last_value, series.min_value, series.max_value)
        kept = self._curves.get(key)
        if kept is None:
            if len(self._curves) > MOST_CURVES:
                self._curves.clear()
            kept = self._curves[key] = _KeptCurve(GrowingCurve(columns))
        if kept.mark == mark:
            return tuple(kept.curve.parts)
        fresh = [] if kept.last is None else reads.points_after(session, series_id, kept.last, MOST_NEW + 1)
        if kept.last is None or len(fresh) > MOST_NEW or kept.points + len(fresh) != series.points:
            kept.curve.start(reads.curve(session, series_id, columns=columns), series.points)
        else:
            kept.curve.grow(fresh)
        kept.mark, kept.last, kept.points = mark, series.last_step, series.points
        return tuple(kept.curve.parts)

    def close(self) -> None:
        """Close the database; the next look opens it again."""
        if self._db is not None:
            self._db.close()
        self._db = None
        self._views.clear()
        self._curves.clear()
        self._changes.clear()
        self._noise.clear()


def _losses(session: Reading, study_id: int, trials: Sequence[Trial]) -> dict[int, float]:
    numbers = {t.id: t.number for t in trials if t.id is not None}
    found = reads.last_values(session, study_id, LOSS, list(numbers))
    plain = {t.number: loss for t in trials if (loss := value_of(t.metrics, "loss")) is not None}  # of logged runs
    return {**plain, **{numbers[trial_id]: value for trial_id, value in found.items()}}


def _owner(view: StudyView, number: int) -> tuple[int, int, float] | None:
    """Number, row id and start of what has curves: a trial, or the preparation, whose series have row id 0."""
    if number == PREPARATION:
        return number, 0, view.study.created_at
    trial = view.trial(number)
    return None if trial is None else (number, trial.id, trial.started_at or trial.created_at)


def _examples_per_step(series: Series | None) -> float:
    """Every step takes as many examples as every other, up to the last batch of an epoch."""
    if series is None or not series.last_step or series.last_value is None:
        return 0.0
    return series.last_value / series.last_step


def _updated(view: StudyView, moving: Sequence[Trial]) -> tuple[Trial, ...]:
    trials = list(view.trials)
    for trial in moving:
        trials[view.places[trial.number]] = trial
    return tuple(trials)
