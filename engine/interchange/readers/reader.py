"""The seam between the files of other trackers and the import: what a reader of one form yields.

A reader only reads: it writes no file, keeps no lock for long, executes nothing and unpickles nothing. What it finds is
not trusted; the import checks names and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bertdistill.engine.contract.logged import Scalar
from bertdistill.engine.interchange.records import Curve, RunRecord, StudyRecord
from bertdistill.store.errors import ForeignError

AT_ONCE = 50_000
"""Points of one part at most, roughly: what is held in memory and stored in one transaction."""

MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError)
"""What the parsing of damaged or hostile content may raise; a reader says in which file, and where in it."""

Mark = Mapping[str, Any]
"""How much of a run was read, as JSON that only its reader interprets; empty before the first time."""
Marks = Callable[[str], Mark]
"""The mark of a run by its key."""


@dataclass(frozen=True)
class Part:
    """A run with the next points of its curves. A long run comes in several parts, one without news perhaps in none."""

    run: RunRecord
    mark: Mark
    """Where the next reading continues once this part is stored."""
    curves: Sequence[Curve] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What cannot be represented, a plural noun such as "images", and how many of them."""
    restarts: bool = False
    """The curves begin at their first points again, which replace those that are stored."""


class Reader(Protocol):
    """An open source."""

    def studies(self) -> Iterable[StudyRecord]:
        """What it holds, each name once; those without a run may be missing."""

    def parts(self, study: str, marks: Marks) -> Iterator[Part]:
        """The runs of one of them, oldest first, with what is new since their marks. ForeignError if it is damaged."""

    def remarks(self) -> Mapping[str, int]:
        """What was left out of no run in particular, and of whole runs, so far."""

    def problems(self) -> Sequence[ForeignError]:
        """Damage after which other runs could still be read."""


@dataclass(frozen=True)
class Form:
    """One form of files of one tracker."""

    tracker: str
    """As in `--as`."""
    what: str
    """As in "results.db is an MLflow database"."""
    fits: Callable[[Path], bool]
    """Whether an existing file or folder is of this form; cheap, and never fails."""
    open: Callable[[Path, Columns], AbstractContextManager[Reader]]


@dataclass(frozen=True)
class Columns:
    """What a person says of a table whose header does not say it."""

    metrics: tuple[str, ...] = ()


class Rows:
    """Points that come row by row, gathered as curves."""

    def __init__(self) -> None:
        self.count = 0
        self._curves: dict[str, tuple[list[int], list[float | None], list[float]]] = {}

    def add(self, name: str, step: int, value: float | None, time: float) -> None:
        found = self._curves.get(name)
        if found is None:
            found = self._curves[name] = ([], [], [])
        found[0].append(step)
        found[1].append(value)
        found[2].append(time)
        self.count += 1

    def take(self) -> tuple[Curve, ...]:
        """What was gathered since the last time, by order of first appearance."""
        curves = tuple(Curve(name, *columns) for name, columns in self._curves.items())
        self._curves, self.count = {}, 0
        return curves


def flattened(values: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings by names with slashes, as `Run.log` names them."""
    if isinstance(values, Mapping) and "_type" not in values:
        for name, value in values.items():
            yield from flattened(value, f"{above}/{name}" if above else str(name))
    elif above:
        yield above, values


def kind_of(value: Any) -> str:
    """What a value that is not a number is called when it is counted: images, histograms, texts, lists."""
    if isinstance(value, Mapping):
        words = re.sub(r"[^a-z0-9]+", " ", str(value.get("_type", "object")).lower())
        kind = words.removeprefix("trackio ").removesuffix(" file").split(" ")[0][:40] or "object"
        return kind if kind.endswith("s") else f"{kind}s"
    return "lists" if isinstance(value, list) else "texts"


def parameter(text: str) -> Scalar:
    """A parameter that its tracker stores as text: a number or truth value if it is written as one."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


_WORDS: Mapping[str, Scalar] = {"True": True, "true": True, "False": False, "false": False, "None": None}
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")
"""Not `007`, which is a name, and nothing longer than integers of databases are."""
_DECIMAL = re.compile(r"[-+]?([0-9]{1,30}\.[0-9]*|[0-9]{0,30}\.[0-9]+|[1-9][0-9]{0,30}(?=[eE]))([eE][-+]?[0-9]{1,3})?")
