"""How certain scores are, and with them who is on the frontier: covariances, shrinkage and a Monte Carlo over both.

Pure numpy. It reads nothing: it is given the scores of points (means over repeats) and what varies in them.

A score varies with the validation examples and with the seed. All trials of a study are scored on the same examples, so
their scores rise and fall together; what decides between two trials is the variance of their difference, which follows
from the influence of every example on either score. Seeds are independent. See docs/noise.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertdistill.engine.tasks.intervals import class_scores

Array = NDArray[Any]

DRAWS = 2000
LEAST = 5
"""Fewest points from which anything is learnt about how true scores scatter."""
TAIL = 3.0
"""Degrees of freedom of the prior of scores about their curve: failed trainings must not hide how alike others are."""
SCALES, ROUNDS = 16, 8
"""Points of the grid of scales, and steps of EM at each."""
STEP = 1e-4
"""Share of an example's weight by which it is moved to find its influence."""


# ----------------------------------------------------------------------------------------------------------- influence


def influences(judged: Mapping[str, Any], metric: str) -> Array | None:
    """How far each example moves a score in percent, (examples,) with mean 0; None for a score that is not of examples.

    The infinitesimal jackknife (Jaeckel 1972): the covariance of two scores under resampled examples is the mean of
    the product of their influences, divided by the number of examples, which is where a bootstrap tends to.
    `judged` is what `tasks.intervals.statistic` takes.
    """
    if "classes" in judged:
        truth, chosen = (np.asarray(judged[name], int) for name in ("truth", "chosen"))
        return _of_classes(truth, chosen, int(judged["classes"]), metric)
    column = {"exact": "correct", "f1": "partial"}.get(metric)
    if column is None:
        return None
    values = 100 * np.asarray(judged[column], float)
    found: Array = values - values.mean()
    return found


def _of_classes(truth: Array, chosen: Array, classes: int, metric: str) -> Array | None:
    """Examples of one label that were given the same label have the same influence, so each cell is moved once."""
    if metric == "accuracy":  # by far the most common one
        right = 100.0 * (truth == chosen)
        found: Array = right - right.mean()
        return found
    scores, weights = class_scores(truth, chosen, classes), np.ones(len(truth))
    before = scores(weights).get(metric)
    if before is None:
        return None
    cells, first, places = np.unique(truth * classes + chosen, return_index=True, return_inverse=True)
    moved = np.zeros(len(cells))
    for cell, example in enumerate(first):
        weights[example] += STEP
        moved[cell] = (scores(weights)[metric] - before) / STEP * len(truth)
        weights[example] = 1.0
    each: Array = moved[places]
    each -= each.mean()
    return each


# ---------------------------------------------------------------------------------------------------------- covariance


@dataclass(frozen=True)
class Repeated:
    """What is known of the noise of one point: over how many seeds it is a mean, and what moves their scores."""

    seeds: int = 1
    spread: float | None = None
    """Sample standard deviation over the seeds."""
    moves: tuple[Array, ...] = ()
    """Influences of the examples on the score of each seed that has them."""
    alone: float | None = None
    """Variance by examples where there are no influences: that of a share of as many examples."""


def seed_variance(points: Sequence[Repeated]) -> float | None:
    """The variance between seeds, pooled over all points with several; None if no point was repeated.

    Two seeds also differ because each gets other examples wrong. That part follows from the examples and is in their
    covariance already, so it is taken off: the components of variance of a two-way table of seeds and examples.
    """
    several = [one for one in points if one.seeds > 1]
    freedom = sum(one.seeds - 1 for one in several)
    if not freedom:
        return None
    total = sum((one.seeds - 1) * ((one.spread or 0.0) ** 2 - _interaction(one)) for one in several)
    return max(0.0, total / freedom)


def _interaction(point: Repeated) -> float:
    """Variance between seeds that comes from the examples: half of that of the difference of two seeds."""
    if len(point.moves) < 2:
        return 0.0
    table = np.stack(point.moves)
    within = ((table - table.mean(0)) ** 2).sum(0) / (len(table) - 1)
    return float(within.mean() / table.shape[1])


def covariance(points: Sequence[Repeated]) -> Array:
    """Covariance (points, points) of the scores over other examples and other seeds.

    A point without influences shares no noise with others. One of whose examples nothing is known has as much as the
    others in the median: else it would be certain beside them.
    """
    found = np.zeros((len(points), len(points)))
    whole = [place for place, one in enumerate(points) if one.moves]
    if whole:
        moves = np.stack([np.mean(points[place].moves, axis=0) for place in whole])
        found[np.ix_(whole, whole)] = moves @ moves.T / moves.shape[1] ** 2
    known = [*np.diag(found)[whole].tolist(), *(one.alone for one in points if not one.moves and one.alone is not None)]
    usual, seeds = float(np.median(known)) if known else 0.0, seed_variance(points) or 0.0
    for place, one in enumerate(points):
        alone = usual if one.alone is None else one.alone
        found[place, place] += (0.0 if one.moves else alone) + seeds / one.seeds
    return found


# ----------------------------------------------------------------------------------------------------------- shrinkage


def shrunk(scores: Array, noise: Array, sizes: Array | None = None) -> tuple[Array, Array]:
    """Mean and covariance of the true scores, given the observed ones, their noise and the sizes of their points.

    The best of many observed scores is partly the luckiest. Empirical Bayes: true scores scatter about a parabola over
    `sizes` (points,) as a Student t of `TAIL` degrees of freedom, whose scale follows from how far the observed ones
    scatter beyond their noise. Those that scatter no more than that are drawn to the curve; far ones keep their place.
    """
    count = len(scores)
    if count < LEAST or not np.any(np.diag(noise)):
        return scores, noise
    shared = float(noise.mean())  # what lifts all scores alike says nothing about which is better
    own = noise - noise.mean(0) - noise.mean(1)[:, None] + shared
    design = _design(sizes, count)
    prior = _scatter(scores, np.maximum(np.diag(own), 1e-9), design)
    inside = own + np.diag(prior) + 1e-9 * np.eye(count)
    solved = np.linalg.solve(inside, np.column_stack([design, scores, np.diag(prior)]))
    width = design.shape[1]
    by_design, by_scores, by_prior = solved[:, :width], solved[:, width], solved[:, width + 1 :]
    information = np.linalg.inv(design.T @ by_design)
    line = information @ (design.T @ by_scores)
    mean = design @ line + prior * (by_scores - by_design @ line)
    left = design - prior[:, None] * by_design
    found = np.diag(prior) - prior[:, None] * by_prior + left @ information @ left.T
    return mean, found + shared


def _design(sizes: Array | None, count: int) -> Array:
    """A parabola over sizes, a line where they are few, else a constant."""
    if sizes is None or np.ptp(sizes) == 0:
        return np.ones((count, 1))
    places = (sizes - sizes.mean()) / sizes.std()
    several = len(np.unique(sizes))
    width = 3 if count >= 2 * LEAST and several >= LEAST else 2 if several > 2 else 1
    return np.stack([places**power for power in range(width)], 1)


def _scatter(scores: Array, own: Array, design: Array) -> Array:
    """The variance of each true score about the curve: a scale that all share, and more for points that are far away.

    The scale is averaged over its posterior on a grid: its most likely value is often 0 where the noise is large, and
    then everything would be certain. At each scale the weights of a t distribution are found by EM.
    """
    scales = np.median(own) * np.geomspace(0.05, 100.0, SCALES)
    likelihoods, weights = np.empty(SCALES), np.empty((SCALES, len(scores)))
    for place, scale in enumerate(scales):
        weight = np.ones(len(scores))
        for _ in range(ROUNDS):
            total = scale / weight + own
            scaled = design / total[:, None]
            information = scaled.T @ design
            rest = scores - design @ np.linalg.solve(information, scaled.T @ scores)
            gain = scale / weight / total
            square = (gain * rest) ** 2 + scale / weight * (1 - gain)  # expected, of the distance without noise
            weight = (TAIL + 1) / (TAIL + square / scale)
        fit = -0.5 * (np.log(total) + rest**2 / total).sum() - 0.5 * np.linalg.slogdet(information)[1]
        likelihoods[place] = fit + ((TAIL - 1) / 2 * np.log(weight) + TAIL / 2 * (1 - weight)).sum()
        weights[place] = weight
    chances = np.exp(likelihoods - likelihoods.max())
    chances /= chances.sum()
    spread = float(chances @ np.sqrt(scales)) ** 2
    found: Array = spread / (chances @ weights)
    return found


# ------------------------------------------------------------------------------------------------------------ frontier


def draws(mean: Array, noise: Array, *, seed: int, count: int = DRAWS) -> Array:
    """True scores as they may be, (draws, points): normal, and the same for the same seed."""
    values, vectors = np.linalg.eigh(noise)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    generator = np.random.default_rng(seed)
    found: Array = mean + generator.standard_normal((count, len(mean))) @ root.T
    return found


def frontier_of(costs: Array, scores: Array) -> Array:
    """Which points are on the frontier in each draw: `costs` (points,) and `scores` (draws, points), smaller is better.

    As `pareto.frontier.non_dominated`, for all draws at once; infinite scores are never on it.
    """
    order = np.argsort(costs, kind="stable")
    sorted_costs, values = costs[order], scores[:, order]
    lowest = np.minimum.accumulate(values, axis=1)
    begin = np.searchsorted(sorted_costs, sorted_costs, "left")
    end = np.searchsorted(sorted_costs, sorted_costs, "right") - 1
    before = np.concatenate([np.full((len(values), 1), np.inf), lowest], axis=1)[:, begin]
    found = np.empty(values.shape, bool)
    found[:, order] = (values < before) & (values <= lowest[:, end])
    return found


def frontier_of_many(points: Array) -> Array:
    """The same for any number of objectives: `points` (draws, points, objectives)."""
    found = np.ones(points.shape[:2], bool)
    for place in range(points.shape[1]):
        here = points[:, place : place + 1, :]
        beaten = np.all(points <= here, axis=2) & np.any(points < here, axis=2)
        found[:, place] = ~beaten.any(axis=1) & np.isfinite(here).all(axis=(1, 2))
    return found
