"""The Pareto frontier: dominance, ranking, hypervolume and the gain of each trial. Pure; knows no trial states.

All functions of *points* expect oriented ones, where smaller is better in every coordinate (see `oriented`).

Distances and volumes use the logarithm of sizes: from 5 to 10 million parameters is as far as from 50 to 100, so
one large student cannot squeeze the small ones together. Dominance does not depend on the scale.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import le
from typing import Generic, Literal, TypeVar

Point = tuple[float, ...]
Key = TypeVar("Key")

SIZES = (
    "params",
    "nonzero_params",
    "encoder_params",
    "size_mb",
    "bytes",
    "compression",
    "gflops",
    "peak_memory_mb",
)
TIMES = (
    "latency_cpu_ms",
    "latency_ratio",
    "latency_ms",
    "latency_p95_ms",
    "throughput",
    "train_minutes",
    "cpu_seconds",
    "energy_wh",
)
LOG_SCALED = frozenset(SIZES + TIMES)
"""Metrics for which ratios matter rather than differences; all are positive."""
WIDE = 10.0
"""Such a metric gets a logarithmic axis if its highest value is this many times its lowest."""

MARGIN = 0.1
"""The reference point is this fraction of the range beyond the worst point, so that extreme trials gain something."""


@dataclass(frozen=True)
class Objective:
    """A metric with a direction and an optional threshold (inclusive) that a trial must reach to be feasible."""

    metric: str
    direction: Literal["maximize", "minimize"]
    threshold: float | None = None
    constraint: bool = False
    """Only the threshold counts: the metric decides feasibility and is not optimised."""

    def feasible(self, value: float) -> bool:
        """Whether `value` is on the right side of the threshold."""
        if self.threshold is None:
            return True
        return value >= self.threshold if self.direction == "maximize" else value <= self.threshold


Objectives = Sequence[Objective]


def optimised(objectives: Objectives) -> list[Objective]:
    """The optimised objectives, i.e. all but constraints. They are the coordinates of every point."""
    return [objective for objective in objectives if not objective.constraint]


@dataclass(frozen=True)
class RankedRow(Generic[Key]):
    """One row of the ranked list. `distance` is 0 on the frontier; see `ranking` for its unit."""

    key: Key
    on_frontier: bool
    feasible: bool
    dominated_by: Key | None
    distance: float


def is_wide(metric: str, low: float, high: float) -> bool:
    """Whether the axis of a metric with these lowest and highest values should be logarithmic."""
    return metric in LOG_SCALED and low > 0 and high / low >= WIDE


# ----------------------------------------------------------------------------------------------------------- dominance


def has_all(values: Mapping[str, float | None], objectives: Objectives) -> bool:
    """Whether every objective has a finite value."""
    return None not in _finite(values, objectives)


def _finite(values: Mapping[str, float | None], objectives: Objectives) -> list[float | None]:
    """The value of each objective, None if it is missing or not finite."""
    found = [values.get(objective.metric) for objective in objectives]
    return [value if value is not None and math.isfinite(value) else None for value in found]


def oriented(values: Mapping[str, float | None], objectives: Objectives) -> Point:
    """The optimised objectives as a point in which smaller is better; raises ValueError if one is missing."""
    wanted = optimised(objectives)
    found = _finite(values, wanted)
    if None in found:
        missing = [objective.metric for objective, value in zip(wanted, found, strict=True) if value is None]
        raise ValueError(f"no value for {', '.join(missing)}")
    return tuple([_sign(objective) * float(value or 0.0) for objective, value in zip(wanted, found, strict=True)])


def feasible(values: Mapping[str, float | None], objectives: Objectives) -> bool:
    """Whether every objective has a value and reaches its threshold."""
    return has_all(values, objectives) and all(o.feasible(float(values[o.metric] or 0.0)) for o in objectives)


def dominates(first: Point, second: Point) -> bool:
    """Whether `first` is nowhere worse and somewhere better. Equal points do not dominate each other."""
    return first != second and all(map(le, first, second))


def non_dominated(points: Sequence[Point]) -> list[bool]:
    """For each point, whether no other dominates it; equal points share the result."""
    return [rank == 0 for rank in ranks(points)]


def ranks(points: Sequence[Point]) -> list[int]:
    """The front of each point: 0 is the frontier, 1 the frontier of the rest, and so on.

    Efficient non-dominated sort (Zhang et al. 2015): in lexicographic order a point can only be dominated by earlier
    ones, so it joins the first front that does not dominate it. In two dimensions that front is found by bisection.
    """
    order = sorted(set(points))
    front_of = _ranks_2d(order) if order and len(order[0]) == 2 else _ranks_any(order)
    return [front_of[point] for point in points]


def _ranks_2d(order: Sequence[Point]) -> dict[Point, int]:
    lowest: list[float] = []  # for each front, the second coordinate of its last member
    front_of: dict[Point, int] = {}
    for point in order:
        front = bisect_right(lowest, point[1])
        lowest[front : front + 1] = [point[1]]
        front_of[point] = front
    return front_of


def _ranks_any(order: Sequence[Point]) -> dict[Point, int]:
    fronts: list[list[Point]] = []
    front_of: dict[Point, int] = {}
    for point in order:
        # The newest members of a front are the most likely to dominate, so they are compared first.
        front = next(
            (i for i, f in enumerate(fronts) if not any(dominates(q, point) for q in reversed(f))), len(fronts)
        )
        if front == len(fronts):
            fronts.append([])
        fronts[front].append(point)
        front_of[point] = front
    return front_of


# ------------------------------------------------------------------------------------------------------------- ranking


def ranking(rows: Sequence[tuple[Key, Mapping[str, float | None]]], objectives: Objectives) -> list[RankedRow[Key]]:
    """The ranked list: frontier first (best first objective on top), then by distance to it, infeasible rows last.

    The distance of a feasible row is how far it must improve to match a frontier row, that of an infeasible row how far
    it is from the thresholds, constraints included. Each objective is scaled by its range over these rows: 0.1 is a
    tenth of the range. `dominated_by` is the nearest frontier row that dominates it. Rows without a value for every
    objective are omitted, and so are all rows if there is no objective.
    """
    if not objectives:
        return []
    complete = [(key, found) for key, values in rows if None not in (found := _finite(values, objectives))]
    signs = [_sign(objective) for objective in objectives]
    signed = [tuple([s * float(v or 0.0) for s, v in zip(signs, found, strict=True)]) for _, found in complete]
    places, limits = _by_range([on_scale(point, objectives) for point in signed], objectives)
    aims = [i for i, objective in enumerate(objectives) if not objective.constraint]
    points, scaled = ([tuple([one[i] for i in aims]) for one in some] for some in (signed, places))
    limited = [(i, objective) for i, objective in enumerate(objectives) if objective.threshold is not None]
    fit = [all(objective.feasible(found[i] or 0.0) for i, objective in limited) for _, found in complete]
    inside = [i for i, ok in enumerate(fit) if ok]
    best = non_dominated([points[i] for i in inside])
    frontier = [i for i, on_frontier in zip(inside, best, strict=True) if on_frontier]
    edge = set(frontier)
    result: list[tuple[tuple[float, ...], RankedRow[Key]]] = []
    for i, (key, _) in enumerate(complete):
        distance, nearest = 0.0, None
        if not fit[i]:
            distance = _shortfall(places[i], limits)
        elif i not in edge:
            distance = min([_shortfall(scaled[i], scaled[j]) for j in frontier])
            above = [j for j in frontier if dominates(points[j], points[i])]
            nearest = complete[min(above, key=lambda j: math.dist(scaled[i], scaled[j]))][0]
        row = RankedRow(key, i in edge, fit[i], nearest, distance)
        result.append(((not fit[i], i not in edge, distance, *points[i]), row))
    return [row for _, row in sorted(result, key=lambda pair: pair[0])]


def _shortfall(point: Point, goal: Point) -> float:
    """How far `point` must move to be nowhere worse than `goal` (the distance of IGD+, Ishibuchi et al. 2015)."""
    return math.hypot(*[a - b if a > b else 0.0 for a, b in zip(point, goal, strict=True)])


def _by_range(points: Sequence[Point], objectives: Objectives) -> tuple[list[Point], Point]:
    """Points on the scale for distances, and the thresholds, in units of each objective's range over these points."""
    low, span = _extent(points, len(objectives))
    raw = tuple(_sign(o) * o.threshold if o.threshold is not None else math.inf for o in objectives)
    limits = tuple(_log(value, o) if math.isfinite(value) else value for value, o in zip(raw, objectives, strict=True))
    return [_scaled(point, low, span) for point in points], _scaled(limits, low, span)


def _scaled(point: Point, low: Point, span: Point) -> Point:
    return tuple([(value - a) / s for value, a, s in zip(point, low, span, strict=True)])


def _extent(points: Sequence[Point], width: int) -> tuple[Point, Point]:
    low = tuple([min([p[i] for p in points], default=0.0) for i in range(width)])
    high = tuple([max([p[i] for p in points], default=0.0) for i in range(width)])
    return low, tuple((b - a) or 1.0 for a, b in zip(low, high, strict=True))


# --------------------------------------------------------------------------------------------------------- hypervolume


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume between the points and `reference` (all smaller-is-better); points outside it count as zero."""
    inside = [p for p in points if all(a < b for a, b in zip(p, reference, strict=True))]
    if not inside or not reference:  # nothing is aimed at: runs that were only logged
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(p[0] for p in inside)
    if len(reference) == 2:
        return _hypervolume_2d(inside, reference)
    import moocore  # a C extension that only three objectives need

    return float(moocore.hypervolume([list(p) for p in inside], ref=list(reference)))


def _hypervolume_2d(points: Sequence[Point], reference: Point) -> float:
    """Sweep along the first coordinate; each point lower than all before it adds one rectangle."""
    volume, ceiling = 0.0, reference[1]
    for x, y in sorted(points):
        if y < ceiling:
            volume += (reference[0] - x) * (ceiling - y)
            ceiling = y
    return volume


def reference_point(points: Sequence[Point], objectives: Objectives) -> Point:
    """The reference point of the hypervolume: the threshold if there is one, else just beyond the worst point.

    Takes feasible points in their original units; the result is in the same units.
    """
    objectives = optimised(objectives)
    logged = [on_scale(point, objectives) for point in points]
    _, span = _extent(logged, len(objectives))
    high = tuple(max((p[i] for p in logged), default=1.0) for i in range(len(objectives)))
    corner = []
    for i, objective in enumerate(objectives):
        if objective.threshold is not None:
            corner.append(_sign(objective) * objective.threshold)
        else:
            corner.append(_unlog(high[i] + MARGIN * span[i], objective))
    return tuple(corner)


def unit_points(points: Sequence[Point], objectives: Objectives, box: Sequence[Point] = ()) -> list[Point]:
    """The points scaled so that the best value of each objective is 0 and the reference 1, with sizes as logarithms.

    The best and the reference are those of `box`, by default of the points themselves.
    """
    objectives, box = optimised(objectives), box or points
    corner = on_scale(reference_point(box, objectives), objectives)
    low, _ = _extent([on_scale(point, objectives) for point in box], len(objectives))
    span = tuple((b - a) if b > a else 1.0 for a, b in zip(low, corner, strict=True))
    return [_scaled(on_scale(point, objectives), low, span) for point in points]


def gains(points: Sequence[Point], reference: Point) -> list[float]:
    """What each point added to the hypervolume, in the order given. The sum is the hypervolume."""
    result: list[float] = []
    frontier: list[Point] = []
    volume = 0.0
    for point in points:
        gain = 0.0
        if not any(dominates(q, point) or q == point for q in frontier):
            frontier = [q for q in frontier if not dominates(point, q)] + [point]
            after = hypervolume(frontier, reference)
            gain, volume = max(0.0, after - volume), after
        result.append(gain)
    return result


def shares(points: Sequence[Point], objectives: Objectives) -> list[float]:
    """What each feasible point added to the hypervolume, in the order given.

    As shares of the box from the ideal point to the reference point: the sum is at most 1.
    """
    return gains(unit_points(points, objectives), (1.0,) * len(optimised(objectives))) if points else []


# --------------------------------------------------------------------------------------------------------------- scale


def _sign(objective: Objective) -> float:
    return -1.0 if objective.direction == "maximize" else 1.0


def on_scale(point: Point, objectives: Objectives) -> Point:
    """An oriented point on the scale used for distances and volumes: sizes and times as log10."""
    return tuple([_log(value, objective) for value, objective in zip(point, objectives, strict=True)])


def _log(value: float, objective: Objective) -> float:
    """An oriented value on the scale used for distances."""
    if objective.metric not in LOG_SCALED:
        return value
    sign = _sign(objective)
    return sign * math.log10(max(sign * value, 1e-12))


def _unlog(value: float, objective: Objective) -> float:
    if objective.metric not in LOG_SCALED:
        return value
    sign = _sign(objective)
    return float(sign * 10.0 ** (sign * value))
