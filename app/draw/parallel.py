"""Parallel coordinates: one axis per setting or metric, one line per trial. It reads no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bertdistill.app.draw.axes import Axis, Scale, drawable
from bertdistill.app.draw.canvas import (
    GLYPHS,
    UP,
    Canvas,
    Drawing,
    Kind,
    Look,
    canvas_of,
    cells,
    kind_words,
    sorry,
    too_small,
)
from bertdistill.app.text.format import brief

HEAD, FOOT = 2, 1
"""Rows above the axes (titles and upper limits) and below (lower limits)."""
Brushes = Mapping[int, tuple[float, float]]
"""By the place of an axis, the lowest and the highest value that is wanted."""


@dataclass(frozen=True)
class Strand:
    """One line across parallel axes, with one value per axis; None leaves a gap."""

    values: Sequence[float | None]
    kind: Kind
    label: str = ""


def parallel_drawing(
    axes: Sequence[Axis],
    strands: Sequence[Strand],
    look: Look,
    *,
    cursor: int | None = None,
    brushes: Brushes | None = None,
    at: tuple[int, float] | None = None,
) -> Drawing:
    """Parallel axes with one line per trial: dominated trials first, then the others, then the one under the cursor.

    The first row holds the titles, the second the upper limit of each axis, the last its lower limit. `brushes` are
    drawn along their axes, and trials outside of them fade; `at` is a cursor on an axis, at a share of it.
    """
    brushes = brushes or {}
    found = [[s.values[i] for s in strands if drawable(s.values[i], log=a.log)] for i, a in enumerate(axes)]
    hidden = sum(not drawable(v, log=a.log) for s in strands for v, a in zip(s.values, axes, strict=True))
    if len(axes) < 2 or not any(found):
        return Drawing("no two settings to compare yet", hidden=hidden, drawn=False)
    slot = slot_of(look.width, len(axes))
    if too_small(look) or slot < 3:
        return sorry(look, hidden)
    rulers = rulers_of(axes, strands)
    inner = replace(look, height=look.height - HEAD - FOOT)
    unit = Scale(Axis("", "minimize"), 0.0, 1.0)
    with canvas_of(inner, unit, unit, bare=True) as canvas:
        places = [(i + 0.5) * slot / max(1, canvas.columns - 1) for i in range(len(axes))]
        for place in places:
            canvas.line([place] * 2, [0.0, 1.0], UP[look.plain], "line")
        for strand in (one for one in strands if not within(one, brushes)):
            _faded(canvas, strand, places, rulers)
        for strand, chosen in _ordered(strands, cursor):
            if within(strand, brushes):
                _strand(canvas, strand, places, rulers, chosen=chosen)
        for axis, span in brushes.items():
            canvas.line([places[axis]] * 2, [rulers[axis].share(v) for v in span], ("┃", "#")[look.plain], "running")
        if at is not None:
            canvas.scatter([(places[at[0]], at[1])], ("╋", "+")[look.plain], "running", bold=True)
        text = canvas.text()
    ends = [(min(k), max(k)) if (k := [v for v in values if v is not None]) else None for values in found]
    tops = [r.text(e[1]) if e and e[0] < e[1] else "" for r, e in zip(rulers, ends, strict=True)]
    feet = [r.text(e[0]) if e else "" for r, e in zip(rulers, ends, strict=True)]
    titles = [brief(a.title, slot - 1, ascii_only=look.plain) for a in axes]
    rows = [_slots(titles, slot, look), _slots(tops, slot, look), text, _slots(feet, slot, look)]
    kinds = kind_words([s.kind for s in strands if within(s, brushes)], look)
    under = strands[cursor] if cursor is not None and 0 <= cursor < len(strands) else None
    readings = tuple((a.title, v) for a, v in zip(axes, under.values, strict=True)) if under else ()
    return Drawing("\n".join(rows), tuple(kinds), hidden, readings)


def slot_of(width: int, axes: int) -> int:
    """Columns of each axis."""
    return (width - 1) // max(1, axes)


def rulers_of(axes: Sequence[Axis], strands: Sequence[Strand]) -> list[Scale]:
    """The limits of each axis when these lines are drawn."""
    columns = [[s.values[i] for s in strands if drawable(s.values[i], log=a.log)] for i, a in enumerate(axes)]
    return [_ruler([v for v in values if v is not None], a) for values, a in zip(columns, axes, strict=True)]


def within(strand: Strand, brushes: Brushes) -> bool:
    """Whether it goes through every range; where it has no value it does not."""
    return all((v := strand.values[i]) is not None and low <= v <= high for i, (low, high) in brushes.items())


def _faded(canvas: Canvas, strand: Strand, places: Sequence[float], rulers: Sequence[Scale]) -> None:
    """Only its marks, pale: enough to see what a range leaves out."""
    marks = [
        (place, ruler.share(value))
        for place, ruler, value in zip(places, rulers, strand.values, strict=True)
        if value is not None and ruler.holds(value)
    ]
    canvas.scatter(marks, ("·", ".")[canvas.look.plain], "infeasible")


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


def _strand(canvas: Canvas, strand: Strand, places: Sequence[float], rulers: Sequence[Scale], *, chosen: bool) -> None:
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
    glyph = ("◉", "@")[canvas.look.plain] if chosen else GLYPHS[strand.kind][canvas.look.plain]
    canvas.scatter(marks, glyph, strand.kind, bold=chosen)


def _slots(texts: Sequence[str], slot: int, look: Look) -> str:
    return "".join(cells(t, look, slot - 1).center(slot) for t in texts).rstrip()
