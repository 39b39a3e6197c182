"""What a worker says: the events of `events.jsonl`, who writes them, and the exit codes that say the same.

Standard library only. It reads no file.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

# Exit codes of a worker. Anything else is a crash. 77 is kept for memory because a CUDA abort cannot say it in words.
EXIT_COMPLETE = 0
EXIT_CRASHED = 1
EXIT_STOPPED = 75
EXIT_DIVERGED = 76
EXIT_OUT_OF_MEMORY = 77
EXIT_REFUSED = 78
"""The spec can never work (missing file, unfit vocabulary): retrying is useless, the message is in the last notice."""


# One JSON object a line; "k" is the kind and "t" the Unix time. Further fields by kind:
STARTED = "started"
"""pid, device, params, steps (total optimiser steps), examples (total), versions {package: version}"""
METRICS_LOGGED = "metrics"
"""step (optimiser step), values {series name: float}; names are `train/…` and `search/…`; `examples` is one of them"""
PROGRESS = "progress"
"""phase (text), done, total, rate (units a second) and unit (examples, windows, steps)"""
CHECKPOINT = "checkpoint"
"""role (best, last), step, folder (absolute, real), sha256 (of model.safetensors), size_bytes, metrics {name: float}"""
RESULT = "result"
"""metrics {name: float} for a trial or promotion; for prepare also facts {…} that the study keeps"""
NOTICE = "notice"
"""level (info, warning, error), text"""
ENDED = "ended"
"""status (complete, stopped, infeasible, refused, failed), reason (short class), detail (sentence)"""
EVENT_KINDS = (STARTED, METRICS_LOGGED, PROGRESS, CHECKPOINT, RESULT, NOTICE, ENDED)

MAX_SERIES = 2000
"""Distinct series an attempt may report; more are dropped and counted, so a mistake cannot fill the database."""


class EventWriter:
    """Append events to `events.jsonl`: one write(2) a line, nothing buffered, so a kill loses no completed line."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")  # close the torn line of a process that died here before

    def emit(self, kind: str, **fields: Any) -> None:
        """Append one event. Non-finite numbers become null: JSON has no NaN and SQLite would store NULL anyway."""
        event = {"k": kind, "t": round(time.time(), 3), **fields}
        try:
            line = json.dumps(event, allow_nan=False, separators=(",", ":"))
        except ValueError:
            line = json.dumps(_finite(event), allow_nan=False, separators=(",", ":"))
        os.write(self._descriptor, line.encode() + b"\n")

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Append the values of one step."""
        self.emit(METRICS_LOGGED, step=step, values=values)

    def close(self) -> None:
        os.close(self._descriptor)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, (list, tuple)) else value


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The event in one line, or None when the line is not one of ours (the caller counts those)."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("k") not in EVENT_KINDS or not isinstance(event.get("t"), (int, float)):
        return None
    return event
