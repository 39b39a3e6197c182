"""Layout of the columns of a table: widths, what is scrolled away, text cut to its cells. Pure; it draws nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, set_cell_size

_LEAST = 3
"""Minimum cells of a cut column at the right edge."""
_TITLE, _WORD = 18, 12
"""Most cells that a name, or a word below it, asks for: `transformer.layers`, `transformer`."""


@dataclass(frozen=True)
class Column:
    """One column, `width` in cells. At most one column grows to take the width left; `width` is its minimum."""

    key: str
    title: str
    width: int
    align: Literal["left", "right"] = "left"
    grow: bool = False


def value_column(key: str, title: str, words: Iterable[str] = ()) -> Column:
    """The column of a metric or parameter, as wide as its title and `words`, the values it can have, within reason."""
    longest = max(map(cell_len, words), default=0)
    return Column(key, title, max(7, min(_TITLE, cell_len(title)), min(_WORD, longest)), "right")


@dataclass(frozen=True)
class Layout:
    """Which columns are on screen: `(column index, first cell, width)` of each, and whether some are hidden."""

    places: tuple[tuple[int, int, int], ...] = ()
    left: bool = False
    right: bool = False


def lay_out(columns: Sequence[Column], width: int, first: int) -> Layout:
    """Place columns in `width` cells after the gutter; `first` columns after the pinned one are scrolled away."""
    candidates = [0, *range(1 + first, len(columns))] if columns else []
    spare = max(0, width - sum(columns[index].width + 1 for index in candidates))
    wide = [c.width + (spare if c.grow else 0) for c in columns]
    places, at = [], 1
    for index in candidates:
        shown = min(wide[index], width - at)
        if shown < min(_LEAST, wide[index]):
            break
        places.append((index, at, shown))
        at += shown + 1
    whole = bool(places) and places[-1][0] == len(columns) - 1 and places[-1][2] == wide[places[-1][0]]
    return Layout(tuple(places), left=first > 0, right=bool(columns) and not whole)


def joined(layout: Layout, width: int) -> list[tuple[int, int, int]]:
    """Places of a wide row: the first column, and the second cell to the right edge."""
    first = layout.places[:1]
    at = first[0][1] + first[0][2] + 1 if first else 1
    return [*first, (1, at, width - at)] if width - at >= _LEAST else list(first)


def is_whole(layout: Layout, columns: Sequence[Column], index: int) -> bool:
    return any(place == index and shown >= columns[index].width for place, _, shown in layout.places)


def fit(text: str, width: int, align: str, *, ascii_only: bool = False) -> str:
    """`text` in exactly `width` cells, wide characters counted as two, cut with an ellipsis."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + ("~" if ascii_only else "…") if width > 0 else ""
    space = " " * (width - length)
    return space + text if align == "right" else text + space
