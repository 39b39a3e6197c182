"""The tables as SQLModel classes. No queries and no rules: those are in `reads` and `writes`.

This is the schema; tests compare the other places with it: the revision files (from an empty file and from every
release), the value classes of `rows` (same names, order and defaults; every table except the two of points), and each
statement of `reads`, `writes` and `metrics` (SQLite prepares it). What a column means is in `rows`. `docs/tables.md` is
generated from both.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Index, String, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from bertdistill.store.rows import AttemptState, BinState, StudyState, TrialState


def _json(default: Any = None) -> Any:
    return Field(default_factory=default or dict, sa_column=Column(JSON, nullable=False))


class Study(SQLModel, table=True):
    """One search, or a collection of logged runs. A name is free again once its study is deleted."""

    __table_args__ = (Index("ix_study_name", "name", unique=True, sqlite_where=text("deleted_at IS NULL")),)

    id: int | None = Field(default=None, primary_key=True)
    name: str
    kind: str = Field(default="search", sa_column=Column(String, nullable=False, server_default="search"))
    state: StudyState = Field(default=StudyState.RUNNING)
    task: str
    spec: dict[str, Any] = _json()
    prepared: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    diagnosis: str = ""
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    busy_seconds: float = 0.0
    deleted_at: float | None = None


class Trial(SQLModel, table=True):
    """One parameter set in a study."""

    __table_args__ = (UniqueConstraint("study_id", "number"), Index("trial_by_state", "study_id", "state"))

    id: int | None = Field(default=None, primary_key=True)
    study_id: int = Field(foreign_key="study.id")
    number: int
    state: TrialState = Field(default=TrialState.WAITING)
    origin: str = "sampler"
    parent_id: int | None = Field(default=None, foreign_key="trial.id")
    params: dict[str, Any] = _json()
    settings: dict[str, Any] = _json()
    known: dict[str, Any] = _json()
    metrics: dict[str, Any] = _json()
    reason: str = ""
    detail: str = ""
    progress: float = 0.0
    failures: int = 0
    proposal_seed: int | None = None
    sampler: str = ""
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    busy_seconds: float = 0.0
    tags: list[str] = _json(list)
    note: str = ""
    archived: bool = False
    deleted_at: float | None = None


class Attempt(SQLModel, table=True):
    """One process run of a trial or, if trial_id is empty, of a study's preparation."""

    id: int | None = Field(default=None, primary_key=True)
    study_id: int = Field(foreign_key="study.id", index=True)
    trial_id: int | None = Field(default=None, foreign_key="trial.id", index=True)
    kind: str
    number: int
    folder: str = Field(index=True)
    state: AttemptState = Field(default=AttemptState.RUNNING, index=True)
    slot: str = ""
    handle: dict[str, Any] = _json()
    ingest_offset: int = 0
    bad_lines: int = 0
    phase: str = ""
    done: float = 0.0
    total: float = 0.0
    rate: float = 0.0
    unit: str = ""
    outcome: dict[str, Any] = _json()
    exit_class: str = ""
    exit_code: int | None = None
    exit_signal: int | None = None
    log_tail: str = ""
    max_rss_mb: float | None = None
    stop_reason: str = ""
    started_at: float
    ended_at: float | None = None


class Series(SQLModel, table=True):
    """One named curve of a trial or, if trial_id is 0, of the preparation; holds what tables need without a scan."""

    __table_args__ = (UniqueConstraint("study_id", "trial_id", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    study_id: int = Field(foreign_key="study.id")
    trial_id: int = 0
    name: str
    points: int = 0
    last_step: int | None = None
    last_value: float | None = None
    min_value: float | None = None
    max_value: float | None = None
    not_finite: int = 0


class MetricPoint(SQLModel, table=True):
    """One value. Clustered on (series, step), so a repeated line replaces itself."""

    __tablename__ = "metric"
    __table_args__ = {"sqlite_with_rowid": False}

    series_id: int = Field(primary_key=True, foreign_key="series.id")
    step: int = Field(primary_key=True)
    value: float | None = None
    time: float


class MetricRollup(SQLModel, table=True):
    """Summary of the points with step // 1000 == bucket, so that a long curve can be read without its points."""

    __tablename__ = "metric_rollup"
    __table_args__ = {"sqlite_with_rowid": False}

    series_id: int = Field(primary_key=True, foreign_key="series.id")
    bucket: int = Field(primary_key=True)
    points: int
    """Number of finite values, so that the mean is sum_value / points."""
    not_finite: int = 0
    min_value: float | None = None
    max_value: float | None = None
    sum_value: float
    last_value: float | None = None
    last_time: float


class Checkpoint(SQLModel, table=True):
    """Weights on disk. `dropped_at` is set once the disk guard or the retention rule removed them."""

    id: int | None = Field(default=None, primary_key=True)
    trial_id: int = Field(foreign_key="trial.id", index=True)
    attempt_id: int = Field(foreign_key="attempt.id")
    role: str
    step: int
    folder: str
    sha256: str
    size_bytes: int
    metrics: dict[str, Any] = _json()
    created_at: float
    dropped_at: float | None = None


class Request(SQLModel, table=True):
    """A user's request, with who and when. `handled_at` is empty until the runner has handled it."""

    id: int | None = Field(default=None, primary_key=True)
    at: float
    who: str
    verb: str
    study_id: int | None = Field(default=None, foreign_key="study.id", index=True)
    trial_id: int | None = Field(default=None, foreign_key="trial.id")
    arguments: dict[str, Any] = _json()
    before: dict[str, Any] = _json()
    handled_at: float | None = Field(default=None, index=True)
    outcome: str = ""


class Notice(SQLModel, table=True):
    """A message from the runner or a worker for the user."""

    id: int | None = Field(default=None, primary_key=True)
    at: float
    level: str
    study_id: int | None = Field(default=None, foreign_key="study.id", index=True)
    trial_id: int | None = Field(default=None, foreign_key="trial.id")
    text: str


class ModelVersion(SQLModel, table=True):
    """A promoted checkpoint."""

    __tablename__ = "model_version"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True)
    version: int
    state: str = "verifying"
    trial_id: int = Field(foreign_key="trial.id")
    checkpoint_id: int = Field(foreign_key="checkpoint.id")
    attempt_folder: str = ""
    handle: dict[str, Any] = _json()
    folder: str = ""
    sha256: str = ""
    metrics: dict[str, Any] = _json()
    report: dict[str, Any] = _json()
    forced: bool = False
    note: str = ""
    detail: str = ""
    who: str = ""
    created_at: float
    finished_at: float | None = None
    deleted_at: float | None = None


class ModelAlias(SQLModel, table=True):
    """A movable name such as `production` for one version of a model."""

    __tablename__ = "model_alias"

    name: str = Field(primary_key=True)
    alias: str = Field(primary_key=True)
    version_id: int = Field(foreign_key="model_version.id")
    previous_version_id: int | None = None
    set_at: float


class Binned(SQLModel, table=True):
    """A folder in the bin, or being moved there or away."""

    id: int | None = Field(default=None, primary_key=True)
    request_id: int = Field(foreign_key="request.id", index=True)
    what: str
    path: str
    folder: str
    size_bytes: int
    state: BinState = Field(default=BinState.GOING, index=True)
    expires_at: float


class Screened(SQLModel, table=True):
    """A sub-network of a study's supernet, evaluated before any trial. It is not a trial and was not trained."""

    __table_args__ = (UniqueConstraint("study_id", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    study_id: int = Field(foreign_key="study.id")
    name: str
    settings: dict[str, Any] = _json()
    score: float | None = None
    metrics: dict[str, Any] = _json()
    known: dict[str, Any] = _json()
    examples: int = 0
    seconds: float = 0.0
    ruined: bool = False


class Lease(SQLModel, table=True):
    """The runner of this workspace (one row). The lock file is authoritative; this row is informative."""

    id: int = Field(default=1, primary_key=True)
    host: str
    pid: int
    start_time: float
    boot_id: str
    acquired_at: float
    heartbeat_at: float
    released_at: float | None = None
    log: str = ""
