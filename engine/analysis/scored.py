"""Scores of trials on one split: the mean over seeds, how certain it is, and how far it is from the teacher's.

Pure: scores and predictions are passed in. It chooses and compares nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bertdistill.engine.tasks.intervals import Statistic

COUNTED = ("accuracy", "exact")
"""Scores that are shares of examples: the number of examples alone gives their interval."""
TEACHER = -1
"""Stands for the teacher where trials are named by number."""
Z95 = 1.959964
RESAMPLES = 1000

Interval = tuple[float, float]
"""Both ends of a 95 % interval."""


@dataclass(frozen=True)
class Split:
    """What is known of one split, by trial number or TEACHER."""

    examples: int = 0
    scores: Mapping[int, float] = field(default_factory=dict)
    statistics: Mapping[int, Statistic] = field(default_factory=dict)
    """Where predictions are stored: all scores as a function of the weight of every example."""
    intervals: Mapping[int, Interval] = field(default_factory=dict)
    """Where only the interval is stored."""


@dataclass(frozen=True)
class Score:
    """A score on one split: the mean over seeds, also relative to the teacher."""

    value: float
    seeds: int = 1
    spread: float | None = None
    """Standard deviation over the seeds; None for a single one."""
    interval: Interval | None = None
    """How much the mean would vary with other examples."""
    gap: float | None = None
    """Minus the teacher's score."""
    gap_interval: Interval | None = None
    """From the predictions of both for the same examples, widened by the spread over seeds."""


@dataclass(frozen=True)
class Gap:
    """The difference of two means over seeds."""

    value: float
    interval: Interval | None
    """From the predictions of both for the same examples, widened by the spread over seeds."""


def score_of(numbers: Sequence[int], split: Split, name: str) -> Score | None:
    scored = [number for number in numbers if number in split.scores]
    if not scored:
        return None
    values = [split.scores[number] for number in scored]
    mean, gap = fmean(values), gap_of(scored, (TEACHER,), split, name)
    return Score(
        mean,
        len(values),
        stdev(values) if len(values) > 1 else None,
        interval_of(scored, mean, split, name),
        None if gap is None else gap.value,
        None if gap is None else gap.interval,
    )


def interval_of(numbers: Sequence[int], mean: float, split: Split, name: str) -> Interval | None:
    if all(number in split.statistics for number in numbers):
        from bertdistill.engine.tasks.intervals import bootstrap, mean_of

        found = bootstrap(mean_of([split.statistics[number] for number in numbers]), split.examples, samples=RESAMPLES)
        return found.get(name)
    if len(numbers) == 1 and numbers[0] in split.intervals:
        return split.intervals[numbers[0]]
    return wilson(mean, split.examples) if name in COUNTED and split.examples else None


def gap_of(numbers: Sequence[int], others: Sequence[int], split: Split, name: str) -> Gap | None:
    """The mean of `numbers` minus that of `others`, over those that are scored; None if none of either are."""
    parts = [[number for number in part if number in split.scores] for part in (numbers, others)]
    if not all(parts):
        return None
    values = [[split.scores[number] for number in part] for part in parts]
    gap, ends = fmean(values[0]) - fmean(values[1]), paired(split, parts[0], parts[1], name)
    return Gap(gap, None if ends is None else widened(gap, ends, Z95 * error_over_seeds(values)))


def paired(split: Split, numbers: Sequence[int], others: Sequence[int], name: str) -> Interval | None:
    """The interval of the difference of two means over the same examples; None unless all predictions are there."""
    if not all(number in split.statistics for number in (*numbers, *others)):
        return None
    from bertdistill.engine.tasks.intervals import bootstrap, difference_of, mean_of

    one, other = (mean_of([split.statistics[number] for number in part]) for part in (numbers, others))
    return bootstrap(difference_of(one, other), split.examples, samples=RESAMPLES).get(name)


def wilson(percent: float, examples: int) -> Interval:
    """The 95 % interval of a share of `examples`, in percent (Wilson 1927): also good near 0 and 100."""
    share, z2 = percent / 100, Z95**2
    middle = share + z2 / (2 * examples)
    half = Z95 * math.sqrt(max(0.0, share * (1 - share) / examples + z2 / (4 * examples**2)))
    low, high = ((middle + sign * half) / (1 + z2 / examples) for sign in (-1, 1))
    return 100 * max(0.0, low), 100 * min(1.0, high)


def error_over_seeds(values: Sequence[Sequence[float]]) -> float:
    """Standard error over seeds of a mean or of the difference of two; a single seed has no spread and adds nothing."""
    return math.sqrt(sum(stdev(part) ** 2 / len(part) for part in values if len(part) > 1))


def widened(middle: float, ends: Interval, by: float) -> Interval:
    """The interval around `middle` with another, independent uncertainty of half width `by`."""
    return middle - math.hypot(middle - ends[0], by), middle + math.hypot(ends[1] - middle, by)


def is_tie(ends: Interval | None) -> bool | None:
    """Whether a difference may as well be zero; None without an interval."""
    return None if ends is None else ends[0] <= 0 <= ends[1]
