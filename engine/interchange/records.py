"""A study of runs as no tracker in particular stores it: what importers yield and exporters write.

Values only. It reads and writes no file, and knows neither the database nor another tracker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bertdistill.engine.contract.logged import Scalar
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.store.rows import TrialState

UNFINISHED = "unfinished"
"""Reason of a run that has not ended according to its source: it is stored as stopped, for no process is followed."""


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """A study, an experiment, a project or a folder of runs."""

    name: str
    """As its own tracker calls it: any text."""
    objectives: tuple[Objective, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A trial or a run, without its curves. Names and texts are as they were found, however long or hostile."""

    key: str
    """Tells it from every other run of this tracker, also of other files, whenever it is read; never shown."""
    name: str = ""
    """What people call it there; empty if that is only a number."""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    """What else is known of it and was not chosen: host, user, version."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Final values; None is not a finite number."""
    state: TrialState = TrialState.COMPLETE
    reason: str = ""
    """Class of its end, as in `Trial.reason`; empty if complete."""
    detail: str = ""
    started_at: float | None = None
    """Unix time, as is the end."""
    ended_at: float | None = None
    tags: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Curve:
    """Points of one metric of one run, all of them or the next ones: three columns of equal length."""

    name: str
    steps: Sequence[int]
    values: Sequence[float | None]
    """None, NaN and infinite values are points without a number."""
    times: Sequence[float]
    """Unix time of each point; 0 where the source has none."""
