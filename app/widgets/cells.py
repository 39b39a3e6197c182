"""What a table shows, as values: cells and rows, harmless whatever they are made of. It draws nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, overload

from bertdistill.app.text.safe import safe_line

LONGEST = 2000
"""Characters of a cell that had to be cleaned."""
Tone = Literal["plain", "dim", "bright", "good", "warn", "bad", "accent"]


@dataclass(frozen=True)
class Cell:
    """One cell; `text` becomes one safe line and is never markup."""

    text: str
    tone: Tone = "plain"

    def __post_init__(self) -> None:
        if not self.text.isprintable():  # the usual text costs one look
            object.__setattr__(self, "text", safe_line(self.text, LONGEST))


class LateCells(Sequence[Cell]):
    """Cells that are made when they are first read: of 1,000 rows thirty are on screen."""

    def __init__(self, make: Callable[[], tuple[Cell, ...]]) -> None:
        self._make: Callable[[], tuple[Cell, ...]] | None = make
        self._made: tuple[Cell, ...] = ()

    def _all(self) -> tuple[Cell, ...]:
        if self._make is not None:
            self._made, self._make = self._make(), None  # what it was made of may go
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
    """One row. A dim row is drawn pale where its cells are plain; a marked row has a glyph in the gutter."""

    key: Hashable
    cells: Sequence[Cell]
    dim: bool = False
    mark: bool = False
    wide: bool = False
    """The second cell is a sentence: it takes the rest of the line, whatever the columns are."""
