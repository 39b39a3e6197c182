"""What a worker says: the events of `events.jsonl`, written and read, and the exit codes that say the same.

The one reader of that file for everybody. Standard library only; it stores nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.folder import open_regular

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

MAX_SERIES = 2000
"""Distinct series an attempt may report; more are dropped and counted, so a mistake cannot fill the database."""
LONGEST_LINE = 1 << 20
"""A line beyond this is skipped, or it would stop everything behind it."""
_TAIL_BYTES = 1 << 16

_NUMBER = (int, float, type(None))
_FIELDS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    STARTED: {},
    METRICS_LOGGED: {"step": (int,), "values": (dict,)},
    PROGRESS: {"phase": (str,), "done": _NUMBER, "total": _NUMBER, "rate": _NUMBER, "unit": (str,)},
    CHECKPOINT: {
        "role": (str,),
        "step": (int,),
        "folder": (str,),
        "sha256": (str,),
        "size_bytes": (int,),
        "metrics": (dict,),
    },
    RESULT: {"metrics": (dict,)},
    NOTICE: {"level": (str,), "text": (str,)},
    ENDED: {},
}
"""Types of the fields that an event must have, by kind."""
_OPTIONAL: Mapping[str, tuple[type, ...]] = {
    "status": (str,),
    "reason": (str,),
    "detail": (str,),
    "facts": (dict,),
    "report": (dict,),
    "precision": (str,),
}


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
            line = json.dumps(finite(event), allow_nan=False, separators=(",", ":"))
        os.write(self._descriptor, line.encode() + b"\n")

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Append the values of one step."""
        self.emit(METRICS_LOGGED, step=step, values=values)

    def close(self) -> None:
        os.close(self._descriptor)


def finite(value: Any) -> Any:
    """The value with None for numbers that are not finite, at any depth; keys become text."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(name): finite(inner) for name, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The event in one line, its fields of the right types; None when it is not one of ours (the caller counts those).

    Fields that an event may have beside these are not checked.
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or type(event.get("t")) not in (int, float):
        return None
    wanted = _FIELDS.get(event.get("k", "")) if isinstance(event.get("k"), str) else None
    if wanted is None or not all(isinstance(event.get(name, ...), types) for name, types in wanted.items()):
        return None
    fit = all(isinstance(event[name], types) for name, types in _OPTIONAL.items() if name in event)
    return event if fit else None


# ------------------------------------------------------------------------------------------------------------ the file


@dataclass(frozen=True)
class Chunk:
    """Complete lines of `events.jsonl` from byte `start` on; the next chunk begins `consumed` bytes later."""

    start: int
    data: bytes
    consumed: int
    more: bool
    """The file holds bytes behind this chunk."""


def read_chunk(path: Path, offset: int, max_bytes: int) -> Chunk | None:
    """The next complete lines; None when there is none yet, or no regular file.

    A file shorter than `offset` is read from its start. A line that is too long is consumed without data.
    """
    try:
        with closing(_open(path)) as file:
            size = os.fstat(file.fileno()).st_size
            start = offset if offset <= size else 0
            file.seek(start)
            data = file.read(max_bytes)
            end = data.rfind(b"\n") + 1
            if not end and len(data) == max_bytes:  # one line longer than that
                data += file.read(max(LONGEST_LINE - max_bytes, 0))
                end = data.find(b"\n") + 1
    except OSError:
        return None
    if end:
        return Chunk(start, data[:end], end, more=start + end < size)
    if len(data) >= LONGEST_LINE:
        return Chunk(start, b"", len(data), more=True)
    return None


def first_event(path: Path, kind: str) -> Mapping[str, Any]:
    """The first event of a kind; empty when there is none."""
    return next((event for event in _events(path) if event["k"] == kind), {})


def newest_event(path: Path, *kinds: str) -> Mapping[str, Any]:
    """The newest event of these kinds near the end of the file; empty when there is none."""
    found = [event for event in _events(path, last_bytes=_TAIL_BYTES) if event["k"] in kinds]
    return found[-1] if found else {}


def _events(path: Path, last_bytes: int = 0) -> Iterator[Mapping[str, Any]]:
    try:
        with closing(_open(path)) as file:
            if last_bytes:
                file.seek(max(0, os.fstat(file.fileno()).st_size - last_bytes))
            while line := file.readline(LONGEST_LINE):
                if (event := parse_event(line)) is not None:
                    yield event
    except OSError:
        return


def _open(path: Path) -> BufferedReader:
    return open(open_regular(path), "rb")  # noqa: PTH123 - a descriptor, which the caller closes
