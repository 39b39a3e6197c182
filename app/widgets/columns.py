"""Layout of the columns of a table: widths, what is scrolled away, text cut to its cells. Pure; it draws nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.cells import cell_len, set_cell_size

from bertdistill.app.text.format import NONE

_LEAST = 6
"""Minimum cells of a cut column at the right edge."""
_TITLE, _WORD = 18, 12
"""Most cells that a name, or a word below it, asks for: `transformer.layers`, `transformer`."""

ARROWS = (("▾", "v"), ("▴", "^"))
"""Beside the head that sorts a list: as usual, and reversed; each with its form in ASCII."""


@dataclass(frozen=True)
class Column:
    """One column, `width` in cells. Columns that grow share the width left, up to `most` cells each (0: no limit)."""

    key: str
    title: str
    width: int
    align: Literal["left", "right"] = "left"
    grow: bool = False
    most: int = 0
    pinned: bool = False
    """Whether it stays beside the first column, which always does, while others are scrolled away."""


def value_column(key: str, title: str, words: Iterable[str] = ()) -> Column:
    """The column of a metric or parameter, as wide as its title and `words`, the values it can have, within reason.

    Words stand at the left of it, numbers at the right.
    """
    known = list(words)
    longest = max(map(cell_len, known), default=0)
    width = max(7, min(_TITLE, cell_len(title)), min(_WORD, longest))
    if all(map(_is_number, known)):
        return Column(key, title, width, "right")
    return Column(key, title, width, grow=longest > width, most=min(longest, 2 * _TITLE))


def arrowed(columns: Sequence[Column], by: str, *, reverse: bool, ascii_only: bool) -> list[Column]:
    """The columns with an arrow in the head of the one that sorts the list, which becomes as wide as that needs."""

    def headed(column: Column) -> Column:
        head = f"{column.title} {ARROWS[reverse][ascii_only]}".strip()
        return replace(column, title=head, width=max(column.width, min(_TITLE + 2, cell_len(head))))

    return [headed(column) if column.key == by else column for column in columns]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word == NONE
    return True


@dataclass(frozen=True)
class Layout:
    """Which columns are on screen: `(column index, first cell, width)` of each, and whether some are hidden."""

    places: tuple[tuple[int, int, int], ...] = ()
    left: bool = False
    right: bool = False


def lay_out(columns: Sequence[Column], width: int, first: int) -> Layout:
    """Place columns in `width` cells after the gutter; `first` columns after the pinned ones are scrolled away."""
    pinned = pinned_count(columns)
    candidates = [*range(pinned), *range(pinned + first, len(columns))]
    shown = [columns[index] for index in candidates]
    fitting = _fitting(shown, width)
    if len(fitting) < len(shown) and fitting and shown[len(fitting) - 1].align == "right":
        width -= 2  # the head of the last one ends where the sign stands that there are more
        fitting = _fitting(shown, width)
    wide = _grown(shown, fitting, width)
    places, at = [], 1
    for index, cells in zip(candidates, wide, strict=False):
        places.append((index, at, cells))
        at += cells + 1
    whole = len(wide) == len(shown) and all(map(int.__ge__, wide, (column.width for column in shown)))
    return Layout(tuple(places), left=first > 0, right=bool(columns) and not whole)


def pinned_count(columns: Sequence[Column]) -> int:
    """How many columns at the left are never scrolled away; 0 without columns."""
    return next((place for place, one in enumerate(columns) if place and not one.pinned), len(columns))


def _fitting(columns: Sequence[Column], width: int) -> list[int]:
    """The widths of the columns that fit. The last one may be cut, unless it holds numbers: a cut number misleads."""
    widths = list[int]()
    at = 1
    for column in columns:
        room = min(column.width, width - at)
        cut = room < column.width and (column.align == "right" and bool(widths))
        if cut or room < min(_LEAST, column.width):
            break
        widths.append(room)
        at += room + 1
    return widths


def _grown(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """The widths with the cells that are left, shared by the columns that grow."""
    found, spare = list(widths), width - sum(widths) - len(widths)
    growing = [place for place, column in enumerate(columns[: len(widths)]) if column.grow]
    while spare > 0 and growing:
        share = max(1, spare // len(growing))
        for place in tuple(growing):
            most = columns[place].most
            more = min(share, spare, max(0, most - found[place]) if most else spare)
            found[place], spare = found[place] + more, spare - more
            if most and found[place] >= most:
                growing.remove(place)
    return found


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
