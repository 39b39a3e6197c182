"""Points of other trackers as rows of ours: finite values or none, whole steps from 0, one value for a step. Pure.

Others keep several values for one step, often all of them at step 0 because a training gave none. Each of those gets
the next step, in the order in which they were stored, so no value is lost; a training that went back to an earlier step
resumed from there, so its values replace the older ones. The rule needs only the last step that was read and where it
was put, so reading in pieces, with any interruption, places every point alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertdistill.engine.interchange.records import Curve

MOST_STEPS = 2**62
LATEST = 2.0**40
"""Of times, in Unix seconds: later ones are no times."""
NEGATIVE = "points with a step below 0"
BEYOND = "points with a step that is too large"

Whole = NDArray[np.int64]
Real = NDArray[np.float64]


@dataclass(frozen=True)
class Placed:
    """Where the last point of a curve was put."""

    read: int = -1
    """Its step in the source."""
    at: int = -1
    """Its step here."""


@dataclass(frozen=True)
class Columns:
    """Points in the order in which they were stored."""

    steps: list[int]
    values: list[float | None]
    times: list[float]


def place(curve: Curve, last: Placed, begin: float, left_out: Counter[str]) -> tuple[Columns, Placed]:
    """The points of a curve as rows, and where the last one is. `begin` is the time of points without one."""
    steps, values, times = _steps(curve.steps), _numbers(curve.values), _numbers(curve.times)
    fit = (steps >= 0) & (steps < MOST_STEPS)
    if not fit.all():
        left_out[NEGATIVE] += int((steps < 0).sum())
        left_out[BEYOND] += int((steps >= MOST_STEPS).sum())
        steps, values, times = steps[fit], values[fit], times[fit]
    if not len(steps):
        return Columns([], [], []), last
    at, placed = _one_value_for_a_step(steps, last)
    known = (times > 0) & (times < LATEST)
    dated = times if known.all() else np.where(known, times, begin)
    return Columns(at, _with_gaps(values), dated.tolist()), placed


def _one_value_for_a_step(steps: Whole, last: Placed) -> tuple[list[int], Placed]:
    found: list[int] = steps.tolist()
    if found[0] > max(last.read, last.at) and bool((steps[1:] > steps[:-1]).all()):
        return found, Placed(found[-1], found[-1])
    read, at = last.read, last.at
    for number, step in enumerate(found):
        if step < read:
            at = step
        elif step == read:
            at += 1
        else:
            at = max(step, at + 1)
        read = step
        found[number] = at
    return found, Placed(read, at)


def _with_gaps(values: Real) -> list[float | None]:
    finite = np.isfinite(values)
    found: list[float | None] = values.tolist()
    if not finite.all():
        for number in np.flatnonzero(~finite):
            found[number] = None
    return found


def _steps(steps: Sequence[int]) -> Whole:
    try:
        return np.asarray(steps, dtype=np.int64)
    except OverflowError:
        return np.asarray([min(max(step, -1), MOST_STEPS) for step in steps], dtype=np.int64)


def _numbers(values: Sequence[float | None]) -> Real:
    """None becomes NaN, and so does a whole number that no float holds."""
    try:
        return np.asarray(values, dtype=np.float64)
    except OverflowError:
        return np.asarray([_float(value) for value in values], dtype=np.float64)


def _float(value: Any) -> float:
    try:
        return float("nan") if value is None else float(value)
    except OverflowError:
        return float("nan")
