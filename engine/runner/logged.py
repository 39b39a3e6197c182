"""Store the runs that training programs log themselves: find their folders, store their events, settle their ends.

The runner does it in its rounds; without a runner whoever opens the workspace does (`LoggedRuns.catch_up`). Nothing is
stored twice, whoever does it: a folder is adopted, and events are stored with their offset, in a transaction that looks
first. A lock of its own spares the work of doing it at the same time; the runner's lock would make others take this
process for a runner. It starts, stops and removes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.folder import RunPaths, read_object, size_of
from bertdistill.engine.contract.logged import LOCK, ROOT, LoggedRun, is_of, logged_root, parse_logged, prefix
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.engine.launch.attempts import read_exit
from bertdistill.engine.launch.protocol import Handle
from bertdistill.engine.runner.ingest import ingest_all
from bertdistill.engine.runner.rules import LOGGED, is_logged
from bertdistill.engine.runner.settle import INFEASIBLE
from bertdistill.engine.study.outline import LOG
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.rows import Attempt, AttemptState, Study, StudyState, Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

TASK = "logged runs"
"""`Study.task` of a collection of logged runs: it is none of the tasks that a search knows."""
SETTLED_SECONDS = 1.0
"""A folder whose modification is older has changed no more since it was listed: clocks of file systems are coarse."""
MOST_COLUMNS = 6
"""Metrics in the ranked list next to the objectives, if the study does not say which."""
_SCORE = {"metric": "score", "direction": "maximize"}
_STATES = {
    "complete": TrialState.COMPLETE,
    "stopped": TrialState.STOPPED,
    "pruned": TrialState.PRUNED,
    "infeasible": TrialState.INFEASIBLE,
}
"""By the status of the `ended` event."""
_BY_CLASS = {
    **dict.fromkeys(INFEASIBLE, TrialState.INFEASIBLE),
    "complete": TrialState.COMPLETE,
    "interrupted": TrialState.STOPPED,
    "pruned": TrialState.PRUNED,
}
"""By the class in exit.json."""


@dataclass
class LoggedRuns:
    """Follows the logged runs of a workspace. Everything in it can be lost."""

    workspace: Workspace
    _listed: int = -1
    """Modification time (ns) of the folder of all runs when it was listed last; -1 to list it again."""
    _known: set[str] = field(default_factory=set)
    """Names of folders that have been adopted or can never be."""
    _watched: list[tuple[RunPaths, int]] = field(default_factory=list)
    """Live runs, and how much of their events is stored."""

    @property
    def root(self) -> Path:
        return logged_root(self.workspace.path)

    def stirs(self) -> bool:
        """Whether there may be something to store: a few stats and lock probes."""
        changed = self._changed_at()
        if changed is None:
            return False
        return changed != self._listed or any(
            size_of(paths.events) != size or _over(paths) for paths, size in self._watched
        )

    def catch_up(self) -> bool:
        """Without a runner: store what is new; whether anything was. StoreError or OSError if it cannot be stored."""
        if not self.stirs() or process.held(self.workspace.runner_lock):
            return False
        with closing(open_db(self.workspace.path)) as db:
            return self.store(db, time.time())

    def store(self, db: Database, now: float) -> bool:
        """Store what is there; False if there was nothing, or if another process is doing it."""
        if self._changed_at() is None:
            return False
        fresh = self._fresh(db)
        with db.read() as session:
            live = [one for one in reads.live_attempts(session) if is_logged(one)]
        if not fresh and not any(
            size_of(self._paths(one).events) != one.ingest_offset or _over(self._paths(one)) for one in live
        ):
            self._watch(live)
            return False
        with self._alone() as alone:
            if not alone:
                self._listed = -1
                return False
            self._adopt(db, fresh)
            self._follow(db, now)
        return True

    # ------------------------------------------------------------------------------------------------------ new runs

    def _changed_at(self) -> int | None:
        try:
            return self.root.stat().st_mtime_ns
        except OSError:
            return None

    def _fresh(self, db: Database) -> dict[str, LoggedRun]:
        """New runs by the name of their folder, oldest first."""
        changed = self._changed_at() or 0
        if changed == self._listed:
            return {}
        names = {name for name in os.listdir(self.root) if not name.startswith(".")} - self._known  # noqa: PTH208 - names are enough, and there may be 100,000
        self._listed = changed if time.time() - changed / 1e9 > SETTLED_SECONDS else -1
        if names:
            with db.read() as session:
                stored = {Path(folder).name for folder in reads.attempt_folders(session, f"{ROOT}/")}
            self._known |= stored
        found = {name: run for name in names - self._known if (run := self._read(name)) is not None}
        self._known |= names - found.keys()
        return dict(sorted(found.items(), key=lambda pair: pair[1].started_at))

    def _read(self, name: str) -> LoggedRun | None:
        run = parse_logged(read_object(RunPaths(self.root / name).spec))
        return run if run is not None and run.folder_name == name else None

    def _adopt(self, db: Database, fresh: Mapping[str, LoggedRun]) -> None:
        if not fresh:
            return
        with db.write() as session:
            stored = reads.attempt_folders(session, f"{ROOT}/")
            for name, run in fresh.items():
                if f"{ROOT}/{name}" not in stored:
                    stored[f"{ROOT}/{name}"] = _adopt(session, run, stored)
        self._known |= fresh.keys()

    # ----------------------------------------------------------------------------------------------------- known runs

    def _follow(self, db: Database, now: float) -> None:
        with db.read() as session:
            attempts = [one for one in reads.live_attempts(session) if is_logged(one)]
        # Asked before their events are read, so that all events of those that are over are in the file.
        over = {one.id for one in attempts if _over(self._paths(one))}
        more: Sequence[Attempt] = attempts
        while more:
            stored = ingest_all(db, self.workspace.path, more)
            over |= {one.id for one in more if stored[one.id].ended}
            with db.read() as session:
                more = reads.attempts_by_id(session, [one.id for one in more if stored[one.id].more])
        for attempt in attempts:
            if attempt.id in over:
                settle(db, attempt.id, self._paths(attempt), now)
        with db.read() as session:
            self._watch([one for one in reads.live_attempts(session) if is_logged(one)])

    def _watch(self, live: Sequence[Attempt]) -> None:
        self._watched = [(self._paths(one), one.ingest_offset) for one in live]

    def _paths(self, attempt: Attempt) -> RunPaths:
        return RunPaths(self.workspace.run_folder(attempt.folder))

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether no other process stores logged runs inside the block."""
        lock = process.try_lock(self.root / LOCK)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                os.close(lock)


def _over(paths: RunPaths) -> bool:
    """Whether the process has ended, or has said without its events that the run has."""
    return not process.held(paths.lock) or paths.exit.exists()


# ------------------------------------------------------------------------------------------------------------- adopting


def _adopt(session: Writing, run: LoggedRun, stored: Mapping[str, int | None]) -> int:
    """Rows for a process that logs a run: a new trial, or the next attempt of the one that it resumes."""
    study = _study(session, run)
    before = f"{ROOT}/{prefix(run.study, run.run)}"
    mine = [folder for folder in stored if folder.startswith(before) and is_of(Path(folder).name, run.study, run.run)]
    ids = {trial_id for folder in mine if (trial_id := stored[folder]) is not None}
    earlier = [one for one in reads.trials_by_id(session, ids) if one.study_id == study.id and one.deleted_at is None]
    trial = earlier[-1] if earlier else _new_trial(session, study, run)
    writes.reopen_logged(session, trial.id)
    writes.create_attempt(
        session,
        study_id=study.id,
        trial_id=trial.id,
        kind="trial",
        folder=f"{ROOT}/{run.folder_name}",
        slot="",
        now=run.started_at,
        handle={LOGGED: run.run},
    )
    return trial.id


def _new_trial(session: Writing, study: Study, run: LoggedRun) -> Trial:
    params = dict(run.params)
    trial = writes.create_trial(
        session,
        study_id=study.id,
        origin=LOGGED,
        params=params,
        settings=params,
        known={},
        now=run.started_at,
        state=TrialState.RUNNING,
    )
    if run.note or run.tags:
        writes.edit_trial(session, trial.id, note=run.note, tags=run.tags)
    return trial


def _study(session: Writing, run: LoggedRun) -> Study:
    """The study of a run, created if needed. A search of that name keeps it; its logged runs are next to it."""
    objectives = [dict(one) for one in run.objectives]
    by_name = {one.name: one for one in reads.studies(session)}
    study = next(found for name in _names(run.study) if (found := by_name.get(name, name)) and _is_free(found))
    if isinstance(study, str):
        spec = {"objectives": objectives} if objectives else {}
        study = writes.create_study(session, name=study, kind=LOG, task=TASK, spec=spec, now=run.started_at)
    elif objectives and objectives != study.spec.get("objectives"):
        writes.set_study_spec(session, study.id, {**study.spec, "objectives": objectives})
    writes.set_study_state(session, study.id, StudyState.RUNNING, now=run.started_at)
    return reads.study_by_id(session, study.id)


def _names(name: str) -> Iterator[str]:
    yield name
    yield f"{name[:60]}-log"
    number = 2
    while True:
        yield f"{name[:50]}-log{number}"
        number += 1


def _is_free(study: Study | str) -> bool:
    return isinstance(study, str) or study.kind == LOG


# ------------------------------------------------------------------------------------------------------------- settling


def settle(db: Database, attempt_id: int, paths: RunPaths, now: float) -> None:
    """File a process that logs no more, and unless another one has resumed its run, the run."""
    ended = read_exit(paths, Handle(job=LOGGED))
    with db.write() as session:
        attempt = reads.attempt_by_id(session, attempt_id)
        if attempt.state != AttemptState.RUNNING or attempt.trial_id is None:
            return
        state, reason, detail = _verdict(attempt.outcome, ended.kind)
        at = min(attempt.outcome.get("at") or ended.ended_at or now, now)
        filed = state.value if state == TrialState.COMPLETE else reason
        writes.end_attempt(session, attempt.id, now=at, exit_class=filed)
        writes.add_trial_seconds(session, attempt.trial_id, max(0.0, at - attempt.started_at))
        if all(one.state == AttemptState.ENDED for one in reads.attempts(session, trial_id=attempt.trial_id)):
            writes.set_trial_state(session, attempt.trial_id, state, now=at, reason=reason, detail=detail)
        _settle_study(session, reads.trial_by_id(session, attempt.trial_id), now)


def _verdict(outcome: Mapping[str, Any], kind: str) -> tuple[TrialState, str, str]:
    """State, reason and detail, from the program's own word or, if it was killed before it said one, its exit."""
    if status := outcome.get("status"):
        state = _STATES.get(status, TrialState.FAILED)
        return state, "" if state == TrialState.COMPLETE else outcome.get("reason", ""), outcome.get("detail", "")
    if kind in _BY_CLASS:
        return _BY_CLASS[kind], "" if kind == "complete" else kind, ""
    if kind == "lost":
        return TrialState.FAILED, "killed", "its process ended without a word: it was killed, or crashed outside Python"
    return TrialState.FAILED, kind, ""


def _settle_study(session: Writing, trial: Trial, now: float) -> None:
    """Objectives and columns of a study that names none, from what its runs report; complete when none runs."""
    study = reads.study_by_id(session, trial.study_id)
    spec = dict(study.spec)
    if not spec.get("objectives") and _SCORE["metric"] in trial.metrics:
        spec["objectives"] = [_SCORE]
    if "metrics" not in spec and trial.metrics:
        ranked = {one.get("metric") for one in spec.get("objectives", ())}
        spec["metrics"] = {"stored": [name for name in trial.metrics if name not in ranked][:MOST_COLUMNS]}
    if spec != study.spec:
        writes.set_study_spec(session, study.id, spec)
    if not any(one.study_id == study.id for one in reads.live_attempts(session)):
        writes.set_study_state(session, study.id, StudyState.COMPLETE, now=now)
