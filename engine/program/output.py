"""What a program prints on its standard output, line by line: metrics, checkpoints and its last word, as JSON objects.

Pure: it reads and writes nothing. Anything may be printed, so whatever is not such an object is only a line of the log.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LONGEST_LINE = 1 << 20
"""A longer line is not read as JSON, and only its start goes to the log."""
SHOWN = 4096
"""So much of it."""
SHOWN_LAST = 300
MOST_STEP = 2**62
DEEPEST = 8
"""Of nested objects, whose names are joined by slashes."""


class Lines:
    """Cuts a stream of bytes into lines and holds no more than one."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._dropped = 0
        """Bytes of the line at hand that were dropped."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that this completes, each with its end."""
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._add(part)
            yield self._take(b"\n")
        self._add(rest)

    def end(self) -> Iterator[bytes]:
        """The last line, if the program did not end it."""
        if self._rest:
            yield self._take(b"\n")

    def _add(self, part: bytes) -> None:
        room = LONGEST_LINE - len(self._rest)
        self._rest += part[:room]
        self._dropped += max(len(part) - room, 0)

    def _take(self, end: bytes) -> bytes:
        line, dropped = bytes(self._rest), self._dropped
        self._rest, self._dropped = bytearray(), 0
        if not dropped:
            return line + end
        return line[:SHOWN] + f" ... [a line of {len(line) + dropped:,} bytes]".encode() + end


@dataclass(frozen=True)
class Streamed:
    """Values of one step."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Saved:
    """A checkpoint that the program names."""

    folder: str
    step: int
    best: bool


@dataclass
class Said:
    """What the JSON lines of a program have said so far."""

    objectives: Sequence[str]
    final: dict[str, float] = field(default_factory=dict)
    """From lines without a step that have an objective; not finite if the program says so."""
    infeasible: str | None = None
    """Why the parameters are, or None."""
    last: str = ""
    """The last line that is not blank, for a message."""

    def hear(self, line: bytes) -> Iterator[Streamed | Saved]:
        """Take in one line, and give what is to be reported at once."""
        if line.strip():
            self.last = line.strip()[:SHOWN_LAST].decode("utf-8", "replace")
        found = parse(line)
        if found is None:
            return
        step = whole(found.pop("step")) if "step" in found else None
        if isinstance(found.get("checkpoint"), str):
            yield Saved(found["checkpoint"], step or 0, found.get("best") is True)
        if found.get("infeasible") not in (None, False):
            self.infeasible = str(found["infeasible"])[:500]
        values = numbers(found)
        if step is None:
            self.final |= values if any(name in values for name in self.objectives) else {}
        elif step >= 0 and values:
            yield Streamed(step, values)


def parse(line: bytes) -> dict[str, Any] | None:
    """The JSON object on a line, after what a carriage return has overwritten; None if there is none."""
    text = line.strip().rpartition(b"\r")[2].strip()
    if not text.startswith(b"{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def whole(step: Any) -> int:
    """The number of a step; -1 if it is not one."""
    number = step if type(step) in (int, float) and step == step and abs(step) < MOST_STEP else -1
    return int(number) if number == int(number) else -1


def numbers(values: Mapping[str, Any], above: str = "", depth: int = DEEPEST) -> dict[str, float]:
    """The numbers in an object, those of nested ones with slashes; null is not a number (NaN), and too large ones are
    infinite."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{above}{name}/", depth - 1) if depth else {}
        elif value is None or type(value) in (int, float):
            found[f"{above}{name}"] = as_float(value)
    return found


def as_float(value: float | None) -> float:
    """The value as a float; NaN for None, infinite if it does not fit."""
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.copysign(math.inf, 1 if value and value > 0 else -1)
