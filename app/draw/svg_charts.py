"""The plane of two metrics and curves over steps as SVG, with the values and scales of the text charts.

It reads no store and decides nothing that `plane` and `curves` decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from bertdistill.app.draw.axes import Axis, drawable, scale
from bertdistill.app.draw.canvas import GLYPHS, NAMES, SERIES
from bertdistill.app.draw.curves import DASHES, Curve
from bertdistill.app.draw.plane import Point, colour_key, reaching
from bertdistill.app.draw.svg import (
    HEIGHT,
    LINE,
    WIDTH,
    Key,
    Plot,
    at,
    axis_words,
    counted_out,
    legend,
    length,
    mark,
    no_picture,
    off_chart,
    picture,
    text,
    words,
)
from bertdistill.app.text.safe import safe_line

KIND_SHAPES = {
    "screened": "circle",
    "infeasible": "cross",
    "dominated": "circle",
    "running": "right",
    "reference": "circle",
    "cascade": "diamond",
    "tied": "star",
    "baseline": "diamond",
    "frontier": "star",
}
OPEN = ("running", "reference", "cascade", "screened", "tied")
"""Kinds whose marks are not filled."""
GROUP_SHAPES = ("circle", "square", "up", "down", "plus", "hexagon")
MOST_TOLD = 12
"""Frontier points that the description names."""
BETWEEN_BARS = 20.0
"""Least distance of any two intervals: closer ones hide the frontier. Every mark's title has its own."""
MOST_DOTS = 40
"""Points of a curve up to which each has a dot."""
LONGEST_NAME = 24


def frontier_svg(
    points: Sequence[Point],
    x: Axis,
    y: Axis,
    *,
    title: str,
    groups: Sequence[str] = (),
    name: str = "frontier",
    styled: bool = True,
) -> str:
    """Trials in the plane of two metrics: marks, what the frontier dominates, thresholds, chance and teacher."""
    fit = [p for p in points if drawable(p.x, log=x.log) and drawable(p.y, log=y.log)]
    shown = [p for p in fit if not p.outside]
    hidden = counted_out(len(points) - len(fit), log=x.log or y.log)
    if not shown:
        return no_picture(name, title, "; ".join(filter(None, ["no point to draw yet", hidden])), styled=styled)
    plot = Plot(scale((p.x for p in fit), x), scale((p.y for p in fit), y))
    edge = reaching([p for p in fit if p.edge], x.better, y.better)
    bars = _bars(plot, [p for p in shown if p.edge])  # below all else
    _steps(plot, edge)
    plot.rulers()
    _marks(plot, shown, groups)
    plot.ruler_labels()
    _labels(plot, shown)
    notes = [Key(said) for said in (*off_chart(plot.y, plot.x), hidden) if said]
    keys, end = legend([*_keys(shown, groups), *_bar_keys(bars=bars), *notes], HEIGHT + 8)
    told = [_told(plot, shown, edge), *(note.text for note in notes)]
    return picture(name, title, ". ".join(told), [*plot.frame(), *plot.parts, *keys], end, styled=styled)


def _told(plot: Plot, shown: Sequence[Point], edge: Sequence[Point]) -> str:
    """The chart in words."""
    counts = Counter[str](p.kind for p in shown)
    kinds = ", ".join(f"{counts[kind]} {NAMES.get(kind, kind)}" for kind in reversed(GLYPHS) if kind in counts)
    across, up = plot.x, plot.y
    best = "; ".join(f"{p.label or 'a trial'}: {across.text(p.x)}, {up.text(p.y)}" for p in edge[:MOST_TOLD])
    lines = ", ".join(said for axis in (across, up) for value, said in axis.axis.lines if axis.holds(value))
    parts = [
        f"{axis_words(across.axis)} against {axis_words(up.axis)}. {len(shown)} points: {kinds}",
        f"Frontier: {best}" if best else "",
        f"Lines: {lines}" if lines else "",
    ]
    return ". ".join(filter(None, parts))


def _steps(plot: Plot, edge: Sequence[Point]) -> None:
    """The attainment curve along x from each frontier point to the next, and what lies beyond it."""
    corners = [plot.place(p.x, p.y) for p in edge[:1]]
    for point in edge[1:]:
        column, row = plot.place(point.x, point.y)
        corners += [(column, corners[-1][1]), (column, row)]
    if not corners:
        return
    far = plot.end if plot.x.axis.better == "minimize" else plot.left
    low = plot.bottom if plot.y.axis.better == "maximize" else plot.top
    area = [(corners[0][0], low), *corners, (far, corners[-1][1]), (far, low)]
    plot.parts.append(f'<path class="area" d="M{_path(area)}Z"/>')
    if len(edge) > 1:
        plot.parts.append(f'<path class="step" d="M{_path(corners)}"/>')
    plot.cross(corners)


def _bars(plot: Plot, points: Sequence[Point]) -> bool:
    """The intervals of frontier points, cut at the frame, if they stand far enough apart; whether any."""
    known = [p for p in points if p.bar is not None]
    columns = sorted(plot.place(p.x, p.y)[0] for p in known)
    if not known or any(after - before < BETWEEN_BARS for before, after in pairwise(columns)):
        return False
    for point in known:
        x, _ = plot.place(point.x, point.y)
        ends = [plot.place(point.x, end)[1] for end in point.bar or ()]
        low, high = max(plot.top, min(ends)), min(plot.bottom, max(ends))
        plot.parts.append(f'<path class="bar" d="M{at(x)} {at(low)}V{at(high)}"/>')
    return True


def _bar_keys(*, bars: bool) -> list[Key]:
    return [Key("lines: 95 % interval")] if bars else []


def _path(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{at(x)} {at(y)}" for x, y in places)


def _marks(plot: Plot, points: Sequence[Point], groups: Sequence[str]) -> None:
    """Every point, the important kinds last, so that they are on top; no label covers one."""
    order = list(GLYPHS)
    for point in sorted(points, key=lambda p: order.index(p.kind)):
        x, y = plot.place(point.x, point.y)
        group = f" {groups[point.group]}" if 0 <= point.group < len(groups) else ""
        said = (
            f"{point.label or NAMES.get(point.kind, point.kind)}{group}: {plot.x.text(point.x)}, {_score(plot, point)}"
        )
        plot.parts.append(mark(_shape(point), x, y, _classes(point), said))
        plot.take(x, y)


def _score(plot: Plot, point: Point) -> str:
    """Its value on y, with its interval if there is one."""
    ends = " to ".join(map(plot.y.text, point.bar or ()))
    return f"{plot.y.text(point.y)} (95 % interval {ends})" if ends else plot.y.text(point.y)


def _shape(point: Point) -> str:
    grouped = point.kind == "dominated" and point.group >= 0
    return GROUP_SHAPES[point.group % len(GROUP_SHAPES)] if grouped else KIND_SHAPES[point.kind]


def _classes(point: Point) -> str:
    return colour_key(point.kind, point.group) + (" open" if point.kind in OPEN else "")


def _labels(plot: Plot, points: Sequence[Point]) -> None:
    """Labels beside their marks, important kinds first; one without room is left out."""
    order = list(reversed(GLYPHS))
    for point in sorted((p for p in points if p.label), key=lambda p: order.index(p.kind)):
        x, y = plot.place(point.x, point.y)
        sides = [(x + 9, y + 4, "start"), (x - 9, y + 4, "end"), (x, y - 9, "middle"), (x, y + 18, "middle")]
        sides += [(x + across, y + down, side) for down in (-7, 15) for across, side in ((6, "start"), (-6, "end"))]
        plot.label(point.label, "frontier" if point.kind == "frontier" else "dim", sides)


def _keys(shown: Sequence[Point], groups: Sequence[str]) -> list[Key]:
    """The legend of the marks: kinds, then the groups that dominated trials are drawn as."""
    named = sorted({p.group for p in shown if 0 <= p.group < len(groups)})
    kinds = {p.kind for p in shown if p.kind != "dominated" or p.group not in named}
    found = [
        Key(NAMES.get(kind, kind), KIND_SHAPES[kind], kind + (" open" if kind in OPEN else ""))
        for kind in reversed(GLYPHS)
        if kind in kinds
    ]
    shapes = [GROUP_SHAPES[group % len(GROUP_SHAPES)] for group in named]
    return found + [
        Key(safe_line(groups[group], LONGEST_NAME), shape, f"series{group % SERIES}")
        for group, shape in zip(named, shapes, strict=True)
    ]


def curves_svg(
    curves: Sequence[Curve],
    x_title: str,
    y_title: str,
    *,
    title: str,
    log: bool = False,
    lines: tuple[tuple[float, str], ...] = (),
    name: str = "curves",
    styled: bool = True,
) -> str:
    """Curves, each with its own dashes and, at the right, its name and last value."""
    pairs = [[*_drawable(curve, log=log)] for curve in curves]
    out = sum(len(curve.values) for curve in curves) - sum(map(len, pairs))
    hidden = counted_out(out, log=log)
    series = [(curve, found) for curve, found in zip(curves, pairs, strict=True) if found]
    if not series:
        return no_picture(name, title, "; ".join(filter(None, ["no value to draw yet", hidden])), styled=styled)
    x = scale((s for _, found in series for s, _ in found), Axis(x_title, "minimize"), margin=0.0)
    y = scale((v for _, found in series for _, v in found), Axis(y_title, "maximize", log=log, lines=lines))
    names = [f"{safe_line(curve.label or curve.name, LONGEST_NAME)} {found[-1][1]:.4g}" for curve, found in series]
    height = max(HEIGHT, len(series) * LINE + 80)
    plot = Plot(x, y, right=30 + max(map(length, names)), height=height)
    plot.rulers()
    for place, (curve, found) in enumerate(series):
        _curve(plot, place, curve, found)
    _end_labels(plot, [(said, plot.place(*found[-1])[1]) for said, (_, found) in zip(names, series, strict=True)])
    plot.ruler_labels()
    notes = [Key(said) for said in (*off_chart(plot.y), hidden) if said]
    keys, end = legend(notes, height + 8)
    told = [f"{y_title} over {x_title}; last values: {', '.join(names)}", *(note.text for note in notes)]
    return picture(name, title, ". ".join(told), [*plot.frame(), *plot.parts, *keys], end, styled=styled)


def _drawable(curve: Curve, *, log: bool) -> list[tuple[float, float]]:
    both = zip(curve.steps, curve.values, strict=True)
    return [(s, v) for s, v in both if v is not None and drawable(v, log=log) and drawable(s)]


def _curve(plot: Plot, place: int, curve: Curve, pairs: Sequence[tuple[float, float]]) -> None:
    dashes = " ".join(map(str, DASHES[(place + place // SERIES) % len(DASHES)][1]))
    pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
    key, places = f"series{place % SERIES}", [plot.place(*pair) for pair in pairs]
    told = f"<title>{words(curve.name)}</title>"
    plot.parts.append(f'<path class="curve {key}"{pattern} d="M{_path(places)}">{told}</path>')
    plot.cross(places)
    if len(places) <= MOST_DOTS:
        dots = "".join(f'<circle cx="{at(x)}" cy="{at(y)}" r="2.6"/>' for x, y in places)
        plot.parts.append(f'<g class="mark {key}">{dots}</g>')


def _end_labels(plot: Plot, ends: Sequence[tuple[str, float]]) -> None:
    """Names at the heights of the last values, moved apart, each with a piece of its curve."""
    order = sorted(range(len(ends)), key=lambda place: ends[place][1])
    rows: list[float] = []
    for place in order:
        rows.append(max(ends[place][1], rows[-1] + LINE if rows else plot.top))
    last = plot.bottom
    for place in range(len(rows) - 1, -1, -1):
        rows[place] = last = min(rows[place], last)
        last -= LINE
    for row, place in zip(rows, order, strict=True):
        dashes = " ".join(map(str, DASHES[(place + place // SERIES) % len(DASHES)][1]))
        pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
        key = f"series{place % SERIES}"
        plot.parts.append(f'<path class="curve {key}"{pattern} d="M{at(plot.end + 4)} {at(row)}h14"/>')
        plot.parts.append(text(min(plot.end + 22, WIDTH), row + 4, ends[place][0]))
