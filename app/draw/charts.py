"""Draws charts as text, for widgets and plain output alike; the only importer of plotext. It reads no store.

plotext 5 has one figure for the whole process, so each chart is drawn in one locked block. It fails on infinities, so
values that cannot be drawn are taken out first and counted. Everything is handed to it as a share of the axis and each
label has its cell chosen here, so marks, labels and lines never depend on how plotext rounds. The module is long
because every kind of chart shares that one canvas.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bertdistill.app.draw.axes import Axis as Axis  # names with `as` are re-exported to the callers of charts
from bertdistill.app.draw.axes import Scale, scale
from bertdistill.app.draw.axes import drawable as drawable
from bertdistill.app.draw.axes import number as number
from bertdistill.app.draw.axes import smooth as smooth
from bertdistill.app.draw.axes import thin as thin
from bertdistill.app.draw.axes import ticks as ticks
from bertdistill.app.draw.dots import DOTS, Dot, characters, dashed, extremes, trace
from bertdistill.app.draw.dots import Marker as Marker
from bertdistill.app.draw.sparks import PLAIN, narrowed
from bertdistill.app.draw.sparks import Bar as Bar
from bertdistill.app.draw.sparks import bars as bars
from bertdistill.app.draw.sparks import sparkline as sparkline
from bertdistill.app.text.format import brief

_FIGURE = threading.Lock()

Kind = Literal["frontier", "dominated", "infeasible", "running", "baseline", "reference", "cascade"]
Colour = int | tuple[int, int, int]
"""A palette index, which the terminal's own theme shades, or red, green and blue."""

GLYPHS: dict[str, tuple[str, str]] = {
    "infeasible": ("×", "x"),
    "dominated": ("·", "."),
    "running": ("▷", ">"),
    "reference": ("○", "o"),
    "cascade": ("◇", "+"),
    "baseline": ("◆", "B"),
    "frontier": ("★", "*"),
}
"""Marker of each kind, and the one for ASCII; later ones are drawn over earlier ones."""

COLOURS: dict[str, Colour] = {
    "infeasible": 8,
    "dominated": 7,
    "running": 14,
    "reference": 13,
    "cascade": 12,
    "baseline": 11,
    "frontier": 10,
    "line": 8,
    **{f"series{i}": 9 + i for i in range(6)},
}
"""What is coloured, with the palette index of each: kinds of points, lines across, and curves by their place."""

SERIES = 6
"""Curves before colours repeat."""

_LETTERS = "abcdefgh"
_ACROSS, _UP = ("┄", "-"), ("┆", "|")
"""What lines across and up are drawn with, and in ASCII."""
_STEP = "="
"""What the edge of the frontier is drawn with in ASCII; no mark and no other line has it."""
_STEP_WORDS = f"{_STEP} frontier's edge"

_DASHES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("━━", ()),
    ("╍╍", (6, 4)),
    ("┉┉", (2, 3)),
    ("━╍", (10, 3, 2, 3)),
    ("╍┉", (5, 3, 2, 3)),
    ("━┉", (14, 4)),
)
"""Dots drawn and left out in turn, so that curves differ without colour, and how the legend shows it."""

LEAST = (20, 6)
"""Columns and rows below which there is no room for a chart."""


@dataclass(frozen=True)
class Point:
    """One trial or model in the plane of two metrics."""

    x: float
    y: float
    kind: Kind
    label: str = ""
    edge: bool = False
    """On the frontier, whatever its kind: the step line passes through it."""
    outside: bool = False
    """Left out by a filter: no mark; what is on the frontier still bears the step line."""


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
class Curve:
    """One named curve: `values` over `steps`; None and non-finite values are omitted and counted."""

    name: str
    steps: Sequence[float]
    values: Sequence[float | None]
    label: str = ""
    """Stands at the last point; the name when empty."""


@dataclass(frozen=True)
class Strand:
    """One line across parallel axes, with one value per axis; None leaves a gap."""

    values: Sequence[float | None]
    kind: Kind
    label: str = ""


@dataclass(frozen=True)
class Drawing:
    """A chart: `text` of at most the requested height, and what its owner shows around it."""

    text: str
    legend: tuple[str, ...] = ()
    hidden: int = 0
    """Points that could not be drawn."""
    readings: tuple[tuple[str, float | None], ...] = ()
    """Names and values under the cursor or the crosshair."""
    drawn: bool = True
    """False where `text` is a sentence that says why there is no chart."""


# ---------------------------------------------------------------------------------------------------------- in a plane


def frontier_chart(points: Sequence[Point], x: Axis, y: Axis, look: Look) -> str:
    """Trials in the plane of two objectives, with the frontier as a step line; a message if there are none.

    The last lines are the legend and, if any could not be drawn, the number of hidden points.
    """
    drawing = frontier_drawing(points, x, y, _roomy(look))
    if not drawing.drawn:
        return drawing.text
    marks = [*_kind_words(points, look), _STEP_WORDS]
    kinds = [word for word in drawing.legend if word in marks]
    lines = [word for word in drawing.legend if word not in kinds]
    said = [f"{drawing.hidden} points cannot be drawn (no finite value, or not above 0 on a log axis)"]
    return "\n".join(
        [drawing.text, "  ".join(kinds), *(["  ".join(lines)] if lines else []), *(said if drawing.hidden else [])]
    )


def frontier_drawing(points: Sequence[Point], x: Axis, y: Axis, look: Look, *, cursor: int | None = None) -> Drawing:
    """Points by kind, the frontier as a step line, and labelled lines across.

    `cursor` is an index into `points`: it is drawn in brackets with its label, and `readings` are its two values.
    """
    return _plane(points, x, y, look, cursor, steps=True)


def slice_drawing(points: Sequence[Point], x: Axis, y: Axis, look: Look, *, cursor: int | None = None) -> Drawing:
    """One setting on x against one metric on y: the same marks without the step line."""
    return _plane(points, x, y, look, cursor, steps=False)


def _plane(points: Sequence[Point], x: Axis, y: Axis, look: Look, cursor: int | None, *, steps: bool) -> Drawing:
    fit = [p for p in points if drawable(p.x, log=x.log) and drawable(p.y, log=y.log)]
    hidden = len(points) - len(fit)
    shown = [p for p in fit if not p.outside]
    if not shown:
        return Drawing("no point to draw yet", hidden=hidden, drawn=False)
    if _too_small(look):
        return _sorry(look, hidden)
    chosen = points[cursor] if cursor is not None and 0 <= cursor < len(points) and points[cursor] in shown else None
    edge = [p for p in fit if p.edge] if steps else []
    with _canvas(look, scale((p.x for p in fit), x), scale((p.y for p in fit), y)) as canvas:
        _lines(canvas, [(p.x, p.y) for p in shown], chosen)
        _steps(canvas, edge)
        _marks(canvas, shown, chosen)
        if chosen is not None:
            _cursor(canvas, chosen)
        _labels(canvas, [p for p in shown if p.label and p is not chosen])
        text = canvas.text()
    readings = ((x.title, chosen.x), (y.title, chosen.y)) if chosen else ()
    drawn = [_STEP_WORDS] if look.plain and len(edge) > 1 else []
    return Drawing(text, (*_kind_words(shown, look), *drawn, *_line_words(canvas)), hidden, readings)


def _kind_words(points: Sequence[Point], look: Look) -> list[str]:
    kinds = {p.kind for p in points}
    return [f"{glyphs[look.plain]} {kind}" for kind, glyphs in reversed(GLYPHS.items()) if kind in kinds]


def _line_words(canvas: _Canvas) -> list[str]:
    """Lines across and up in words: a mark may cover a line's label, and some lines are off the chart."""
    plain = canvas.look.plain
    return [
        f"{dashes[plain]} {_cells(label, canvas.look)}" + ("" if ruler.holds(value) else " (off the chart)")
        for ruler, dashes in ((canvas.y, _ACROSS), (canvas.x, _UP))
        for value, label in ruler.axis.lines
        if drawable(value, log=ruler.axis.log)
    ]


def _lines(canvas: _Canvas, marks: Sequence[tuple[float, float]], chosen: Point | None) -> None:
    """Thresholds and ceilings with their labels, where no mark lies and, if possible, away from the cursor."""
    for at_x, at_y in marks:
        canvas.take(canvas.column(at_x), canvas.row(at_y), 1)
    if chosen is not None:  # the cursor's label is written later, so lines avoid it
        canvas.take(canvas.column(chosen.x) - 1, canvas.row(chosen.y), len(_cells(chosen.label, canvas.look)) + 3)
    plain = canvas.look.plain
    for value, label in canvas.x.axis.lines:
        if canvas.x.holds(value):
            canvas.line([canvas.x.share(value)] * 2, [0.0, 1.0], _UP[plain], "line")
            canvas.write(label, "line", [(canvas.column(value), row, "left") for row in (0, 1, canvas.rows - 1)])
    for value, label in canvas.y.axis.lines:
        if canvas.y.holds(value):
            canvas.line([0.0, 1.0], [canvas.y.share(value)] * 2, _ACROSS[plain], "line")
            row, right = canvas.row(value), canvas.columns - 1
            canvas.write(label, "line", [(0, row, "left"), (right, row, "right"), (right // 2, row, "left")])


def _steps(canvas: _Canvas, frontier: Sequence[Point]) -> None:
    """The attainment curve: along x each frontier point extends to the next one.

    A frontier point that another beats in these two metrics is there for a third one, so the curve skips it.
    """
    order = _reaching(frontier, canvas.x.axis.better, canvas.y.axis.better)
    if len(order) < 2:
        return
    corners = [(order[0].x, order[0].y)]
    for point in order[1:]:
        corners += [(point.x, corners[-1][1]), (point.x, point.y)]
    canvas.dotted([canvas.middle(a, b) for a, b in corners], _STEP, "frontier", ())


def _reaching(points: Sequence[Point], across: str, up: str) -> list[Point]:
    """The points that no other dominates in x and y, best x first."""
    x, y = (1 if better == "minimize" else -1 for better in (across, up))
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (x * p.x, y * p.y)):
        if not found or y * point.y < y * found[-1].y:
            found.append(point)
    return found


def _marks(canvas: _Canvas, points: Sequence[Point], chosen: Point | None) -> None:
    """Every point, the important kinds last, so that they are drawn on top."""
    for kind, glyphs in GLYPHS.items():
        places = [(canvas.x.share(p.x), canvas.y.share(p.y)) for p in points if p.kind == kind and p is not chosen]
        canvas.scatter(places, glyphs[canvas.look.plain], kind, bold=kind == "frontier")


def _cursor(canvas: _Canvas, point: Point) -> None:
    """The selected mark in brackets with its label, on top of everything else."""
    label = _cells(point.label, canvas.look)
    column, row = canvas.column(point.x), canvas.row(point.y)
    mark = f"[{GLYPHS[point.kind][canvas.look.plain]}]"
    inward = canvas.near_end(column) or column + 2 + len(label) > canvas.columns
    start = column - 1 - len(label) if inward else column - 1
    canvas.put(label + mark if inward else mark + label, start, row, point.kind, bold=True)


def _labels(canvas: _Canvas, points: Sequence[Point]) -> None:
    """Labels beside their marks, important kinds first; a label without free cells is omitted."""
    order = list(reversed(GLYPHS))
    for point in sorted(points, key=lambda p: order.index(p.kind)):
        column, row = canvas.column(point.x), canvas.row(point.y)
        sides = [(column + 1, row, "left"), (column - 1, row, "right")][:: -1 if canvas.near_end(column) else 1]
        canvas.write(point.label, point.kind, [*sides, (column, row + 1, "left"), (column, row - 1, "left")])


# ------------------------------------------------------------------------------------------------------- over the steps


def curves_chart(curves: Sequence[Curve], x_title: str, look: Look, *, log: bool = False) -> str:
    """Curves over steps with their names and last values above; non-finite points are counted, never drawn."""
    drawing = curves_drawing(curves, x_title, _roomy(look), log=log)
    if not drawing.drawn:
        return drawing.text + (f"; {drawing.hidden} points are not finite" if drawing.hidden else "")
    said = f" ({drawing.hidden} points not finite, hidden)" if drawing.hidden else ""
    return f"{', '.join(drawing.legend)}{said}\n{drawing.text}"


def curves_drawing(
    curves: Sequence[Curve],
    x_title: str,
    look: Look,
    *,
    log: bool = False,
    crosshair: float | None = None,
    smoothing: float = 0.0,
    x_text: Callable[[float], str] = number,
) -> Drawing:
    """Curves, each with its own dashes (letters in ASCII) and a label at its last point.

    `smoothing` in [0, 1) is the weight of the past. `crosshair` draws a vertical line at that x; the `readings`
    are what each curve shows at its nearest point, None outside of its steps.
    """
    series, hidden = [], 0
    for curve in curves:
        pairs = [
            (s, v)
            for s, v in zip(curve.steps, curve.values, strict=True)
            if v is not None and drawable(v, log=log) and drawable(s)
        ]
        hidden += len(curve.values) - len(pairs)
        if pairs:
            series.append((curve, smooth(pairs, smoothing)))
    if not series:
        return Drawing("no value to draw yet", hidden=hidden, drawn=False)
    if _too_small(look):
        return _sorry(look, hidden)
    x = scale((s for _, pairs in series for s, _ in pairs), Axis(x_title, "minimize", x_text), margin=0.0)
    y = scale((v for _, pairs in series for _, v in pairs), Axis("", "minimize", log=log))
    names = [_end_label(curve, index, look) for index, (curve, _) in enumerate(series)]
    with _canvas(look, x, y, spare=max(map(len, names)) + 1) as canvas:
        if crosshair is not None and x.holds(crosshair):
            canvas.line([canvas.share(crosshair)] * 2, [0.0, 1.0], _UP[look.plain], "line")
        for index, (_, pairs) in enumerate(series):
            dots = canvas.dots(pairs)
            canvas.dotted(
                extremes(dots), _LETTERS[index % 8], f"series{index % SERIES}", _DASHES[index % len(_DASHES)][1]
            )
        _end_labels(canvas, [(name, *pairs[-1]) for name, (_, pairs) in zip(names, series, strict=True)])
        text = canvas.text()
    legend = tuple(_curve_words(c, p[-1][1], i, len(series), look) for i, (c, p) in enumerate(series))
    readings = () if crosshair is None else tuple((c.name, _reading(p, crosshair)) for c, p in series)
    return Drawing(text, legend, hidden, readings)


def _end_label(curve: Curve, index: int, look: Look) -> str:
    name = _cells(curve.label or curve.name, look, 14)
    return f"{_LETTERS[index % 8]} {name}" if look.plain else name


def _end_labels(canvas: _Canvas, ends: Sequence[tuple[str, float, float]]) -> None:
    """Each label after the last point of its curve, moved to the nearest free row."""
    for index, (label, step, value) in enumerate(ends):
        column, row = canvas.column(step) + 1, canvas.row(value)
        rows = sorted(range(canvas.rows), key=lambda r: abs(r - row))
        canvas.write(label, f"series{index % SERIES}", [(column, r, "left") for r in rows])


def _curve_words(curve: Curve, last: float, index: int, count: int, look: Look) -> str:
    if look.plain:
        return f"{_LETTERS[index % 8]} = {_cells(curve.name, look, 60)} {last:.4g}"
    sample = f"{_DASHES[index % len(_DASHES)][0]} " if count > 1 else ""
    return f"{sample}{_cells(curve.name, look, 60)} {last:.4g}"


def _reading(pairs: Sequence[tuple[float, float]], at: float) -> float | None:
    inside = min(s for s, _ in pairs) <= at <= max(s for s, _ in pairs)
    return min(pairs, key=lambda p: abs(p[0] - at))[1] if inside else None


# --------------------------------------------------------------------------------------------------------- side by side


def parallel_drawing(
    axes: Sequence[Axis], strands: Sequence[Strand], look: Look, *, cursor: int | None = None
) -> Drawing:
    """Parallel axes with one line per trial: dominated trials first, then the others, then the one under the cursor.

    The first row holds the titles, the second the upper limit of each axis, the last its lower limit.
    """
    found = [[s.values[i] for s in strands if drawable(s.values[i], log=a.log)] for i, a in enumerate(axes)]
    hidden = sum(not drawable(v, log=a.log) for s in strands for v, a in zip(s.values, axes, strict=True))
    if len(axes) < 2 or not any(found):
        return Drawing("no two settings to compare yet", hidden=hidden, drawn=False)
    slot = (look.width - 1) // len(axes)
    if _too_small(look) or slot < 3:
        return _sorry(look, hidden)
    rulers = [_ruler([v for v in values if v is not None], a) for values, a in zip(found, axes, strict=True)]
    inner = replace(look, height=look.height - 3)
    unit = Scale(Axis("", "minimize"), 0.0, 1.0)
    with _canvas(inner, unit, unit, bare=True) as canvas:
        places = [(i + 0.5) * slot / max(1, canvas.columns - 1) for i in range(len(axes))]
        for place in places:
            canvas.line([place] * 2, [0.0, 1.0], _UP[look.plain], "line")
        for strand, chosen in _ordered(strands, cursor):
            _strand(canvas, strand, places, rulers, chosen=chosen)
        text = canvas.text()
    ends = [(min(k), max(k)) if (k := [v for v in values if v is not None]) else None for values in found]
    tops = [r.text(e[1]) if e and e[0] < e[1] else "" for r, e in zip(rulers, ends, strict=True)]
    feet = [r.text(e[0]) if e else "" for r, e in zip(rulers, ends, strict=True)]
    titles = [brief(a.title, slot - 1, ascii_only=look.plain) for a in axes]
    rows = [_slots(titles, slot, look), _slots(tops, slot, look), text, _slots(feet, slot, look)]
    kinds = _kind_words([Point(0, 0, s.kind) for s in strands], look)
    under = strands[cursor] if cursor is not None and 0 <= cursor < len(strands) else None
    readings = tuple((a.title, v) for a, v in zip(axes, under.values, strict=True)) if under else ()
    return Drawing("\n".join(rows), tuple(kinds), hidden, readings)


def _ruler(values: Sequence[float], axis: Axis) -> Scale:
    """From the lowest to the highest value; a single value is in the middle."""
    if not values or min(values) == max(values):
        middle = values[0] if values else 1.0
        return Scale(axis, middle / 10, middle * 10) if axis.log else Scale(axis, middle - 1, middle + 1)
    return Scale(axis, min(values), max(values))


def _ordered(strands: Sequence[Strand], cursor: int | None) -> list[tuple[Strand, bool]]:
    order = list(GLYPHS)
    numbered = sorted(enumerate(strands), key=lambda pair: (pair[0] == cursor, order.index(pair[1].kind)))
    return [(strand, index == cursor) for index, strand in numbered]


def _strand(canvas: _Canvas, strand: Strand, places: Sequence[float], rulers: Sequence[Scale], *, chosen: bool) -> None:
    """One line with a mark on every axis; it is interrupted where a value is missing."""
    run: list[tuple[int, int]] = []
    across, up = canvas.look.dots
    dashes = () if chosen or strand.kind in ("frontier", "baseline") else (2, 4)
    marks = []
    for place, ruler, value in zip(places, rulers, strand.values, strict=True):
        if value is None or not ruler.holds(value):
            canvas.dotted(run, ".", strand.kind, dashes)
            run = []
            continue
        at = (place, ruler.share(value))
        marks.append(at)
        run.append((round(at[0] * (canvas.columns * across - 1)), round(at[1] * (canvas.rows * up - 1))))
    canvas.dotted(run, ".", strand.kind, dashes)
    glyph = ("●", "@")[canvas.look.plain] if chosen else GLYPHS[strand.kind][canvas.look.plain]
    canvas.scatter(marks, glyph, strand.kind, bold=chosen)


def _slots(texts: Sequence[str], slot: int, look: Look) -> str:
    return "".join(_cells(t, look, slot - 1).center(slot) for t in texts).rstrip()


# ----------------------------------------------------------------------------------------------------------- the canvas


@dataclass
class _Canvas:
    """plotext's figure inside the axes, with the occupied cells. Only valid inside `_canvas`."""

    figure: Any
    look: Look
    x: Scale
    y: Scale
    columns: int
    rows: int
    spare: float = 0.0
    """Share of the width kept free at the right for labels."""
    taken: set[tuple[int, int]] = field(default_factory=set)

    def share(self, x: float) -> float:
        return self.x.share(x) * (1 - self.spare)

    def column(self, x: float) -> int:
        """Column of cells, from 0 on the left."""
        return int(0.5 + (self.columns - 1) * self.share(x))

    def row(self, y: float) -> int:
        """Row of cells, from 0 at the bottom."""
        return int(0.5 + (self.rows - 1) * self.y.share(y))

    def dots(self, pairs: Sequence[tuple[float, float]]) -> list[Dot]:
        """The dot of each pair of values; a cell holds `look.dots` of them."""
        across, up = self.look.dots
        wide, high = (self.columns * across - 1) * (1 - self.spare), self.rows * up - 1
        xs, ys = self.x.shares(a for a, _ in pairs), self.y.shares(b for _, b in pairs)
        return [(int(0.5 + wide * a), int(0.5 + high * b)) for a, b in zip(xs, ys, strict=True)]

    def near_end(self, column: int) -> bool:
        """Whether labels go to the left of their marks here, towards the inside."""
        return column > 0.8 * self.columns

    def middle(self, x: float, y: float) -> tuple[int, int]:
        """The dot in the middle of a mark's cell, so that lines meet their marks."""
        across, up = self.look.dots
        return self.column(x) * across + across // 2, self.row(y) * up + up // 2

    def paint(self, key: str) -> Colour | str:
        if not self.look.colour:
            return "default"
        return (self.look.palette or {}).get(key, COLOURS[key])

    def line(self, xs: list[float], ys: list[float], glyph: str, key: str) -> None:
        """A straight line of one glyph; its ends are shares of the axes."""
        self.figure.plot(xs, ys, marker=glyph, color=self.paint(key))

    def scatter(self, places: Sequence[tuple[float, float]], glyph: str, key: str, *, bold: bool = False) -> None:
        if places:
            xs, ys = [a for a, _ in places], [b for _, b in places]
            self.figure.scatter(xs, ys, marker=glyph, color=self.paint(key), style="bold" if bold else "default")

    def dotted(self, corners: Sequence[Dot], letter: str, key: str, dashes: tuple[int, ...]) -> None:
        """A line of dots with the pattern of `dashes`; of letters if the marker is ASCII."""
        marker: Marker = "ascii" if self.look.plain else self.look.marker
        cells = characters(dashed(trace(corners), () if self.look.plain else dashes), marker, letter)
        wide, high = max(1, self.columns - 1), max(1, self.rows - 1)
        xs, ys = [column / wide for column, _ in cells], [row / high for _, row in cells]
        if cells:
            self.figure.scatter(xs, ys, marker=list(cells.values()), color=self.paint(key))

    def take(self, column: int, row: int, length: int) -> None:
        self.taken.update((column + i, row) for i in range(length))

    def put(self, text: str, column: int, row: int, key: str, *, bold: bool = False) -> None:
        """Write text starting at a cell, over whatever is there."""
        self.take(column, row, len(text))
        x, y = column / max(1, self.columns - 1), row / max(1, self.rows - 1)
        style = "bold" if bold else "default"
        self.figure.text(text, x=x, y=y, alignment="left", color=self.paint(key), style=style)

    def write(self, text: str, key: str, places: Sequence[tuple[int, int, str]]) -> bool:
        """Write a label at the first free position (column, row, side of the column); False if there is none."""
        label = _cells(text, self.look)
        for column, row, side in places:
            start = column if side == "left" else column - len(label) + 1
            free = all((start + i, row) not in self.taken for i in range(len(label)))
            if free and start >= 0 and start + len(label) <= self.columns and 0 <= row < self.rows:
                self.put(label, start, row, key)
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
def _canvas(look: Look, x: Scale, y: Scale, *, spare: int = 0, bare: bool = False) -> Iterator[_Canvas]:
    """plotext's single figure, locked and cleared, with axes and ticks; `spare` cells stay free on the right."""
    import plotext  # not at the top: commands without a chart need not wait 26 ms

    across = [] if bare else x.ticks(max(2, look.width // 12))
    up = [] if bare else y.ticks(max(2, look.height // 3))
    names = [_cells(y.text(v), look, look.width // 3) for v in up]
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
        canvas = _Canvas(plotext, look, x, y, columns, rows, free)
        plotext.scatter([0.0], [0.0], marker=" ", color="default")  # without data there are no axes
        plotext.xticks([canvas.share(v) for v in across], [_cells(x.text(v), look) for v in across])
        plotext.yticks([y.share(v) for v in up], names)
        if titled and x.axis.title:
            plotext.xlabel(_cells(x.axis.title, look, look.width))
        if titled and y.axis.title:
            plotext.title(_cells(y.axis.title, look, look.width))
        yield canvas


def _cells(text: str, look: Look, limit: int = 40) -> str:
    """A label in characters that take one cell each: plotext counts characters, not cells."""
    return narrowed(text, limit, ascii_only=look.plain)


def _roomy(look: Look) -> Look:
    return replace(look, width=max(LEAST[0], look.width), height=max(LEAST[1], look.height))


def _too_small(look: Look) -> bool:
    return look.width < LEAST[0] or look.height < LEAST[1]


def _sorry(look: Look, hidden: int) -> Drawing:
    return Drawing(f"a chart needs {LEAST[0]} by {LEAST[1]} cells"[: max(0, look.width)], hidden=hidden, drawn=False)
