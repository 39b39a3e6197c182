"""Draws points in a plane and curves over steps as text, for widgets and plain output alike. It reads no store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bertdistill.app.draw.axes import Axis, drawable, number, scale, smooth
from bertdistill.app.draw.canvas import (
    ACROSS,
    GLYPHS,
    UP,
    Canvas,
    Drawing,
    Kind,
    Look,
    canvas_of,
    cells,
    kind_words,
    roomy,
    sorry,
    too_small,
)
from bertdistill.app.draw.dots import extremes

SERIES = 6
"""Curves before colours repeat."""

_LETTERS = "abcdefgh"
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
class Curve:
    """One named curve: `values` over `steps`; None and non-finite values are omitted and counted."""

    name: str
    steps: Sequence[float]
    values: Sequence[float | None]
    label: str = ""
    """Stands at the last point; the name when empty."""


# ---------------------------------------------------------------------------------------------------------- in a plane


def frontier_chart(points: Sequence[Point], x: Axis, y: Axis, look: Look) -> str:
    """Trials in the plane of two objectives, with the frontier as a step line; a message if there are none.

    The last lines are the legend and, if any could not be drawn, the number of hidden points.
    """
    drawing = frontier_drawing(points, x, y, roomy(look))
    if not drawing.drawn:
        return drawing.text
    marks = [*kind_words([point.kind for point in points], look), _STEP_WORDS]
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
    if too_small(look):
        return sorry(look, hidden)
    chosen = points[cursor] if cursor is not None and 0 <= cursor < len(points) and points[cursor] in shown else None
    edge = [p for p in fit if p.edge] if steps else []
    with canvas_of(look, scale((p.x for p in fit), x), scale((p.y for p in fit), y)) as canvas:
        _lines(canvas, [(p.x, p.y) for p in shown], chosen)
        _steps(canvas, edge)
        _marks(canvas, shown, chosen)
        if chosen is not None:
            _cursor(canvas, chosen)
        _labels(canvas, [p for p in shown if p.label and p is not chosen])
        text = canvas.text()
    readings = ((x.title, chosen.x), (y.title, chosen.y)) if chosen else ()
    drawn = [_STEP_WORDS] if look.plain and len(edge) > 1 else []
    return Drawing(
        text, (*kind_words([point.kind for point in shown], look), *drawn, *_line_words(canvas)), hidden, readings
    )


def _line_words(canvas: Canvas) -> list[str]:
    """Lines across and up in words: a mark may cover a line's label, and some lines are off the chart."""
    plain = canvas.look.plain
    return [
        f"{dashes[plain]} {cells(label, canvas.look)}" + ("" if ruler.holds(value) else " (off the chart)")
        for ruler, dashes in ((canvas.y, ACROSS), (canvas.x, UP))
        for value, label in ruler.axis.lines
        if drawable(value, log=ruler.axis.log)
    ]


def _lines(canvas: Canvas, marks: Sequence[tuple[float, float]], chosen: Point | None) -> None:
    """Thresholds and ceilings with their labels, where no mark lies and, if possible, away from the cursor."""
    for at_x, at_y in marks:
        canvas.take(canvas.column(at_x), canvas.row(at_y), 1)
    if chosen is not None:  # the cursor's label is written later, so lines avoid it
        canvas.take(canvas.column(chosen.x) - 1, canvas.row(chosen.y), len(cells(chosen.label, canvas.look)) + 3)
    plain = canvas.look.plain
    for value, label in canvas.x.axis.lines:
        if canvas.x.holds(value):
            canvas.line([canvas.x.share(value)] * 2, [0.0, 1.0], UP[plain], "line")
            canvas.write(label, "line", [(canvas.column(value), row, "left") for row in (0, 1, canvas.rows - 1)])
    for value, label in canvas.y.axis.lines:
        if canvas.y.holds(value):
            canvas.line([0.0, 1.0], [canvas.y.share(value)] * 2, ACROSS[plain], "line")
            row, right = canvas.row(value), canvas.columns - 1
            canvas.write(label, "line", [(0, row, "left"), (right, row, "right"), (right // 2, row, "left")])


def _steps(canvas: Canvas, frontier: Sequence[Point]) -> None:
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


def _marks(canvas: Canvas, points: Sequence[Point], chosen: Point | None) -> None:
    """Every point, the important kinds last, so that they are drawn on top."""
    for kind, glyphs in GLYPHS.items():
        places = [(canvas.x.share(p.x), canvas.y.share(p.y)) for p in points if p.kind == kind and p is not chosen]
        canvas.scatter(places, glyphs[canvas.look.plain], kind, bold=kind == "frontier")


def _cursor(canvas: Canvas, point: Point) -> None:
    """The selected mark in brackets with its label, on top of everything else."""
    label = cells(point.label, canvas.look)
    column, row = canvas.column(point.x), canvas.row(point.y)
    mark = f"[{GLYPHS[point.kind][canvas.look.plain]}]"
    inward = canvas.near_end(column) or column + 2 + len(label) > canvas.columns
    start = column - 1 - len(label) if inward else column - 1
    canvas.put(label + mark if inward else mark + label, start, row, point.kind, bold=True)


def _labels(canvas: Canvas, points: Sequence[Point]) -> None:
    """Labels beside their marks, important kinds first; a label without free cells is omitted."""
    order = list(reversed(GLYPHS))
    for point in sorted(points, key=lambda p: order.index(p.kind)):
        column, row = canvas.column(point.x), canvas.row(point.y)
        sides = [(column + 1, row, "left"), (column - 1, row, "right")][:: -1 if canvas.near_end(column) else 1]
        canvas.write(point.label, point.kind, [*sides, (column, row + 1, "left"), (column, row - 1, "left")])


# ------------------------------------------------------------------------------------------------------- over the steps


def curves_chart(curves: Sequence[Curve], x_title: str, look: Look, *, log: bool = False) -> str:
    """Curves over steps with their names and last values above; non-finite points are counted, never drawn."""
    drawing = curves_drawing(curves, x_title, roomy(look), log=log)
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
    if too_small(look):
        return sorry(look, hidden)
    x = scale((s for _, pairs in series for s, _ in pairs), Axis(x_title, "minimize", x_text), margin=0.0)
    y = scale((v for _, pairs in series for _, v in pairs), Axis("", "minimize", log=log))
    names = [_end_label(curve, index, look) for index, (curve, _) in enumerate(series)]
    with canvas_of(look, x, y, spare=max(map(len, names)) + 1) as canvas:
        if crosshair is not None and x.holds(crosshair):
            canvas.line([canvas.share(crosshair)] * 2, [0.0, 1.0], UP[look.plain], "line")
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
    name = cells(curve.label or curve.name, look, 14)
    return f"{_LETTERS[index % 8]} {name}" if look.plain else name


def _end_labels(canvas: Canvas, ends: Sequence[tuple[str, float, float]]) -> None:
    """Each label after the last point of its curve, moved to the nearest free row."""
    for index, (label, step, value) in enumerate(ends):
        column, row = canvas.column(step) + 1, canvas.row(value)
        rows = sorted(range(canvas.rows), key=lambda r: abs(r - row))
        canvas.write(label, f"series{index % SERIES}", [(column, r, "left") for r in rows])


def _curve_words(curve: Curve, last: float, index: int, count: int, look: Look) -> str:
    if look.plain:
        return f"{_LETTERS[index % 8]} = {cells(curve.name, look, 60)} {last:.4g}"
    sample = f"{_DASHES[index % len(_DASHES)][0]} " if count > 1 else ""
    return f"{sample}{cells(curve.name, look, 60)} {last:.4g}"


def _reading(pairs: Sequence[tuple[float, float]], at: float) -> float | None:
    inside = min(s for s, _ in pairs) <= at <= max(s for s, _ in pairs)
    return min(pairs, key=lambda p: abs(p[0] - at))[1] if inside else None
