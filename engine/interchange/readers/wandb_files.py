"""Weights & Biases offline runs: `.wandb` files, whose records are those of wandb/proto/wandb_internal.proto.

The records before those that are new are read again, but only for what describes the run: its configuration and summary
change until its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bertdistill.engine.interchange.protobuf import fields
from bertdistill.engine.interchange.readers.reader import (
    AT_ONCE,
    MALFORMED,
    Columns,
    Marks,
    Part,
    Rows,
    flattened,
    kind_of,
)
from bertdistill.engine.interchange.readers.wandb_records import damage, is_wandb, records
from bertdistill.engine.interchange.readers.wandb_run import (
    HISTORY,
    OWN,
    RUN,
    SUMMARY,
    WORDS,
    WandbRun,
    first_field,
    json_of,
    media_of,
)
from bertdistill.engine.interchange.records import StudyRecord
from bertdistill.store.errors import ForeignError

PATTERNS = ("*.wandb", "*run-*/*.wandb", "wandb/*run-*/*.wandb")
"""Below a folder; `latest-run` is a link and does not match."""
_COUNTED = {
    4: "lines of console output",
    7: "samples of the system",
    8: "artifacts",
    10: "alerts",
    13: "lines of console output",
}


def fits(path: Path) -> bool:
    return any(True for _ in _files(path))


def _files(path: Path) -> Iterator[Path]:
    found = [path] if path.is_file() else sorted({one for pattern in PATTERNS for one in path.glob(pattern)})
    return (one for one in found if is_wandb(one) and not one.parent.is_symlink())


@contextmanager
def reader(path: Path, columns: Columns) -> Iterator[WandbFiles]:
    yield WandbFiles(path)


class WandbFiles:
    """See `Reader`. A project is a study; a run that was resumed has several files."""

    def __init__(self, path: Path) -> None:
        self._problems: list[ForeignError] = []
        self._remarks: Counter[str] = Counter()
        self._projects: dict[str, dict[str, list[Path]]] = {}
        heads = [(head, one) for one in _files(path) if (head := self._head(one)) is not None]
        for head, one in sorted(heads, key=lambda pair: (pair[0].started_at, pair[1].name)):
            self._projects.setdefault(head.project, {}).setdefault(head.run_id, []).append(one)

    def studies(self) -> list[StudyRecord]:
        return [StudyRecord(name=name) for name in self._projects]

    def remarks(self) -> Mapping[str, int]:
        return self._remarks

    def problems(self) -> Sequence[ForeignError]:
        return self._problems

    def _head(self, path: Path) -> WandbRun | None:
        """The run that a file is about, from its first records."""
        try:
            for record, _ in records(path):
                for number, held in fields(record):
                    if number == RUN:
                        run = WandbRun()
                        run.take(number, held)
                        return run
        except (ForeignError, *MALFORMED):
            self._problems.append(damage(path, 0))
            return None
        self._remarks["files without a run yet"] += 1
        return None

    def parts(self, study: str, marks: Marks) -> Iterator[Part]:
        for run_id, files in self._projects[study].items():
            mark = marks(f"{study}\0{run_id}")
            read = dict(mark.get("read", {}))
            if any(_size(one) != read.get(one.name, [0, 0])[1] for one in files):
                run = WandbRun(last=mark.get("last"))  # the time of a row that is not read again
                for one in files:
                    try:
                        yield from _parts(run, one, f"{study}\0{run_id}", read)
                    except ForeignError as error:
                        self._problems.append(error)
                        break


def _size(path: Path) -> int:
    return path.stat().st_size


def _parts(run: WandbRun, path: Path, key: str, read: dict[str, list[int]]) -> Iterator[Part]:
    """`read` has, for each file, the byte after the last record that was stored, and the size at that time."""
    size, stored = _size(path), read.get(path.name, [0, 0])[0]
    points, left_out, end = Rows(), Counter[str](), stored
    run.exit = None
    for record, end in records(path):
        try:
            _take(record, run, points if end > stored else None, left_out)
        except MALFORMED as error:
            raise damage(path, end) from error
        if points.count >= AT_ONCE:
            read[path.name] = [end, 0]
            yield Part(run.record(key), {"read": dict(read), "last": run.last}, points.take(), left_out)
            left_out = Counter()
    read[path.name] = [max(end, stored), size]
    yield Part(run.record(key), {"read": dict(read), "last": run.last}, points.take(), left_out)


def _take(record: bytes, run: WandbRun, points: Rows | None, left_out: Counter[str]) -> None:
    """One record. Without `points` it was stored before, and only tells what the run is."""
    number, body = first_field(record)
    if number == HISTORY:
        if points is not None:
            _take_history(body, run, points, left_out)
    elif number == SUMMARY:
        run.take_summary(body)
    else:
        for other, held in fields(record):
            run.take(other, held)
            if other in _COUNTED and points is not None:
                left_out[_COUNTED[other]] += 1


def _take_history(history: bytes, run: WandbRun, points: Rows, left_out: Counter[str]) -> None:
    numbers, others, step = run.items(history)
    place, time = step, 0.0
    for name, value in numbers:
        if name == "_step":
            place = int(value)
        elif name == "_timestamp":
            time = run.last = value
    if others:
        media = media_of(others)
        left_out.update(media.values())
        numbers = [(name, value) for name, value in numbers if name.rpartition("/")[0] not in media]
        for name, raw in others:
            if name.rpartition("/")[0] not in media:
                _take_other(name, raw.decode("utf-8", "replace"), (place, time), points, left_out)
    add = points.add
    for name, value in numbers:
        if name not in OWN:
            add(name, place, value, time)


def _take_other(name: str, value: str, at: tuple[int, float], points: Rows, left_out: Counter[str]) -> None:
    """A truth value, a number that is not finite, nested numbers, media, text."""
    if value in WORDS:
        points.add(name, at[0], WORDS[value], at[1])
        return
    for leaf_name, leaf in flattened({name: json_of(value)}):
        if isinstance(leaf, (int, float)):
            points.add(leaf_name, at[0], float(leaf), at[1])
        elif name not in OWN:
            left_out[kind_of(leaf)] += 1
