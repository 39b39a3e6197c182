"""The content of a table as values: cells and rows, sanitised whatever they are made of. It draws nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, overload

from rich.cells import cell_len

from bertdistill.app.text.safe import safe_line
from bertdistill.app.widgets.columns import Column

SAMPLE, MOST_WIDE, EDGES = 50, 60, 4
"""Rows that say how wide a column should be, the most cells of one, and those of gutter, scrollbar and border."""
LONGEST = 2000
"""Maximum characters of a cell that had to be sanitised."""
Tone = Literal["plain", "dim", "bright", "good", "warn", "bad", "accent", "header"]


@dataclass(frozen=True)
class Cell:
    """One cell; `text` becomes one safe line and is never markup."""

    text: str
    tone: Tone = "plain"

    def __post_init__(self) -> None:
        if not self.text.isprintable():  # a fast path for the usual text
            object.__setattr__(self, "text", safe_line(self.text, LONGEST))


class LateCells(Sequence[Cell]):
    """Cells that are made when they are first read: of 1,000 rows thirty are on screen."""

    def __init__(self, make: Callable[[], tuple[Cell, ...]]) -> None:
        self._make: Callable[[], tuple[Cell, ...]] | None = make
        self._made: tuple[Cell, ...] = ()

    def _all(self) -> tuple[Cell, ...]:
        if self._make is not None:
            self._made, self._make = self._make(), None  # frees what it was made from
        return self._made

    @overload
    def __getitem__(self, index: int) -> Cell: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Cell, ...]: ...
    def __getitem__(self, index: int | slice) -> Cell | tuple[Cell, ...]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, LateCells) and self._all() == other._all())

    def __hash__(self) -> int:
        return hash(self._all())


@dataclass(frozen=True)
class Row:
    """One row. In a dim row, plain cells are dimmed; a marked row has a glyph in the gutter."""

    key: Hashable
    cells: Sequence[Cell]
    dim: bool = False
    mark: bool = False
    wide: bool = False
    """The second cell is a sentence: it takes the rest of the line, regardless of the columns."""


def whole_width(columns: Sequence[Column], rows: Sequence[Row]) -> int:
    """Cells of a pane in which every column of a table is whole; of long lists the first rows count."""
    seen = [row.cells for row in rows[:SAMPLE] if not row.wide]
    total = EDGES + len(columns)
    for place, column in enumerate(columns):
        longest = max((cell_len(cells[place].text) for cells in seen), default=0) if column.grow else 0
        total += max(column.width, min(longest, column.most or MOST_WIDE))
    return total
