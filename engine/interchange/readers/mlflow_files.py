"""MLflow's file stores (`./mlruns`): a folder for each experiment and run, a file for each parameter, tag and metric
(mlflow/store/tracking/file_store.py). A line of a metric without its end is still being written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bertdistill.engine.interchange.readers.mlflow_runs import DELETED, NOTE, STATUSES, MlflowRun
from bertdistill.engine.interchange.readers.reader import Columns, Marks, Part
from bertdistill.engine.interchange.records import Curve, StudyRecord
from bertdistill.store.errors import ForeignError

META = "meta.yaml"
BYTES_AT_ONCE = 1 << 21
"""Of one metric: about 50,000 lines."""
_CORRECT = "Each line is a time in milliseconds, a value and a step: correct it in a copy, and import the copy."


def fits(path: Path) -> bool:
    return path.is_dir() and any((one / META).is_file() for one in _folders(path))


@contextmanager
def reader(path: Path, columns: Columns) -> Iterator[MlflowFiles]:
    yield MlflowFiles(path)


class MlflowFiles:
    """See `Reader`."""

    def __init__(self, folder: Path) -> None:
        self._remarks: Counter[str] = Counter()
        self._experiments: dict[str, Path] = {}
        for one in _folders(folder):
            if (one / META).is_file() and any((run / META).is_file() for run in _folders(one)):
                meta = _meta(one / META)
                if meta.get("lifecycle_stage", "active") == "active" and "run_id" not in meta:
                    self._experiments[str(meta.get("name", one.name))] = one

    def studies(self) -> list[StudyRecord]:
        return [StudyRecord(name=name, note=_text(at / "tags" / NOTE)) for name, at in self._experiments.items()]

    def remarks(self) -> Mapping[str, int]:
        return self._remarks

    def problems(self) -> Sequence[ForeignError]:
        return ()

    def parts(self, study: str, marks: Marks) -> Iterator[Part]:
        found = [(_meta(one / META), one) for one in _folders(self._experiments[study]) if (one / META).is_file()]
        for meta, folder in sorted(found, key=lambda pair: (_whole(pair[0].get("start_time")) or 0, pair[1].name)):
            if meta.get("lifecycle_stage", "active") != "active":
                self._remarks[DELETED] += 1
            else:
                yield from _parts(_run(meta, folder), folder / "metrics", marks)


def _run(meta: Mapping[str, Any], folder: Path) -> MlflowRun:
    status = _whole(meta.get("status")) or 0
    return MlflowRun(
        run_id=str(meta.get("run_id") or meta.get("run_uuid") or folder.name),
        name=str(meta.get("run_name") or ""),
        status=STATUSES[status] if 0 <= status < len(STATUSES) else "",
        started_at=_whole(meta.get("start_time")),
        ended_at=_whole(meta.get("end_time")),
        params={name: _text(one) for name, one in _files(folder / "params")},
        tags={name: _text(one) for name, one in _files(folder / "tags")},
    )


def _parts(run: MlflowRun, folder: Path, marks: Marks) -> Iterator[Part]:
    record = run.record()
    read = dict(marks(record.key).get("read", {}))
    yield Part(record, {"read": dict(read)})
    for name, path in _files(folder):
        more = True
        while more:
            data, more = _next_lines(path, int(read.get(name, 0)))
            if data:
                read[name] = int(read.get(name, 0)) + len(data)
                yield Part(record, {"read": dict(read)}, [_curve(name, path, data)])


def _next_lines(path: Path, offset: int) -> tuple[bytes, bool]:
    """Whole lines from a byte on, and whether there are more."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(BYTES_AT_ONCE)
    except OSError as error:
        raise ForeignError(f"{path}: cannot be read: {error.strerror}", hint="Check its permissions.") from error
    lines, more = data[: data.rfind(b"\n") + 1], len(data) == BYTES_AT_ONCE
    if more and not lines:
        raise ForeignError(f"{path}: has a line of more than {BYTES_AT_ONCE:,} bytes at byte {offset:,}", hint=_CORRECT)
    return lines, more


def _curve(name: str, path: Path, data: bytes) -> Curve:
    """Lines of time (ms), value and step; newer versions add the name of a data set."""
    fields = data.split()
    lines = data.count(b"\n")
    if len(fields) != 3 * lines:
        rows = [line.split()[:3] for line in data.splitlines() if line.strip()]
        fields = [field for row in rows for field in (*row, b"0")[:3]]
    try:
        times = [int(at) / 1000 for at in fields[::3]]
        return Curve(name, [int(step) for step in fields[2::3]], [float(value) for value in fields[1::3]], times)
    except (ValueError, OverflowError) as error:
        raise ForeignError(f"{path}: has a line that is no value of a metric ({error})", hint=_CORRECT) from error


def _folders(path: Path) -> list[Path]:
    """Folders below, without links, which could lead in circles, and without deleted experiments (`.trash`)."""
    return [one for one in sorted(path.iterdir()) if one.is_dir() and not one.is_symlink() and one.name[0] != "."]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files at any depth by their path, which is the name of a parameter, tag or metric: it may contain slashes."""
    if folder.is_dir():
        for one in sorted(folder.rglob("*")):
            if one.is_file() and not one.is_symlink():
                yield one.relative_to(folder).as_posix(), one


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace") if path.is_file() else ""
    except OSError as error:
        raise ForeignError(f"{path}: cannot be read: {error.strerror}", hint="Check its permissions.") from error


def _meta(path: Path) -> Mapping[str, Any]:
    import yaml  # a requirement of huggingface_hub; 30 ms

    try:
        found = yaml.safe_load(_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        hint = "Restore the file, or move its folder out of the store."
        raise ForeignError(f"{path}: is not a description of a run or experiment", hint=hint) from error
    return found if isinstance(found, dict) else {}


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None
