"""Weights & Biases offline runs: `.wandb` files, whose records are those of wandb/proto/wandb_internal.proto.

The records before those that are new are read again, but only for what describes the run: its configuration and summary
change until its end.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.logged import scalars
from bertdistill.engine.interchange.protobuf import Field, fields, message, signed, text, varint
from bertdistill.engine.interchange.readers.reader import AT_ONCE, Columns, Marks, Part, Rows, flattened, kind_of
from bertdistill.engine.interchange.readers.wandb_records import damage, is_wandb, records
from bertdistill.engine.interchange.records import UNFINISHED, RunRecord, StudyRecord
from bertdistill.store.errors import ForeignError
from bertdistill.store.rows import TrialState

PATTERNS = ("*.wandb", "*run-*/*.wandb", "wandb/*run-*/*.wandb")
"""Below a folder; `latest-run` is a link and does not match."""
_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT = 2, 3, 5, 17, 18
_COUNTED = {
    4: "lines of console output",
    7: "samples of the system",
    8: "artifacts",
    10: "alerts",
    13: "lines of console output",
}
_OWN = ("_step", "_timestamp", "_runtime", "_wandb")
_VALUE = b"\x82\x01"
"""Tag of the field `value_json` (16) of an item; its name comes before."""
_INTERRUPTED = 255
_WORDS = {"true": 1.0, "false": 0.0, "null": None, '"NaN"': None, '"Infinity"': None, '"-Infinity"': None}


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

    def _head(self, path: Path) -> _Run | None:
        """The run that a file is about, from its first records."""
        try:
            for record, _ in records(path):
                for number, held in fields(record):
                    if number == _RUN:
                        run = _Run()
                        run.take(message(held))
                        return run
        except (ForeignError, ValueError):
            self._problems.append(damage(path, 0))
            return None
        self._remarks["files without a run yet"] += 1
        return None

    def parts(self, study: str, marks: Marks) -> Iterator[Part]:
        for run_id, files in self._projects[study].items():
            read = dict(marks(f"{study}\0{run_id}").get("read", {}))
            if any(_size(one) != read.get(one.name, [0, 0])[1] for one in files):
                run = _Run()
                for one in files:
                    try:
                        yield from _parts(run, one, f"{study}\0{run_id}", read)
                    except ForeignError as error:
                        self._problems.append(error)
                        break


def _size(path: Path) -> int:
    return path.stat().st_size


def _parts(run: _Run, path: Path, key: str, read: dict[str, list[int]]) -> Iterator[Part]:
    """`read` has, for each file, the byte after the last record that was stored, and the size at that time."""
    size, stored = _size(path), read.get(path.name, [0, 0])[0]
    points, left_out, end = Rows(), Counter[str](), stored
    run.exit = None
    for record, end in records(path):  # noqa: B007 - where the last one ends
        try:
            _take(record, run, points if end > stored else None, left_out)
        except ValueError as error:
            raise damage(path, end) from error
        if points.count >= AT_ONCE:
            read[path.name] = [end, 0]
            yield Part(run.record(key), {"read": dict(read)}, points.take(), left_out)
            left_out = Counter()
    read[path.name] = [max(end, stored), size]
    yield Part(run.record(key), {"read": dict(read)}, points.take(), left_out)


def _take(record: bytes, run: _Run, points: Rows | None, left_out: Counter[str]) -> None:
    """One record. Without `points` it was stored before, and only tells what the run is."""
    for number, held in fields(record):
        if number == _HISTORY:
            if points is not None:
                _take_history(message(held), run, points, left_out)
        elif number == _SUMMARY:
            run.update(run.summary, message(held))
        elif number == _CONFIG:
            run.update(run.config, message(held))
        elif number == _RUN:
            run.take(message(held))
        elif number == _EXIT:
            run.exit = signed(dict(fields(message(held))).get(1, 0))
        elif number in _COUNTED and points is not None:
            left_out[_COUNTED[number]] += 1


def _take_history(history: bytes, run: _Run, points: Rows, left_out: Counter[str]) -> None:
    step, time, rows, others = None, 0.0, [], []
    for number, held in fields(history):
        if number == 1:
            name, value = run.item(message(held))
            try:
                found = float(value)
            except ValueError:
                others.append((name, value))
                continue
            if name == "_step":
                step = int(found)
            elif name == "_timestamp":
                time = run.last = found
            elif name not in _OWN:
                rows.append((name, found))
        elif number == 2 and step is None:
            step = signed(dict(fields(message(held))).get(1, 0))
    place = step or 0
    for name, found in rows:
        points.add(name, place, found, time)
    for name, value in others:
        _take_other(name, value.decode("utf-8", "replace"), (place, time), points, left_out)


def _take_other(name: str, value: str, at: tuple[int, float], points: Rows, left_out: Counter[str]) -> None:
    """A truth value, a number that is not finite, nested numbers, media, text."""
    if value in _WORDS:
        points.add(name, at[0], _WORDS[value], at[1])
        return
    for leaf_name, leaf in flattened({name: _json(value)}):
        if isinstance(leaf, (int, float)):
            points.add(leaf_name, at[0], float(leaf), at[1])
        elif name not in _OWN:
            left_out[kind_of(leaf)] += 1


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


@dataclass
class _Run:
    """What a run is, as far as its records were read."""

    run_id: str = ""
    project: str = ""
    name: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    started_at: float = 0.0
    last: float | None = None
    exit: int | None = None
    config: dict[str, bytes] = field(default_factory=dict)
    summary: dict[str, bytes] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    _names: dict[bytes, str] = field(default_factory=dict)

    def take(self, run: bytes) -> None:
        """A RunRecord: the first one has all of it, later ones what has changed."""
        texts = {1: "run_id", 3: "project", 8: "name", 9: "notes"}
        others = {2: "entity", 6: "group", 7: "job_type", 12: "sweep", 13: "host"}
        tags = []
        for number, held in fields(run):
            if number in texts:
                setattr(self, texts[number], text(held))
            elif number in others:
                self.attributes[others[number]] = text(held)
            elif number == 10:
                tags.append(text(held))
            elif number == 4:
                self.update(self.config, message(held))
            elif number == 5:
                self.update(self.summary, message(held))
            elif number == 17:
                parts = dict(fields(message(held)))
                self.started_at = signed(parts.get(1, 0)) + signed(parts.get(2, 0)) / 1e9
        self.tags = tuple(tags) or self.tags

    def update(self, values: dict[str, bytes], record: bytes) -> None:
        """A ConfigRecord or SummaryRecord: items that are set (1) or removed (2)."""
        for number, held in fields(record):
            if number == 1:
                name, value = self.item(message(held))
                values[name] = value
            elif number == 2:
                values.pop(self.item(message(held))[0], None)

    def item(self, item: bytes) -> tuple[str, bytes]:
        """Name and JSON of a HistoryItem, SummaryItem or ConfigItem. Names are as good as always known already."""
        head, _, rest = item.partition(_VALUE)
        start = whole = 0
        if rest:
            length, start = (rest[0], 1) if rest[0] < 0x80 else varint(rest, 0)
            whole = start + length == len(rest)
            if whole and (known := self._names.get(head)) is not None:
                return known, rest[start:]
        key, nested, value = "", [], b""
        for number, held in fields(item):
            if number == 1:
                key = text(held)
            elif number == 2:
                nested.append(text(held))
            elif number == 16:
                value = message(held)
        name = "/".join(nested) or key
        if whole:
            self._names[head] = name
        return name, value

    def record(self, key: str) -> RunRecord:
        config = {name: _json(raw.decode("utf-8", "replace")) for name, raw in self.config.items() if name != "_wandb"}
        state, reason, detail = self._end()
        return RunRecord(
            key=key,
            name=self.name,
            params=scalars(config),
            attributes=dict(self.attributes),
            metrics=self._metrics(),
            state=state,
            reason=reason,
            detail=detail,
            started_at=self.started_at or None,
            ended_at=self.last,
            tags=self.tags,
            note=self.notes,
        )

    def _metrics(self) -> dict[str, float | None]:
        """Numbers of the summary: what W&B's own table shows."""
        found: dict[str, float | None] = {}
        for name, raw in self.summary.items():
            if name.split("/")[0] not in _OWN:
                value = raw.decode("utf-8", "replace")
                leaves = flattened({name: _WORDS[value] if value in _WORDS else _json(value)})
                found |= {leaf: one for leaf, one in leaves if one is None or isinstance(one, (int, float))}
        return found

    def _end(self) -> tuple[TrialState, str, str]:
        if self.exit is None:
            return TrialState.STOPPED, UNFINISHED, "its file has no record of its end: it runs, or was killed"
        if self.exit == 0:
            return TrialState.COMPLETE, "", ""
        if self.exit == _INTERRUPTED:
            return TrialState.STOPPED, "interrupted", ""
        return TrialState.FAILED, "crashed", f"exit status {self.exit}"
