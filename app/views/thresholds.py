"""Which thresholds of its study a model misses, and by how much, in words. Pure; it ranks nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bertdistill.app.text import format as fmt
from bertdistill.engine.pareto.frontier import Objective


def missed_words(objectives: Sequence[Objective], values: Mapping[str, float | None]) -> str:
    """`accuracy 31.20 is 1.80 below the threshold 33.00`, one part for each; empty if none is known to be missed."""
    return ", ".join(_missed(objectives, values))


def _missed(objectives: Sequence[Objective], values: Mapping[str, float | None]) -> Iterator[str]:
    for one in objectives:
        value, name = values.get(one.metric), one.metric
        if value is None or one.threshold is None or one.feasible(value):
            continue
        gap = fmt.spread(name, abs(value - one.threshold))
        side = "below" if one.direction == "maximize" else "above"
        yield f"{name} {fmt.metric(name, value)} is {gap} {side} the threshold {fmt.metric(name, one.threshold)}"
