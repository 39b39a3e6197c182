"""MLflow's SQLite stores (`sqlite:///mlflow.db`), as mlflow/store/tracking/dbmodels/models.py describes them.

Values of a run are read in the order in which they were stored, by row number: where the last reading ended is one
number. VACUUM may renumber rows, in the same order: then another number of rows precedes that end, and the run is read
from its start. Infinite values are stored as the largest float, NaN as a flag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bertdistill.engine.interchange.readers.mlflow_runs import DELETED, NOTE, MlflowRun
from bertdistill.engine.interchange.readers.reader import AT_ONCE, Columns, Marks, Part, Rows
from bertdistill.engine.interchange.records import StudyRecord
from bertdistill.store.errors import ForeignError
from bertdistill.store.foreign_reading import ForeignDatabase, is_sqlite, open_foreign

LARGEST = 1.7976931348623157e308
_EXPERIMENTS = """
SELECT experiment_id, name FROM experiments WHERE lifecycle_stage = 'active'
AND EXISTS (SELECT 1 FROM runs WHERE runs.experiment_id = experiments.experiment_id)
"""
_RUNS = """
SELECT run_uuid, name, status, start_time, end_time FROM runs
WHERE experiment_id = ? AND lifecycle_stage = 'active' ORDER BY start_time, run_uuid
"""
_POINTS = """
SELECT rowid, key, value, timestamp, step, is_nan FROM metrics
WHERE run_uuid = ? AND rowid > ? ORDER BY rowid LIMIT ?
"""
_BEFORE = "SELECT count(*) FROM metrics WHERE run_uuid = ? AND rowid <= ?"


def fits(path: Path) -> bool:
    return is_sqlite(path) and _is_mlflow(path)


def _is_mlflow(path: Path) -> bool:
    try:
        with open_foreign(path) as database:
            return bool(database.columns("experiments")) and "run_uuid" in database.columns("metrics")
    except ForeignError:
        return False


@contextmanager
def reader(path: Path, columns: Columns) -> Iterator[MlflowDatabase]:
    with open_foreign(path) as database:
        yield MlflowDatabase(database)


class MlflowDatabase:
    """See `Reader`."""

    def __init__(self, database: ForeignDatabase) -> None:
        self._database = database
        self._remarks: Counter[str] = Counter()
        found = database.rows(_EXPERIMENTS)
        self._experiments = {str(name): number for number, name in found}
        """Two workspaces of a server may have experiments of one name; the last one counts."""

    def studies(self) -> list[StudyRecord]:
        notes = dict(self._database.rows("SELECT experiment_id, value FROM experiment_tags WHERE key = ?", NOTE))
        return [StudyRecord(name=name, note=notes.get(number) or "") for name, number in self._experiments.items()]

    def remarks(self) -> Mapping[str, int]:
        return self._remarks

    def problems(self) -> Sequence[ForeignError]:
        return ()

    def parts(self, study: str, marks: Marks) -> Iterator[Part]:
        number = self._experiments[study]
        [(deleted,)] = self._database.rows(
            "SELECT count(*) FROM runs WHERE experiment_id = ? AND lifecycle_stage <> 'active'", number
        )
        self._remarks[DELETED] += deleted
        for run_id, name, status, started, ended in self._database.rows(_RUNS, number):
            params, tags = (
                {str(key): str(value) for key, value in self._database.rows(query, run_id)}
                for query in (
                    "SELECT key, value FROM params WHERE run_uuid = ? ORDER BY rowid",
                    "SELECT key, value FROM tags WHERE run_uuid = ? ORDER BY rowid",
                )
            )
            yield from self._parts(MlflowRun(run_id, name or "", status, started, ended, params, tags), marks)

    def _parts(self, run: MlflowRun, marks: Marks) -> Iterator[Part]:
        record = run.record()
        mark = marks(record.key)
        after, count = int(mark.get("row", 0)), int(mark.get("rows", 0))
        restarts = [(count,)] != self._database.rows(_BEFORE, run.run_id, after)
        if restarts:
            after = count = 0
        full = True
        while full:
            rows = self._database.rows(_POINTS, run.run_id, after, AT_ONCE)
            full, points = len(rows) == AT_ONCE, Rows()
            add = points.add
            for _, name, value, at, step, nan in rows:
                add(name, step, None if nan or not -LARGEST < value < LARGEST else value, at / 1000)
            after, count = rows[-1][0] if rows else after, count + len(rows)
            yield Part(record, {"row": after, "rows": count}, points.take(), restarts=restarts)
            restarts = False
