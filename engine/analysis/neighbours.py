"""Estimates the score of a trial before it runs, from the complete trials with the most similar settings.

Pure: it proposes nothing and decides nothing; the optimiser has its own model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.analysis.coordinates import Axis, parameter_axis
from bertdistill.engine.contract.events import finite
from bertdistill.engine.study.space import Space
from bertdistill.store.rows import Trial, TrialState

NEAREST = 3
SAME = 1e-3
"""Minimum distance: a trial with equal settings outweighs the others without a division by zero."""


@dataclass(frozen=True)
class Neighbour:
    """A complete trial near the given settings. `distance` is 0 for equal settings, 1 for opposite ends."""

    number: int
    distance: float
    score: float


def nearest(
    space: Space, trials: Sequence[Trial], here: Mapping[str, Any], metric: str, *, count: int = NEAREST
) -> list[Neighbour]:
    """The complete trials with the metric that are nearest to the active parameters `here`.

    A parameter that is inactive in only one of two trials counts as a full axis.
    """
    done = [t for t in trials if t.state == TrialState.COMPLETE and finite(t.metrics.get(metric)) is not None]
    axes = [parameter_axis(p, [v for t in done if (v := t.params.get(p.name)) is not None]) for p in space]
    found = [Neighbour(t.number, _distance(axes, here, t.params), float(t.metrics[metric])) for t in done]
    return sorted(found, key=lambda one: (one.distance, one.number))[:count]


def expected(neighbours: Sequence[Neighbour]) -> float | None:
    """Their mean score, weighted by inverse squared distance (Shepard 1968); None without neighbours."""
    if not neighbours:
        return None
    weights = [1.0 / max(one.distance, SAME) ** 2 for one in neighbours]
    return sum(w * one.score for w, one in zip(weights, neighbours, strict=True)) / sum(weights)


def _distance(axes: Sequence[Axis], here: Mapping[str, Any], there: Mapping[str, Any]) -> float:
    """Root mean square difference over the axes."""
    if not axes:
        return 0.0
    return math.sqrt(sum(_apart(axis, here.get(axis.name), there.get(axis.name)) ** 2 for axis in axes) / len(axes))


def _apart(axis: Axis, one: Any, other: Any) -> float:
    if one == other:
        return 0.0
    if one is None or other is None or isinstance(one, (str, bool)) or isinstance(other, (str, bool)):
        return 1.0
    a, b = axis.place(one), axis.place(other)
    return 1.0 if a is None or b is None else abs(a - b)
