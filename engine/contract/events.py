"""What a worker reports: reading and writing the events in `events.jsonl`, and the matching exit codes.

The one reader of that file for everybody. Standard library only; it stores nothing.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.folder import open_regular, size_of
from bertdistill.engine.contract.relocation import translated

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
"""pid, device, params, steps (total optimiser steps), examples (total), precision, versions {package: version}"""
METRICS_LOGGED = "metrics"
"""step (optimiser step), values {series name: float}; names are `train/…` and `search/…`; `examples` is one of them"""
PROGRESS = "progress"
"""phase (text), done, total, rate (units per second) and unit (examples, windows, steps)"""
CHECKPOINT = "checkpoint"
"""role (best, last), step, folder (absolute, on the runner's machine, or relative to the run folder), sha256 (of
model.safetensors), size_bytes, metrics {name: float}"""
RESULT = "result"
"""metrics {name: float} for a trial or promotion; for prepare also facts {…} that the study stores"""
SCREENED = "screened"
"""a sub-network of a supernet that was evaluated, not trained: settings {…}, score, metrics {name: float}, known
{name: float} (sizes), examples, seconds, ruined (whether sharing ruins its layers)"""
NOTICE = "notice"
"""level (info, warning, error), text"""
ENDED = "ended"
"""status (complete, stopped, infeasible, refused, failed; pruned only if logged), reason (class), detail (sentence)"""

MAX_SERIES = 2000
"""Maximum distinct series per attempt; further ones are dropped and counted, so a bug cannot fill the database."""
LONGEST_LINE = 1 << 20
"""A longer line is skipped; otherwise it would block everything after it."""
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
    SCREENED: {
        "settings": (dict,),
        "score": _NUMBER,
        "metrics": (dict,),
        "known": (dict,),
        "examples": (int,),
        "seconds": _NUMBER,
    },
    NOTICE: {"level": (str,), "text": (str,)},
    ENDED: {},
}
"""Required fields of an event and their types, by kind."""
_OPTIONAL: Mapping[str, tuple[type, ...]] = {
    "status": (str,),
    "reason": (str,),
    "detail": (str,),
    "facts": (dict,),
    "report": (dict,),
    "precision": (str,),
}


class EventWriter:
    """Append events to `events.jsonl` with one unbuffered write(2) per line, so a kill loses no complete line."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        size = os.fstat(self._descriptor).st_size
        self.moves: Mapping[str, str] = {}
        """From paths here to paths on the runner's machine, which events have (`AttemptSpec.paths`)."""
        # The partial line of a process that died mid-write, or of a full disk, is ended before the next one.
        self._torn = bool(size) and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def emit(self, kind: str, **fields: Any) -> None:
        """Append one event; OSError if it could not be written whole.

        Non-finite numbers become null: JSON has no NaN, and SQLite would store NULL anyway.
        """
        event = {"k": kind, "t": round(time.time(), 3), **(translated(fields, self.moves) if self.moves else fields)}
        try:
            line = json.dumps(event, allow_nan=False, separators=(",", ":"))
        except ValueError:
            line = json.dumps(finite(event), allow_nan=False, separators=(",", ":"))
        data = b"\n" * self._torn + line.encode() + b"\n"
        written = os.write(self._descriptor, data)
        self._torn = written < len(data)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Append the values of one step."""
        self.emit(METRICS_LOGGED, step=step, values=values)

    def close(self) -> None:
        os.close(self._descriptor)


def finite(value: Any) -> Any:
    """The value with non-finite numbers replaced by None at any depth; keys become strings."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(name): finite(inner) for name, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The event on one line with fields of the right types; None if it is not a valid event (the caller counts those).

    Other fields of an event are not checked.
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
    """Complete lines of `events.jsonl` from byte `start`; the next chunk starts `consumed` bytes later."""

    start: int
    data: bytes
    consumed: int
    more: bool
    """The file has bytes after this chunk."""


def read_chunk(path: Path, offset: int, max_bytes: int) -> Chunk | None:
    """The next complete lines; None if there are none yet, or the file is not a regular file.

    A file shorter than `offset` is read from its start. A line that is too long is consumed without data.
    """
    try:
        with closing(_open(path)) as file:
            size = os.fstat(file.fileno()).st_size
            start = offset if offset <= size else 0
            file.seek(start)
            data = file.read(max_bytes)
            end = data.rfind(b"\n") + 1
            if not end and len(data) == max_bytes:  # a single line longer than that
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
    """The first event of a kind; empty if there is none."""
    return next((event for event in _events(path) if event["k"] == kind), {})


def newest_event(path: Path, *kinds: str) -> Mapping[str, Any]:
    """The newest event of these kinds; empty if there is none. It is looked for from the end of the file."""
    tail, size = _TAIL_BYTES, size_of(path)
    while True:
        found = [event for event in _events(path, last_bytes=tail) if event["k"] in kinds]
        if found or tail >= size:
            return found[-1] if found else {}
        tail *= 8  # a single line may be longer than that


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
