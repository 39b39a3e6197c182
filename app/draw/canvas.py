"""The canvas that all charts are drawn on, and the values that they share; the only importer of plotext.

plotext 5 has one figure for the whole process, so each chart is drawn in one locked block. It fails on infinities, so
values that cannot be drawn are taken out first and counted. Everything is handed to it as a share of the axis and each
label has its cell chosen here, so marks, labels and lines never depend on how plotext rounds.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bertdistill.app.draw.axes import Scale
from bertdistill.app.draw.dots import DOTS, Dot, Marker, characters, dashed, trace
from bertdistill.app.draw.sparks import PLAIN, narrowed

_FIGURE = threading.Lock()

Kind = Literal["frontier", "dominated", "infeasible", "running", "baseline", "reference", "cascade", "screened", "tied"]
Colour = int | tuple[int, int, int]
"""A palette index, which the terminal's own theme shades, or red, green and blue."""

GLYPHS: dict[str, tuple[str, str]] = {
    "screened": ("◦", ","),
    "infeasible": ("×", "x"),
    "dominated": ("●", "."),
    "running": ("▷", ">"),
    "reference": ("○", "o"),
    "cascade": ("◇", "+"),
    "tied": ("☆", "~"),
    "baseline": ("◆", "B"),
    "frontier": ("★", "*"),
}
"""Marker of each kind, and the one for ASCII; later ones are drawn over earlier ones."""

NAMES = {"screened": "not trained"}
"""What legends call a kind, where its own name would not say it."""

GROUPS = (("●", "a"), ("■", "b"), ("▲", "c"), ("▼", "d"), ("✚", "e"), ("◈", "f"))
"""Marker of the dominated trials of each group, and the one for ASCII."""

SERIES = 6
"""Curves, and groups, before colours repeat."""

COLOURS: dict[str, Colour] = {
    "screened": 8,
    "infeasible": 8,
    "dominated": 7,
    "running": 14,
    "reference": 13,
    "cascade": 12,
    "tied": 2,
    "baseline": 11,
    "frontier": 10,
    "line": 8,
    **{f"series{i}": index for i, index in enumerate((12, 11, 10, 9, 13, 14))},
}
"""What is coloured, with the palette index of each: kinds of points, lines across, and curves by their place."""

ACROSS, UP = ("┄", "-"), ("┆", "|")
"""What lines across and up are drawn with, and in ASCII."""

LEAST = (20, 6)
"""Columns and rows below which there is no room for a chart."""


@dataclass(frozen=True)
class Look:
    """Size in cells and what the terminal can show."""

    width: int = 78
    height: int = 18
    colour: bool = False
    ascii_only: bool = False
    marker: Marker = "braille"
    palette: Mapping[str, Colour] | None = None
    """Replaces entries of COLOURS."""
    frame: bool = True
    """Titles and a closed box; without it the owner names the axes and the canvas gains their cells."""

    @property
    def plain(self) -> bool:
        """Whether every character must be ASCII."""
        return self.ascii_only or self.marker == "ascii"

    @property
    def dots(self) -> tuple[int, int]:
        return DOTS["ascii" if self.plain else self.marker]


@dataclass(frozen=True)
class Word:
    """A part of a legend, and whose colour it explains."""

    text: str
    key: str = ""
    line: bool = False
    """Whether it explains a line across, not marks or curves."""


@dataclass(frozen=True)
class Window:
    """Where the plot is in the text, and which values are there."""

    x: Scale
    y: Scale
    left: int
    top: int
    columns: int
    rows: int
    spare: float = 0.0

    def shares(self, column: float, line: float) -> tuple[float, float]:
        """The shares of both axes at a cell of the text, both within them."""
        across = (column - self.left) / max(1, self.columns - 1) / (1 - self.spare)
        up = 1 - (line - self.top) / max(1, self.rows - 1)
        return min(1.0, max(0.0, across)), min(1.0, max(0.0, up))


@dataclass(frozen=True)
class Drawing:
    """A chart: `text` of at most the requested height, and what its owner shows around it."""

    text: str
    legend: tuple[Word, ...] = ()
    hidden: int = 0
    """Points that could not be drawn."""
    readings: tuple[tuple[str, float | None], ...] = ()
    """Names and values under the cursor or the crosshair."""
    drawn: bool = True
    """False where `text` is a sentence that says why there is no chart."""
    marks: tuple[tuple[int, int, int], ...] = ()
    """Column and line of `text` where each mark is, and which one it is, by its index in what was drawn."""
    area: tuple[tuple[int, int, int], ...] = ()
    """Lines of `text` with the first and last column, half-open, of what the frontier dominates."""
    window: Window | None = None


@dataclass
class Canvas:
    """plotext's figure inside the axes, with the occupied cells. Only valid inside `canvas_of`."""

    figure: Any
    look: Look
    x: Scale
    y: Scale
    columns: int
    rows: int
    spare: float = 0.0
    """Share of the width kept free at the right for labels."""
    left: int = 0
    """Cells of the text before the first column."""
    top: int = 0
    """Lines of the text above the highest row."""
    taken: set[tuple[int, int]] = field(default_factory=set)
    crossed: set[tuple[int, int]] = field(default_factory=set)
    """Where lines are: labels cover them only where there is no other room."""
    behind: set[tuple[int, int]] = field(default_factory=set)
    """Where something pale is that all else may cover."""
    beside: set[tuple[int, int]] = field(default_factory=set)
    """Before and after labels: two that touch read as one, where there is other room."""

    def share(self, x: float) -> float:
        return self.x.share(x) * (1 - self.spare)

    def column(self, x: float) -> int:
        """Column of cells, from 0 on the left."""
        return math.floor(0.5 + (self.columns - 1) * self.share(x))

    def row(self, y: float) -> int:
        """Row of cells, from 0 at the bottom."""
        return math.floor(0.5 + (self.rows - 1) * self.y.share(y))

    def cell(self, x: float, y: float) -> tuple[int, int]:
        return self.column(x), self.row(y)

    def cells_of(self, pairs: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
        """The cell of each pair of values, at once: there may be a thousand."""
        xs, ys = self.x.shares(a for a, _ in pairs), self.y.shares(b for _, b in pairs)
        wide, high, used = self.columns - 1, self.rows - 1, 1 - self.spare
        return [(math.floor(0.5 + wide * (a * used)), math.floor(0.5 + high * b)) for a, b in zip(xs, ys, strict=True)]

    def holds(self, column: int, row: int) -> bool:
        """Whether the cell is inside the axes."""
        return 0 <= column < self.columns and 0 <= row < self.rows

    @property
    def window(self) -> Window:
        return Window(self.x, self.y, self.left, self.top, self.columns, self.rows, self.spare)

    def place(self, column: int, row: int) -> tuple[int, int]:
        """Column and line of the text where a cell is."""
        return self.left + column, self.top + self.rows - 1 - row

    def below(self, spans: Iterable[tuple[int, int, int]]) -> tuple[tuple[int, int, int], ...]:
        """Rows with their first and last column, as lines of the text."""
        return tuple((self.top + self.rows - 1 - row, self.left + start, self.left + end) for row, start, end in spans)

    def dots(self, pairs: Sequence[tuple[float, float]]) -> list[Dot]:
        """The dot of each pair of values; a cell holds `look.dots` of them."""
        across, up = self.look.dots
        wide, high = (self.columns * across - 1) * (1 - self.spare), self.rows * up - 1
        xs, ys = self.x.shares(a for a, _ in pairs), self.y.shares(b for _, b in pairs)
        return [(math.floor(0.5 + wide * a), math.floor(0.5 + high * b)) for a, b in zip(xs, ys, strict=True)]

    def near_end(self, column: int) -> bool:
        """Whether labels go to the left of their marks here, towards the inside."""
        return column > 0.8 * self.columns

    def paint(self, key: str) -> Colour | str:
        if not self.look.colour:
            return "default"
        return (self.look.palette or {}).get(key, COLOURS[key])

    def line(self, xs: list[float], ys: list[float], glyph: str, key: str) -> None:
        """A straight line of one glyph; its ends are shares of the axes."""
        self.figure.plot(xs, ys, marker=glyph, color=self.paint(key))

    def rulers(self) -> None:
        """The lines of the axes: thresholds, chance and ceilings."""
        for value, _ in self.x.axis.lines:
            if self.x.holds(value):
                self.line([self.share(value)] * 2, [0.0, 1.0], UP[self.look.plain], "line")
        for value, _ in self.y.axis.lines:
            if self.y.holds(value):
                self.line([0.0, 1.0], [self.y.share(value)] * 2, ACROSS[self.look.plain], "line")

    def ruler_labels(self) -> None:
        """What these lines are, where neither a mark nor another label is."""
        for value, label in self.x.axis.lines:
            if self.x.holds(value):
                self.write(label, "line", [(self.column(value), row, "left") for row in (0, 1, self.rows - 1)])
        for value, label in self.y.axis.lines:
            if self.y.holds(value):
                row, right = self.row(value), self.columns - 1
                self.write(label, "line", [(0, row, "left"), (right, row, "right"), (right // 2, row, "left")])

    def scatter(self, places: Sequence[tuple[float, float]], glyph: str, key: str, *, bold: bool = False) -> None:
        if places:
            xs, ys = [a for a, _ in places], [b for _, b in places]
            self.figure.scatter(xs, ys, marker=glyph, color=self.paint(key), style="bold" if bold else "default")

    def dotted(self, corners: Sequence[Dot], letter: str, key: str, dashes: tuple[int, ...]) -> None:
        """A line of dots with the pattern of `dashes`; of letters if the marker is ASCII."""
        marker: Marker = "ascii" if self.look.plain else self.look.marker
        self.scatter_cells(characters(dashed(trace(corners), () if self.look.plain else dashes), marker, letter), key)

    def scatter_cells(self, characters: Mapping[tuple[int, int], str], key: str, *, behind: bool = False) -> None:
        """A line as the character of each of its cells inside; `behind` means that labels may cover it."""
        inside = ((at, char) for at, char in characters.items() if self.holds(*at))
        characters = dict(inside)
        places = self.middles(characters)
        (self.behind if behind else self.crossed).update(characters)
        if places:
            xs, ys = [a for a, _ in places], [b for _, b in places]
            self.figure.scatter(xs, ys, marker=list(characters.values()), color=self.paint(key))

    def middles(self, cells: Iterable[tuple[int, int]]) -> list[tuple[float, float]]:
        """Shares of the axes that are drawn in these cells, however plotext rounds."""
        wide, high = max(1, self.columns - 1), max(1, self.rows - 1)
        return [(column / wide, row / high) for column, row in cells]

    def name_axes(self) -> None:
        """The titles in the corners, where the owner's frame does not hold them."""
        if not self.look.frame:
            right = self.columns - 1
            self.write(self.y.axis.title, "line", [(1, self.rows - 1, "left"), (1, self.rows - 2, "left")])
            self.write(self.x.axis.title, "line", [(right, 0, "right"), (right, 1, "right")])

    def take(self, column: int, row: int, length: int) -> None:
        self.taken.update((column + i, row) for i in range(length))

    def put(self, text: str, column: int, row: int, key: str, *, bold: bool = False) -> None:
        """Write text starting at a cell, over whatever is there."""
        self.take(column, row, len(text))
        x, y = column / max(1, self.columns - 1), row / max(1, self.rows - 1)
        style = "bold" if bold else "default"
        self.figure.text(text, x=x, y=y, alignment="left", color=self.paint(key), style=style)

    def write(
        self, text: str, key: str, places: Sequence[tuple[int, int, str]], *, bold: bool = False, over: bool = True
    ) -> bool:
        """Write a label at the first free position (column, row, side of the column); False if there is none.

        With `over` it may cover a line if there is no other room.
        """
        label = cells(text, self.look)
        lines = self.taken | self.crossed
        apart = lines | self.beside
        for occupied in (apart | self.behind, apart, lines, *([self.taken] if over else [])):
            for column, row, side in places:
                start = column if side == "left" else column - len(label) + 1
                free = all((start + i, row) not in occupied for i in range(len(label)))
                if free and label and start >= 0 and start + len(label) <= self.columns and 0 <= row < self.rows:
                    self.put(label, start, row, key, bold=bold)
                    self.beside |= {(start - 1, row), (start + len(label), row)}
                    return True
        return False

    def text(self) -> str:
        drawn: str = self.figure.build().rstrip("\n")
        if not self.look.colour:
            drawn = self.figure.uncolorize(drawn)
        if self.look.plain:
            drawn = drawn.translate(PLAIN)
        return "\n".join(line.rstrip() for line in drawn.split("\n"))


@contextmanager
def canvas_of(look: Look, x: Scale, y: Scale, *, spare: int = 0, bare: bool = False) -> Iterator[Canvas]:
    """plotext's single figure, locked and cleared, with axes and ticks; `spare` cells stay free on the right."""
    import plotext  # not at the top: commands without a chart need not wait 26 ms

    across = [] if bare else x.ticks(max(2, look.width // 12))
    up = [] if bare else y.ticks(max(2, look.height // 3))
    names = [cells(y.text(v), look, look.width // 3) for v in up]
    titled = look.frame and not bare
    sides = 0 if bare else 2 if look.frame else 1
    columns = look.width - sides - max(map(len, names), default=0)
    rows = look.height - sides - (bool(across)) - (titled and bool(y.axis.title)) - (titled and bool(x.axis.title))
    free = spare / (columns - 1) if spare and columns >= 3 * spare else 0.0
    with _FIGURE:
        plotext.clear_figure()  # including what an error left behind
        plotext.limit_size(False, False)  # else the size is limited to that of the terminal, 80×24 in a pipe
        plotext.plotsize(look.width, look.height)
        plotext.theme("clear")
        plotext.canvas_color("default")
        plotext.axes_color("default")
        plotext.ticks_color("default")
        plotext.xaxes(not bare, look.frame and not bare)
        plotext.yaxes(not bare, look.frame and not bare)
        plotext.xlim(0, 1)
        plotext.ylim(0, 1)
        left = look.width - columns - (look.frame and not bare)
        top = (look.frame and not bare) + (titled and bool(y.axis.title))
        canvas = Canvas(plotext, look, x, y, columns, rows, free, left, top)
        plotext.scatter([0.0], [0.0], marker=" ", color="default")  # without data there are no axes
        plotext.xticks([canvas.share(v) for v in across], [cells(x.text(v), look) for v in across])
        plotext.yticks([y.share(v) for v in up], names)
        if titled and x.axis.title:
            plotext.xlabel(cells(x.axis.title, look, look.width))
        if titled and y.axis.title:
            plotext.title(cells(y.axis.title, look, look.width))
        yield canvas


def cells(text: str, look: Look, limit: int = 40) -> str:
    """A label in characters that take one cell each: plotext counts characters, not cells."""
    return narrowed(text, limit, ascii_only=look.plain)


def roomy(look: Look) -> Look:
    return replace(look, width=max(LEAST[0], look.width), height=max(LEAST[1], look.height))


def too_small(look: Look) -> bool:
    return look.width < LEAST[0] or look.height < LEAST[1]


def sorry(look: Look, hidden: int) -> Drawing:
    return Drawing(f"a chart needs {LEAST[0]} by {LEAST[1]} cells"[: max(0, look.width)], hidden=hidden, drawn=False)


def kind_words(kinds: Iterable[Kind], look: Look) -> list[Word]:
    """The legend of these kinds, the most important first."""
    found = set(kinds)
    return [
        Word(f"{glyphs[look.plain]} {NAMES.get(kind, kind)}", kind)
        for kind, glyphs in reversed(GLYPHS.items())
        if kind in found
    ]
