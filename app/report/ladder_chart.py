"""The ladder as a chart: the score of every rung over its size, beside the teacher. It reads no store."""

from __future__ import annotations

from bertdistill.app.draw.axes import Axis
from bertdistill.app.draw.canvas import Drawing, Look
from bertdistill.app.draw.plane import Point, frontier_drawing, reaching
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.engine.analysis.ladder import Ladder, Rung
from bertdistill.engine.analysis.rungs import KINDS

SPANS = 20
"""Sizes whose largest is this many times their smallest are drawn on a logarithmic axis."""


def ladder_axes(found: Ladder, *, ascii_only: bool = False) -> tuple[Axis, Axis]:
    """Size, and the score with a line at the teacher's."""
    sizes = [size for one in found.rungs if (size := one.costs.get(found.size))]
    teacher = found.teacher.scores.get(found.split) if found.teacher is not None else None
    lines = () if teacher is None else ((teacher.value, f"teacher {fmt.metric(found.score, teacher.value)}"),)
    log = bool(sizes) and max(sizes) > SPANS * min(sizes)
    less, more = (fmt.arrow(way, ascii_only=ascii_only) for way in ("minimize", "maximize"))
    x = Axis(f"{safe_line(found.size, 30)} {less}", "minimize", lambda value: fmt.metric(found.size, value), log=log)
    return x, Axis(f"{safe_line(found.score, 30)} {more}", "maximize", lambda v: f"{v:.4g}", lines=lines)


def ladder_points(found: Ladder) -> tuple[list[Point], list[Rung], tuple[str, ...]]:
    """A point for each rung that has a size and a score, the rungs beside them, and the names of their groups."""
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in found.rungs)]
    points, rungs = list[Point](), list[Rung]()
    for one in found.rungs:
        score, size = one.scores.get(found.split), one.costs.get(found.size)
        if score is not None and size is not None:
            group = kinds.index(one.kind) if one.kind in kinds else -1
            points.append(
                Point(size, score.value, "dominated", safe_line(one.family, 30), bar=score.interval, group=group)
            )
            rungs.append(one)
    best = set(map(id, reaching(points, "minimize", "maximize")))
    edged = [
        Point(p.x, p.y, "frontier", p.label, edge=True, bar=p.bar, group=p.group) if id(p) in best else p
        for p in points
    ]
    return edged, rungs, tuple(KINDS[kind].rpartition(", ")[2] for kind in kinds)


def ladder_drawing(found: Ladder, look: Look, *, chosen: Rung | None = None) -> Drawing:
    """The rungs in the plane of score and size, with a cursor on one of them."""
    points, rungs, groups = ladder_points(found)
    cursor = next((place for place, one in enumerate(rungs) if one is chosen), None)
    return frontier_drawing(points, *ladder_axes(found, ascii_only=look.ascii_only), look, cursor=cursor, groups=groups)
