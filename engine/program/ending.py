"""How a trial of a program ended, from its exit, its word and its values. Pure.

Only what the exit code does not tell is decided here: crashes are classified by the shim from code, signal and log.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bertdistill.engine.contract.events import EXIT_COMPLETE, EXIT_CRASHED, EXIT_DIVERGED, EXIT_STOPPED

TIME_LIMIT = "time_limit"
NO_RESULT = "no_result"
INFEASIBLE = "infeasible"
MEMORY = ("cuda_oom", "host_oom")


@dataclass(frozen=True)
class Heard:
    """What is known of a program that has ended."""

    code: int | None
    """Its exit code; None if a signal ended it."""
    status: str = ""
    """Its word through `bertdistill`: complete, infeasible, pruned, stopped, failed, or none."""
    reason: str = ""
    detail: str = ""
    final: Mapping[str, float] | None = None
    """What it gave as its result."""
    logged: Mapping[str, float] | None = None
    """The newest values that it logged on its way."""
    stopped: bool = False
    """It was asked to stop."""
    late: bool = False
    """It was ended because it took too long."""
    printed: str = ""
    """What it printed last, for a message."""


@dataclass(frozen=True)
class Ending:
    """The worker's last word and exit code. Without a status, program and worker exit in the same way."""

    code: int | None
    status: str = ""
    reason: str = ""
    detail: str = ""
    metrics: Mapping[str, float] | None = None


def ending(heard: Heard, objectives: Sequence[str], *, limit: str = "") -> Ending:
    """How the trial ended. `limit` is the time that it had, in words.

    The program's word counts above its exit code, and a result above a stop that came too late. A program that was
    asked to stop has not failed, however it exits.
    """
    if heard.status == "infeasible":
        reason = heard.reason if heard.reason in MEMORY else INFEASIBLE  # a class of its own would mean nothing here
        return Ending(EXIT_DIVERGED, "infeasible", reason, heard.detail)
    if heard.code == EXIT_DIVERGED:
        return Ending(EXIT_DIVERGED, "infeasible", INFEASIBLE, heard.detail or heard.printed)
    if heard.status == "pruned":
        return Ending(EXIT_COMPLETE, "pruned", heard.reason or "pruned", heard.detail)
    ended_well = heard.status == "complete" or (not heard.status and heard.code == EXIT_COMPLETE)
    values = dict(heard.final or {}) if heard.stopped or heard.late else {**(heard.logged or {}), **(heard.final or {})}
    missing = [name for name in objectives if name not in values]
    if ended_well and not missing:
        return _judged(values, objectives)
    if heard.late:
        return Ending(EXIT_DIVERGED, "infeasible", TIME_LIMIT, f"it took longer than {limit}")
    if heard.stopped or heard.status == "stopped" or heard.code == EXIT_STOPPED:
        return Ending(EXIT_STOPPED, "stopped", "stopped", heard.detail)
    if ended_well:
        return Ending(EXIT_COMPLETE, "failed", NO_RESULT, _no_value(missing, heard.printed))
    if heard.status == "failed" and heard.code is not None:
        return Ending(heard.code or EXIT_CRASHED, "failed", heard.reason or "crashed", heard.detail)
    return Ending(heard.code)


def _judged(values: Mapping[str, float], objectives: Sequence[str]) -> Ending:
    endless = [name for name in objectives if not math.isfinite(values[name])]
    if endless:
        detail = f"{endless[0]} is {values[endless[0]]}"
        return Ending(EXIT_DIVERGED, "infeasible", "diverged", detail, values)
    return Ending(EXIT_COMPLETE, "complete", metrics=values)


def _no_value(missing: Sequence[str], printed: str) -> str:
    shown = f"it printed last: {printed}" if printed else "it printed nothing"
    return f"no value for {', '.join(missing)}; {shown}"
