"""Repeats: trials of one point that differ in their seed, their means and spreads, and the frontier over the means.

A point that was trained with several seeds stands on the frontier with the means of its values, or not at all: the best
of several seeds says how lucky it was. Its trials share its place in the ranked list. Pure; which trials are
repeats of each other is passed in (see `families.same_point`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Generic

from bertdistill.engine.pareto.frontier import (
    Key,
    Objectives,
    Point,
    RankedRow,
    dominates,
    feasible,
    has_all,
    hypervolume,
    non_dominated,
    optimised,
    oriented,
    ranking,
    shares,
    unit_points,
)

Values = Mapping[str, float | None]


@dataclass(frozen=True)
class Measured(Generic[Key]):
    """One trial as repeats are found: its point (None: nothing repeats it), its seed and what was measured."""

    key: Key
    values: Values
    point: Hashable | None = None
    seed: Any = None


@dataclass(frozen=True)
class Repeats(Generic[Key]):
    """The trials of one point, in the order given; the first one stands for it in charts and lists."""

    members: tuple[Key, ...]
    seeds: int
    """Different seeds among them. A seed that ran twice says nothing new and counts once, as it first ended."""
    means: Values
    """Of each metric over the seeds; None where a seed lacks it."""
    spreads: Mapping[str, float]
    """Sample standard deviation over the seeds of what differs between them; empty for a single seed."""

    @property
    def first(self) -> Key:
        return self.members[0]


def grouped(rows: Sequence[Measured[Key]], objectives: Objectives) -> list[Repeats[Key]]:
    """Every point in the order of its first trial. Rows without a value for every objective belong to none."""
    by_point: dict[Hashable, list[Measured[Key]]] = {}
    for row in rows:
        if has_all(row.values, objectives):
            by_point.setdefault(("alone", row.key) if row.point is None else ("point", row.point), []).append(row)
    return [_repeats(members) for members in by_point.values()]


def _repeats(rows: Sequence[Measured[Key]]) -> Repeats[Key]:
    members = tuple(row.key for row in rows)
    if len(rows) == 1:
        return Repeats(members, 1, rows[0].values, {})
    by_seed: dict[Any, Values] = {}
    for row in rows:
        by_seed.setdefault(row.seed, row.values)
    seeds = list(by_seed.values())
    names = dict.fromkeys(name for values in seeds for name in values)
    columns = {name: [values.get(name) for values in seeds] for name in names}
    whole = {name: [v for v in column if v is not None] for name, column in columns.items() if None not in column}
    means = {name: _mean(whole[name]) if name in whole else None for name in names}
    spreads = {name: stdev(column) for name, column in whole.items() if len(set(column)) > 1}
    return Repeats(members, len(seeds), means, spreads)


def _mean(column: Sequence[float]) -> float:
    """Exactly the value of all where they are equal, as sizes are: a rounding error would make two points of one."""
    return column[0] if len(set(column)) == 1 else fmean(column)


def ranking_of(points: Sequence[Repeats[Key]], objectives: Objectives) -> list[RankedRow[Key]]:
    """The ranked list of points by their means, with a row for every trial; trials of one point follow each other.

    They share all of its row, and `dominated_by` is the first trial of the point that dominates theirs.
    """
    members = {one.first: one.members for one in points}
    rows = ranking([(one.first, one.means) for one in points], objectives)
    return [dataclasses.replace(row, key=key) if key != row.key else row for row in rows for key in members[row.key]]


def ranked_rows(rows: Sequence[Measured[Key]], objectives: Objectives) -> list[RankedRow[Key]]:
    """The ranked list of trials, repeats by the means of their points."""
    return ranking_of(grouped(rows, objectives), objectives)


def gains_in_time(rows: Sequence[Measured[Key]], objectives: Objectives) -> list[float]:
    """What each feasible row changed of the hypervolume, in the order given, as a share of the unit box.

    A repeat moves its point to the new mean, so that its gain is negative where the seeds before it were lucky. The
    box is that of the means over all seeds, so the sum is the hypervolume of those; a mean beyond it on the way there
    counts as its edge.
    """
    if not rows or len({row.point for row in rows if row.point is not None}) == sum(r.point is not None for r in rows):
        return shares([oriented(row.values, objectives) for row in rows], objectives)
    steps = _means_in_time(rows, objectives)
    ends = [point for point in dict(steps).values() if point is not None]
    points = iter(unit_points([point for _, point in steps if point is not None], objectives, ends))
    reference = (1.0,) * len(optimised(objectives))
    now: dict[Hashable, Point] = {}
    frontier: list[Point] = []
    found, volume = [], 0.0
    for name, mean in steps:
        before = now.pop(name, None)
        if mean is not None:
            now[name] = tuple([max(0.0, value) for value in next(points)])
        if before is not None:
            frontier = _frontier(list(now.values()))
        elif mean is not None and not any(dominates(q, now[name]) for q in frontier):
            frontier = [q for q in frontier if not dominates(now[name], q)] + [now[name]]
        after = hypervolume(frontier, reference)
        found.append(after - volume)
        volume = after
    return found


def _means_in_time(rows: Sequence[Measured[Key]], objectives: Objectives) -> list[tuple[Hashable, Point | None]]:
    """After each row, its point and where that stands then; None where the mean misses a threshold."""
    so_far: dict[Hashable, list[Measured[Key]]] = {}
    steps: list[tuple[Hashable, Point | None]] = []
    for row in rows:
        name = ("alone", row.key) if row.point is None else ("point", row.point)
        so_far.setdefault(name, []).append(row)
        means = _repeats(so_far[name]).means
        steps.append((name, oriented(means, objectives) if feasible(means, objectives) else None))
    return steps


def _frontier(points: Sequence[Point]) -> list[Point]:
    return [point for point, best in zip(points, non_dominated(points), strict=True) if best]
