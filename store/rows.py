"""Rows of the tables as plain values, and the states: what `reads` and `writes` return.

It knows no database: importing it takes a few milliseconds, whereas the tables in `models` need SQLAlchemy (0.4 s).

Times are Unix seconds. Dictionaries hold data that only the engine interprets; the store never looks inside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class TrialState(StrEnum):
    """Infeasible: caused by the parameters. Failed: caused by the machine or the code, and may be retried."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    STOPPED = "stopped"


class StudyState(StrEnum):
    """Stopped: requested by a user, its workers checkpointed. Paused: nothing new is launched, workers continue."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    COMPLETE = "complete"
    FAILED = "failed"


class AttemptState(StrEnum):
    RUNNING = "running"
    ENDED = "ended"


class BinState(StrEnum):
    """Going: marked but not moved yet. Binned: in the bin. Home: restored. Leaving: being removed,
    which cannot be undone. Gone: removed."""

    GOING = "going"
    BINNED = "binned"
    HOME = "home"
    LEAVING = "leaving"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class Study:
    """One search, or a collection of logged runs."""

    id: int = 0
    name: str
    kind: str = "search"
    """search, or log: runs trained elsewhere and only reported here, without a study file."""
    state: StudyState = StudyState.RUNNING
    task: str
    spec: dict[str, Any] = field(default_factory=dict)
    """The StudySpec in force, including changes made while it runs."""
    prepared: dict[str, Any] | None = None
    """Facts from the preparation: example counts, mean length, teacher metrics, shapes, cache folders."""
    diagnosis: str = ""
    """Why the runner paused or failed it; otherwise empty."""
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    busy_seconds: float = 0.0
    """Running time of the study, for budget.hours."""
    deleted_at: float | None = None
    """Set while it is in the bin and after its removal: lists, rankings and the runner ignore it."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One parameter set in a study."""

    id: int = 0
    study_id: int
    number: int
    """0, 1, 2 … in its study; the number shown to users."""
    state: TrialState = TrialState.WAITING
    origin: str = "sampler"
    """baseline, sampler, queued (by a user) or rerun; logged or imported if it was not trained here."""
    parent_id: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    """The searched parameters that are active."""
    settings: dict[str, Any] = field(default_factory=dict)
    """All settings, resolved."""
    known: dict[str, Any] = field(default_factory=dict)
    """Metrics known before training: params, size_mb, encoder_params, gflops."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """The latest scores while it runs, then the final metrics."""
    reason: str = ""
    """Class of failure: diverged, cuda_oom, host_oom, crashed, killed_by_signal_9 …"""
    detail: str = ""
    progress: float = 0.0
    failures: int = 0
    proposal_seed: int | None = None
    sampler: str = ""
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    busy_seconds: float = 0.0
    """Worker time of all attempts."""
    tags: list[str] = field(default_factory=list)
    note: str = ""
    archived: bool = False
    deleted_at: float | None = None
    """See `Study.deleted_at`; the number stays taken."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One process run of a trial or, if trial_id is empty, of a study's preparation."""

    id: int = 0
    study_id: int
    trial_id: int | None = None
    kind: str
    number: int
    """1, 2 … within its trial."""
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
    """The latest progress event."""
    outcome: dict[str, Any] = field(default_factory=dict)
    """What the worker reports: its versions, and of its end status, reason and detail."""
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
    """One named curve of a trial or, if trial_id is 0, of the preparation; holds what tables need without a scan."""

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
    """Number of points with a NaN or infinite value; they are stored as NULL and never drawn."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights on disk. `dropped_at` is set once the disk guard or the retention rule removed them."""

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
    """A user's request, with who and when. `handled_at` is empty until the runner has handled it."""

    id: int = 0
    at: float
    who: str
    verb: str
    """stop_trial, stop_study, pause, resume, rerun, queue, promote, threshold, budget, slots, range, tag, undo …"""
    study_id: int | None = None
    trial_id: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    """The replaced value, so that it can be undone."""
    handled_at: float | None = None
    outcome: str = ""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A message from the runner or a worker for the user."""

    id: int = 0
    at: float
    level: str
    study_id: int | None = None
    trial_id: int | None = None
    text: str


SECOND_MEMBER = "second_member"
"""Key of `ModelVersion.report`: trial and checkpoint, by id, of the second member of a cascade."""


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
    """Folder of the export, relative to the workspace; set once verified."""
    sha256: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    """All results of the verification: recorded and repeated scores, intervals, files."""
    forced: bool = False
    note: str = ""
    detail: str = ""
    who: str = ""
    created_at: float
    finished_at: float | None = None
    deleted_at: float | None = None
    """See `Study.deleted_at`; the version stays taken."""

    @property
    def trial_ids(self) -> tuple[int, ...]:
        """Its trial; of a cascade also that of the second member, unless that is the teacher."""
        return (self.trial_id, *((int(second["trial"]),) if (second := self.report.get(SECOND_MEMBER)) else ()))

    @property
    def checkpoint_ids(self) -> tuple[int, ...]:
        """The same for checkpoints."""
        return (
            self.checkpoint_id,
            *((int(second["checkpoint"]),) if (second := self.report.get(SECOND_MEMBER)) else ()),
        )


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
    """A folder moved by a delete or a prune, and its state. The row is authoritative; the folder follows."""

    id: int = 0
    request_id: int
    what: str
    """rows, attempt, checkpoint, model, cache or leftover."""
    path: str
    """Its original path, relative to the workspace."""
    folder: str
    """Its path in the bin, relative to the workspace."""
    size_bytes: int
    state: BinState = BinState.GOING
    expires_at: float
    """Unix seconds; after that it may be removed permanently."""


@dataclass(frozen=True, kw_only=True)
class Screened:
    """A sub-network of a study's supernet, evaluated before any trial. It is not a trial and was not trained."""

    id: int = 0
    study_id: int
    name: str
    """Its settings as text; equal texts are the same sub-network."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Those that decide which sub-network it is."""
    score: float | None = None
    """The metric that selects checkpoints, on the validation split."""
    metrics: dict[str, Any] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    """Sizes and costs, as those of a trial."""
    examples: int = 0
    """Of the validation split, as many as it was evaluated on."""
    seconds: float = 0.0
    """CPU time."""
    ruined: bool = False
    """Whether sharing ruins its layers, so that students with them start from the teacher."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The runner of this workspace (one row). The lock file is authoritative; this row is informative."""

    id: int = 1
    host: str
    pid: int
    start_time: float
    boot_id: str
    acquired_at: float
    heartbeat_at: float
    released_at: float | None = None
    log: str = ""
