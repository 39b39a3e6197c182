"""Series to text: the only importer of plotext, for widgets and for plain output alike. It reads no store.

plotext 5 has one figure for the whole process, so each chart is drawn in one locked block. It fails on infinities, so
values that cannot be drawn are taken out first and counted.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotext

_FIGURE = threading.Lock()

Kind = Literal["frontier", "dominated", "infeasible", "running", "baseline", "reference"]

GLYPHS: dict[str, tuple[str, str]] = {
    "infeasible": ("×", "x"),
    "dominated": ("·", "."),
    "running": ("▷", ">"),
    "reference": ("○", "o"),
    "baseline": ("◆", "B"),
    "frontier": ("★", "*"),
}
"""Marker of each kind, and the one for ASCII; later ones are drawn over earlier ones."""

_DASHES = ("┄", "-")
"""What a line across is drawn with, and in ASCII."""

COLOURS = {"infeasible": 8, "dominated": 7, "running": 14, "reference": 13, "baseline": 11, "frontier": 10}
"""Palette indexes, so that the terminal's own theme decides the shade."""


@dataclass(frozen=True)
class Point:
    """One trial or model in the plane of two metrics."""

    x: float
    y: float
    kind: Kind
    label: str = ""
    edge: bool = False
    """On the frontier, whatever its kind: the step line passes through it."""


@dataclass(frozen=True)
class Axis:
    """One axis: its title, which way is better, how its ticks read, and a line across at each of `lines`."""

    title: str
    better: Literal["maximize", "minimize"]
    text: Callable[[float], str] = lambda value: f"{value:.4g}"
    log: bool = False
    lines: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Look:
    """Size in cells and what the terminal can show."""

    width: int = 78
    height: int = 18
    colour: bool = False
    ascii_only: bool = False


@dataclass(frozen=True)
class Curve:
    """One named line: `values` over `steps`; None and non-finite values are left out and counted."""

    name: str
    steps: Sequence[float]
    values: Sequence[float | None]


def drawable(value: float | None, *, log: bool = False) -> bool:
    """Whether plotext can place this value."""
    return value is not None and math.isfinite(value) and (not log or value > 0)


def frontier_chart(points: Sequence[Point], x: Axis, y: Axis, look: Look) -> str:
    """Trials in the plane of two objectives, frontier points joined by steps; a line of words when there is nothing.

    The last lines are the legend and, when some could not be drawn, how many points are hidden.
    """
    shown = [p for p in points if drawable(p.x, log=x.log) and drawable(p.y, log=y.log)]
    if not shown:
        return "no point to draw yet"
    with _FIGURE:
        _start(look)
        span_x = _span([p.x for p in shown], x)
        span_y = _span([p.y for p in shown] + [v for v, _ in y.lines], y)
        _axes(x, y, span_x, span_y, look)
        _lines(x, y, span_x, span_y, look)
        _steps([p for p in shown if p.edge], x, y, look)
        _marks(shown, x, y, look)
        text = _finish(look)
    lines = [f"{_DASHES[look.ascii_only]} {label}" for v, label in y.lines if span_y[0] <= v <= span_y[1]]
    return "\n".join([text, *_legend(shown, lines, len(points) - len(shown), look)])


def curves_chart(curves: Sequence[Curve], x_title: str, look: Look, *, log: bool = False) -> str:
    """Curves over steps with their names and last values above; non-finite points are counted, never drawn."""
    lines, hidden = [], 0
    for curve in curves:
        pairs = [
            (s, v) for s, v in zip(curve.steps, curve.values, strict=True) if v is not None and drawable(v, log=log)
        ]
        hidden += len(curve.values) - len(pairs)
        if pairs:
            lines.append((curve.name, thin(pairs, 2 * look.width)))
    if not lines:
        return "no value to draw yet" + (f"; {hidden} points are not finite" if hidden else "")
    with _FIGURE:
        _start(look)
        y = Axis("", "minimize", log=log)
        x = Axis(x_title, "minimize")
        span_x = _span([s for _, pairs in lines for s, _ in pairs], x)
        _axes(x, y, span_x, _span([v for _, pairs in lines for _, v in pairs], y), look)
        for index, (_, pairs) in enumerate(lines):
            xs, ys = [_place(s, x) for s, _ in pairs], [_place(v, y) for _, v in pairs]
            _draw(xs, ys, "abcdefgh"[index % 8] if look.ascii_only else "braille", look, 9 + index % 6)
        text = _finish(look)
    names = ", ".join(
        f"{'abcdefgh'[i % 8]} = {name} {pairs[-1][1]:.4g}" if look.ascii_only else f"{name} {pairs[-1][1]:.4g}"
        for i, (name, pairs) in enumerate(lines)
    )
    return f"{names}{f' ({hidden} points not finite, hidden)' if hidden else ''}\n{text}"


def thin(pairs: Sequence[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
    """At most about `limit` points: lowest and highest of each stretch stay, so a spike is never lost."""
    if len(pairs) <= limit or limit < 2:
        return list(pairs)
    size = math.ceil(2 * len(pairs) / limit)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(pairs), size):
        stretch = pairs[start : start + size]
        kept.extend(sorted({min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}))
    return kept


def ticks(low: float, high: float, most: int, *, log: bool = False) -> list[float]:
    """Round values inside [low, high], at most `most`; over a decade on a log axis 1, 2 and 5 times powers of ten."""
    if log and low > 0 and high / low >= 10:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        for steps in ((1, 2, 5), (1, 3), (1,)):
            found = [s * 10.0**e for e in range(first, last + 1) for s in steps if low <= s * 10.0**e <= high]
            if len(found) <= most:
                return found
        return found[:: math.ceil(len(found) / max(1, most))]
    if high <= low:
        return [low]
    rough = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 2.5, 5, 10, 20) if s * power >= rough)
    return [round(k * step, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _start(look: Look) -> None:
    plotext.clear_figure()
    plotext.limit_size(False, False)  # otherwise the size is cut to the terminal of the process, 80×24 in a pipe
    plotext.plotsize(max(20, look.width), max(6, look.height))
    plotext.theme("clear")
    plotext.canvas_color("default")
    plotext.axes_color("default")
    plotext.ticks_color("default")


def _finish(look: Look) -> str:
    text: str = plotext.build().rstrip("\n")
    plotext.clear_figure()
    if not look.colour:
        text = plotext.uncolorize(text)
    if look.ascii_only:
        text = text.translate(_TO_ASCII)
    return "\n".join(line.rstrip() for line in text.split("\n"))


_TO_ASCII = str.maketrans("┌┐└┘├┤┬┴┼─│", "+++++++++-|")


def _span(values: Iterable[float], axis: Axis) -> tuple[float, float]:
    """Lowest and highest with a margin, in the values' own unit."""
    found = [v for v in values if drawable(v, log=axis.log)]
    low, high = min(found), max(found)
    if axis.log:
        margin = (high / low) ** 0.06 if high > low else 1.2
        return low / margin, high * margin
    margin = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return low - margin, high + margin


def _axes(x: Axis, y: Axis, span_x: tuple[float, float], span_y: tuple[float, float], look: Look) -> None:
    # plotext mixes up limits, ticks and logs, so logarithms are taken here and plotext sees a plain axis.
    plotext.xlim(*(_place(v, x) for v in span_x))
    plotext.ylim(*(_place(v, y) for v in span_y))
    across = ticks(*span_x, max(2, look.width // 12), log=x.log)
    up = ticks(*span_y, max(2, look.height // 3), log=y.log)
    plotext.xticks([_place(v, x) for v in across], [x.text(v) for v in across])
    plotext.yticks([_place(v, y) for v in up], [y.text(v) for v in up])
    if x.title:
        plotext.xlabel(x.title)
    if y.title:
        plotext.title(y.title)


def _place(value: float, axis: Axis) -> float:
    return math.log10(value) if axis.log else value


def _draw(xs: list[float], ys: list[float], marker: str, look: Look, colour: int) -> None:
    plotext.plot(xs, ys, marker=marker, **_painted(look, colour))


def _painted(look: Look, colour: int) -> dict[str, Any]:
    return {"color": colour} if look.colour else {"color": "default"}


def _lines(x: Axis, y: Axis, span_x: tuple[float, float], span_y: tuple[float, float], look: Look) -> None:
    """Thresholds and ceilings, each with its label at the right end."""
    dash = _DASHES[look.ascii_only]
    for value, label in y.lines:
        if span_y[0] <= value <= span_y[1]:
            ends = [_place(v, x) for v in span_x]
            plotext.plot(ends, [_place(value, y)] * 2, marker=dash, **_painted(look, 8))
            plotext.text(label, x=ends[0], y=_place(value, y), alignment="left", **_painted(look, 8))
    for value, label in x.lines:
        if span_x[0] <= value <= span_x[1]:
            ends = [_place(v, y) for v in span_y]
            plotext.plot([_place(value, x)] * 2, ends, marker="|" if look.ascii_only else "┆", **_painted(look, 8))
            plotext.text(label, x=_place(value, x), y=ends[0], alignment="left", **_painted(look, 8))


def _steps(frontier: Sequence[Point], x: Axis, y: Axis, look: Look) -> None:
    """The edge of what is reached: along x a frontier point stands for everything up to the next one."""
    order = sorted(frontier, key=lambda p: p.x, reverse=x.better == "maximize")
    if len(order) < 2:
        return
    xs, ys = [_place(order[0].x, x)], [_place(order[0].y, y)]
    for point in order[1:]:
        xs += [_place(point.x, x)] * 2
        ys += [ys[-1], _place(point.y, y)]
    _draw(xs, ys, "." if look.ascii_only else "braille", look, COLOURS["frontier"])


def _marks(points: Sequence[Point], x: Axis, y: Axis, look: Look) -> None:
    """Every point, the important kinds last so that they stay on top; labels turn inward at the right edge."""
    right = max(_place(p.x, x) for p in points)
    left = min(_place(p.x, x) for p in points)
    for kind, glyphs in GLYPHS.items():
        chosen = [p for p in points if p.kind == kind]
        xs, ys = [_place(p.x, x) for p in chosen], [_place(p.y, y) for p in chosen]
        paint = _painted(look, COLOURS[kind])
        for point, at_x, at_y in zip(chosen, xs, ys, strict=True):
            if point.label:  # plotext draws text over marks, so the text carries the mark
                inward = right > left and (at_x - left) / (right - left) > 0.8
                text = point.label + glyphs[look.ascii_only] if inward else glyphs[look.ascii_only] + point.label
                plotext.text(text, x=at_x, y=at_y, alignment="right" if inward else "left", **paint)
        if chosen:
            plotext.scatter(xs, ys, marker=glyphs[look.ascii_only], **paint)


def _legend(points: Sequence[Point], labels: Sequence[str], hidden: int, look: Look) -> list[str]:
    """Kinds, then the lines across: a mark may lie over the label that stands at the line."""
    kinds = {p.kind for p in points}
    words = [f"{glyphs[look.ascii_only]} {kind}" for kind, glyphs in reversed(GLYPHS.items()) if kind in kinds]
    lines = ["  ".join(words), *(["  ".join(labels)] if labels else [])]
    if hidden:
        lines.append(f"{hidden} points cannot be drawn (no finite value, or not above 0 on a log axis)")
    return lines
