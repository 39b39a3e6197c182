"""Every INSERT and UPDATE, and the one table of allowed moves between states. It begins and ends no transaction.

Each function takes the session of `Database.write`, so what a caller puts into one `with` block happens as one.
Points of curves are stored in `metrics` and offered here as well. Over 400 lines because it is a flat list of short
functions, grouped by table, that callers read as one catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import func
from sqlmodel import Session, select

from bertdistill.store import reads
from bertdistill.store.errors import NotFound, StoreError
from bertdistill.store.metrics import store_points
from bertdistill.store.models import (
    Attempt,
    AttemptState,
    Checkpoint,
    Lease,
    ModelAlias,
    ModelVersion,
    Notice,
    Request,
    Study,
    StudyState,
    Trial,
    TrialState,
)

__all__ = [
    "FINAL",
    "MOVES",
    "add_checkpoint",
    "add_notice",
    "add_request",
    "add_study_seconds",
    "add_trial_failure",
    "add_trial_seconds",
    "beat_lease",
    "create_attempt",
    "create_model_version",
    "create_study",
    "create_trial",
    "drop_checkpoint",
    "edit_trial",
    "end_attempt",
    "finish_model_version",
    "finish_request",
    "put_alias",
    "release_lease",
    "set_alias",
    "set_attempt_handle",
    "set_attempt_outcome",
    "set_attempt_progress",
    "set_attempt_stop_reason",
    "set_model_handle",
    "set_offset",
    "set_prepared",
    "set_study_spec",
    "set_study_state",
    "set_trial_metrics",
    "set_trial_state",
    "store_points",
    "take_lease",
    "undo_alias",
]

Row = TypeVar("Row")

_S = TrialState
MOVES: Mapping[TrialState, frozenset[TrialState]] = {
    _S.WAITING: frozenset({_S.RUNNING, _S.INFEASIBLE, _S.PRUNED, _S.FAILED, _S.STOPPED}),
    _S.RUNNING: frozenset({_S.WAITING, _S.COMPLETE, _S.PRUNED, _S.INFEASIBLE, _S.FAILED, _S.STOPPED}),
    _S.FAILED: frozenset({_S.WAITING}),
    _S.STOPPED: frozenset({_S.WAITING}),
    _S.COMPLETE: frozenset(),
    _S.PRUNED: frozenset(),
    _S.INFEASIBLE: frozenset(),
}
"""From a state to those that may follow. Failed and stopped trials wait again when a person or a retry says so."""
FINAL = frozenset({_S.COMPLETE, _S.PRUNED, _S.INFEASIBLE, _S.FAILED, _S.STOPPED})


# ------------------------------------------------------------------------------------------------------------ studies


def create_study(session: Session, *, name: str, task: str, spec: dict[str, Any], now: float) -> Study:
    """A new running study; StoreError when the name is taken."""
    if session.exec(select(Study.id).where(Study.name == name)).first() is not None:
        raise StoreError(f"study {name!r} exists already", hint="Choose another name, or resume that study.")
    return _added(session, Study(name=name, task=task, spec=spec, created_at=now))


def set_study_state(session: Session, study_id: int, state: StudyState, *, now: float, diagnosis: str = "") -> None:
    """Set the state and why (empty: no complaint); notes first start and end."""
    study = reads.study_by_id(session, study_id)
    study.state, study.diagnosis = state, diagnosis
    if state == StudyState.RUNNING and study.started_at is None:
        study.started_at = now
    ended = state in (StudyState.COMPLETE, StudyState.FAILED, StudyState.STOPPED)
    study.finished_at = now if ended else None


def set_prepared(session: Session, study_id: int, facts: dict[str, Any]) -> None:
    """Keep what the prepare attempt found."""
    reads.study_by_id(session, study_id).prepared = dict(facts)


def set_study_spec(session: Session, study_id: int, spec: dict[str, Any]) -> None:
    """Replace the spec in force."""
    reads.study_by_id(session, study_id).spec = dict(spec)


def add_study_seconds(session: Session, study_id: int, seconds: float) -> None:
    """Add to the time that the study was running."""
    reads.study_by_id(session, study_id).busy_seconds += seconds


# ------------------------------------------------------------------------------------------------------------- trials


def create_trial(
    session: Session,
    *,
    study_id: int,
    origin: str,
    params: dict[str, Any],
    settings: dict[str, Any],
    known: dict[str, Any],
    now: float,
    parent_id: int | None = None,
    proposal_seed: int | None = None,
    sampler: str = "",
    state: TrialState = TrialState.WAITING,
) -> Trial:
    """The next trial of a study; numbers count from 0 without a gap."""
    last = session.exec(select(func.max(Trial.number)).where(Trial.study_id == study_id)).one()
    return _added(
        session,
        Trial(
            study_id=study_id,
            number=0 if last is None else last + 1,
            state=state,
            origin=origin,
            params=params,
            settings=settings,
            known=known,
            parent_id=parent_id,
            proposal_seed=proposal_seed,
            sampler=sampler,
            created_at=now,
            started_at=now if state == TrialState.RUNNING else None,
            finished_at=now if state in FINAL else None,
        ),
    )


def set_trial_state(
    session: Session, trial_id: int, state: TrialState, *, now: float, reason: str = "", detail: str = ""
) -> bool:
    """Make an allowed move (see MOVES) and note its time, reason class and sentence; False when it is not allowed."""
    trial = reads.trial_by_id(session, trial_id)
    if state not in MOVES[trial.state]:
        return False
    if trial.state == TrialState.FAILED and state == TrialState.WAITING:
        trial.failures = 0  # a person mended something, so its retries begin anew
    trial.state, trial.reason, trial.detail = state, reason, detail
    if state == TrialState.RUNNING and trial.started_at is None:
        trial.started_at = now
    if state == TrialState.COMPLETE:
        trial.progress = 1.0
    trial.finished_at = now if state in FINAL else None
    return True


def set_trial_metrics(
    session: Session, trial_id: int, metrics: Mapping[str, Any], *, progress: float | None = None
) -> None:
    """Replace the metrics, and the progress (0 to 1) when given."""
    trial = reads.trial_by_id(session, trial_id)
    trial.metrics = dict(metrics)
    if progress is not None:
        trial.progress = progress


def add_trial_failure(session: Session, trial_id: int) -> int:
    """Count one more failed attempt; returns the new count."""
    trial = reads.trial_by_id(session, trial_id)
    trial.failures += 1
    return trial.failures


def add_trial_seconds(session: Session, trial_id: int, seconds: float) -> None:
    """Add worker time."""
    reads.trial_by_id(session, trial_id).busy_seconds += seconds


def edit_trial(
    session: Session,
    trial_id: int,
    *,
    note: str | None = None,
    tags: Sequence[str] | None = None,
    archived: bool | None = None,
) -> None:
    """Change what people write about a trial; None leaves a field as it is."""
    trial = reads.trial_by_id(session, trial_id)
    if note is not None:
        trial.note = note
    if tags is not None:
        trial.tags = list(tags)
    if archived is not None:
        trial.archived = archived


# ----------------------------------------------------------------------------------------------------------- attempts


def create_attempt(
    session: Session,
    *,
    study_id: int,
    trial_id: int | None,
    kind: str,
    folder: str,
    slot: str,
    now: float,
    handle: dict[str, Any] | None = None,
) -> Attempt:
    """The next attempt for its trial, or for the study's preparation; `folder` is relative to the workspace."""
    study = reads.study_by_id(session, study_id)
    if study.started_at is None:
        study.started_at = now
    number = reads.next_attempt_number(session, study_id=study_id, trial_id=trial_id, kind=kind)
    return _added(
        session,
        Attempt(
            study_id=study_id,
            trial_id=trial_id,
            kind=kind,
            number=number,
            folder=folder,
            slot=slot,
            handle=handle or {},
            started_at=now,
        ),
    )


def set_attempt_handle(session: Session, attempt_id: int, handle: dict[str, Any]) -> None:
    """Keep what the launcher needs to find the attempt again."""
    reads.attempt_by_id(session, attempt_id).handle = dict(handle)


def set_attempt_stop_reason(session: Session, attempt_id: int, reason: str) -> None:
    """Note why the runner asked it to stop."""
    reads.attempt_by_id(session, attempt_id).stop_reason = reason


def set_attempt_progress(
    session: Session, attempt_id: int, *, phase: str, done: float, total: float, rate: float, unit: str
) -> None:
    """Keep the newest progress event; `rate` is in units a second."""
    attempt = reads.attempt_by_id(session, attempt_id)
    attempt.phase, attempt.done, attempt.total, attempt.rate, attempt.unit = phase, done, total, rate, unit


def set_attempt_outcome(session: Session, attempt_id: int, outcome: Mapping[str, Any]) -> None:
    """Keep the worker's own word on how it ended."""
    reads.attempt_by_id(session, attempt_id).outcome = dict(outcome)


def set_offset(session: Session, attempt_id: int, offset: int, bad_lines: int) -> None:
    """Note up to which byte the events are stored, and how many lines in all were unreadable."""
    attempt = reads.attempt_by_id(session, attempt_id)
    attempt.ingest_offset, attempt.bad_lines = offset, bad_lines


def end_attempt(
    session: Session,
    attempt_id: int,
    *,
    now: float,
    exit_class: str,
    exit_code: int | None = None,
    exit_signal: int | None = None,
    log_tail: str = "",
    max_rss_mb: float | None = None,
) -> None:
    """Settle an attempt whose process is gone."""
    attempt = reads.attempt_by_id(session, attempt_id)
    attempt.state, attempt.ended_at = AttemptState.ENDED, now
    attempt.exit_class, attempt.exit_code, attempt.exit_signal = exit_class, exit_code, exit_signal
    attempt.log_tail, attempt.max_rss_mb = log_tail, max_rss_mb


# -------------------------------------------------------------------------------------------------------- checkpoints


def add_checkpoint(
    session: Session,
    *,
    trial_id: int,
    attempt_id: int,
    role: str,
    step: int,
    folder: str,
    sha256: str,
    size_bytes: int,
    metrics: dict[str, Any],
    now: float,
) -> Checkpoint:
    """Record a checkpoint and mark the trial's older ones of that role dropped; the same one again changes nothing."""
    known = session.exec(select(Checkpoint).where(Checkpoint.trial_id == trial_id, Checkpoint.role == role)).all()
    for one in known:
        if (one.folder, one.sha256, one.step) == (folder, sha256, step):
            return one
    for one in known:
        if one.dropped_at is None:
            one.dropped_at = now
    return _added(
        session,
        Checkpoint(
            trial_id=trial_id,
            attempt_id=attempt_id,
            role=role,
            step=step,
            folder=folder,
            sha256=sha256,
            size_bytes=size_bytes,
            metrics=metrics,
            created_at=now,
        ),
    )


def drop_checkpoint(session: Session, checkpoint_id: int, *, now: float) -> None:
    """Note that its files were removed."""
    checkpoint = session.get(Checkpoint, checkpoint_id)
    if checkpoint is not None and checkpoint.dropped_at is None:
        checkpoint.dropped_at = now


# ------------------------------------------------------------------------------------------------- requests and notices


def add_request(
    session: Session,
    *,
    who: str,
    verb: str,
    now: float,
    study_id: int | None = None,
    trial_id: int | None = None,
    arguments: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
    handled: bool = False,
    outcome: str = "",
) -> Request:
    """Record what a person asked for; `handled` when it took effect in this very transaction."""
    return _added(
        session,
        Request(
            at=now,
            who=who,
            verb=verb,
            study_id=study_id,
            trial_id=trial_id,
            arguments=arguments or {},
            before=before or {},
            handled_at=now if handled else None,
            outcome=outcome,
        ),
    )


def finish_request(session: Session, request_id: int, *, outcome: str, now: float) -> None:
    """Note that the runner honoured a request, and how."""
    request = session.get(Request, request_id)
    if request is None:
        raise NotFound(f"request {request_id} does not exist")
    request.handled_at, request.outcome = now, outcome


def add_notice(
    session: Session, *, level: str, text: str, now: float, study_id: int | None = None, trial_id: int | None = None
) -> Notice:
    """A sentence for people; level is info, warning or error."""
    return _added(session, Notice(at=now, level=level, text=text, study_id=study_id, trial_id=trial_id))


# -------------------------------------------------------------------------------------------------------------- lease


def take_lease(
    session: Session, *, host: str, pid: int, start_time: float, boot_id: str, now: float, log: str = ""
) -> Lease:
    """Put this process down as the runner. The caller holds the lock file, which alone decides."""
    return session.merge(
        Lease(
            id=1,
            host=host,
            pid=pid,
            start_time=start_time,
            boot_id=boot_id,
            acquired_at=now,
            heartbeat_at=now,
            released_at=None,
            log=log,
        )
    )


def beat_lease(session: Session, *, now: float) -> None:
    """Note that the runner is alive."""
    lease = reads.lease(session)
    if lease is not None:
        lease.heartbeat_at = now


def release_lease(session: Session, *, now: float) -> None:
    """Note that the runner left in good order."""
    lease = reads.lease(session)
    if lease is not None:
        lease.released_at = now


# ------------------------------------------------------------------------------------------------------------- models


def create_model_version(
    session: Session,
    *,
    name: str,
    trial_id: int,
    checkpoint_id: int,
    who: str,
    now: float,
    note: str = "",
    forced: bool = False,
) -> ModelVersion:
    """The next version of a model, in state verifying; versions count from 1."""
    last = session.exec(select(func.max(ModelVersion.version)).where(ModelVersion.name == name)).one()
    return _added(
        session,
        ModelVersion(
            name=name,
            version=(last or 0) + 1,
            trial_id=trial_id,
            checkpoint_id=checkpoint_id,
            who=who,
            note=note,
            forced=forced,
            created_at=now,
        ),
    )


def set_model_handle(session: Session, version_id: int, *, attempt_folder: str, handle: dict[str, Any]) -> None:
    """Keep where its verification runs and what the launcher needs to find it again."""
    version = _version(session, version_id)
    version.attempt_folder, version.handle = attempt_folder, dict(handle)


def finish_model_version(
    session: Session,
    version_id: int,
    *,
    state: str,
    now: float,
    folder: str = "",
    sha256: str = "",
    metrics: dict[str, Any] | None = None,
    report: dict[str, Any] | None = None,
    detail: str = "",
) -> bool:
    """End a verification as verified, refused or failed; False when it has already ended."""
    version = _version(session, version_id)
    if version.state != "verifying":
        return False
    version.state, version.finished_at, version.detail = state, now, detail
    version.folder, version.sha256 = folder, sha256
    version.metrics, version.report = dict(metrics or {}), dict(report or {})
    return True


def set_alias(session: Session, *, name: str, alias: str, version_id: int, now: float) -> ModelAlias:
    """Let `name@alias` stand for a version of that model; what it stood for before is remembered."""
    if _version(session, version_id).name != name:
        raise StoreError(f"version {version_id} does not belong to model {name!r}")
    found = session.get(ModelAlias, (name, alias))
    if found is None:
        return _added(session, ModelAlias(name=name, alias=alias, version_id=version_id, set_at=now))
    if found.version_id != version_id:
        found.previous_version_id, found.version_id, found.set_at = found.version_id, version_id, now
    return found


def put_alias(session: Session, *, name: str, alias: str, version_id: int | None, now: float) -> None:
    """`set_alias`, and None takes the alias away."""
    if version_id is not None:
        set_alias(session, name=name, alias=alias, version_id=version_id, now=now)
    elif (found := session.get(ModelAlias, (name, alias))) is not None:
        session.delete(found)
        session.flush()


def undo_alias(session: Session, *, name: str, alias: str, now: float) -> ModelAlias | None:
    """Let an alias stand for what it stood for before (undoing twice is a redo); None: it was new and is gone."""
    found = session.get(ModelAlias, (name, alias))
    if found is None:
        raise NotFound(f"alias {alias!r} of model {name!r} does not exist")
    if found.previous_version_id is None:
        session.delete(found)
        session.flush()
        return None
    found.previous_version_id, found.version_id, found.set_at = found.version_id, found.previous_version_id, now
    return found


def _version(session: Session, version_id: int) -> ModelVersion:
    version = session.get(ModelVersion, version_id)
    if version is None:
        raise NotFound(f"model version with id {version_id} does not exist")
    return version


def _added(session: Session, row: Row) -> Row:
    """Insert at once, so that the row has its id."""
    session.add(row)
    session.flush()
    return row
