"""A file with a teacher's outputs per text: read, checked row by row, and looked up. It runs no model."""

from __future__ import annotations

import hashlib
import math
import reprlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import file_sha256
from bertdistill.engine.data.files import read_json
from bertdistill.engine.distill.data.examples import Examples, TextExample

TOLERANCE = 0.02
"""By which the probabilities of a row may miss 1: people round them."""
SMALLEST = 1e-6
"""Probabilities below this count as this: fp16 has no logarithm of 0."""
FINITE = sys.float_info.max
LARGEST = 1000.0
"""Logits beyond this are no logits of a classifier; outputs are kept in fp16, which would make them infinite."""

Key = tuple[str, ...]
"""("id", id) or ("text", first, second)."""


@dataclass(frozen=True)
class OutputsFile:
    """The rows of the file. `source` is how messages name it."""

    source: str
    sha256: str
    rows: Mapping[Key, tuple[float, ...]]
    """Logits in the order of the labels."""
    texts: Mapping[str, Key]
    """By id, the text of rows that have both."""

    def missing(self, examples: Examples) -> str:
        """A sentence if rows are missing for some of the examples, else ""; ConfigError if ids name other texts."""
        for row in examples.rows:
            if self.texts.get(row.id, own := text_key(row.text, row.pair)) != own:
                raise ConfigError(
                    f"{self.source}: id {row.id} has the text {self.texts[row.id][1][:60]!r}, but that row of "
                    f"data.train is {row.text[:60]!r}",
                    hint="correct the ids, or remove them: then texts are compared",
                )
        absent = [row for row in examples.rows if self._find(row) is None]
        if not absent:
            return ""
        first = absent[0]
        return (
            f"{self.source} has no outputs for {len(absent):,} of {len(examples.rows):,} texts, the first is "
            f"{first.text[:60]!r} (id {first.id})"
        )

    def logits(self, rows: Sequence[TextExample]) -> npt.NDArray[np.float32]:
        """(rows, labels), for examples that are not missing."""
        return np.array([self._find(row) for row in rows], np.float32)

    def _find(self, row: TextExample) -> tuple[float, ...] | None:
        found = self.rows.get(("id", row.id))
        return self.rows.get(text_key(row.text, row.pair)) if found is None else found


def text_key(text: str, pair: str | None) -> Key:
    """A text as it is looked up: white space does not count."""
    return ("text", *(" ".join(side.split()) for side in (text, pair) if side is not None))


def read_outputs(path: Path, labels: Sequence[str], named: str) -> OutputsFile:
    """Read and check the file; ConfigError names it, the row and the remedy. `named` is the key of the study file."""
    source = f"{path} ({named})"
    if not path.is_file():
        raise ConfigError(f"{source} is not a file", hint="correct the path")
    raw, _ = read_json(path, source, lines=True)
    raw = [raw] if isinstance(raw, dict) else raw  # a file of one line
    if not isinstance(raw, list) or not all(isinstance(row, dict) for row in raw):
        raise ConfigError(f"{source}: expected one JSON object per line", hint="save it as JSON Lines")
    rows: dict[Key, tuple[float, ...]] = {}
    texts: dict[str, Key] = {}
    for number, row in enumerate(raw, 1):
        at = f"{source}, row {number}"
        key = _key(row, at)
        if key in rows:
            raise ConfigError(f"{at}: a second row for {key[0]} {key[1][:60]!r}", hint="keep one of them")
        rows[key] = _logits(row, labels, at)
        if key[0] == "id" and (text := _text(row)):
            texts[key[1]] = text
    order = hashlib.sha256(repr((file_sha256(path), tuple(labels))).encode()).hexdigest()
    return OutputsFile(source, order, rows, texts)


def _key(row: Mapping[str, Any], at: str) -> Key:
    given = row.get("id")
    if isinstance(given, float) and given.is_integer():  # as pandas writes a column in which some are missing
        given = int(given)
    if isinstance(given, (str, int)) and not isinstance(given, bool):
        return "id", str(given)
    if not (text := _text(row)):
        raise ConfigError(f"{at} has neither an id nor a text", hint='add "id" (row of data.train from 0) or "text"')
    return text


def _text(row: Mapping[str, Any]) -> Key | None:
    text, pair = row.get("text"), row.get("text_pair", row.get("pair"))
    return text_key(text, pair) if isinstance(text, str) and (pair is None or isinstance(pair, str)) else None


def _logits(row: Mapping[str, Any], labels: Sequence[str], at: str) -> tuple[float, ...]:
    given = [name for name in ("probabilities", "logits") if name in row]
    if len(given) != 1:
        raise ConfigError(f"{at} must have either probabilities or logits", hint="give one of them per row")
    values = _numbers(row[given[0]], labels, f"{at}: {given[0]}")
    if given[0] == "logits":
        if max(map(abs, values)) > LARGEST:
            raise ConfigError(
                f"{at}: logits {_short(values)} go beyond {LARGEST:g}", hint="give logits, or probabilities"
            )
        return values
    if min(values) < 0 or abs(sum(values) - 1) > TOLERANCE:
        raise ConfigError(
            f"{at}: probabilities {_short(values)} must be 0 or more and add up to 1",
            hint="correct them, or use logits",
        )
    return tuple(math.log(max(value, SMALLEST)) for value in values)


def _numbers(raw: Any, labels: Sequence[str], at: str) -> tuple[float, ...]:
    """The numbers in the order of the labels."""
    listed = ", ".join(labels)
    if isinstance(raw, Mapping):
        if other := sorted(map(str, set(raw) - {*labels})):
            raise ConfigError(
                f"{at} names {reprlib.repr(other[0])}, which is not one of the labels {listed}", hint="rename it"
            )
        if lacking := [name for name in labels if name not in raw]:
            raise ConfigError(f"{at} has no number for the label {lacking[0]!r}", hint=f"give all of {listed}")
        raw = [raw[name] for name in labels]
    if not isinstance(raw, list) or len(raw) != len(labels):
        raise ConfigError(f"{at} must be {len(labels)} numbers, in the order of the labels {listed}")
    for value in raw:
        # A comparison, because JSON has integers that are too large for a float.
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not -FINITE <= value <= FINITE:
            raise ConfigError(f"{at} has {reprlib.repr(value)}, which is not a finite number", hint="correct the row")
    return tuple(map(float, raw))


def _short(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values[:6])}]"
