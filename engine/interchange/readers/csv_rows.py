"""What the columns of a CSV file mean, and its cells as values. It opens the file but knows no run.

Spreadsheets run text that begins like a formula, so exports put an apostrophe before it, which is taken off here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from bertdistill.engine.contract.logged import Scalar
from bertdistill.engine.interchange.readers.reader import parameter
from bertdistill.engine.interchange.records import UNFINISHED, RunRecord
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.outline import readable_objectives
from bertdistill.store.errors import ForeignError
from bertdistill.store.rows import TrialState

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of text that spreadsheets run."""
_PARAMS = ("params.", "params_", "param.", "params/", "param/", "parameters.")
_METRICS = ("metrics.", "metrics_", "metric.", "metrics/", "metric/", "values_")
_FACTS = ("tags.", "user_attrs_", "settings.")
_KEYS = ("run_id", "run id", "trial", "number", "run", "id", "name", "run_name")
_NAMES = ("name", "run_name", "tags.mlflow.runname")
_TEXTS = {
    "state": ("state", "status"),
    "started": ("started_at", "start_time", "datetime_start", "created_at", "created"),
    "ended": ("finished_at", "ended_at", "end_time", "datetime_complete"),
    "reason": ("reason",),
    "detail": ("detail",),
    "note": ("note", "notes"),
    "tags": ("tags",),
}
_POINTS = (
    ("run", "trial", "run_id", "run_name", "experiment", "id"),
    ("metric", "series", "tag", "key"),
    ("step", "global_step", "iteration", "epoch"),
    ("value",),
    ("time", "timestamp", "wall_time"),
)
_STATES: Mapping[str, tuple[TrialState, str]] = {
    **dict.fromkeys(("pruned",), (TrialState.PRUNED, "pruned")),
    **dict.fromkeys(("fail", "failed", "crashed", "error"), (TrialState.FAILED, "failed")),
    **dict.fromkeys(("stopped", "killed", "interrupted"), (TrialState.STOPPED, "stopped")),
    **dict.fromkeys(("running", "waiting", "queued", "scheduled", "pending"), (TrialState.STOPPED, UNFINISHED)),
    "infeasible": (TrialState.INFEASIBLE, "infeasible"),
}
_MILLISECONDS = 1e11
"""Larger times are counted in milliseconds: as seconds they would be after the year 5000."""


class Layout(Enum):
    WIDE = "a row for each run"
    LONG = "a row for each point"


class Header:
    """The first line of a file."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [plain(name.strip()) for name in names]
        self._places = {name.lower(): place for place, name in reversed(list(enumerate(self.names)))}
        self._params = self._prefixed(_PARAMS)
        self._metrics = self._prefixed(_METRICS)
        self._facts = self._prefixed(_FACTS)

    def layout(self, metrics: Sequence[str]) -> Layout | None:
        """None if nothing says which columns are metrics."""
        if not (self._params or self._metrics or metrics) and all(self._first(known) >= 0 for known in _POINTS[1:4]):
            return Layout.LONG
        return Layout.WIDE if self._params or self._metrics or metrics or "value" in self._places else None

    def point_columns(self) -> tuple[int, int, int, int, int]:
        """Places of run, metric, step, value and time in a long table; -1 for those that it lacks."""
        run, metric, step, value, time = (self._first(known) for known in _POINTS)
        return run, metric, step, value, time

    def run(self, row: Sequence[str], metrics: Sequence[str]) -> tuple[str, RunRecord]:
        """A row as a run without its key, and its label: empty without one, and other rows may have the same."""
        texts = {name: plain(self._cell(row, known)) for name, known in _TEXTS.items()}
        state, reason = _STATES.get(texts["state"].lower().rpartition(".")[2], (TrialState.COMPLETE, ""))
        named = {name for name in metrics if name in self.names}
        metric_places = self._metrics | {one: self.names.index(one) for one in named} | self._value()
        return self._cell(row, _KEYS), RunRecord(
            key="",
            name=plain(self._cell(row, _NAMES)),
            params={name: scalar(row[at]) for name, at in self._parameters(named).items() if row[at] != ""},
            attributes={name: scalar(row[at]) for name, at in self._facts.items() if row[at] != ""},
            metrics={name: number(row[at]) for name, at in metric_places.items() if row[at] != ""},
            state=state,
            reason=texts["reason"] or reason,
            detail=texts["detail"],
            started_at=seconds(texts["started"]),
            ended_at=seconds(texts["ended"]),
            tags=_words(texts["tags"]),
            note=texts["note"],
        )

    def _value(self) -> dict[str, int]:
        """The only value of a study of optuna."""
        return {"value": self._places["value"]} if "value" in self._places else {}

    def _parameters(self, metrics: set[str]) -> Mapping[str, int]:
        """With prefixes those that have one; otherwise all that mean nothing else."""
        if self._params or self._metrics:
            return self._params
        known = {*_KEYS, *_NAMES, *(name for names in _TEXTS.values() for name in names), "value"}
        pairs = {name: place for place, name in enumerate(self.names) if name}
        return {name: at for name, at in pairs.items() if name not in metrics and name.lower() not in known}

    def _prefixed(self, prefixes: Sequence[str]) -> dict[str, int]:
        found = {}
        for place, name in enumerate(self.names):
            prefix = next((one for one in prefixes if name.lower().startswith(one)), "")
            if prefix and len(name) > len(prefix):
                found[f"value_{name[7:]}" if prefix == "values_" else name[len(prefix) :]] = place
        return found

    def _first(self, known: Sequence[str]) -> int:
        return next((self._places[name] for name in known if name in self._places), -1)

    def _cell(self, row: Sequence[str], known: Sequence[str]) -> str:
        return next((row[self._places[name]] for name in known if name in self._places), "")


class Lines:
    """Lines of an open file up to the last whole one."""

    def __init__(self, file: TextIO, delimiter: str) -> None:
        self._file = file
        self.delimiter = delimiter
        self.cut = 0
        """1 once the file has ended in a line without an end."""

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            if not line.endswith(("\n", "\r")):
                self.cut = 1
                return
            yield line.replace("\0", "")


@contextmanager
def file_lines(path: Path) -> Iterator[Lines]:
    """The lines of a CSV file, and what is between its cells: a comma, a semicolon or a tab, as its header has most."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            first = file.readline()
            file.seek(0)
            yield Lines(file, max(",;\t", key=first.count))
    except OSError as error:
        raise ForeignError(f"{path}: cannot be read: {error.strerror}", hint="Check its permissions.") from error


def plain(text: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from running it."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA) else text


def scalar(text: str) -> Scalar:
    """A parameter."""
    return parameter(plain(text))


def number(text: str) -> float | None:
    """A number; None if it is not a finite one."""
    try:
        return float(text)
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(text.lower())


def seconds(text: str) -> float | None:
    """Unix time of a number of seconds or milliseconds, or an ISO time (UTC without a time zone); None for others."""
    try:
        found = float(text)
        return found / 1000 if found > _MILLISECONDS else found
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def objectives_of(raw: Any) -> tuple[Objective, ...]:
    """Objectives as our own export writes them."""
    return tuple(readable_objectives(raw))


def _words(text: str) -> tuple[str, ...]:
    """Tags: a JSON list, or words with commas between them."""
    if text.startswith("["):
        try:
            return tuple(str(one) for one in json.loads(text))
        except (ValueError, RecursionError):
            return ()
    return tuple(one.strip() for one in text.split(",") if one.strip())
