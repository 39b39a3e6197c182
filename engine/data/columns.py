"""Which columns of a table hold the text, the second text and the label: by key, by common names, or by their cells.

Ambiguous tables are refused with a list of their columns and samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.tables import (
    LABELS,
    PAIRS,
    TEXTS,
    Table,
    cell_text,
    is_categorical,
    is_integer,
)

LOOKED_AT = 2000
"""Number of rows by which a column is judged."""
SENTENCE = 15
"""Mean characters per cell from which an unnamed column is taken to hold sentences."""
WORDS = 2.0
"""Mean words per cell above which a named column is taken to hold sentences."""
KEYS = ("text_column", "text_pair_column", "label_column")


@dataclass(frozen=True)
class Columns:
    """Column positions in a table."""

    text: int
    pair: int | None
    label: int


@dataclass(frozen=True)
class Column:
    """One column of a file, for display. `use` is text, pair, label, or "" if the column is not used."""

    name: str
    samples: tuple[str, ...]
    use: str = ""
    wordy: bool = False
    """Whether it holds sentences."""


def find_columns(table: Table, data: DataSpec, source: str) -> Columns:
    """The positions of text, second text and label; ConfigError names the key to set."""
    text, pair, label = (_position(table, data, key, source) for key in KEYS)
    if not table.names:
        return _unnamed(table, text, pair, label, source)
    folded = [name.casefold() for name in table.names]
    if label is None:
        label = next((folded.index(name) for name in LABELS if name in folded), None)
    if text is None:
        text, pair = _usual_texts(folded, pair)
    if text is None:
        text = _only(table, [i for i in _free(table, pair, label) if _wordy(_cells(table, i))])
    if label is None:
        label = _only(table, [i for i in _free(table, text, pair) if is_categorical(_cells(table, i))])
    if text is None or label is None:
        key = "text_column" if text is None else "label_column"
        raise ConfigError(f"{source}: set data.{key}; the columns are {_listed(table)}.")
    return Columns(text, pair, label)


def find_texts(table: Table, data: DataSpec, source: str, section: str, *, paired: bool) -> tuple[int, int | None]:
    """The positions of text and, if `paired`, second text, of a table without labels or whose labels are not read.

    `section` is the table of the study file that names the columns. ConfigError names the key to set.
    """
    text, pair = (_position(table, data, key, source, section) for key in KEYS[:2])
    if table.names and text is None:
        text, pair = _usual_texts([name.casefold() for name in table.names], pair)
    free = [i for i in range(len(table.names or table.rows[0])) if i != pair]
    if text is None:
        text = _only(table, free) if len(free) == 1 else _only(table, [i for i in free if _wordy(_cells(table, i))])
    if text is None or (paired and pair is None):
        key = "text_column" if text is None else "text_pair_column"
        raise ConfigError(f"{source}: set {section}.{key}; the columns are {_listed(table)}.")
    return text, pair if paired else None


def text_cells(table: Table, column: int, source: str, key: str) -> list[str]:
    """The texts of a column; ConfigError for lists, such as words that were already separated, and objects.

    `key` is that of the study file which names the column.
    """
    cells = [row[column] for row in table.rows]
    wrong = next((n for n, cell in enumerate(cells) if isinstance(cell, (list, tuple, dict))), None)
    if wrong is not None:
        what = "an object" if isinstance(cells[wrong], dict) else "a list"
        raise ConfigError(
            f"{source}: the text of example {wrong + 1} is {what}, {str(cells[wrong])[:60]}. Join its parts, "
            f"or set {key} to a column of texts."
        )
    return [cell_text(cell) for cell in cells]


def describe(table: Table, found: Columns | None = None) -> list[Column]:
    """Every column with two distinct sample cells and its use."""
    uses = {found.text: "text", found.pair: "pair", found.label: "label"} if found else {}
    described = []
    for index, name in enumerate(_names(table)):
        cells = _cells(table, index)
        samples = tuple(dict.fromkeys(cell for cell in cells if cell.strip()))[:2]
        described.append(Column(name, samples, uses.get(index, ""), _wordy(cells)))
    return described


def unused_sentences(columns: Sequence[Column]) -> list[str]:
    """Names of unused columns that hold sentences, if no second text is used."""
    if any(column.use == "pair" for column in columns):
        return []
    return [column.name for column in columns if not column.use and column.wordy]


def half_read(table: Table, found: Columns, source: str) -> tuple[str, ...]:
    """A warning if half of the input of a sentence-pair task seems to be missing."""
    names = unused_sentences(describe(table, found))
    if not names:
        return ()
    text = _names(table)[found.text]
    return (
        f"{source}: only column {text!r} is read, and {', '.join(map(repr, names))} is not used. For sentence pairs "
        f'set data.text_pair_column = "{names[0]}"',
    )


def _names(table: Table) -> Sequence[str]:
    return table.names or [str(i) for i in range(len(table.rows[0]) if table.rows else 0)]


def _listed(table: Table) -> str:
    return ", ".join(
        f"{column.name} ({', '.join(repr(sample[:30]) for sample in column.samples) or 'empty'})"
        for column in describe(table)
    )


def _position(table: Table, data: DataSpec, key: str, source: str, section: str = "data") -> int | None:
    """The position of the column that a key names; a unique match that differs only in case counts."""
    wanted = str(getattr(data, key))
    if not wanted:
        return None
    if wanted in table.names:
        return table.names.index(wanted)
    alike = [i for i, name in enumerate(table.names) if name.casefold() == wanted.strip().casefold()]
    if len(alike) == 1:
        return alike[0]
    width = len(table.names) or len(table.rows[0])
    if wanted.isdecimal() and int(wanted) < width:
        return int(wanted)
    has = _listed(table) if table.names else f"no header, and positions 0 to {width - 1}: {_listed(table)}"
    raise ConfigError(f"{source}: no column {wanted!r} for {section}.{key}. It has: {has}.")


def _usual_texts(folded: Sequence[str], pair: int | None) -> tuple[int | None, int | None]:
    for first, second in PAIRS:
        if pair is None and first in folded and second in folded:
            return folded.index(first), folded.index(second)
    return next((folded.index(name) for name in TEXTS if name in folded), None), pair


def _free(table: Table, *taken: int | None) -> list[int]:
    return [i for i in range(len(table.names)) if i not in taken]


def _only(table: Table, candidates: Sequence[int]) -> int | None:
    return candidates[0] if len(candidates) == 1 else None


def _cells(table: Table, column: int) -> list[str]:
    return [cell_text(row[column]) for row in table.rows[:LOOKED_AT]]


def _wordy(cells: Sequence[str]) -> bool:
    return sum(len(cell.split()) for cell in cells) > WORDS * len(cells)


def _unnamed(table: Table, text: int | None, pair: int | None, label: int | None, source: str) -> Columns:
    """Without a header: the longest column is the text; the label is an integer column, else the least varied one."""
    columns = [_cells(table, i) for i in range(len(table.rows[0]))]
    free = [i for i in range(len(columns)) if i not in (text, pair, label)]
    if text is None:
        text = max(free, key=lambda i: sum(map(len, columns[i])), default=None)
        free = [i for i in free if i != text]
    if label is None:
        varied = [i for i in free if len(set(columns[i])) > 1] or free
        whole = [i for i in varied if all(map(is_integer, columns[i]))]
        label = min(whole or varied, key=lambda i: len(set(columns[i])), default=None)
        free = [i for i in free if i != label]
    sentences = [i for i in free if pair is None and sum(map(len, columns[i])) > SENTENCE * len(columns[i])]
    if text is None or label is None or sentences:
        raise ConfigError(
            f"{source} has {len(columns)} column(s) and no known header. Set data.text_column, data.label_column and, "
            f"for sentence pairs, data.text_pair_column to names or to positions from 0: {_listed(table)}."
        )
    return Columns(text, pair, label)
