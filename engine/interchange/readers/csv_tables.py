"""CSV files: a row for each run (wide), a row for each point (long), or a folder with both, as our own export has it.

Columns of a wide table are told apart by their prefix (`params.lr`, `params_lr`, `metrics.acc`), as MLflow, optuna and
our own export name them; without any prefix a person names the metrics, for a guess would rank runs by a parameter.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bertdistill.engine.interchange.readers.csv_rows import Header, Layout, file_lines, number, objectives_of, seconds
from bertdistill.engine.interchange.readers.reader import AT_ONCE, Columns, Marks, Part, Rows
from bertdistill.engine.interchange.records import Curve, RunRecord, StudyRecord
from bertdistill.store.errors import ForeignError

TRIALS, POINTS, STUDY = "trials.csv", "points.csv", "study.json"
ENDINGS = (".csv", ".tsv")


def fits(path: Path) -> bool:
    return (path / TRIALS).is_file() if path.is_dir() else path.suffix.lower() in ENDINGS


@contextmanager
def reader(path: Path, columns: Columns) -> Iterator[CsvTables]:
    files = [one for one in (path / TRIALS, path / POINTS) if one.is_file()] if path.is_dir() else [path]
    csv.field_size_limit(1 << 24)
    yield CsvTables(path.resolve(), files, columns)


class CsvTables:
    """See `Reader`."""

    def __init__(self, path: Path, files: Sequence[Path], columns: Columns) -> None:
        self._path, self._files, self._columns = path, files, columns
        self._remarks: Counter[str] = Counter()
        self._page = _page(path / STUDY)

    def studies(self) -> list[StudyRecord]:
        name, note = self._page.get("study"), self._page.get("note")
        return [
            StudyRecord(
                name=name if isinstance(name, str) and name else self._path.stem,
                objectives=objectives_of(self._page.get("objectives")),
                note=note if isinstance(note, str) else "",
            )
        ]

    def remarks(self) -> Mapping[str, int]:
        return self._remarks

    def problems(self) -> Sequence[ForeignError]:
        return ()

    def parts(self, study: str, marks: Marks) -> Iterator[Part]:
        runs: dict[str, RunRecord] = {}
        for path in self._files:
            rows = self._rows(path)
            header = Header(next(rows, []))
            layout = header.layout(self._columns.metrics)
            if layout == Layout.LONG:
                yield from self._long(path, header, rows, runs, marks)
            elif layout == Layout.WIDE:
                yield from self._wide(header, rows, runs, marks)
            else:
                names = ", ".join(header.names[:30]) or "none"
                hint = "Name them: --metric COLUMN, once for each; the other columns are parameters."
                raise ForeignError(f"{path}: which columns are metrics? It has: {names}", hint=hint)

    def _rows(self, path: Path) -> Iterator[list[str]]:
        """Cells of each line, also of the header; a last line without an end is left out, for it may be half of one."""
        with file_lines(path) as lines:
            rows = csv.reader(lines, delimiter=lines.delimiter)
            try:
                yield from rows
            except csv.Error as error:
                raise ForeignError(f"{path}: line {rows.line_num}: {error}", hint="Correct that line.") from error
            self._remarks["lines without an end"] += lines.cut

    def _wide(
        self, header: Header, rows: Iterable[list[str]], runs: dict[str, RunRecord], marks: Marks
    ) -> Iterator[Part]:
        seen: Counter[str] = Counter()
        for row in rows:
            if len(row) < len(header.names):
                self._remarks["rows with missing cells"] += any(row)
                continue
            label, run = header.run(row, self._columns.metrics)
            seen[label] += 1  # a name may be that of several runs, such as one for each seed
            run = replace(run, key=self._key(label if seen[label] == 1 else f"{label}\0{seen[label]}"))
            runs.setdefault(label, run)
            yield Part(run, marks(run.key) or {"rows": 0})

    def _long(
        self, path: Path, header: Header, rows: Iterable[list[str]], runs: dict[str, RunRecord], marks: Marks
    ) -> Iterator[Part]:
        run, metric, step, value, time = header.point_columns()
        width = max(run, metric, step, value, time)
        gathered: dict[str, tuple[Rows, list[int]]] = {}
        count = 0
        for line, row in enumerate(rows, 2):
            if len(row) <= width:
                self._remarks["rows with missing cells"] += any(row)
                continue
            label = row[run] if run >= 0 else self._path.stem
            if not label:
                self._remarks["points of no run"] += 1
                continue
            found = gathered.get(label)
            if found is None:
                if label not in runs:
                    runs[label] = RunRecord(key=self._key(label), name=label)
                stored = int(marks(runs[label].key).get("rows", 0))
                found = gathered[label] = (Rows(), [0, stored])
            found[1][0] += 1
            if found[1][0] <= found[1][1]:
                continue
            try:
                place = int(row[step])
            except ValueError:
                place = _whole(path, line, row[step])
            found[0].add(row[metric], place, number(row[value]), seconds(row[time]) or 0.0 if time >= 0 else 0.0)
            count += 1
            if count >= AT_ONCE:
                yield from _gathered(gathered, runs)
                count = 0
        yield from _gathered(gathered, runs)

    def _key(self, label: str) -> str:
        return f"{self._path}\0{label}"


def _gathered(gathered: Mapping[str, tuple[Rows, list[int]]], runs: Mapping[str, RunRecord]) -> Iterator[Part]:
    for label, (points, (read, stored)) in gathered.items():
        if points.count or read >= stored:
            curves: tuple[Curve, ...] = points.take()
            yield Part(runs[label], {"rows": max(read, stored)}, curves)


def _whole(path: Path, line: int, text: str) -> int:
    """A step such as 3.0."""
    found = number(text)
    if found is None or not found.is_integer():
        raise ForeignError(
            f"{path}: line {line}: the step {text[:40]!r} is not a whole number", hint="Correct that line."
        )
    return int(found)


def _page(path: Path) -> Mapping[str, Any]:
    """What our own export says of the study."""
    try:
        found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise ForeignError(f"{path}: is not JSON", hint="Restore it from the export, or remove it.") from error
    return found if isinstance(found, dict) else {}
