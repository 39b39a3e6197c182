"""Draws trials in the plane of two metrics, for widgets and plain output alike. It reads no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bertdistill.app.draw.axes import Axis, drawable, scale
from bertdistill.app.draw.boxes import Cell, stairs
from bertdistill.app.draw.canvas import (
    ACROSS,
    GLYPHS,
    GROUPS,
    SERIES,
    UP,
    Canvas,
    Drawing,
    Kind,
    Look,
    Word,
    canvas_of,
    cells,
    kind_words,
    roomy,
    sorry,
    too_small,
)

_STEP = "="
"""What the edge of the frontier is drawn with in ASCII; no mark and no other line has it."""
_STEP_WORDS = f"{_STEP} frontier's edge"
BAR = ("│", ":")
"""What the interval of a point is drawn with, and in ASCII."""
_BAR_WORDS = "95 % interval"
_FEW_OUTLIERS, _LEAST_POINTS = 2, 6
"""How many points may be left out of the range at least, or a tenth of them, and how many must remain."""
_BETWEEN_BARS = 5
"""Free columns between any two bars: closer ones hide the frontier, and only that of the chosen point is drawn."""


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
    bar: tuple[float, float] | None = None
    """Both ends of the interval of y."""
    group: int = -1
    """Whose colour it has, and whose glyph if it is dominated; below 0 that of its kind."""


def frontier_chart(points: Sequence[Point], x: Axis, y: Axis, look: Look, *, groups: Sequence[str] = ()) -> str:
    """Trials in the plane of two objectives, with the frontier as a step line; a message if there are none.

    The last lines are the legend and, if any could not be drawn, the number of hidden points.
    """
    drawing = frontier_drawing(points, x, y, roomy(look), groups=groups)
    if not drawing.drawn:
        return drawing.text
    lines = ["  ".join(word.text for word in drawing.legend if word.line == line) for line in (False, True)]
    said = f"{drawing.hidden} points cannot be drawn (no finite value, or not above 0 on a log axis)"
    return "\n".join(filter(None, [drawing.text, *lines, said if drawing.hidden else ""]))


def frontier_drawing(
    points: Sequence[Point],
    x: Axis,
    y: Axis,
    look: Look,
    *,
    cursor: int | None = None,
    detail: str = "",
    groups: Sequence[str] = (),
) -> Drawing:
    """Points by kind and group, the frontier as a step line over what it dominates, and labelled lines across.

    `cursor` is an index into `points`: it is drawn in brackets with its label, or with `detail` where there is room,
    and `readings` are its two values. `groups` names the groups of the points.
    """
    return _plane(points, x, y, look, cursor, detail, groups, steps=True)


def slice_drawing(points: Sequence[Point], x: Axis, y: Axis, look: Look, *, cursor: int | None = None) -> Drawing:
    """One setting on x against one metric on y: the same marks without the step line."""
    return _plane(points, x, y, look, cursor, "", (), steps=False)


def _plane(
    points: Sequence[Point],
    x: Axis,
    y: Axis,
    look: Look,
    cursor: int | None,
    detail: str,
    groups: Sequence[str],
    *,
    steps: bool,
) -> Drawing:
    fit = [p for p in points if drawable(p.x, log=x.log) and drawable(p.y, log=y.log)]
    hidden = len(points) - len(fit)
    shown = [p for p in fit if not p.outside]
    if not shown:
        return Drawing("no point to draw yet", hidden=hidden, drawn=False)
    if too_small(look):
        return sorry(look, hidden)
    chosen = points[cursor] if cursor is not None and 0 <= cursor < len(points) else None
    chosen = chosen if any(chosen is p for p in shown) else None
    edge = [p for p in fit if p.edge] if steps else []
    across = scale((p.x for p in fit), x)
    up = scale((p.y for p in (without_outliers(fit, y, chosen) if steps else fit)), y)
    every, shown = shown, [p for p in shown if across.holds(p.x) and up.holds(p.y)]
    chosen = chosen if any(chosen is p for p in shown) else None
    with canvas_of(look, across, up) as canvas:
        bars = _bars(canvas, shown, chosen) if steps else []  # below all else
        canvas.rulers()
        corners = _steps(canvas, edge)
        at = dict(zip(map(id, shown), canvas.cells_of([(p.x, p.y) for p in shown]), strict=True))
        _marks(canvas, shown, at, chosen)
        if chosen is not None:
            _cursor(canvas, chosen, detail)
        canvas.ruler_labels()
        under = None if chosen is None else at[id(chosen)]  # a repeat of the chosen one shares its mark
        _labels(canvas, [p for p in shown if p.label and at[id(p)] != under])
        _beyond(canvas, every)
        canvas.name_axes()
        text = canvas.text()
        area = canvas.below(_area(canvas, corners)) if look.colour else ()
        window = canvas.window
        places = tuple((*canvas.place(*at[id(p)]), i) for i, p in enumerate(points) if id(p) in at)
    readings = ((x.title, chosen.x), (y.title, chosen.y)) if chosen else ()
    words = [
        *_group_words(shown, groups, look),
        *_edge_words(corners, look),
        *_bar_words(look, bars),
        *_line_words(canvas),
    ]
    return Drawing(text, tuple(words), hidden, readings, marks=places, area=area, window=window)


def without_outliers(points: Sequence[Point], y: Axis, chosen: Point | None) -> Sequence[Point]:
    """Without the few worst on y, if these few take up half of the axis; never without the frontier or the chosen."""
    sign = 1 if y.better == "maximize" else -1
    order = sorted(points, key=lambda p: sign * p.y)
    most = max(_FEW_OUTLIERS, len(order) // 10)
    heights = [y.coordinate(p.y) for p in order]
    for count in range(min(most, len(order) - _LEAST_POINTS), 0, -1):
        spared = any(p.edge or p is chosen or p.kind == "reference" for p in order[:count])
        if not spared and abs(heights[-1] - heights[count]) * 2 < abs(heights[-1] - heights[0]):
            return order[count:]
    return points


def _group_words(shown: Sequence[Point], groups: Sequence[str], look: Look) -> list[Word]:
    """The legend of the marks: kinds, and between them the groups that dominated trials are drawn as."""
    named = sorted({p.group for p in shown if 0 <= p.group < len(groups)})
    ungrouped = [p.kind for p in shown if p.kind != "dominated" or p.group not in named]
    return [
        *kind_words(ungrouped, look),
        *(
            Word(f"{GROUPS[g % len(GROUPS)][look.plain]} {cells(groups[g], look, 20)}", f"series{g % SERIES}")
            for g in named
        ),
    ]


def _edge_words(corners: Sequence[Cell], look: Look) -> list[Word]:
    return [Word(_STEP_WORDS, "frontier")] if look.plain and corners else []


def _bar_words(look: Look, bars: Sequence[Point]) -> list[Word]:
    """Which intervals there are: those of the frontier, or one."""
    only = f" of {cells(bars[0].label, look)}" if len(bars) == 1 and bars[0].label else ""
    return [Word(f"{BAR[look.plain]} {_BAR_WORDS}{only}", "line")] if bars else []


def _line_words(canvas: Canvas) -> list[Word]:
    """Lines across and up in words: a mark may cover a line's label, and some lines are off the chart."""
    plain = canvas.look.plain
    return [
        Word(
            f"{dashes[plain]} {cells(label, canvas.look)}" + ("" if ruler.holds(value) else " (off the chart)"),
            "line",
            line=True,
        )
        for ruler, dashes in ((canvas.y, ACROSS), (canvas.x, UP))
        for value, label in ruler.axis.lines
        if drawable(value, log=ruler.axis.log)
    ]


# --------------------------------------------------------------------------------------------------------------- lines


def _steps(canvas: Canvas, frontier: Sequence[Point]) -> list[Cell]:
    """Draw the attainment curve, along x from each frontier point to the next one, and return its corners.

    A frontier point that another beats in these two metrics is there for a third one, so the curve skips it.
    """
    reached = reaching(frontier, canvas.x.axis.better, canvas.y.axis.better)
    order = [_nearby(canvas, *canvas.cell(p.x, p.y)) for p in reached]
    corners = order[:1]
    for column, row in order[1:]:
        corners += [(column, corners[-1][1]), (column, row)]
    boxes = stairs(corners)
    canvas.scatter_cells(dict.fromkeys(boxes, _STEP) if canvas.look.plain else boxes, "frontier")
    return corners if boxes else []


def _nearby(canvas: Canvas, column: int, row: int) -> Cell:
    """A cell outside moved to just beyond the edge: lines along rows and columns look the same inside."""
    return min(max(column, -1), canvas.columns), min(max(row, -1), canvas.rows)


def _beyond(canvas: Canvas, points: Sequence[Point]) -> None:
    """How many points lie beyond each edge."""
    x, y, middle, half = canvas.x, canvas.y, canvas.columns // 2, canvas.rows // 2
    counted = (
        (sum(p.y < y.low for p in points), "below", [(middle, 0, "left"), (1, 0, "left")]),
        (sum(p.y > y.high for p in points), "above", [(middle, canvas.rows - 1, "left")]),
        (sum(p.x < x.low for p in points if y.holds(p.y)), "left", [(1, half, "left"), (1, half - 1, "left")]),
        (sum(p.x > x.high for p in points if y.holds(p.y)), "right", [(canvas.columns - 1, half, "right")]),
    )
    for number, where, places in counted:
        if number:
            canvas.write(f"{number} {where}", "line", places)


def reaching(points: Sequence[Point], across: str, up: str) -> list[Point]:
    """The points that no other dominates in x and y, best x first."""
    x, y = (1 if better == "minimize" else -1 for better in (across, up))
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (x * p.x, y * p.y)):
        if not found or y * point.y < y * found[-1].y:
            found.append(point)
    return found


def _area(canvas: Canvas, corners: Sequence[Cell]) -> list[tuple[int, int, int]]:
    """What the frontier dominates with the cells of its line, as rows with their first and last column, half-open."""
    left, high = canvas.x.axis.better == "minimize", canvas.y.axis.better == "maximize"
    spans = []
    for row in range(canvas.rows):
        beyond = [column for column, at in corners if (at >= row if high else at <= row)]
        if beyond:
            start, end = max(0, min(beyond)), min(canvas.columns, max(beyond) + 1)
            spans.append((row, start, canvas.columns) if left else (row, 0, end))
    return spans


def _bars(canvas: Canvas, points: Sequence[Point], chosen: Point | None) -> list[Point]:
    """Draw the intervals of frontier points, if they stand far enough apart, and that of the chosen one; whose."""
    known = [p for p in points if p.bar is not None and p.edge]
    columns = sorted(canvas.column(p.x) for p in known)
    if any(after - before <= _BETWEEN_BARS for before, after in pairwise(columns)):
        known = []
    known += [p for p in (chosen,) if p is not None and p.bar is not None and p not in known]
    for point in known:
        low, high = sorted(canvas.row(end) for end in point.bar or ())
        column = canvas.column(point.x)
        rows = range(max(0, low), min(canvas.rows - 1, high) + 1)
        canvas.scatter_cells({(column, row): BAR[canvas.look.plain] for row in rows}, "line", behind=True)
    return known


# --------------------------------------------------------------------------------------------------------------- marks


def _marks(canvas: Canvas, points: Sequence[Point], at: Mapping[int, Cell], chosen: Point | None) -> None:
    """Every point, the important kinds last, so that they are drawn on top; no label covers one."""
    for kind in GLYPHS:
        seen = [p for p in points if p.kind == kind and p is not chosen]
        for group in sorted({p.group for p in seen}):
            glyph, key = _glyph(kind, group, canvas.look), colour_key(kind, group)
            middles = canvas.middles(dict.fromkeys(at[id(p)] for p in seen if p.group == group))
            canvas.scatter(middles, glyph, key, bold=kind == "frontier")
    canvas.taken.update(at.values())


def _glyph(kind: str, group: int, look: Look) -> str:
    return (GLYPHS[kind] if kind != "dominated" or group < 0 else GROUPS[group % len(GROUPS)])[look.plain]


def colour_key(kind: str, group: int) -> str:
    """The name of the colour: the group's, except for what has no rank."""
    return kind if group < 0 or kind == "infeasible" else f"series{group % SERIES}"


def _cursor(canvas: Canvas, point: Point, detail: str) -> None:
    """The selected mark in brackets with as many words beside it as fit, on top of everything else."""
    column, row = canvas.cell(point.x, point.y)
    key = colour_key(point.kind, point.group)
    label = cells(point.label, canvas.look)
    mark = f"[{_glyph(point.kind, point.group, canvas.look)}]"
    sides = [(column + 2, row, "left"), (column - 2, row, "right")]
    places = [
        *(sides[::-1] if canvas.near_end(column) else sides),
        *((column + 2, row + by, "left") for by in (1, -1)),
        *((column - 2, row + by, "right") for by in (1, -1)),
    ]
    canvas.put(mark, column - 1, row, key, bold=True)
    if not any(canvas.write(words, key, places, bold=True) for words in (detail, label) if words):
        inward = canvas.near_end(column) or column + 2 + len(label) > canvas.columns
        canvas.put(label, column - 1 - len(label) if inward else column + 2, row, key, bold=True)


def _labels(canvas: Canvas, points: Sequence[Point]) -> None:
    """Labels beside their marks, important kinds first; one without free cells is omitted, as is one of a frontier
    point that would cut the step line.
    """
    order = list(reversed(GLYPHS))
    for point in sorted(points, key=lambda p: order.index(p.kind)):
        column, row = canvas.cell(point.x, point.y)
        off = 1 + (canvas.look.plain and point.label[:1].isalpha())  # a mark that is a letter must not begin a word
        sides = [(column + off, row, "left"), (column - off, row, "right")][:: -1 if canvas.near_end(column) else 1]
        key = colour_key(point.kind, point.group)
        others = [(column, row + 1, "left"), (column, row + 1, "right"), (column, row - 1, "left")]
        canvas.write(point.label, key, [*sides, *others], over=point.kind != "frontier")
