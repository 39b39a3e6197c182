"""How the hypervolume of a study grew, over its trials and over the worker time that they took.

Pure: it ranks nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.pareto.frontier import Objective, oriented, shares


@dataclass(frozen=True)
class Step:
    """The state of the search when one trial had ended."""

    number: int
    finished_at: float
    """Unix time."""
    trials: int
    """Trials ended so far, this one included."""
    worker_hours: float
    """Worker time of all trials ended so far, this one included. Preparation and running trials are not in it."""
    gain: float | None
    """What it added to the hypervolume; None when it was not feasible or did not complete."""
    hypervolume: float
    """Share of the unit box covered so far, 0 to 1, measured in the box of all trials known now."""


def growth(outcomes: Sequence[Outcome], objectives: Sequence[Objective]) -> list[Step]:
    """One step for every trial that ended, in the order of their ends.

    Trials that failed or miss a threshold gain nothing but cost their worker time.
    """
    ended = sorted(
        (one for one in outcomes if one.finished_at is not None), key=lambda one: (one.finished_at or 0.0, one.number)
    )
    counted = [one for one in ended if one.feasible]
    added = shares([oriented(one.values, objectives) for one in counted], objectives)
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
    """How many trials ended since the hypervolume last grew; None when it never did."""
    grown = [step.trials for step in steps if step.gain]
    return len(steps) - grown[-1] if grown else None
