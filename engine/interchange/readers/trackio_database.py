"""Trackio's projects: an SQLite file each, with a row of JSON for each call of `log` (trackio/sqlite_storage.py).

Trackio stores no end of a run, so a run counts as complete; its next import may bring more.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.logged import scalars
from bertdistill.engine.interchange.readers.reader import Columns, Marks, Part, Rows, flattened, kind_of
from bertdistill.engine.interchange.records import RunRecord, StudyRecord
from bertdistill.store.errors import ForeignError
from bertdistill.store.foreign_reading import ForeignDatabase, is_sqlite, open_foreign

ROWS_AT_ONCE = 10_000
NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
"""As Trackio writes them into JSON."""
_OF_SYSTEM = ("alerts", "traces", "system_metrics", "artifact_versions")


def fits(path: Path) -> bool:
    return bool(_projects(path))


def _projects(path: Path) -> list[Path]:
    files = sorted(path.glob("*.db")) if path.is_dir() else [path]
    return [one for one in files if is_sqlite(one) and _is_trackio(one)]


def _is_trackio(path: Path) -> bool:
    try:
        with open_foreign(path) as database:
            return {"metrics", "step", "run_name", "timestamp"} <= database.columns("metrics")
    except ForeignError:
        return False


@contextmanager
def reader(path: Path, columns: Columns) -> Iterator[Trackio]:
    with ExitStack() as stack:
        yield Trackio({one.stem: stack.enter_context(open_foreign(one)) for one in _projects(path)})


class Trackio:
    """See `Reader`."""

    def __init__(self, projects: Mapping[str, ForeignDatabase]) -> None:
        self._projects = projects
        self._remarks: Counter[str] = Counter()

    def studies(self) -> list[StudyRecord]:
        return [StudyRecord(name=name) for name in self._projects]

    def remarks(self) -> Mapping[str, int]:
        return self._remarks

    def problems(self) -> Sequence[ForeignError]:
        return ()

    def parts(self, study: str, marks: Marks) -> Iterator[Part]:
        database = self._projects[study]
        run_id = "run_id" if "run_id" in database.columns("metrics") else "run_name"  # before Trackio 0.20
        for table in _OF_SYSTEM:
            if database.columns(table):
                [(count,)] = database.rows(f"SELECT count(*) FROM {table}")
                self._remarks[table.replace("_", " ")] += count
        runs = database.rows(
            f"SELECT {run_id}, max(run_name), min(id), max(id), min(timestamp), max(timestamp) FROM metrics"
            f" GROUP BY {run_id} ORDER BY min(id)"
        )
        for key, name, first, last, started, ended in runs:
            config = database.rows(f"SELECT config FROM configs WHERE {run_id} = ?", key)
            params = _object(config[0][0]) if config else {}
            record = RunRecord(
                key=f"{study}\0{key}",
                name=str(name),
                params=scalars({one: value for one, value in params.items() if not one.startswith("_")}),
                attributes=scalars({one: value for one, value in params.items() if one.startswith("_")}),
                started_at=_seconds(params.get("_Created")) or _seconds(started),
                ended_at=_seconds(ended),
            )
            yield from _parts(database, record, (run_id, key, first, last), marks)


def _parts(
    database: ForeignDatabase, record: RunRecord, rows_of: tuple[str, Any, int, int], marks: Marks
) -> Iterator[Part]:
    """The run in spans of row numbers: other runs in between cost little, an unbounded sort would."""
    column, key, first, last = rows_of
    after = max(int(marks(record.key).get("row", 0)), first - 1)
    query = f"SELECT id, timestamp, step, metrics FROM metrics WHERE id > ? AND id <= ? AND +{column} = ? ORDER BY id"
    if after >= last:
        yield Part(record, {"row": after})
    while after < last:
        points, left_out, until = Rows(), Counter[str](), min(after + ROWS_AT_ONCE, last)
        for _, at, step, logged in database.rows(query, after, until, key):
            time = _seconds(at) or 0.0
            for name, value in _object(logged).items():
                if type(value) in (int, float):
                    points.add(name, step, value, time)
                else:
                    _add(points, left_out, name, step, value, time)
        after = until
        yield Part(record, {"row": after}, points.take(), left_out)


def _add(points: Rows, left_out: Counter[str], above: str, step: int, value: Any, time: float) -> None:
    """Whatever else `log` was given: nested numbers, truth values, media, texts."""
    for name, leaf in flattened({above: value}):
        if isinstance(leaf, (int, float)):
            points.add(name, step, leaf, time)
        elif leaf is None or (isinstance(leaf, str) and leaf in NOT_FINITE):
            points.add(name, step, None, time)
        else:
            left_out[kind_of(leaf)] += 1


def _object(text: Any) -> dict[str, Any]:
    """A JSON object that is stored as text or bytes; empty if it is none."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(text: Any) -> float | None:
    """Unix time of an ISO time; one without a time zone is UTC, as Trackio writes it."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
