"""The complete trials of a study as `pareto.repeats` takes them, keyed by number. Pure: it ranks nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bertdistill.engine.families.same_point import SEED, points_of
from bertdistill.engine.pareto.repeats import Measured
from bertdistill.store.rows import Trial, TrialState


def measured(
    trials: Iterable[Trial], values: Callable[[Trial], Mapping[str, float | None]]
) -> dict[int, Measured[int]]:
    """Every complete trial, by number, in the order given."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    points = points_of((one.number, one.settings) for one in complete)
    return {
        one.number: Measured(one.number, values(one), points.get(one.number), one.settings.get(SEED))
        for one in complete
    }
