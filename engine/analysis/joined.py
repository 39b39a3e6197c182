"""Cascades as points in the plane of a cost and a score, next to the trials, and which of them are on its frontier.

Pure and without numpy, because the frontier chart uses it. A cascade is not a trial: it is never ranked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bertdistill.engine.contract.events import finite
from bertdistill.engine.pareto.frontier import non_dominated
from bertdistill.engine.tasks.table import METRICS, TASKS

COSTS: Mapping[str, str] = {
    "latency_cpu_ms": "ms",
    "latency_ms": "ms",
    "latency_ratio": "of the teacher",
    "throughput": "ms",
    "gflops": "GFLOP",
}
"""Metrics that are a cost of one example, or its inverse, with the unit of the cost. In order of preference."""


@dataclass(frozen=True)
class Joined:
    """A cascade at one share. `values` has its scores on the validation split and its mean cost, by metric.

    Costs count what those of trials count: the models, not the tokenizer.
    """

    small: str
    large: str
    share: float
    """Of the validation examples that the large model answers."""
    values: Mapping[str, float]
    random: Mapping[str, float]
    """Expected scores if the same share were chosen at random."""

    @property
    def label(self) -> str:
        return f"{self.small}+{self.large} {100 * self.share:.0f}%"


def is_plane(x: str, y: str) -> bool:
    """Whether cascades have a place in the plane of these metrics: a cost on x, a score of classification on y."""
    return x in COSTS and any(y in task.scores for task in TASKS.values() if not task.spans)


def on_frontier(
    cascades: Sequence[Joined], others: Iterable[Mapping[str, float | None]], x: str, y: str
) -> list[Joined]:
    """Cascades that neither a trial (or the teacher) nor another cascade beats in both metrics.

    Each must also score more than random routing of the same share: any mixture of two points lies between them.
    """
    if not is_plane(x, y):
        return []
    fit = [one for one in cascades if x in one.values and y in one.values and one.values[y] > one.random[y]]
    points = [(finite(values.get(x)), finite(values.get(y))) for values in (*(one.values for one in fit), *others)]
    whole = [(_less(x, a), _less(y, b)) for a, b in points if a is not None and b is not None]
    kept = non_dominated(whole)
    return [one for one, free in zip(fit, kept, strict=False) if free]


def _less(metric: str, value: float) -> float:
    """Oriented: smaller is better."""
    return -value if METRICS[metric].direction == "maximize" else value
