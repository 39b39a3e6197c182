"""How sure a study's scores and its frontier are: intervals, the probability of being on it, and what is luck.

Pure numpy, and the same for the same study. It reads nothing: see `noise_inputs` for where the noise comes from and
`noise` for the mathematics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bertdistill.engine.analysis import noise
from bertdistill.engine.analysis.noise import Array, Repeated
from bertdistill.engine.analysis.scored import Z95, Interval
from bertdistill.engine.pareto.frontier import (
    LOG_SCALED,
    Objective,
    Objectives,
    hypervolume,
    on_scale,
    optimised,
    oriented,
    reference_point,
)
from bertdistill.engine.pareto.repeats import Repeats
from bertdistill.engine.tasks.table import METRICS

PLAUSIBLE = 0.05
"""A point that others dominate is not told apart from the frontier if it is on it with this probability."""
MOST = 200
"""Points that are simulated, the first in ranked order: the others are hundreds of trials behind."""
FEW_DRAWS = 300
"""Draws where a frontier has more than one uncertain objective, or three."""


@dataclass(frozen=True)
class Certainty:
    """Of the points of a study, by the number of the trial that stands for each."""

    intervals: Mapping[int, Mapping[str, Interval]] = field(default_factory=dict)
    """95 % of the score of each point, by metric: how much it varies with other examples and seeds."""
    on_frontier: Mapping[int, float] = field(default_factory=dict)
    """Probability that it is on the frontier of true scores, of the points that were tried."""
    luck: Mapping[int, float] = field(default_factory=dict)
    """How far the first uncertain objective of each point is expected to fall when it is measured again, elsewhere."""
    metric: str = ""
    """Which objective that is."""
    hypervolume: Interval | None = None
    """95 % of the hypervolume of true scores."""
    examples: int = 0
    """Examples whose single results are known; 0 where only seeds are."""
    errors: Mapping[str, Array] = field(default_factory=dict, compare=False)
    """By metric, the covariance of the points in the order of `intervals`."""

    def plausible(self, number: int) -> bool:
        """Whether it may well be on the frontier."""
        return self.on_frontier.get(number, 0.0) >= PLAUSIBLE

    def tie(self, metric: str, first: int, second: int, difference: float) -> bool | None:
        """Whether a difference of two points is within its noise; None if that is not known."""
        places = {number: place for place, number in enumerate(self.intervals)}
        found = self.errors.get(metric)
        if found is None or first not in places or second not in places:
            return None
        a, b = places[first], places[second]
        variance = float(found[a, a] + found[b, b] - 2 * found[a, b])
        return None if variance <= 0 else abs(difference) <= Z95 * math.sqrt(variance)


def certainty(
    points: Sequence[Repeats[int]],
    objectives: Objectives,
    moves: Mapping[str, Sequence[Repeated]],
    *,
    seed: int = 0,
) -> Certainty | None:
    """`points` in ranked order; `moves` has what is known of the noise of each, by metric. None if nothing is."""
    aims = optimised(objectives)
    uncertain = [o for o in aims if o.metric in moves and _varies(moves[o.metric])]
    if not uncertain or not points:
        return None
    errors = {o.metric: noise.covariance(moves[o.metric]) for o in uncertain}
    fit = [place for place, one in enumerate(points) if _reaches(one, objectives, uncertain)]
    near = fit[:MOST]
    means, drawn = _true(points, near, aims, uncertain, errors, seed)
    first = uncertain[0]
    chosen, falls = moves[first.metric], means[first.metric]
    return Certainty(
        {
            one.first: {name: _interval(name, one.means[name] or 0.0, errors[name][place, place]) for name in errors}
            for place, one in enumerate(points)
        },
        {one.first: 0.0 for one in points} | _chances(points, near, aims, uncertain, drawn),
        {points[p].first: float(fall) - _value(points[p], first) for p, fall in zip(near, falls, strict=True)},
        first.metric,
        _volume([points[place] for place in fit], aims, drawn),
        max((len(one.moves[0]) for one in chosen if one.moves), default=0),
        errors,
    )


def _varies(points: Sequence[Repeated]) -> bool:
    return any(one.moves or one.alone for one in points) or bool(noise.seed_variance(points))


def _reaches(point: Repeats[int], objectives: Objectives, uncertain: Sequence[Objective]) -> bool:
    """Whether it reaches every threshold of what is certain; the others are for the draws to decide."""
    unsure = {o.metric for o in uncertain}
    return all(o.metric in unsure or o.feasible(point.means[o.metric] or 0.0) for o in objectives)


def _sign(objective: Objective) -> float:
    """Makes smaller better."""
    return -1.0 if objective.direction == "maximize" else 1.0


def _value(point: Repeats[int], objective: Objective) -> float:
    return _sign(objective) * float(point.means[objective.metric] or 0.0)


def _interval(metric: str, value: float, variance: float) -> Interval:
    """Percentages end at 0 and 100, correlations at -100 and 100."""
    half, known = Z95 * math.sqrt(max(0.0, variance)), METRICS.get(metric)
    if known is None or known.unit != "%":
        return value - half, value + half
    return max(value - half, -100.0 if known.signed else 0.0), min(value + half, 100.0)


def _true(
    points: Sequence[Repeats[int]],
    near: Sequence[int],
    aims: Sequence[Objective],
    uncertain: Sequence[Objective],
    errors: Mapping[str, Array],
    seed: int,
) -> tuple[dict[str, Array], Array]:
    """Expected true values of uncertain objectives, and draws (draws, points, objectives); smaller is better."""
    simple = len(aims) == 2 and len(uncertain) == 1
    count = noise.DRAWS if simple else FEW_DRAWS
    fixed = next((o for o in aims if o not in uncertain), None)
    sizes = None if fixed is None else np.array([on_scale((_value(points[p], fixed),), [fixed])[0] for p in near])
    table = np.array([[_value(points[place], o) for o in aims] for place in near]).reshape(len(near), len(aims))
    drawn, means = np.repeat(table[None], count, 0), {}
    for column, objective in enumerate(aims):
        if objective in uncertain:
            inside = errors[objective.metric][np.ix_(near, near)]
            mean, left = noise.shrunk(table[:, column], inside, sizes)
            means[objective.metric] = mean
            drawn[:, :, column] = noise.draws(mean, left, seed=seed + column, count=count)
            if objective.threshold is not None:
                short = drawn[:, :, column] > _sign(objective) * objective.threshold
                drawn[short] = np.inf
    return means, drawn


def _chances(
    points: Sequence[Repeats[int]],
    near: Sequence[int],
    aims: Sequence[Objective],
    uncertain: Sequence[Objective],
    drawn: Array,
) -> dict[int, float]:
    """A draw of a score that misses its threshold is infinite, so the costs are read from the points."""
    exact = [column for column, objective in enumerate(aims) if objective not in uncertain]
    if len(aims) == 2 and exact:
        costs = np.array([_value(points[place], aims[exact[0]]) for place in near])
        found = noise.frontier_of(costs, drawn[:, :, 1 - exact[0]])
    else:
        found = noise.frontier_of_many(drawn)
    return {points[place].first: float(chance) for place, chance in zip(near, found.mean(0), strict=True)}


def _volume(points: Sequence[Repeats[int]], aims: Sequence[Objective], drawn: Array) -> Interval | None:
    """In the box of the observed points: from the best value of each objective to the reference."""
    whole = [oriented(one.means, aims) for one in points if all(o.feasible(one.means[o.metric] or 0.0) for o in aims)]
    if not whole:
        return None
    corner = np.array(on_scale(reference_point(whole, aims), aims))
    low = np.array([on_scale(point, aims) for point in whole]).min(0)
    span = np.where(corner > low, corner - low, 1.0)
    volumes = []
    for points_of_draw in drawn[:FEW_DRAWS]:
        inside = points_of_draw[np.isfinite(points_of_draw).all(1)]
        for column, objective in enumerate(aims):
            if objective.metric in LOG_SCALED:
                inside[:, column] = _sign(objective) * np.log10(np.maximum(_sign(objective) * inside[:, column], 1e-12))
        scaled = [tuple(row) for row in ((inside - low) / span).tolist()]
        volumes.append(min(1.0, hypervolume(scaled, (1.0,) * len(aims))))
    low_end, high_end = np.percentile(volumes, [2.5, 97.5])
    return float(low_end), float(high_end)
