"""The label column: maps cells to class names and refuses what cannot be a class: lists, scores, missing values."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.data.files import parse_json
from bertdistill.engine.data.tables import cell_text, is_integer, is_number

MANY_LABELS = 100
"""With more distinct values than this, and more than half as many as rows, the column does not hold labels."""
SEPARATORS = "#|;,"
"""Separators with which annotation tools join the labels of one row."""
MULTI_LABEL = (
    "Multi-label data is not supported: give each example one class, or choose a column with data.label_column."
)


def label_texts(cells: Sequence[Any], source: str, given: Sequence[str] = ()) -> list[str]:
    """The label of every row as text; ConfigError for lists of labels, missing labels and decimals.

    A list of one label counts as that label, 1.0 as 1. `given` are names listed by the user, who may call a class 0.5.
    """
    if not cells:
        return []
    values = [_one(cell, row, source) for row, cell in enumerate(_opened(cells))]
    missing = [row for row, value in enumerate(values) if not value]
    if len(missing) == len(values) or set(values) == {"-1"}:
        raise ConfigError(
            f"{source} has no labels (they are all {values[0] or 'empty'}). Name a file or split with labels, or set "
            "data.label_column."
        )
    if missing:
        raise ConfigError(
            f"{source}: {len(missing)} of {len(values)} examples have no label, the first is example "
            f"{missing[0] + 1}. Remove or label them, or set data.label_column."
        )
    values = _whole(values, source, given)
    _refuse_joined(values, source, given)
    return values


def found_labels(values: Sequence[str], source: str) -> tuple[str, ...]:
    """The class names of a column in order: numbers by value, then words; ConfigError if they are not classes."""
    found = set(values)
    if len(found) > MANY_LABELS and len(found) > len(values) / 2:
        raise ConfigError(
            f"{source}: the label column holds {len(found)} distinct values in {len(values)} rows, for example "
            f"{values[0][:60]!r}. Set data.label_column to the column of the classes."
        )
    if len(found) < 2:
        raise ConfigError(f"{source}: the only label is {values[0]!r}; a classifier needs two or more.")
    return tuple(sorted(found, key=lambda name: (not is_integer(name), int(name) if is_integer(name) else 0, name)))


def label_indices(values: Sequence[str], names: Sequence[str], source: str, *, positions: bool) -> list[int]:
    """Labels to indices. With `positions`, integers index the names in order if no label is itself a name."""
    index = {name: i for i, name in enumerate(names)}
    if positions and not any(value in index for value in values):
        index = {str(i): i for i in range(len(names))}
    for row, value in enumerate(values):
        if value not in index:
            raise ConfigError(
                f"{source}: example {row + 1} has the label {value!r}, which is not one of {', '.join(names)}. "
                "Correct the file, set data.label_column, or list every name in data.labels."
            )
    return [index[value] for value in values]


# ------------------------------------------------------------------------------------------------------------ one cell


def _opened(cells: Sequence[Any]) -> Sequence[Any]:
    """Cells that spell out lists, as in CSV exports, become lists; others are unchanged."""
    if not all(isinstance(cell, str) and cell.strip()[:1] == "[" and cell.strip()[-1:] == "]" for cell in cells):
        return cells
    opened = [_list(cell.strip()) for cell in cells]
    return cells if any(one is None for one in opened) else opened


def _list(text: str) -> list[Any] | None:
    for parse in (parse_json, ast.literal_eval):
        try:
            found = parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, list) else None
    return None


def _one(cell: Any, row: int, source: str) -> str:
    if isinstance(cell, (list, tuple)):
        if len(cell) > 1 or any(isinstance(item, (list, tuple, dict)) for item in cell):
            raise ConfigError(f"{source}: the label of example {row + 1} is a list, {str(cell)[:60]}. {MULTI_LABEL}")
        return _one(cell[0], row, source) if cell else ""
    if isinstance(cell, dict):
        raise ConfigError(
            f"{source}: the label of example {row + 1} is an object, {str(cell)[:60]}. Set data.label_column to a "
            "column of class names."
        )
    if isinstance(cell, float) and math.isnan(cell):
        return ""
    return str(int(cell)) if isinstance(cell, bool) else cell_text(cell).strip()


# ---------------------------------------------------------------------------------------------------------- the column


def _whole(values: list[str], source: str, given: Sequence[str]) -> list[str]:
    """Numbers such as 1.0, which pandas writes if a cell is empty, become integers; fractions are refused as scores."""
    if all(map(is_integer, values)) or not all(map(is_number, values)):
        return values
    listed = set(given)
    scores = (row for row, value in enumerate(values) if value not in listed and not float(value).is_integer())
    fraction = next(scores, None)
    if fraction is not None:
        raise ConfigError(
            f"{source}: the labels are decimals, for example {values[fraction]!r} in example {fraction + 1}: scores "
            "are a regression, which is not supported. Set data.label_column, or list the values in data.labels if "
            "each of them is a class."
        )
    return [value if value in listed else str(int(float(value))) for value in values]


def _refuse_joined(values: Sequence[str], source: str, given: Sequence[str]) -> None:
    """Refuse labels joined in one cell: the same parts in another order, or parts that are labels of other rows."""
    found = sorted(set(values) - set(given))
    for mark in SEPARATORS:
        joined = [value for value in found if mark in value]
        parts = [tuple(sorted(part.strip() for part in value.split(mark))) for value in joined]
        alone = {value for value in found if mark not in value}
        if joined and (len(set(parts)) < len(parts) or all(set(part) <= alone for part in parts)):
            raise ConfigError(f"{source}: the label {joined[0]!r} holds several labels in one cell. {MULTI_LABEL}")
