"""Store what a reader of another tracker yields as a study of logged runs: each run and each point once.

A run is known by its key, wherever its file is; how far it was read is stored with the points of that reading, in one
transaction. So an import that is interrupted, killed or repeated continues where it was, and changes nothing else. What
a person changed here (notes, tags, archived and deleted runs) stays. It reads no file itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.errors import ActionRefused, InvalidRequest
from bertdistill.engine.contract.events import MAX_SERIES
from bertdistill.engine.contract.imported import IMPORTED, LOCK, ROOT, run_folder, series_name, study_name
from bertdistill.engine.contract.logged import LONGEST_TEXT, Scalar, scalars
from bertdistill.engine.contract.names import name_problem
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange.placing import LATEST, Placed, place
from bertdistill.engine.interchange.readers.reader import AT_ONCE, Columns, Form, Mark, Part, Reader
from bertdistill.engine.interchange.records import Curve, RunRecord, StudyRecord
from bertdistill.engine.launch import process
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.runner.logged import MOST_COLUMNS, TASK
from bertdistill.engine.study.outline import LOG
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.errors import ForeignError, NotFound
from bertdistill.store.metrics import Points
from bertdistill.store.rows import Study, StudyState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

RUNS_AT_ONCE = 100
"""Runs stored in one transaction at most: about 0.1 s in which no other process can write."""
LONGEST_NOTE, MOST_TAGS = 8000, 50
_TOO_MANY = f"points of curves beyond the first {MAX_SERIES:,} of a run"


@dataclass(frozen=True)
class Wanted:
    """What a person says of an import."""

    study: str = ""
    """Name of the study here; by default as in the source."""
    only: str = ""
    """Name of the one study, experiment or project of the source."""
    objectives: tuple[Objective, ...] = ()
    """Instead of those of the source."""
    metrics: tuple[str, ...] = ()
    """Columns of a table that are metrics."""


@dataclass
class Imported:
    """What was stored of one study."""

    study: str
    source: str
    """As the source calls it."""
    new: int = 0
    """Runs."""
    changed: int = 0
    points: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass
class Outcome:
    """What an import did."""

    studies: list[Imported] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """Of no run in particular."""
    problems: Sequence[ForeignError] = ()


Tell = Callable[[Imported], None]
"""Called whenever something was stored."""


def run_import(
    db: Database, workspace: Workspace, form: Form, path: Path, wanted: Wanted, *, now: float, tell: Tell
) -> Outcome:
    """Import what is new; ForeignError if the source cannot be read, ActionRefused if another import is running."""
    if wanted.study and (problem := name_problem(wanted.study)):
        raise InvalidRequest(f"the study name {wanted.study!r} {problem}")
    outcome = Outcome()
    with _alone(workspace), form.open(path, Columns(wanted.metrics)) as source:
        with db.read() as session:
            known = {one.folder: _Known.of(one) for one in reads.known_runs(session, f"{ROOT}/")}
        for record in _chosen(source, wanted):
            place_of = _Origin(form.tracker, record.name, str(path.resolve()))
            importer = _Importer(db, place_of, record, wanted, known, now)
            outcome.studies.append(importer.done)
            for _ in importer.run(source):
                tell(importer.done)
        outcome.left_out.update(source.remarks())
        outcome.problems = tuple(source.problems())
    return outcome


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    lock = process.try_lock(workspace.path / LOCK)
    if lock is None:
        hint = "Wait until it has ended; then import again."
        raise ActionRefused(f"another import into {workspace.path} is running", hint=hint)
    try:
        yield
    finally:
        os.close(lock)


def _chosen(source: Reader, wanted: Wanted) -> list[StudyRecord]:
    found = list(source.studies())
    names = ", ".join(one.name for one in found) or "none"
    if wanted.only:
        found = [one for one in found if one.name == wanted.only]
        if not found:
            raise NotFound(f"the source has no study {wanted.only!r}", hint=f"It has: {names}")
    if wanted.study and len(found) > 1:
        raise InvalidRequest(f"the source has several studies: {names}", hint="Choose one with --only NAME.")
    return found


@dataclass(frozen=True)
class _Origin:
    """Where a study came from: in the spec of the study, to find it again."""

    tracker: str
    study: str
    path: str

    def is_that(self, spec: Mapping[str, Any]) -> bool:
        """Whether a study came from here, or from a file that was since moved here."""
        found = spec.get(IMPORTED)
        if not isinstance(found, dict) or (found.get("tracker"), found.get("study")) != (self.tracker, self.study):
            return False
        return found.get("path") == self.path or not Path(str(found.get("path"))).exists()


@dataclass
class _Known:
    """What is stored of a run."""

    attempt_id: int
    trial_id: int
    study_id: int
    deleted: bool = False
    mark: Mark = field(default_factory=dict)
    told: str = ""
    """Digest of the record that was stored last."""
    placed: dict[str, tuple[str, Placed]] = field(default_factory=dict)
    """By the name of a curve in the source: its name here, and where its last point is."""
    series: dict[str, int] = field(default_factory=dict)
    """Row ids of series by name."""

    @classmethod
    def of(cls, one: reads.KnownRun) -> _Known:
        placed = {raw: (name, Placed(read, at)) for raw, (name, read, at) in one.handle.get("placed", {}).items()}
        told, mark = str(one.handle.get("told", "")), one.handle.get("mark", {})
        return cls(one.attempt_id, one.trial_id, one.study_id, one.deleted, mark, told, placed)

    def handle(self, key: str, origin: _Origin) -> dict[str, Any]:
        return {
            IMPORTED: key[:LONGEST_TEXT],
            "tracker": origin.tracker,
            "path": origin.path,
            "mark": self.mark,
            "told": self.told,
            "placed": {raw: [name, placed.read, placed.at] for raw, (name, placed) in self.placed.items()},
        }

    def name(self, raw: str) -> str | None:
        """The name here of a curve; None when there are too many."""
        if raw in self.placed:
            return self.placed[raw][0]
        if len(self.placed) >= MAX_SERIES:
            return None
        taken = {name for name, _ in self.placed.values()}
        name = wanted = series_name(raw)
        number = 2
        while name in taken:
            name, number = f"{wanted[:120]}-{number}", number + 1
        self.placed[raw] = (name, Placed())
        return name


@dataclass
class _Importer:
    """Stores one study of a source."""

    db: Database
    origin: _Origin
    record: StudyRecord
    wanted: Wanted
    known: dict[str, _Known]
    now: float
    done: Imported = field(init=False)
    _study: int | None = None
    _new: set[int] = field(default_factory=set)
    _changed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.done = Imported(self.wanted.study or study_name(self.record.name), self.record.name)

    def run(self, source: Reader) -> Iterator[None]:
        """Store the study in transactions of bounded size; yields after each."""
        parts: list[Part] = []
        points = 0
        for part in source.parts(self.record.name, self._mark):
            parts.append(part)
            points += sum(len(curve.steps) for curve in part.curves)
            if points >= AT_ONCE or len(parts) >= RUNS_AT_ONCE:
                self._store(parts)
                yield
                parts, points = [], 0
        self._store(parts)
        self._settle()
        yield

    def _mark(self, key: str) -> Mark:
        known = self.known.get(run_folder(self.origin.tracker, key))
        return {} if known is None else known.mark

    def _store(self, parts: Sequence[Part]) -> None:
        if not any(self._is_news(part) for part in parts):
            return
        with self.db.write() as session:
            reported: list[Points] = []
            touched: dict[str, tuple[_Known, RunRecord]] = {}
            for part in parts:
                known = self._run(session, part.run)
                if known is not None:
                    reported += self._points(session, known, part)
                    known.mark = part.mark
                    touched[part.run.key] = known, part.run
            writes.store_all(session, reported)
            for known, run in touched.values():
                self._finish(session, known, run)
        self.done.new, self.done.changed = len(self._new), len(self._changed - self._new)

    def _is_news(self, part: Part) -> bool:
        known = self.known.get(run_folder(self.origin.tracker, part.run.key))
        return known is None or bool(part.curves) or known.mark != part.mark or known.told != _digest(part.run)

    # ------------------------------------------------------------------------------------------------------------ runs

    def _run(self, session: Writing, run: RunRecord) -> _Known | None:
        """The rows of a run, up to date; None if it was deleted here."""
        folder = run_folder(self.origin.tracker, run.key)
        known = self.known.get(folder)
        if known is None:
            known = self.known[folder] = self._create(session, run, folder)
        if known.deleted:
            return None
        if known.told != (told := _digest(run)):
            params = scalars(run.params)
            writes.restate_imported(
                session,
                known.trial_id,
                state=run.state,
                reason=_text(run.reason),
                detail=_text(run.detail, LONGEST_NOTE),
                params=params,
                settings={**scalars(run.attributes), **params},
                started_at=_moment(run.started_at),
                finished_at=_moment(run.ended_at) or _moment(run.started_at) or self.now,
            )
            known.told = told
            self._changed.add(known.trial_id)
        return known

    def _create(self, session: Writing, run: RunRecord, folder: str) -> _Known:
        study_id, began = self._study_id(session), _moment(run.started_at) or self.now
        trial = writes.create_trial(
            session,
            study_id=study_id,
            origin=IMPORTED,
            params={},
            settings={},
            known={},
            now=began,
            state=run.state,
        )
        note, tags = _note(run), [_text(tag) for tag in run.tags[:MOST_TAGS]]
        if note or tags:
            writes.edit_trial(session, trial.id, note=note, tags=tags)
        attempt = writes.create_attempt(
            session, study_id=study_id, trial_id=trial.id, kind="trial", folder=folder, slot="", now=began
        )
        filed = "complete" if not run.reason else _text(run.reason)
        writes.end_attempt(session, attempt.id, now=_moment(run.ended_at) or began, exit_class=filed)
        self._new.add(trial.id)
        return _Known(attempt.id, trial.id, study_id)

    def _points(self, session: Writing, known: _Known, part: Part) -> Iterator[Points]:
        left_out, begin = self.done.left_out, _moment(part.run.started_at) or 0.0
        left_out.update(part.left_out)
        if part.restarts:
            known.placed = {raw: (name, Placed()) for raw, (name, _) in known.placed.items()}
        for curve in part.curves:
            name = known.name(curve.name)
            if name is None:
                left_out[_TOO_MANY] += len(curve.steps)
                continue
            rows = self._rows(known, name, curve, begin)
            if rows:
                self.done.points += len(rows)
                self._changed.add(known.trial_id)
                yield Points(known.study_id, known.trial_id, rows, self._series(session, known, name))

    def _rows(self, known: _Known, name: str, curve: Curve, begin: float) -> list[tuple[str, int, float | None, float]]:
        columns, placed = place(curve, known.placed[curve.name][1], begin, self.done.left_out)
        known.placed[curve.name] = name, placed
        names = [name] * len(columns.steps)
        return list(zip(names, columns.steps, columns.values, columns.times, strict=True))

    def _series(self, session: Writing, known: _Known, name: str) -> Mapping[str, int]:
        """Row ids of the series of a run, read once it has one of that name."""
        if name not in known.series:
            known.series = reads.series_ids(session, known.study_id, known.trial_id)
        return known.series

    def _finish(self, session: Writing, known: _Known, run: RunRecord) -> None:
        """What a run has reached, and how far it was read."""
        series = reads.series(session, known.study_id, known.trial_id)
        newest: dict[str, float | None] = {one.name: one.last_value for one in series}
        told = {known.placed[raw][0] if raw in known.placed else series_name(raw): v for raw, v in run.metrics.items()}
        metrics = {name: _finite(value) for name, value in list({**newest, **told}.items())[:MAX_SERIES]}
        writes.set_trial_metrics(session, known.trial_id, metrics)
        writes.set_attempt_handle(session, known.attempt_id, known.handle(run.key, self.origin))

    # ----------------------------------------------------------------------------------------------------------- study

    def _study_id(self, session: Writing) -> int:
        """The study that new runs go to, created if needed."""
        if self._study is None:
            study = self._find(session)
            if study is None:
                free = self.wanted.study or _free(study_name(self.record.name), session)
                study = writes.create_study(session, name=free, kind=LOG, task=TASK, spec=self._spec(), now=self.now)
            self._study, self.done.study = study.id, study.name
        return self._study

    def _find(self, session: Reading) -> Study | None:
        studies = reads.studies(session)
        if name := self.wanted.study:
            found = next((one for one in studies if one.name == name), None)
            if found is not None and found.kind != LOG:
                hint = "Runs are imported into a study of their own: choose another name."
                raise InvalidRequest(f"study {name} is a search", hint=hint)
            return found
        return next((one for one in studies if one.kind == LOG and self.origin.is_that(one.spec)), None)

    def _spec(self) -> dict[str, Any]:
        origin = {"tracker": self.origin.tracker, "study": self.origin.study, "path": self.origin.path}
        note = _text(self.record.note, LONGEST_NOTE) or f"imported from {self.origin.path}"
        return {"note": note, IMPORTED: origin}

    def _settle(self) -> None:
        """Objectives and columns of the study, and that none of its runs is followed."""
        with self.db.read() as session:
            study = self._find(session) if self._study is None else reads.study_by_id(session, self._study)
        if study is None:
            return
        self.done.study = study.name
        objectives = self.wanted.objectives or (() if study.spec.get("objectives") else self.record.objectives)
        spec = dict(study.spec)
        if objectives:
            spec["objectives"] = [_objective(one) for one in objectives]
        if spec.get("metrics") is None:
            spec["metrics"] = {"stored": self._stored(study.id, {one["metric"] for one in spec.get("objectives", ())})}
        if spec == study.spec and study.state != StudyState.RUNNING:
            return
        with self.db.write() as session:
            writes.set_study_spec(session, study.id, spec)
            if not any(one.study_id == study.id for one in reads.live_attempts(session)):
                writes.set_study_state(session, study.id, StudyState.COMPLETE, now=self.now)

    def _stored(self, study_id: int, without: set[str]) -> list[str]:
        """Metrics of the ranked list: those that most runs have."""
        with self.db.read() as session:
            counts = Counter(name for one in reads.trials(session, study_id) for name in one.metrics)
        return [name for name, _ in counts.most_common() if name not in without][:MOST_COLUMNS]


def _free(name: str, session: Reading) -> str:
    """The name, or with a number if another study has it."""
    taken = {one.name for one in reads.studies(session)}
    found, number = name, 2
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    return found


def _objective(one: Objective) -> dict[str, Any]:
    found: dict[str, Any] = {"metric": series_name(one.metric), "direction": one.direction}
    if one.threshold is not None:
        found |= {"threshold": one.threshold} | ({"constraint": True} if one.constraint else {})
    return found


def _digest(run: RunRecord) -> str:
    """Tells whether the source says something else of a run than last time."""
    told = [run.params, run.attributes, run.metrics, run.state, run.reason, run.detail, run.started_at, run.ended_at]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:16]


def _note(run: RunRecord) -> str:
    """Its note; its name stands before it, since runs here have numbers."""
    parts = [part for part in (run.name.strip(), run.note.strip()) if part]
    return _text("\n".join(dict.fromkeys(parts)), LONGEST_NOTE)


def _moment(time: float | None) -> float | None:
    return time if time is not None and 0 < time < LATEST else None


def _finite(value: float | None) -> float | None:
    try:
        return None if value is None or value - value != 0 else float(value)
    except OverflowError:
        return None


def _text(text: str, longest: int = LONGEST_TEXT) -> str:
    return text[:longest].encode("utf-8", "replace").decode("utf-8")


__all__ = ["Imported", "Outcome", "Scalar", "Wanted", "run_import"]
