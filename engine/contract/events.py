"""What a worker reports: the events in `events.jsonl`, their writer, and the matching exit codes.

Standard library only. It reads no files.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

# Exit codes of a worker. Anything else is a crash. 77 means out of memory: a CUDA abort emits no event.
EXIT_COMPLETE = 0
EXIT_CRASHED = 1
EXIT_STOPPED = 75
EXIT_DIVERGED = 76
EXIT_OUT_OF_MEMORY = 77
EXIT_REFUSED = 78
"""The spec can never work (missing file, wrong vocabulary): retrying is useless; the last notice gives the reason."""


# One JSON object per line; "k" is the kind and "t" the Unix time. Other fields, by kind:
STARTED = "started"
"""pid, device, params, steps (total optimiser steps), examples (total), versions {package: version}"""
METRICS_LOGGED = "metrics"
"""step (optimiser step), values {series name: float}; names are `train/…` and `search/…`; `examples` is one of them"""
PROGRESS = "progress"
"""phase (text), done, total, rate (units per second) and unit (examples, windows, steps)"""
CHECKPOINT = "checkpoint"
"""role (best, last), step, folder (absolute, real), sha256 (of model.safetensors), size_bytes, metrics {name: float}"""
RESULT = "result"
"""metrics {name: float} for a trial or promotion; for prepare also facts {…} that the study stores"""
NOTICE = "notice"
"""level (info, warning, error), text"""
ENDED = "ended"
"""status (complete, stopped, infeasible, refused, failed), reason (short class), detail (sentence)"""
EVENT_KINDS = (STARTED, METRICS_LOGGED, PROGRESS, CHECKPOINT, RESULT, NOTICE, ENDED)

MAX_SERIES = 2000
"""Maximum distinct series per attempt; further ones are dropped and counted, so a bug cannot fill the database."""


class EventWriter:
    """Append events to `events.jsonl` with one unbuffered write(2) per line, so a kill loses no complete line."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")  # terminate the partial line of a process that died mid-write

    def emit(self, kind: str, **fields: Any) -> None:
        """Append one event. Non-finite numbers become null: JSON has no NaN, and SQLite would store NULL anyway."""
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
    """The event on one line, or None if the line is not a valid event (the caller counts those)."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("k") not in EVENT_KINDS or not isinstance(event.get("t"), (int, float)):
        return None
    return event
