"""Rows of the tables as plain values, and the words for states: what reads and writes hand out.

It knows no database: importing it costs some milliseconds, where the tables in `models` need SQLAlchemy (0.4 s).

Times are Unix seconds. Dictionaries hold what only the engine understands; the store never looks inside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class TrialState(StrEnum):
    """Infeasible: the parameters caused it. Failed: the machine or the code did, and it may be retried."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    STOPPED = "stopped"


class StudyState(StrEnum):
    """Stopped: asked for by a person, its workers checkpointed. Paused: nothing new is launched, workers continue."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    COMPLETE = "complete"
    FAILED = "failed"


class AttemptState(StrEnum):
    RUNNING = "running"
    ENDED = "ended"


class BinState(StrEnum):
    """Going: marked, not yet moved. Binned: it is in the bin. Home: it was brought back. Leaving: it is being removed,
    and nothing brings it back. Gone: it was removed."""

    GOING = "going"
    BINNED = "binned"
    HOME = "home"
    LEAVING = "leaving"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class Study:
    """One search, or a collection of runs that were logged."""

    id: int = 0
    name: str
    kind: str = "search"
    """search, or log: runs that somebody else trained and only reports here, without a study file."""
    state: StudyState = StudyState.RUNNING
    task: str
    spec: dict[str, Any] = field(default_factory=dict)
    """The StudySpec in force, changes made while it runs included."""
    prepared: dict[str, Any] | None = None
    """Facts from the prepare attempt: example counts, mean length, teacher metrics, shapes, cache folders."""
    diagnosis: str = ""
    """Why the runner paused or failed it; empty otherwise."""
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    busy_seconds: float = 0.0
    """Time with the study running, for budget.hours."""
    deleted_at: float | None = None
    """Set while it is in the bin, and when it has left it: lists, ranking and the runner do not see it."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One parameter set in a study."""

    id: int = 0
    study_id: int
    number: int
    """0, 1, 2 … in its study; people know it by this number."""
    state: TrialState = TrialState.WAITING
    origin: str = "sampler"
    """baseline, sampler, queued (by a person) or rerun."""
    parent_id: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    """The searched parameters that are active."""
    settings: dict[str, Any] = field(default_factory=dict)
    """All settings, resolved."""
    known: dict[str, Any] = field(default_factory=dict)
    """Metrics known before training: params, size_mb, encoder_params, gflops."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """The newest scores while it runs, the final metrics afterwards."""
    reason: str = ""
    """Class of a bad end: diverged, cuda_oom, host_oom, crashed, killed_by_signal_9 …"""
    detail: str = ""
    progress: float = 0.0
    failures: int = 0
    proposal_seed: int | None = None
    sampler: str = ""
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    busy_seconds: float = 0.0
    """Worker time over all attempts."""
    tags: list[str] = field(default_factory=list)
    note: str = ""
    archived: bool = False
    deleted_at: float | None = None
    """See `Study.deleted_at`; the number stays taken."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One process run: of a trial, or (trial_id empty) of the preparation of a study."""

    id: int = 0
    study_id: int
    trial_id: int | None = None
    kind: str
    number: int
    """1, 2 … for its trial."""
    folder: str
    """Relative to the workspace."""
    state: AttemptState = AttemptState.RUNNING
    slot: str = ""
    handle: dict[str, Any] = field(default_factory=dict)
    """What the launcher needs to find the attempt again."""
    ingest_offset: int = 0
    bad_lines: int = 0
    phase: str = ""
    done: float = 0.0
    total: float = 0.0
    rate: float = 0.0
    unit: str = ""
    """The newest progress event."""
    outcome: dict[str, Any] = field(default_factory=dict)
    """The ended event: status, reason, detail."""
    exit_class: str = ""
    exit_code: int | None = None
    exit_signal: int | None = None
    log_tail: str = ""
    max_rss_mb: float | None = None
    stop_reason: str = ""
    """Why the runner asked it to stop: study, trial, pruned, runner, slots."""
    started_at: float
    ended_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Series:
    """One named curve of a trial, or (trial_id 0) of the preparation; carries what tables need without a scan."""

    id: int = 0
    study_id: int
    trial_id: int = 0
    name: str
    points: int = 0
    last_step: int | None = None
    last_value: float | None = None
    min_value: float | None = None
    max_value: float | None = None
    not_finite: int = 0
    """Points whose value was NaN or infinite; they are stored as NULL and never drawn."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights on disk. `dropped_at` is set when the disk guard or the retention rule removed them."""

    id: int = 0
    trial_id: int
    attempt_id: int
    role: str
    """best or last."""
    step: int
    folder: str
    """Relative to the workspace."""
    sha256: str
    size_bytes: int
    metrics: dict[str, Any] = field(default_factory=dict)
    created_at: float
    dropped_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person asked for, with who and when. `handled_at` is empty while the runner has still to honour it."""

    id: int = 0
    at: float
    who: str
    verb: str
    """stop_trial, stop_study, pause, resume, rerun, queue, promote, threshold, budget, slots, range, tag, undo …"""
    study_id: int | None = None
    trial_id: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    """What it replaced, so that it can be undone."""
    handled_at: float | None = None
    outcome: str = ""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A sentence from the runner or a worker that a person should see."""

    id: int = 0
    at: float
    level: str
    study_id: int | None = None
    trial_id: int | None = None
    text: str


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A promoted checkpoint."""

    id: int = 0
    name: str
    version: int
    state: str = "verifying"
    """verifying, verified, refused or failed."""
    trial_id: int
    checkpoint_id: int
    attempt_folder: str = ""
    handle: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    """Of the export, relative to the workspace; set when verified."""
    sha256: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    """Everything that the verification found: recorded and repeated scores, interval, files."""
    forced: bool = False
    note: str = ""
    detail: str = ""
    who: str = ""
    created_at: float
    finished_at: float | None = None
    deleted_at: float | None = None
    """See `Study.deleted_at`; the version stays taken."""


@dataclass(frozen=True, kw_only=True)
class ModelAlias:
    """A movable name such as `production` for one version of a model."""

    name: str
    alias: str
    version_id: int
    previous_version_id: int | None = None
    set_at: float


@dataclass(frozen=True, kw_only=True)
class Binned:
    """A folder that a delete or a prune took away, and how far it has got. The row decides; the folder follows."""

    id: int = 0
    request_id: int
    what: str
    """attempt, checkpoint, model, cache or leftover."""
    path: str
    """Where it was, relative to the workspace."""
    folder: str
    """Where it is kept meanwhile, relative to the workspace."""
    size_bytes: int
    state: BinState = BinState.GOING
    expires_at: float
    """Unix seconds; afterwards it may be removed for good."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """Who is the runner of this workspace (one row). The lock file decides; this row tells people."""

    id: int = 1
    host: str
    pid: int
    start_time: float
    boot_id: str
    acquired_at: float
    heartbeat_at: float
    released_at: float | None = None
    log: str = ""
