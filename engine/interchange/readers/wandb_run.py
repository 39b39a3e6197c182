"""A run as the records of a `.wandb` file tell it (wandb/proto/wandb_internal.proto). It reads no file.

Nearly every record is a row of numbers, which `wandb_rows` reads at once; any other one is read field by field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.contract.logged import scalars
from bertdistill.engine.interchange.protobuf import Field, fields, message, signed, text, varint
from bertdistill.engine.interchange.readers.reader import flattened, kind_of
from bertdistill.engine.interchange.readers.wandb_rows import RowReader
from bertdistill.engine.interchange.records import UNFINISHED, RunRecord
from bertdistill.store.rows import TrialState

HISTORY, SUMMARY, CONFIG, RUN, EXIT = 2, 3, 5, 17, 18
"""Numbers of the fields of a Record."""
OWN = ("_step", "_timestamp", "_runtime", "_wandb")
WORDS: Mapping[str, float | None] = {
    "true": 1.0,
    "false": 0.0,
    "null": None,
    "NaN": None,
    "Infinity": None,
    "-Infinity": None,
    '"NaN"': None,
    '"Infinity"': None,
    '"-Infinity"': None,
}
_INTERRUPTED = 255
_STEP = re.compile(rb"\x12[\x00-\x0b](?:\x08([\x80-\xff]{0,9}[\x00-\x7f]))?")
_TEXTS = {1: "run_id", 3: "project", 8: "name", 9: "notes"}
_ATTRIBUTES = {2: "entity", 6: "group", 7: "job_type", 12: "sweep", 13: "host"}

Items = list[tuple[str, bytes]]


def first_field(record: bytes) -> tuple[int, bytes]:
    """The field of a Record that follows its number, if it is one of the most frequent ones; else 0."""
    at = varint(record, 1)[1] if record[:1] == b"\x08" else 0
    if record[at : at + 1] not in (b"\x12", b"\x1a"):
        return 0, b""
    length, start = varint(record, at + 1)
    if start + length > len(record):
        raise ValueError("a field is longer than its record")
    return record[at] >> 3, record[start : start + length]


def media_of(items: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Names of images and the like, whose parts come as items of their own, with what they are."""
    marks = ((name.removesuffix("/_type"), value) for name, value in items if name.endswith("/_type"))
    return {name: kind_of({"_type": json_of(value.decode("utf-8", "replace"))}) for name, value in marks}


def json_of(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


@dataclass
class WandbRun:
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
    _histories: RowReader = field(default_factory=RowReader)
    _summaries: RowReader = field(default_factory=RowReader)
    _newest: dict[tuple[bytes, ...], tuple[bytes, ...]] = field(default_factory=dict)
    """Rows of summaries that are not in `summary` yet: the newest of each set of names, oldest first."""

    def take(self, number: int, held: Field) -> None:
        """A field of a Record that is neither history nor summary."""
        if number == CONFIG:
            self._update(self.config, message(held))
        elif number == SUMMARY:
            self.take_summary(message(held))
        elif number == RUN:
            self._take_run(message(held))
        elif number == EXIT:
            self.exit = signed(dict(fields(message(held))).get(1, 0))

    def _take_run(self, run: bytes) -> None:
        """The first one has all of it, later ones what has changed."""
        tags = []
        for number, held in fields(run):
            if number in _TEXTS:
                setattr(self, _TEXTS[number], text(held))
            elif number in _ATTRIBUTES:
                self.attributes[_ATTRIBUTES[number]] = text(held)
            elif number == 10:
                tags.append(text(held))
            elif number == 4:
                self._update(self.config, message(held))
            elif number == 5:
                self.take_summary(message(held))
            elif number == 17:
                parts = dict(fields(message(held)))
                self.started_at = signed(parts.get(1, 0)) + signed(parts.get(2, 0)) / 1e9
        self.tags = tuple(tags) or self.tags

    def take_summary(self, summary: bytes) -> None:
        """The newest values, of which the last of each name remains."""
        names, values, end = self._summaries.read(summary)
        if end == len(summary):
            self._newest.pop(names, None)
            self._newest[names] = values
        else:
            self._settle()
            self._update(self.summary, summary)

    def items(self, history: bytes) -> tuple[list[tuple[str, float]], Items, int]:
        """Numbers of a HistoryRecord by name, its other items, and its step."""
        names, values, end = self._histories.read(history)
        tail = _STEP.fullmatch(history, end) if end < len(history) else None
        if end == len(history) or tail is not None:
            step = varint(tail[1], 0)[0] if tail is not None and tail[1] else 0
            return list(zip(self._decoded(names), map(float, values), strict=True)), [], step
        numbers, others, step = [], Items(), 0
        for number, held in fields(history):
            if number == 1:
                name, value = self._item(message(held))
                try:
                    numbers.append((name, float(value)))
                except ValueError:
                    others.append((name, value))
            elif number == 2:
                step = signed(dict(fields(message(held))).get(1, 0))
        return numbers, others, step

    def _settle(self) -> None:
        """The numbers of summaries under their names."""
        for names, values in self._newest.items():
            self.summary |= zip(self._decoded(names), values, strict=True)
        self._newest = {}

    def _update(self, values: dict[str, bytes], record: bytes) -> None:
        """A ConfigRecord or SummaryRecord: items that are set (1) or removed (2)."""
        for number, held in fields(record):
            if number == 1:
                name, value = self._item(message(held))
                values[name] = value
            elif number == 2:
                values.pop(self._item(message(held))[0], None)

    def _decoded(self, names: Sequence[bytes]) -> list[str]:
        known = self._names
        return [known.get(name) or known.setdefault(name, self._item(name)[0]) for name in names]

    def _item(self, item: bytes) -> tuple[str, bytes]:
        """Name and JSON of a HistoryItem, SummaryItem or ConfigItem; nested names are joined by slashes."""
        key, nested, value = "", [], b""
        for number, held in fields(item):
            if number == 1:
                key = text(held)
            elif number == 2:
                nested.append(text(held))
            elif number == 16:
                value = message(held)
        return "/".join(nested) or key, value

    def record(self, key: str) -> RunRecord:
        config = {
            name: json_of(raw.decode("utf-8", "replace")) for name, raw in self.config.items() if name != "_wandb"
        }
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
        self._settle()
        found: dict[str, float | None] = {}
        media = media_of(self.summary.items())
        for name, raw in self.summary.items():
            if name.split("/")[0] not in OWN and name.rpartition("/")[0] not in media:
                value = raw.decode("utf-8", "replace")
                leaves = flattened({name: WORDS[value] if value in WORDS else json_of(value)})
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
