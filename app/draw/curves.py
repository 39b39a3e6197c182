"""Draws curves over steps as text, for widgets and plain output alike. It reads no store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bertdistill.app.draw.axes import Axis, drawable, number, scale, smooth
from bertdistill.app.draw.canvas import (
    SERIES,
    UP,
    Canvas,
    Drawing,
    Look,
    Word,
    canvas_of,
    cells,
    roomy,
    sorry,
    too_small,
)
from bertdistill.app.draw.dots import extremes

_LETTERS = "abcdefgh"
DASHES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("━━", ()),
    ("╍╍", (6, 4)),
    ("┉┉", (2, 3)),
    ("━╍", (10, 3, 2, 3)),
    ("╍┉", (5, 3, 2, 3)),
    ("━┉", (14, 4)),
)
"""Dots drawn and left out in turn, so that curves differ without colour, and how the legend shows it."""

LABELLED = 3
"""Most curves whose names stand at their ends; the names of more stand in a column, with their last values."""


@dataclass(frozen=True)
class Curve:
    """One named curve: `values` over `steps`; None and non-finite values are omitted and counted."""

    name: str
    steps: Sequence[float]
    values: Sequence[float | None]
    label: str = ""
    """Stands at the last point; the name when empty."""


def curves_chart(curves: Sequence[Curve], x_title: str, look: Look, *, log: bool = False) -> str:
    """Curves over steps with their names and last values above; non-finite points are counted, never drawn."""
    drawing = curves_drawing(curves, x_title, roomy(look), log=log)
    if not drawing.drawn:
        return drawing.text + (f"; {drawing.hidden} points are not finite" if drawing.hidden else "")
    said = f" ({drawing.hidden} points not finite, hidden)" if drawing.hidden else ""
    return f"{', '.join(word.text for word in drawing.legend)}{said}\n{drawing.text}"


_ALONG, _BESIDE = 16, 1
"""How many columns on, and lines up or down, a label may stand from the end of its curve before it goes further."""


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
    listed = len(series) > LABELLED
    names = [_end_label(curve, pairs[-1][1], index, look, listed=listed) for index, (curve, pairs) in enumerate(series)]
    with canvas_of(look, x, y, spare=max(map(len, names)) + 1) as canvas:
        if crosshair is not None and x.holds(crosshair):
            canvas.line([canvas.share(crosshair)] * 2, [0.0, 1.0], UP[look.plain], "line")
        for index, (_, pairs) in enumerate(series):
            dashes = () if look.colour else DASHES[index % len(DASHES)][1]
            canvas.dotted(extremes(canvas.dots(pairs)), _LETTERS[index % 8], f"series{index % SERIES}", dashes)
        ends = [(name, *pairs[-1]) for name, (_, pairs) in zip(names, series, strict=True)]
        if listed:
            _column(canvas, ends)
        else:
            _end_labels(canvas, ends)
        canvas.name_axes()
        text = canvas.text()
    legend = tuple(_curve_words(c, p[-1][1], i, len(series), look) for i, (c, p) in enumerate(series))
    readings = () if crosshair is None else tuple((c.name, _reading(p, crosshair)) for c, p in series)
    return Drawing(text, legend, hidden, readings)


def _end_label(curve: Curve, last: float, index: int, look: Look, *, listed: bool) -> str:
    name = cells(curve.label or curve.name, look, 14)
    name += f" {last:.4g}" if listed else ""
    if look.plain:
        return f"{_LETTERS[index % 8]} {name}"
    return f"{DASHES[index % len(DASHES)][0]} {name}" if listed and not look.colour else name


def _end_labels(canvas: Canvas, ends: Sequence[tuple[str, float, float]]) -> None:
    """Each label after the last point of its curve, at the nearest free place: a few columns on beats far above."""
    for index, (label, step, value) in enumerate(ends):
        column, row = canvas.column(step) + 1, canvas.row(value)
        rows = sorted(range(canvas.rows), key=lambda r: abs(r - row))
        near = [(column + on, r, "left") for on in range(0, _ALONG, 2) for r in rows if abs(r - row) <= _BESIDE]
        canvas.write(label, f"series{index % SERIES}", [*near, *((column, r, "left") for r in rows)])


def _column(canvas: Canvas, ends: Sequence[tuple[str, float, float]]) -> None:
    """The names below each other at the right, the highest last value first."""
    start = canvas.columns - max(len(label) for label, _, _ in ends)
    order = sorted(range(len(ends)), key=lambda i: -ends[i][2])
    for row, index in zip(range(canvas.rows - 1, -1, -1), order, strict=False):
        canvas.put(ends[index][0], start, row, f"series{index % SERIES}")


def _curve_words(curve: Curve, last: float, index: int, count: int, look: Look) -> Word:
    key, name = f"series{index % SERIES}", cells(curve.name, look, 60)
    if look.plain:
        return Word(f"{_LETTERS[index % 8]} = {name} {last:.4g}", key)
    dashes = DASHES[0 if look.colour else index % len(DASHES)][0]
    return Word(f"{dashes} {name} {last:.4g}" if count > 1 else f"{name} {last:.4g}", key)


def _reading(pairs: Sequence[tuple[float, float]], at: float) -> float | None:
    inside = min(s for s, _ in pairs) <= at <= max(s for s, _ in pairs)
    return min(pairs, key=lambda p: abs(p[0] - at))[1] if inside else None
