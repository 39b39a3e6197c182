"""Draws when each attempt of a study ran, a line a slot, for widgets and plain output alike. It reads no store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertdistill.app.draw.axes import Axis, number, scale
from bertdistill.app.draw.canvas import GLYPHS, Canvas, Drawing, Look, Word, canvas_of, roomy, sorry, too_small
from bertdistill.app.text.format import STATES

UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))
LEAST_UNITS = 3.0
"""How many of a unit the whole takes at least; else the next smaller one counts."""
BAR = ("━", "=")
"""What a running worker is drawn with, and in ASCII."""
KEYS = {"complete": "dominated", "running": "running", "failed": "series3"}
"""Whose colour a state has in charts; the others are pale."""


@dataclass(frozen=True)
class Span:
    """One attempt in a slot, in Unix seconds; `number` is None of a preparation."""

    slot: str
    number: int | None
    start: float
    end: float
    state: str
    frontier: bool = False
    """Whether its trial is on the frontier."""

    @property
    def name(self) -> str:
        return "prepare" if self.number is None else f"#{self.number}"


def timeline_chart(spans: Sequence[Span], look: Look) -> str:
    """The same with its legend below."""
    drawing = timeline_drawing(spans, roomy(look))
    return "\n".join(filter(None, [drawing.text, "  ".join(word.text for word in drawing.legend)]))


def timeline_drawing(spans: Sequence[Span], look: Look) -> Drawing:
    """A line a slot, the first one on top; each attempt is a bar that ends in the glyph of how it ended."""
    if not spans:
        return Drawing("nothing to draw yet", drawn=False)
    if too_small(look):
        return sorry(look, 0)
    slots = sorted({one.slot for one in spans}, key=_in_order, reverse=True)
    began, ended = min(one.start for one in spans), max(one.end for one in spans)
    length, unit = next((u for u in UNITS if ended - began >= LEAST_UNITS * u[0]), UNITS[-1])
    across = Axis("since the start", "minimize", lambda value: f"{number(value)}{unit if value else ''}")
    x = scale([0.0, max((ended - began) / length, 1e-3)], across, margin=0.0)
    y = scale([], Axis("", "maximize", choices=tuple(slots)))
    with canvas_of(look, x, y) as canvas:
        rows = [canvas.row(float(slots.index(one.slot))) for one in spans]
        ends = [[canvas.column((at - began) / length) for at in (one.start, one.end)] for one in spans]
        for one, row, (start, end) in zip(spans, rows, ends, strict=True):
            _bar(canvas, one, start, end, row)
        for one, row, (_, end) in zip(spans, rows, ends, strict=True):  # over the bars that follow them
            glyph, key = _end(one, plain=look.plain)
            canvas.put(glyph, end, row, key, bold=True)
        text, window = canvas.text(), canvas.window
    return Drawing(text, _legend(spans, look), window=window)


def _in_order(slot: str) -> tuple[str, int]:
    """`cpu10` follows `cpu9`."""
    letters = slot.rstrip("0123456789")
    return letters, int(slot[len(letters) :] or -1)


def _bar(canvas: Canvas, one: Span, start: int, end: int, row: int) -> None:
    """Its length, and its name where that fits."""
    plain = canvas.look.plain
    _, key = _end(one, plain=plain)
    if end > start:
        canvas.put(BAR[plain] * (end - start), start, row, key)
    if end - start > len(one.name) + 1:
        canvas.put(one.name, start + 1, row, key)


def _end(one: Span, *, plain: bool) -> tuple[str, str]:
    """Glyph and colour of how it ended."""
    if one.frontier:
        return GLYPHS["frontier"][plain], "frontier"
    return STATES.get(one.state, STATES["stopped"])[plain], KEYS.get(one.state, "infeasible")


def _legend(spans: Sequence[Span], look: Look) -> tuple[Word, ...]:
    ends = {_end(one, plain=look.plain): "frontier" if one.frontier else one.state for one in spans}
    return tuple(Word(f"{glyph} {words}", key) for (glyph, key), words in sorted(ends.items(), key=lambda end: end[1]))
