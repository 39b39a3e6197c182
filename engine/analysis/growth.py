"""Growth of a study's hypervolume over its trials and their worker time.

Pure: it ranks nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.families.same_point import SEED
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.pareto.repeats import Measured, gains_in_time


@dataclass(frozen=True)
class Step:
    """The state of the search after one trial ended."""

    number: int
    finished_at: float
    """Unix time."""
    trials: int
    """Trials ended so far, including this one."""
    worker_hours: float
    """Worker time of all trials ended so far, including this one, without preparation and running trials."""
    gain: float | None
    """What it changed of the hypervolume; None if it was not feasible or not complete. A repeat can take away."""
    hypervolume: float
    """Share of the unit box covered so far, 0 to 1, in the box of all trials known now."""


def growth(outcomes: Sequence[Outcome], objectives: Sequence[Objective]) -> list[Step]:
    """One step for every ended trial, in the order in which they ended.

    Trials that failed or miss a threshold add no hypervolume but cost worker time.
    """
    ended = sorted(
        (one for one in outcomes if one.finished_at is not None), key=lambda one: (one.finished_at or 0.0, one.number)
    )
    counted = [one for one in ended if one.feasible]
    rows = [Measured(one.number, one.values, one.point, one.settings.get(SEED)) for one in counted]
    added = gains_in_time(rows, objectives)
    gain_of = {one.number: gain for one, gain in zip(counted, added, strict=True)}
    steps: list[Step] = []
    hours = volume = 0.0
    for one in ended:
        hours += one.hours
        volume += gain_of.get(one.number, 0.0)
        gain = gain_of.get(one.number)
        steps.append(Step(one.number, one.finished_at or 0.0, len(steps) + 1, hours, gain, volume))
    return steps


def last_gain(steps: Sequence[Step]) -> int | None:
    """Number of trials that ended since the hypervolume last grew; None if it never did."""
    grown = [step.trials for step in steps if (step.gain or 0.0) > 0]
    return len(steps) - grown[-1] if grown else None
