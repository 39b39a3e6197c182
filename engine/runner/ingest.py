"""Store the events of attempts as rows, exactly once: rows and their byte offset are committed together.

One transaction for all attempts that have news, and plain SQL for what every report brings: a thousand workers may
report every second. It starts and settles nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.events import MAX_SERIES, Chunk, read_chunk
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.runner.digest import SERIES_NAME, Events, digest
from bertdistill.engine.runner.rules import is_logged
from bertdistill.store import reads, writes
from bertdistill.store.db import Database
from bertdistill.store.metrics import Points
from bertdistill.store.rows import Attempt

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

BATCH_BYTES = 1 << 20
"""Bytes stored in one transaction: about 40,000 values, a tenth of a second."""
NOTICES_A_BATCH = 100
_DROPPED = f"Values were dropped: invalid series names, or more than {MAX_SERIES} series of one trial."


@dataclass(frozen=True)
class Batch:
    """What was stored for one attempt."""

    offset: int = 0
    """Where the next call continues."""
    points: int = 0
    bad_lines: int = 0
    checkpoints: int = 0
    notices: int = 0
    started: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    more: bool = False
    """The file has more bytes after this batch: call again."""


def ingest(db: Database, workspace: Path, attempt: Attempt, *, max_bytes: int = BATCH_BYTES) -> Batch:
    """Store the complete lines after the attempt's stored offset: at most `max_bytes`, but at least one line.

    A missing file, or one without a new complete line, changes nothing and takes no lock. A file shorter than the
    offset is read from the start; storing a row again replaces it.
    """
    return ingest_all(db, workspace, [attempt], max_bytes=max_bytes)[attempt.id]


def ingest_all(
    db: Database, workspace: Path, attempts: Sequence[Attempt], *, max_bytes: int = BATCH_BYTES
) -> dict[int, Batch]:
    """`ingest` for many attempts, with one transaction per `max_bytes`; returns what was stored by the attempt's row
    id.
    """
    stored = {attempt.id: Batch(offset=attempt.ingest_offset) for attempt in attempts}
    news: list[_News] = []
    for attempt in attempts:
        if (one := _read(workspace, attempt, max_bytes)) is not None:
            news.append(one)
        if sum(len(one.chunk.data) for one in news) >= max_bytes:
            stored |= _store_all(db, workspace, news, max_bytes)
            news = []
    return stored | _store_all(db, workspace, news, max_bytes)


@dataclass(frozen=True)
class _News:
    """What an attempt has reported since."""

    attempt: Attempt
    chunk: Chunk
    events: Events


def _read(workspace: Path, attempt: Attempt, max_bytes: int) -> _News | None:
    chunk = read_chunk(RunPaths(workspace / attempt.folder).events, attempt.ingest_offset, max_bytes)
    return None if chunk is None else _News(attempt, chunk, digest(chunk.data))


def _store_all(db: Database, workspace: Path, news: Sequence[_News], max_bytes: int) -> dict[int, Batch]:
    if not news:
        return {}
    with db.write() as session:
        fresh = {row.id: row for row in reads.attempts_by_id(session, [one.attempt.id for one in news])}
        # The offset may have moved since the caller read the attempt; what was stored already is left out.
        current = [one for one in news if fresh[one.attempt.id].ingest_offset == one.attempt.ingest_offset]
        common = _Common()
        stored = {
            one.attempt.id: _store(session, workspace, fresh[one.attempt.id], one.chunk, one.events, common)
            for one in current
        }
        common.write(session)
    for one in news:
        if one.attempt.id not in stored:
            stored[one.attempt.id] = ingest(db, workspace, fresh[one.attempt.id], max_bytes=max_bytes)
    return stored


@dataclass
class _Common:
    """What nearly every report contains, collected over all attempts, so that each kind takes one statement."""

    points: list[Points] = field(default_factory=list)
    attempts: list[writes.Reported] = field(default_factory=list)
    standings: list[writes.Standing] = field(default_factory=list)

    def write(self, session: Writing) -> None:
        writes.store_all(session, self.points)
        writes.set_attempts_reported(session, self.attempts)
        writes.set_standings(session, self.standings)


def _store(session: Writing, workspace: Path, attempt: Attempt, chunk: Chunk, events: Events, common: _Common) -> Batch:
    points = dropped = stored = misplaced = 0
    if attempt.kind != "promote":  # a promotion is settled by the process that started it
        points, dropped = _add_points(session, attempt, events, common)
        _store_result(session, attempt, events)
    if attempt.kind == "prepare" and events.screened:
        writes.add_screened(session, attempt.study_id, events.screened)
    if is_logged(attempt):
        common.standings.append(writes.Standing(attempt.trial_id or 0, _newest(events), events.trained))
    if attempt.kind == "trial":
        stored, misplaced = _store_checkpoints(session, workspace, attempt, events.checkpoints)
        if not is_logged(attempt) and (events.scores or events.trained is not None):
            newer = events.scores if events.result is None else {}
            common.standings.append(writes.Standing(attempt.trial_id or 0, newer, events.trained))
    if outcome := {**_versions(events), **(events.ended or {})}:
        writes.add_attempt_outcome(session, attempt.id, outcome)
    notices = _store_notices(session, attempt, events.notices)
    if dropped and not reads.has_notice(session, attempt.study_id, attempt.trial_id, _DROPPED):
        _notice(session, attempt, events.points[0][3], "warning", _DROPPED)
    bad = events.bad_lines + misplaced + (not chunk.data)
    before = 0 if chunk.start < attempt.ingest_offset else attempt.bad_lines
    offset = chunk.start + chunk.consumed
    progress = events.progress or (None if attempt.total else _steps(events))
    common.attempts.append(writes.Reported(attempt.id, offset, before + bad, progress))
    return Batch(
        offset=offset,
        points=points,
        bad_lines=bad,
        checkpoints=stored,
        notices=notices,
        started=events.started,
        result=events.result,
        ended=events.ended,
        more=chunk.more,
    )


def _versions(events: Events) -> dict[str, Any]:
    """What the worker runs with, as it is stored with the attempt."""
    found = events.started["versions"] if events.started is not None else {}
    return {"versions": found} if found else {}


def _add_points(session: Writing, attempt: Attempt, events: Events, common: _Common) -> tuple[int, int]:
    """Add the points of admitted series; returns how many were added and how many dropped."""
    points = events.points
    if not points:
        return 0, 0
    trial_id, reported = attempt.trial_id or 0, {point[0] for point in points}
    known = reads.series_ids(session, attempt.study_id, trial_id)
    if not reported <= known.keys():
        admitted = _admit(set(known), reported)
        points = points if admitted == reported else [point for point in points if point[0] in admitted]
    if points:
        common.points.append(Points(attempt.study_id, trial_id, points, known))
    return len(points), len(events.points) - len(points)


def _newest(events: Events) -> dict[str, float | None]:
    """The newest value of each name: the scores so far of a training that names its own metrics."""
    newest = {name: value for name, _, value, _ in events.points if SERIES_NAME.fullmatch(name)}
    final = events.result["metrics"] if events.result is not None else {}
    return {**dict(list(newest.items())[:MAX_SERIES]), **final}


def _steps(events: Events) -> Mapping[str, Any] | None:
    """The progress of a training that does not report it: its newest step."""
    if not events.points:
        return None
    return {"phase": "train", "done": events.points[-1][1] + 1, "total": 0.0, "rate": 0.0, "unit": "steps"}


def _admit(known: set[str], reported: Iterable[str]) -> set[str]:
    """Reported names that have a series or may get one: valid names, up to MAX_SERIES."""
    new = sorted(name for name in set(reported) - known if SERIES_NAME.fullmatch(name))
    return (set(reported) & known) | set(new[: max(MAX_SERIES - len(known), 0)])


def _store_result(session: Writing, attempt: Attempt, events: Events) -> None:
    if events.result is None or is_logged(attempt):
        return
    if attempt.kind == "prepare":
        writes.set_prepared(session, attempt.study_id, events.result["facts"])
    else:
        writes.set_trial_metrics(session, attempt.trial_id or 0, events.result["metrics"])


def _store_checkpoints(
    session: Writing, workspace: Path, attempt: Attempt, checkpoints: list[Mapping[str, Any]]
) -> tuple[int, int]:
    """Record checkpoints inside the attempt's folder; returns how many were recorded and how many are elsewhere.

    Recorded folders are deleted some day, so nothing else may be recorded.
    """
    root, stored = os.path.realpath(workspace), 0
    own = os.path.join(root, attempt.folder, "")  # noqa: PTH118 - not resolved: the folder may have become a link
    for checkpoint in checkpoints:
        folder = os.path.realpath(os.path.join(own, checkpoint["folder"]))  # noqa: PTH118 - it may be absolute
        if folder.startswith(own):
            owner = {"trial_id": attempt.trial_id or 0, "attempt_id": attempt.id}
            writes.add_checkpoint(session, **{**checkpoint, "folder": os.path.relpath(folder, root), **owner})
            stored += 1
    return stored, len(checkpoints) - stored


def _store_notices(session: Writing, attempt: Attempt, notices: list[tuple[float, str, str]]) -> int:
    """Store notices that are new, so that rereading a file duplicates none."""
    stored = 0
    for at, level, text in notices[:NOTICES_A_BATCH]:
        if not reads.has_notice(session, attempt.study_id, attempt.trial_id, text, at=at):
            _notice(session, attempt, at, level, text)
            stored += 1
    return stored


def _notice(session: Writing, attempt: Attempt, at: float, level: str, text: str) -> None:
    writes.add_notice(session, level=level, text=text, now=at, study_id=attempt.study_id, trial_id=attempt.trial_id)
