"""TensorBoard's event files: scalars, old and new style, and what the HParams plugin knows of a run.

Event and Summary are those of tensorflow/core/util/event.proto and framework/summary.proto, HParamsPluginData that of
tensorboard/plugins/hparams/plugin_data.proto. A folder with event files is a run, as TensorBoard has it.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.logged import Scalar
from bertdistill.engine.interchange.protobuf import double, fields, message, signed, single, text
from bertdistill.engine.interchange.readers.reader import MALFORMED, Columns, Marks, Part, Rows
from bertdistill.engine.interchange.readers.tfrecords import damage, records
from bertdistill.engine.interchange.records import RunRecord, StudyRecord
from bertdistill.store.errors import ForeignError
from bertdistill.store.rows import TrialState

IN_NAME = "tfevents"
_SCALAR = re.compile(
    rb"\x09(.{8})(?:\x10([\x80-\xff]{0,9}[\x00-\x7f]))?\x2a[\x00-\x7f]\x0a[\x00-\x7f]\x0a([\x00-\x7f])(.*)\x15(.{4})",
    re.DOTALL,
)
"""An Event of one scalar in the old style with a tag of at most 127 bytes, as nearly all are."""
_TIME, _VALUE = struct.Struct("<d").unpack, struct.Struct("<f").unpack
_MEDIA = {4: "images", 5: "histograms", 6: "audio clips"}
_PLUGINS = {"text": "texts"}
_ENDS = {1: (TrialState.COMPLETE, ""), 2: (TrialState.FAILED, "failed"), 3: (TrialState.STOPPED, "unfinished")}


def fits(path: Path) -> bool:
    if path.is_dir():
        return any(IN_NAME in one.name for one in path.rglob("*"))
    return IN_NAME in path.name


@contextmanager
def reader(path: Path, columns: Columns) -> Iterator[TensorBoard]:
    yield TensorBoard(path)


class TensorBoard:
    """See `Reader`."""

    def __init__(self, path: Path) -> None:
        self._name = (path if path.is_dir() else path.parent).resolve().name or "tensorboard"
        self._problems: list[ForeignError] = []
        self._runs: dict[str, list[Path]] = {}
        found = path.rglob("*") if path.is_dir() else [path]
        for one in sorted(found):
            if IN_NAME in one.name and one.is_file() and not one.is_symlink():
                name = one.parent.relative_to(path).as_posix() if path.is_dir() else one.parent.resolve().name
                self._runs.setdefault(name, []).append(one)

    def studies(self) -> list[StudyRecord]:
        return [StudyRecord(name=self._name)]

    def remarks(self) -> Mapping[str, int]:
        return {}

    def problems(self) -> Sequence[ForeignError]:
        return self._problems

    def parts(self, study: str, marks: Marks) -> Iterator[Part]:
        for name, files in self._runs.items():
            key = f"{name}/{files[0].name}"  # names of files hold a time and mostly a host, but not always a process
            mark = marks(key)
            read = dict(mark.get("read", {}))
            if any(one.stat().st_size != read.get(one.name, 0) for one in files):
                run = _Run(key, "" if name == "." else name, mark.get("run", {}))
                for one in files:
                    try:
                        yield from _parts(run, one, read)
                    except ForeignError as error:
                        self._problems.append(error)
                        break


def _parts(run: _Run, path: Path, read: dict[str, int]) -> Iterator[Part]:
    for some in records(path, read.get(path.name, 0)):
        points, left_out = Rows(), Counter[str]()
        try:
            for event in some.messages:
                _take(event, run, points, left_out)
        except MALFORMED as error:
            raise damage(path, read.get(path.name, 0)) from error
        read[path.name] = some.end
        if points.count or left_out or run.described:
            yield Part(run.record(), {"read": dict(read), "run": run.state()}, points.take(), left_out)


def _take(event: bytes, run: _Run, points: Rows, left_out: Counter[str]) -> None:
    """What an event says. Most are one scalar; any other one is read field by field."""
    match = _SCALAR.fullmatch(event)
    if match is not None:
        at, step, length, tag, value = match.groups()
        if length[0] == len(tag):
            [time], [number] = _TIME(at), _VALUE(value)
            run.seen(time)
            points.add(run.tag(tag), _varint(step) if step else 0, number, time)
            return
    time, position, summary = 0.0, 0, b""
    for number_, value_ in fields(event):
        if number_ == 1:
            time = double(value_)
        elif number_ == 2:
            position = signed(value_)
        elif number_ == 5:
            summary = message(value_)
        elif number_ in (4, 9):
            left_out["graphs"] += 1
    run.seen(time)
    for number_, value_ in fields(summary):
        if number_ == 1:
            _take_value(message(value_), (position, time), run, points, left_out)


def _take_value(value: bytes, at: tuple[int, float], run: _Run, points: Rows, left_out: Counter[str]) -> None:
    tag, scalar, media, plugin, content, tensor = "", None, "", "", b"", b""
    for number, held in fields(value):
        if number == 1:
            tag = text(held)
        elif number == 2:
            scalar = single(held)
        elif number in _MEDIA:
            media = _MEDIA[number]
        elif number == 8:
            tensor = message(held)
        elif number == 9:
            plugin, content = _plugin(message(held))
    if plugin == "hparams":
        run.hparams(content)
        return
    if tensor and plugin in ("", "scalars"):
        scalar = _scalar(tensor)
    if scalar is not None:
        points.add(tag, at[0], scalar, at[1])
    else:
        left_out[media or _PLUGINS.get(plugin) or (f"{plugin[:40]}" if plugin.endswith("s") else "tensors")] += 1


def _plugin(metadata: bytes) -> tuple[str, bytes]:
    """Name and content of the plugin that a value is for."""
    data = dict(fields(next((message(held) for number, held in fields(metadata) if number == 1), b"")))
    return text(data.get(1, b"")), message(data.get(2, b""))


def _scalar(tensor: bytes) -> float | None:
    """The number of a tensor without dimensions; None for any other one."""
    found = dict(fields(tensor))
    if any(number == 2 for number, _ in fields(message(found.get(2, b"")))):
        return None
    kind, content = found.get(1), found.get(4)
    if kind == 1:
        held = found.get(5, content)
        return single(message(held)[:4]) if held else 0.0
    if kind == 2:
        held = found.get(6, content)
        return double(message(held)[:8]) if held else 0.0
    if kind in (3, 9):
        held = found.get(7 if kind == 3 else 10, 0)
        whole = signed(held) if isinstance(held, int) else signed(dict(fields(b"\x08" + held)).get(1, 0))
        return float(int.from_bytes(message(content), "little", signed=True) if content else whole)
    return None


def _varint(data: bytes) -> int:
    found = 0
    for place, byte in enumerate(data):
        found |= (byte & 0x7F) << 7 * place
    return found - 2**64 if found >= 2**63 else found


@dataclass
class _Run:
    """What is known of a run so far."""

    key: str
    name: str
    before: Mapping[str, Any] = field(default_factory=dict)
    """Its `state` after the last reading."""

    def __post_init__(self) -> None:
        self._params: dict[str, Scalar] = dict(self.before.get("params", {}))
        self._end = int(self.before.get("end", 1))
        self._first, self._last = self.before.get("first"), self.before.get("last")
        self._tags: dict[bytes, str] = {}
        self.described = bool(self.before)
        """Whether it is a run without points, too: a file may describe the whole experiment, or have only a version."""

    def state(self) -> Mapping[str, Any]:
        return {"params": self._params, "end": self._end, "first": self._first, "last": self._last}

    def seen(self, time: float) -> None:
        if self._first is None:
            self._first = time
        self._last = time

    def tag(self, raw: bytes) -> str:
        found = self._tags.get(raw)
        if found is None:
            found = self._tags[raw] = raw.decode("utf-8", "replace")
        return found

    def hparams(self, content: bytes) -> None:
        """Parameters of the start of a session, the status of its end."""
        for number, held in fields(content):
            self.described |= number in (3, 4)
            if number == 3:
                for inner, entry in fields(message(held)):
                    if inner == 1:
                        pair = dict(fields(message(entry)))
                        self._params[text(pair.get(1, b""))] = _value(message(pair.get(2, b"")))
            elif number == 4:
                self._end = signed(dict(fields(message(held))).get(1, 0))

    def record(self) -> RunRecord:
        state, reason = _ENDS.get(self._end, _ENDS[1])
        return RunRecord(
            key=self.key,
            name=self.name,
            params=dict(self._params),
            state=state,
            reason=reason,
            started_at=self._first,
            ended_at=self._last,
        )


def _value(data: bytes) -> Scalar:
    """A google.protobuf.Value that is a single one."""
    for number, held in fields(data):
        if number == 2:
            plain = double(held)
            return int(plain) if plain.is_integer() and abs(plain) < 2**53 else plain
        if number == 3:
            return text(held)
        if number == 4:
            return bool(held)
    return None
