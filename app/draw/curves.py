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

MEASURED = 20
"""Values of a curve from which on they have no marks: few are joined by lines between which nothing was measured."""
MARK = ("●", "o")
"""What a measured value is marked with, and in ASCII."""
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
    measured: bool = True
    """Whether each value was measured at its step, rather than being an extreme of several steps."""


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
    lines: tuple[tuple[float, str], ...] = (),
    named: bool = True,
    within: tuple[float, float] | None = None,
) -> Drawing:
    """Curves, each with its own dashes (letters in ASCII); of several each has a label at its last point if `named`.

    Few values are marked. `lines` are drawn across, with what they are. `within` is the part of x that is drawn, with y
    as high as the curves are there.
    `smoothing` in [0, 1) is the weight of the past. `crosshair` draws a vertical line at that x; the `readings`
    are what each curve shows at its nearest point, None outside of its steps.
    """
    series, hidden = list[_Series](), 0
    for place, curve in enumerate(curves):
        pairs = [
            (s, v)
            for s, v in zip(curve.steps, curve.values, strict=True)
            if v is not None and drawable(v, log=log) and drawable(s)
        ]
        hidden += len(curve.values) - len(pairs)
        if pairs:
            series.append(_Series(place, curve, _part(smooth(pairs, smoothing), within)))
    if not series:
        return Drawing("no value to draw yet", hidden=hidden, drawn=False)
    if too_small(look):
        return sorry(look, hidden)
    across = Axis(x_title, "minimize", x_text, limits=within)
    x = scale((s for one in series for s, _ in one.pairs), across, margin=0.0, parts=40)
    y = scale((v for one in series for _, v in one.pairs), Axis("", "minimize", log=log, lines=lines))
    listed = len(series) > LABELLED
    labels = [(one, _end_label(one, look, listed=listed)) for one in series] if named and len(series) > 1 else []
    with canvas_of(look, x, y, spare=max(len(label) for _, label in labels) + 1 if labels else 0) as canvas:
        canvas.rulers()
        if crosshair is not None and x.holds(crosshair):
            canvas.line([canvas.share(crosshair)] * 2, [0.0, 1.0], UP[look.plain], "line")
        for one in series:
            dashes = () if look.colour else DASHES[one.place % len(DASHES)][1]
            canvas.dotted(extremes(canvas.dots(one.pairs)), _LETTERS[one.place % 8], one.key, dashes)
        if not smoothing:
            _marks(canvas, series)
        (_column if listed else _end_labels)(canvas, labels)
        canvas.ruler_labels()
        canvas.name_axes()
        text, window = canvas.text(), canvas.window
    legend = tuple(_curve_words(one, len(series), look) for one in series)
    readings = () if crosshair is None else tuple((one.curve.name, _reading(one.pairs, crosshair)) for one in series)
    return Drawing(text, legend, hidden, readings, window=window)


def _part(pairs: Sequence[tuple[float, float]], within: tuple[float, float] | None) -> Sequence[tuple[float, float]]:
    """The values of a part of x with one neighbour on each side, so that the line reaches its edges."""
    if within is None:
        return pairs
    inside = [place for place, (step, _) in enumerate(pairs) if within[0] <= step <= within[1]]
    before = [place for place, (step, _) in enumerate(pairs) if step < within[0]]
    first = inside[0] if inside else len(before)
    last = inside[-1] if inside else len(before) - 1
    return pairs[max(0, first - 1) : last + 2]


@dataclass(frozen=True)
class _Series:
    """A curve with the values that can be drawn, and its place among all: that of its colour, dashes and letter."""

    place: int
    curve: Curve
    pairs: Sequence[tuple[float, float]]

    @property
    def key(self) -> str:
        return f"series{self.place % SERIES}"

    @property
    def last(self) -> float:
        return self.pairs[-1][1]


def _marks(canvas: Canvas, series: Sequence[_Series]) -> None:
    """A mark at each measured value, of curves that have few."""
    for one in series:
        if one.curve.measured and len(one.pairs) < min(MEASURED, canvas.columns // 2):
            across, up = canvas.look.dots
            places = ((x // across, y // up) for x, y in canvas.dots(one.pairs))  # rounded as the line is
            marked = dict.fromkeys(cell for cell in places if canvas.holds(*cell))
            canvas.scatter(canvas.middles(marked), MARK[canvas.look.plain], one.key)
            canvas.taken.update(marked)


def _end_label(one: _Series, look: Look, *, listed: bool) -> str:
    name = cells(one.curve.label or one.curve.name, look, 14)
    name += f" {one.last:.4g}" if listed else ""
    if look.plain:
        return f"{_LETTERS[one.place % 8]} {name}"
    return f"{DASHES[one.place % len(DASHES)][0]} {name}" if listed and not look.colour else name


def _end_labels(canvas: Canvas, ends: Sequence[tuple[_Series, str]]) -> None:
    """Each label after the last point of its curve, at the nearest free place: a few columns on beats far above."""
    for one, label in ends:
        step, value = one.pairs[-1]
        column, row = canvas.column(min(step, canvas.x.high)) + 1, canvas.row(value)
        rows = sorted(range(canvas.rows), key=lambda r: abs(r - row))
        near = [(column + on, r, "left") for on in range(0, _ALONG, 2) for r in rows if abs(r - row) <= _BESIDE]
        canvas.write(label, one.key, [*near, *((column, r, "left") for r in rows)])


def _column(canvas: Canvas, ends: Sequence[tuple[_Series, str]]) -> None:
    """The names below each other at the right, the highest last value first."""
    start = canvas.columns - max(len(label) for _, label in ends)
    order = sorted(ends, key=lambda end: -end[0].last)
    for row, (one, label) in zip(range(canvas.rows - 1, -1, -1), order, strict=False):
        canvas.put(label, start, row, one.key)


def _curve_words(one: _Series, count: int, look: Look) -> Word:
    named = curve_name(one.curve.name, one.place, count, look)
    return Word(f"{named.text} {one.last:.4g}", named.key)


def curve_name(name: str, place: int, count: int, look: Look) -> Word:
    """What the curve at this place of `count` is called, with what tells it from the others."""
    name = cells(name, look, 60)
    if look.plain:
        return Word(f"{_LETTERS[place % 8]} = {name}", f"series{place % SERIES}")
    dashes = f"{DASHES[0 if look.colour else place % len(DASHES)][0]} " if count > 1 else ""
    return Word(f"{dashes}{name}", f"series{place % SERIES}")


def _reading(pairs: Sequence[tuple[float, float]], at: float) -> float | None:
    inside = min(s for s, _ in pairs) <= at <= max(s for s, _ in pairs)
    return min(pairs, key=lambda p: abs(p[0] - at))[1] if inside else None
