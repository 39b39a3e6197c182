"""From the events of an attempt to rows, exactly once: rows and the byte offset they came from commit together.

It starts and settles nothing and trusts no line: what a worker wrote is checked, and what does not fit is counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.events import (
    CHECKPOINT,
    ENDED,
    MAX_SERIES,
    METRICS_LOGGED,
    NOTICE,
    PROGRESS,
    RESULT,
    STARTED,
    Chunk,
    parse_event,
    read_chunk,
)
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.store import reads, writes
from bertdistill.store.db import Database
from bertdistill.store.metrics import Point
from bertdistill.store.rows import Attempt, TrialState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

BATCH_BYTES = 1 << 20
"""Bytes stored in one transaction: about 40,000 values, a tenth of a second."""
SERIES_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./ @-]{0,127}")
NOTICE_LENGTH = 2000
NOTICES_A_BATCH = 100
_LARGEST = 2**62
_DROPPED = f"Values were dropped: unfit series names, or more than {MAX_SERIES} series of one trial."


@dataclass(frozen=True)
class Batch:
    """What one call stored."""

    offset: int = 0
    """Where the next call goes on."""
    points: int = 0
    bad_lines: int = 0
    checkpoints: int = 0
    notices: int = 0
    started: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    more: bool = False
    """The file holds bytes behind this batch: call again."""


def ingest(db: Database, workspace: Path, attempt: Attempt, *, max_bytes: int = BATCH_BYTES) -> Batch:
    """Store the complete lines behind the attempt's stored offset, at most `max_bytes` of them (but one line at least).

    A missing file, or one without a new complete line, changes nothing and takes no lock. A file shorter than the
    offset is read from its start: every row replaces itself.
    """
    chunk = read_chunk(RunPaths(workspace / attempt.folder).events, attempt.ingest_offset, max_bytes)
    if chunk is None:
        return Batch(offset=attempt.ingest_offset)
    events = digest(chunk.data)
    with db.write() as session:
        row = reads.attempt_by_id(session, attempt.id)
        if row.ingest_offset == attempt.ingest_offset:
            return _store(session, workspace, row, chunk, events)
    return ingest(db, workspace, row, max_bytes=max_bytes)  # the caller's copy of the attempt was old


# ----------------------------------------------------------------------------------------------------------- the events


@dataclass
class Events:
    """What a stretch of lines says, checked and reduced to what will be stored."""

    points: list[Point] = field(default_factory=list)
    scores: dict[str, float | None] = field(default_factory=dict)
    """Newest metric of every name, from `search/…` values and best checkpoints, without the prefix."""
    progress: Mapping[str, Any] | None = None
    trained: float | None = None
    """Newest share of the training that is done, 0 to 1."""
    checkpoints: list[Mapping[str, Any]] = field(default_factory=list)
    notices: list[tuple[float, str, str]] = field(default_factory=list)
    started: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    bad_lines: int = 0


def digest(data: bytes) -> Events:
    """Read complete lines. One that is no event, or an event with unfit fields, is counted and otherwise ignored."""
    events = Events()
    for line in data.split(b"\n"):
        if not line:
            continue  # after the last newline, or written by a process that closed a torn line
        try:
            event = parse_event(line)
            if event is None or event["t"] - event["t"] != 0:
                raise ValueError("not an event")
            _HANDLERS[event["k"]](events, event)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            events.bad_lines += 1
    return events


def _on_started(events: Events, event: Mapping[str, Any]) -> None:
    events.started = event


def _on_metrics(events: Events, event: Mapping[str, Any]) -> None:
    step, time, values = _whole(event["step"]), float(event["t"]), _mapping(event["values"])
    # The first test is the common case, written out: this runs once a value.
    points = [
        (name, step, value if type(value) is float and value - value == 0 else _number(value), time)
        for name, value in values.items()
    ]
    events.points += points
    for name, _, value, _ in points:
        if name.startswith("search/") and SERIES_NAME.fullmatch(name):
            events.scores[name.removeprefix("search/")] = value


def _on_progress(events: Events, event: Mapping[str, Any]) -> None:
    numbers = {name: _number(event[name]) or 0.0 for name in ("done", "total", "rate")}
    events.progress = {"phase": _text(event["phase"], 64), "unit": _text(event["unit"], 64), **numbers}
    if event["phase"] == "train" and numbers["total"] > 0:
        events.trained = min(max(numbers["done"] / numbers["total"], 0.0), 1.0)


def _on_checkpoint(events: Events, event: Mapping[str, Any]) -> None:
    if event["role"] not in ("best", "last") or "\0" in event["folder"]:
        raise ValueError("unfit role or folder")
    checkpoint = {
        "role": event["role"],
        "step": _whole(event["step"]),
        "folder": _text(event["folder"], 4096),
        "sha256": _text(event["sha256"], 128),
        "size_bytes": _whole(event["size_bytes"]),
        "metrics": _numbers(event["metrics"]),
        "now": float(event["t"]),
    }
    events.checkpoints.append(checkpoint)
    if checkpoint["role"] == "best":
        events.scores.update(checkpoint["metrics"])


def _on_result(events: Events, event: Mapping[str, Any]) -> None:
    facts, metrics = _mapping(event.get("facts", {})), _numbers(event["metrics"])
    scored = {**_numbers(facts.get("teacher_metrics", {})), **metrics}
    events.result = {"metrics": metrics, "facts": {**facts, "teacher_metrics": scored}}


def _on_notice(events: Events, event: Mapping[str, Any]) -> None:
    level = event["level"] if event["level"] in ("info", "warning", "error") else "info"
    events.notices.append((float(event["t"]), level, _text(event["text"], NOTICE_LENGTH)))


def _on_ended(events: Events, event: Mapping[str, Any]) -> None:
    words = {name: _text(event.get(name, ""), NOTICE_LENGTH) for name in ("status", "reason", "detail")}
    events.ended = {**words, "at": float(event["t"])}


_HANDLERS: dict[str, Callable[[Events, Mapping[str, Any]], None]] = {
    STARTED: _on_started,
    METRICS_LOGGED: _on_metrics,
    PROGRESS: _on_progress,
    CHECKPOINT: _on_checkpoint,
    RESULT: _on_result,
    NOTICE: _on_notice,
    ENDED: _on_ended,
}


def _number(value: Any) -> float | None:
    """A finite float, None for what is not finite; raises for what is no number (True and "1" are none)."""
    if value is None:
        return None
    if type(value) not in (int, float):
        raise TypeError("not a number")
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number - number == 0 else None


def _numbers(value: Any) -> dict[str, float | None]:
    return {_text(name, 128): _number(number) for name, number in _mapping(value).items()}


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise ValueError("not a whole number from 0")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _text(value: Any, limit: int) -> str:
    """Text that SQLite can store: JSON may escape half of a surrogate pair, UTF-8 cannot hold it."""
    if not isinstance(value, str):
        raise TypeError("not text")
    return value[:limit].encode("utf-8", "replace").decode("utf-8")


# ------------------------------------------------------------------------------------------------------------- the rows


def _store(session: Writing, workspace: Path, attempt: Attempt, chunk: Chunk, events: Events) -> Batch:
    attempt_id = attempt.id
    points = dropped = stored = misplaced = 0
    if attempt.kind != "promote":  # a promotion is settled by whoever started it
        points, dropped = _store_points(session, attempt, events.points)
        _store_result(session, attempt, events)
    if attempt.kind == "trial":
        stored, misplaced = _store_checkpoints(session, workspace, attempt, events.checkpoints)
        _store_standing(session, attempt.trial_id or 0, events)
    if events.progress is not None:
        writes.set_attempt_progress(session, attempt_id, **events.progress)
    if events.ended is not None:
        writes.set_attempt_outcome(session, attempt_id, events.ended)
    notices = _store_notices(session, attempt, events.notices)
    if dropped and not reads.has_notice(session, attempt.study_id, attempt.trial_id, _DROPPED):
        _notice(session, attempt, events.points[0][3], "warning", _DROPPED)
    bad = events.bad_lines + misplaced + (not chunk.data)
    before = 0 if chunk.start < attempt.ingest_offset else attempt.bad_lines
    writes.set_offset(session, attempt_id, chunk.start + chunk.consumed, before + bad)
    return Batch(
        offset=chunk.start + chunk.consumed,
        points=points,
        bad_lines=bad,
        checkpoints=stored,
        notices=notices,
        started=events.started,
        result=events.result,
        ended=events.ended,
        more=chunk.more,
    )


def _store_points(session: Writing, attempt: Attempt, points: list[Point]) -> tuple[int, int]:
    """Store the points of admitted series; returns how many were stored and dropped."""
    trial_id = attempt.trial_id or 0
    reported = {point[0] for point in points}
    known = reads.series_names(session, attempt.study_id, trial_id) if points else set()
    admitted = _admit(known, reported)
    kept = points if admitted == reported else [point for point in points if point[0] in admitted]
    writes.store_points(session, attempt.study_id, trial_id, kept)
    return len(kept), len(points) - len(kept)


def _admit(known: set[str], reported: Iterable[str]) -> set[str]:
    """Reported names that have a series or may get one: fit names, until there are MAX_SERIES."""
    new = sorted(name for name in set(reported) - known if SERIES_NAME.fullmatch(name))
    return (set(reported) & known) | set(new[: max(MAX_SERIES - len(known), 0)])


def _store_result(session: Writing, attempt: Attempt, events: Events) -> None:
    if events.result is None:
        return
    if attempt.kind == "prepare":
        writes.set_prepared(session, attempt.study_id, events.result["facts"])
    else:
        writes.set_trial_metrics(session, attempt.trial_id or 0, events.result["metrics"])


def _store_standing(session: Writing, trial_id: int, events: Events) -> None:
    """How a running trial stands: its newest scores (until the result is there) and its progress."""
    trial = reads.trial_by_id(session, trial_id)
    if trial.state != TrialState.RUNNING or not (events.scores or events.trained is not None):
        return
    newer = events.scores if events.result is None else {}
    writes.set_trial_metrics(session, trial_id, {**trial.metrics, **newer}, progress=events.trained)


def _store_checkpoints(
    session: Writing, workspace: Path, attempt: Attempt, checkpoints: list[Mapping[str, Any]]
) -> tuple[int, int]:
    """Record checkpoints inside the attempt's folder; returns how many were recorded and how many lie elsewhere.

    What is recorded here is removed one day, so nothing else may be named.
    """
    root, stored = os.path.realpath(workspace), 0
    own = os.path.realpath(workspace / attempt.folder) + os.sep
    for checkpoint in checkpoints:
        folder = os.path.realpath(checkpoint["folder"])
        if folder.startswith(own):
            place = {"trial_id": attempt.trial_id or 0, "attempt_id": attempt.id}
            writes.add_checkpoint(session, **{**checkpoint, "folder": os.path.relpath(folder, root), **place})
            stored += 1
    return stored, len(checkpoints) - stored


def _store_notices(session: Writing, attempt: Attempt, notices: list[tuple[float, str, str]]) -> int:
    """Store notices that are not there yet, so that a file read again doubles none."""
    stored = 0
    for at, level, text in notices[:NOTICES_A_BATCH]:
        if not reads.has_notice(session, attempt.study_id, attempt.trial_id, text, at=at):
            _notice(session, attempt, at, level, text)
            stored += 1
    return stored


def _notice(session: Writing, attempt: Attempt, at: float, level: str, text: str) -> None:
    writes.add_notice(session, level=level, text=text, now=at, study_id=attempt.study_id, trial_id=attempt.trial_id)
