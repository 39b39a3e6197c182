"""All INSERTs and UPDATEs, and the table of allowed state transitions. It starts and ends no transactions.

Each function takes the session of `Database.write`, so everything in one `with` block is atomic. It returns
a snapshot of the row; later writes do not change it.
Points of curves are stored in `metrics` and re-exported here. Over 400 lines because it is a flat list of short
functions, grouped by table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bertdistill.store import reads
from bertdistill.store.errors import NotFound, StoreError
from bertdistill.store.metrics import store_all, store_points
from bertdistill.store.rows import (
    SECOND_MEMBER,
    Attempt,
    AttemptState,
    Binned,
    BinState,
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

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

__all__ = [
    "FINAL",
    "MOVES",
    "Reported",
    "Standing",
    "add_attempt_outcome",
    "add_binned",
    "add_checkpoint",
    "add_notice",
    "add_request",
    "add_screened",
    "add_study_seconds",
    "add_trial_failure",
    "add_trial_seconds",
    "beat_lease",
    "create_attempt",
    "create_model_version",
    "create_study",
    "create_trial",
    "delete_points",
    "drop_checkpoint",
    "edit_trial",
    "end_attempt",
    "finish_model_version",
    "finish_request",
    "mark_deleted",
    "move_binned",
    "put_alias",
    "release_lease",
    "reopen_logged",
    "restate_imported",
    "restore_checkpoint",
    "set_alias",
    "set_attempt_handle",
    "set_attempt_progress",
    "set_attempt_stop_reason",
    "set_attempts_reported",
    "set_model_handle",
    "set_prepared",
    "set_standings",
    "set_study_spec",
    "set_study_state",
    "set_trial_metrics",
    "set_trial_state",
    "store_all",
    "store_points",
    "take_lease",
    "undo_alias",
]

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
"""Allowed next states of each state. Failed and stopped trials wait again on a retry or a user's request."""
FINAL = frozenset({_S.COMPLETE, _S.PRUNED, _S.INFEASIBLE, _S.FAILED, _S.STOPPED})


# ------------------------------------------------------------------------------------------------------------ studies


def create_study(
    session: Writing,
    *,
    name: str,
    task: str,
    spec: dict[str, Any],
    now: float,
    kind: str = "search",
    state: StudyState = StudyState.RUNNING,
) -> Study:
    """A new study; StoreError if the name is taken."""
    if session.rows("SELECT id FROM study WHERE name = ? AND deleted_at IS NULL", name):
        raise StoreError(f"study {name!r} already exists", hint="Choose another name, or resume that study.")
    return session.insert(Study(name=name, kind=kind, task=task, spec=spec, state=state, created_at=now))


def set_study_state(session: Writing, study_id: int, state: StudyState, *, now: float, diagnosis: str = "") -> None:
    """Set the state and its reason (or empty); records the first start and the end."""
    started = reads.study_by_id(session, study_id).started_at
    session.change(
        Study,
        study_id,
        state=state,
        diagnosis=diagnosis,
        started_at=now if state == StudyState.RUNNING and started is None else started,
        finished_at=now if state in (StudyState.COMPLETE, StudyState.FAILED, StudyState.STOPPED) else None,
    )


def set_prepared(session: Writing, study_id: int, facts: dict[str, Any]) -> None:
    """Store the facts of the preparation."""
    session.change(Study, study_id, prepared=dict(facts))


def set_study_spec(session: Writing, study_id: int, spec: dict[str, Any]) -> None:
    """Replace the spec in force."""
    session.change(Study, study_id, spec=dict(spec))


def add_study_seconds(session: Writing, study_id: int, seconds: float) -> None:
    """Add to the running time of the study."""
    spent = reads.study_by_id(session, study_id).busy_seconds
    session.change(Study, study_id, busy_seconds=spent + seconds)


# ------------------------------------------------------------------------------------------------------------- trials


def create_trial(
    session: Writing,
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
    """The next trial of a study; numbers count from 0 without gaps."""
    [(last,)] = session.rows("SELECT max(number) FROM trial WHERE study_id = ?", study_id)
    return session.insert(
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
    session: Writing, trial_id: int, state: TrialState, *, now: float, reason: str = "", detail: str = ""
) -> bool:
    """Make an allowed transition (see MOVES) and record its time, reason and detail; False if it is not allowed."""
    trial = reads.trial_by_id(session, trial_id)
    if state not in MOVES[trial.state]:
        return False
    revived = trial.state == TrialState.FAILED and state == TrialState.WAITING  # by a user: its retries restart
    session.change(
        Trial,
        trial_id,
        state=state,
        reason=reason,
        detail=detail,
        failures=0 if revived else trial.failures,
        started_at=now if state == TrialState.RUNNING and trial.started_at is None else trial.started_at,
        progress=1.0 if state == TrialState.COMPLETE else trial.progress,
        finished_at=now if state in FINAL else None,
    )
    return True


def reopen_logged(session: Writing, trial_id: int) -> None:
    """A run that logs itself was resumed by its own program, whatever its end was: it runs again."""
    trial = reads.trial_by_id(session, trial_id)
    if trial.state != TrialState.RUNNING:
        session.change(Trial, trial_id, state=TrialState.RUNNING, reason="", detail="", finished_at=None)


def restate_imported(
    session: Writing,
    trial_id: int,
    *,
    state: TrialState,
    reason: str,
    detail: str,
    params: dict[str, Any],
    settings: dict[str, Any],
    started_at: float | None,
    finished_at: float | None,
) -> None:
    """Store what the source of an imported run says of it now, whatever it said before."""
    session.change(
        Trial,
        trial_id,
        state=state,
        reason=reason,
        detail=detail,
        params=params,
        settings=settings,
        progress=1.0 if state == TrialState.COMPLETE else 0.0,
        started_at=started_at,
        finished_at=finished_at,
        busy_seconds=max(0.0, (finished_at or 0.0) - (started_at or 0.0)) if started_at and finished_at else 0.0,
    )


def set_trial_metrics(
    session: Writing, trial_id: int, metrics: Mapping[str, Any], *, progress: float | None = None
) -> None:
    """Replace the metrics, and the progress (0 to 1) if given."""
    given = {} if progress is None else {"progress": progress}
    session.change(Trial, trial_id, metrics=dict(metrics), **given)


@dataclass(frozen=True)
class Standing:
    """The state of a running trial: metrics newer than the stored ones, and the fraction of its training (0 to 1)."""

    trial_id: int
    scores: Mapping[str, float | None] = field(default_factory=dict)
    progress: float | None = None


def set_standings(session: Writing, standings: Sequence[Standing]) -> None:
    """Store the state of trials that are still running."""
    running = "id = ? AND state = 'RUNNING'"
    session.run(
        f"UPDATE trial SET progress = ? WHERE {running}",
        [(one.progress, one.trial_id) for one in standings if one.progress is not None],
    )
    for one in standings:
        if one.scores and (found := session.rows(f"SELECT metrics FROM trial WHERE {running}", one.trial_id)):
            merged = json.dumps({**json.loads(found[0][0]), **one.scores}, allow_nan=False, separators=(",", ":"))
            session.run("UPDATE trial SET metrics = ? WHERE id = ?", [(merged, one.trial_id)])


def add_trial_failure(session: Writing, trial_id: int) -> int:
    """Count one more failed attempt; returns the new count."""
    return session.change(Trial, trial_id, failures=reads.trial_by_id(session, trial_id).failures + 1).failures


def add_trial_seconds(session: Writing, trial_id: int, seconds: float) -> None:
    """Add worker time."""
    spent = reads.trial_by_id(session, trial_id).busy_seconds
    session.change(Trial, trial_id, busy_seconds=spent + seconds)


def edit_trial(
    session: Writing,
    trial_id: int,
    *,
    note: str | None = None,
    tags: Sequence[str] | None = None,
    archived: bool | None = None,
) -> None:
    """Change the user's annotations of a trial; None leaves a field unchanged."""
    given = {"note": note, "tags": None if tags is None else list(tags), "archived": archived}
    session.change(Trial, trial_id, **{name: value for name, value in given.items() if value is not None})


# ----------------------------------------------------------------------------------------------------------- attempts


def create_attempt(
    session: Writing,
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
    if reads.study_by_id(session, study_id).started_at is None:
        session.change(Study, study_id, started_at=now)
    number = reads.next_attempt_number(session, study_id=study_id, trial_id=trial_id, kind=kind)
    return session.insert(
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


def set_attempt_handle(session: Writing, attempt_id: int, handle: dict[str, Any]) -> None:
    """Store what the launcher needs to find the attempt again."""
    session.change(Attempt, attempt_id, handle=dict(handle))


def set_attempt_stop_reason(session: Writing, attempt_id: int, reason: str) -> None:
    """Record why the runner asked it to stop."""
    session.change(Attempt, attempt_id, stop_reason=reason)


def set_attempt_progress(session: Writing, attempt_id: int, **progress: Any) -> None:
    """The latest progress of one attempt (see `Reported`), without changing its offset."""
    session.change(Attempt, attempt_id, **progress)


@dataclass(frozen=True)
class Reported:
    """What an attempt has reported: up to which byte its events are stored, how many lines were unreadable, and
    its latest progress (phase, done, total, rate in units per second, unit), if there is a newer one."""

    attempt_id: int
    offset: int
    bad_lines: int = 0
    progress: Mapping[str, Any] | None = None


def set_attempts_reported(session: Writing, reported: Sequence[Reported]) -> None:
    """Store what attempts reported."""
    session.run(
        "UPDATE attempt SET ingest_offset = ?, bad_lines = ? WHERE id = ?",
        [(one.offset, one.bad_lines, one.attempt_id) for one in reported],
    )
    names = ("phase", "done", "total", "rate", "unit")
    session.run(
        "UPDATE attempt SET phase = ?, done = ?, total = ?, rate = ?, unit = ? WHERE id = ?",
        [(*(one.progress[name] for name in names), one.attempt_id) for one in reported if one.progress is not None],
    )


def add_attempt_outcome(session: Writing, attempt_id: int, outcome: Mapping[str, Any]) -> None:
    """Store what the worker itself reports of its versions and of how it ended."""
    session.change(Attempt, attempt_id, outcome={**reads.attempt_by_id(session, attempt_id).outcome, **outcome})


def end_attempt(
    session: Writing,
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
    session.change(
        Attempt,
        attempt_id,
        state=AttemptState.ENDED,
        ended_at=now,
        exit_class=exit_class,
        exit_code=exit_code,
        exit_signal=exit_signal,
        log_tail=log_tail,
        max_rss_mb=max_rss_mb,
    )


# -------------------------------------------------------------------------------------------------------- checkpoints


def add_checkpoint(
    session: Writing,
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
    """Record a checkpoint and mark the trial's older ones of that role as dropped; idempotent."""
    known = [one for one in reads.checkpoints(session, trial_id, dropped=True) if one.role == role]
    for one in known:
        if (one.folder, one.sha256, one.step) == (folder, sha256, step):
            return one
    for one in known:
        drop_checkpoint(session, one.id, now=now)
    return session.insert(
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


def drop_checkpoint(session: Writing, checkpoint_id: int, *, now: float) -> None:
    """Record that its files were removed."""
    if session.rows("SELECT 1 FROM checkpoint WHERE id = ? AND dropped_at IS NULL", checkpoint_id):
        session.change(Checkpoint, checkpoint_id, dropped_at=now)


def restore_checkpoint(session: Writing, checkpoint_id: int) -> None:
    """Record that its files are restored."""
    session.change(Checkpoint, checkpoint_id, dropped_at=None)


def add_screened(session: Writing, study_id: int, found: Sequence[Mapping[str, Any]]) -> None:
    """Store evaluated sub-networks, each with the fields of `Screened`; one that is there already is replaced."""
    texts, numbers = ("settings", "metrics", "known"), ("score", "examples", "seconds", "ruined")
    session.run(
        "INSERT INTO screened (study_id, name, settings, metrics, known, score, examples, seconds, ruined)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (study_id, name) DO UPDATE SET settings = excluded.settings,"
        " metrics = excluded.metrics, known = excluded.known, score = excluded.score, examples = excluded.examples,"
        " seconds = excluded.seconds, ruined = excluded.ruined",
        [
            (
                study_id,
                json.dumps(one["settings"], sort_keys=True),
                *(_compact(one[name]) for name in texts),
                *(one[name] for name in numbers),
            )
            for one in found
        ],
    )


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


# ----------------------------------------------------------------------------------------------------- deletion and bin


def mark_deleted(session: Writing, kind: type[Study | Trial | ModelVersion], row_id: int, at: float | None) -> None:
    """Hide a study, trial or model version from all lists; None restores it."""
    session.change(kind, row_id, deleted_at=at)


def add_binned(
    session: Writing, *, request_id: int, what: str, path: str, folder: str, size_bytes: int, expires_at: float
) -> Binned:
    """Record that a folder will be moved to the bin."""
    return session.insert(
        Binned(request_id=request_id, what=what, path=path, folder=folder, size_bytes=size_bytes, expires_at=expires_at)
    )


def move_binned(session: Writing, binned_id: int, state: BinState) -> None:
    """Record the state of a folder in the bin."""
    session.change(Binned, binned_id, state=state)


def delete_points(session: Writing, study_id: int, trial_id: int | None = None, *, most: int) -> bool:
    """Remove curves (of one trial, or of the whole study), at most `most` points at once; False if none are left."""
    query = "SELECT id FROM series WHERE study_id = ? AND trial_id = coalesce(?, trial_id) LIMIT 1"
    found = session.rows(query, study_id, trial_id)
    if not found:
        return False
    [(series_id,)] = found
    chosen = "SELECT step FROM metric WHERE series_id = ? LIMIT ?"
    session.run(f"DELETE FROM metric WHERE series_id = ? AND step IN ({chosen})", [(series_id, series_id, most)])
    if not session.rows("SELECT 1 FROM metric WHERE series_id = ? LIMIT 1", series_id):
        session.run("DELETE FROM metric_rollup WHERE series_id = ?", [(series_id,)])
        session.run("DELETE FROM series WHERE id = ?", [(series_id,)])
    return True


# ------------------------------------------------------------------------------------------------- requests and notices


def add_request(
    session: Writing,
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
    """Record a user's request; `handled` if it takes effect in this same transaction."""
    return session.insert(
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


def finish_request(session: Writing, request_id: int, *, outcome: str, now: float) -> Request:
    """Record that the runner handled a request, and how."""
    return session.change(Request, request_id, handled_at=now, outcome=outcome)


def add_notice(
    session: Writing, *, level: str, text: str, now: float, study_id: int | None = None, trial_id: int | None = None
) -> Notice:
    """Add a notice for the user; level is info, warning or error."""
    return session.insert(Notice(at=now, level=level, text=text, study_id=study_id, trial_id=trial_id))


# -------------------------------------------------------------------------------------------------------------- lease


def take_lease(
    session: Writing, *, host: str, pid: int, start_time: float, boot_id: str, now: float, log: str = ""
) -> Lease:
    """Record this process as the runner. The caller holds the lock file, which is authoritative."""
    session.delete_row(Lease, 1)
    return session.insert(
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


def beat_lease(session: Writing, *, now: float) -> None:
    """Record that the runner is alive."""
    if reads.lease(session) is not None:
        session.change(Lease, 1, heartbeat_at=now)


def release_lease(session: Writing, *, now: float) -> None:
    """Record that the runner exited cleanly."""
    if reads.lease(session) is not None:
        session.change(Lease, 1, released_at=now)


# ------------------------------------------------------------------------------------------------------------- models


def create_model_version(
    session: Writing,
    *,
    name: str,
    trial_id: int,
    checkpoint_id: int,
    who: str,
    now: float,
    note: str = "",
    forced: bool = False,
    second: tuple[int, int] | None = None,
) -> ModelVersion:
    """The next version of a model, in state verifying; versions count from 1.

    `second` are trial and checkpoint of the second member of a cascade, if that is a trial.
    """
    [(last,)] = session.rows("SELECT max(version) FROM model_version WHERE name = ?", name)
    return session.insert(
        ModelVersion(
            name=name,
            version=(last or 0) + 1,
            trial_id=trial_id,
            checkpoint_id=checkpoint_id,
            who=who,
            note=note,
            forced=forced,
            created_at=now,
            report={} if second is None else {SECOND_MEMBER: {"trial": second[0], "checkpoint": second[1]}},
        ),
    )


def set_model_handle(session: Writing, version_id: int, *, attempt_folder: str, handle: dict[str, Any]) -> None:
    """Store where its verification runs and what the launcher needs to find it again."""
    session.change(ModelVersion, version_id, attempt_folder=attempt_folder, handle=dict(handle))


def finish_model_version(
    session: Writing,
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
    """End a verification as verified, refused or failed; False if it has already ended."""
    known = reads.model_version_by_id(session, version_id)
    if known.state != "verifying":
        return False
    kept = {SECOND_MEMBER: known.report[SECOND_MEMBER]} if SECOND_MEMBER in known.report else {}
    session.change(
        ModelVersion,
        version_id,
        state=state,
        finished_at=now,
        detail=detail,
        folder=folder,
        sha256=sha256,
        metrics=dict(metrics or {}),
        report=dict(report or {}) | kept,
    )
    return True


def set_alias(session: Writing, *, name: str, alias: str, version_id: int, now: float) -> ModelAlias:
    """Point `name@alias` to a version of that model; the previous version is remembered."""
    if reads.model_version_by_id(session, version_id).name != name:
        raise StoreError(f"version {version_id} does not belong to model {name!r}")
    found = _alias(session, name, alias)
    if found is None:
        return session.insert(ModelAlias(name=name, alias=alias, version_id=version_id, set_at=now))
    if found.version_id == version_id:
        return found
    return _move_alias(session, found, version_id, now)


def put_alias(session: Writing, *, name: str, alias: str, version_id: int | None, now: float) -> None:
    """Like `set_alias`; None removes the alias."""
    if version_id is not None:
        set_alias(session, name=name, alias=alias, version_id=version_id, now=now)
    else:
        session.delete_row(ModelAlias, (name, alias))


def undo_alias(session: Writing, *, name: str, alias: str, now: float) -> ModelAlias | None:
    """Point an alias to its previous version again (undoing twice is a redo); None if it was new and is removed."""
    found = _alias(session, name, alias)
    if found is None:
        raise NotFound(f"alias {alias!r} of model {name!r} does not exist")
    if found.previous_version_id is None:
        session.delete_row(ModelAlias, (name, alias))
        return None
    return _move_alias(session, found, found.previous_version_id, now)


def _alias(session: Writing, name: str, alias: str) -> ModelAlias | None:
    return next((one for one in reads.aliases(session, name) if one.alias == alias), None)


def _move_alias(session: Writing, found: ModelAlias, version_id: int, now: float) -> ModelAlias:
    changes = {"version_id": version_id, "previous_version_id": found.version_id, "set_at": now}
    return session.change(ModelAlias, (found.name, found.alias), **changes)
