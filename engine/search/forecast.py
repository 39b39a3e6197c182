"""Where a curve is likely to end, from the curves of earlier trials that were evaluated at the same point. Pure.

It knows no objectives and decides nothing. Larger is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, pstdev

STEEPEST = -1.0
"""A trial that is one point ahead gains at most one point less from here on: it does not fall behind for that."""
LEAST = 0.15
"""The least spread that is ever assumed of an end, as part of that of the ends seen: few curves agree by chance."""
SHRINK = 4.0
"""Of the slope: as if this many trials more had all gained the mean."""


@dataclass(frozen=True)
class Ending:
    """A predicted final value: a Student distribution."""

    mean: float
    sd: float
    freedom: float

    def chance_above(self, height: float) -> float:
        """The probability that it ends above."""
        far, left = (height - self.mean) / self.sd, self.freedom
        # By a normal distribution (Abramowitz and Stegun 26.7.8): within 0.025 from 2.5 degrees on; at 1.5, as of three
        # trials, up to 0.07 too high far out, so few trials stop others later than they might.
        near = (1 - 1 / (4 * left)) * far / math.sqrt(1 + far * far / (2 * left))
        return 1 - NormalDist().cdf(near)


def ending(value: float, seen: Sequence[tuple[float, float]]) -> Ending:
    """The end of a trial that is at `value` now, from (value at the same point, final value) of at least three others.

    What they gained from there on is a line in the value: those that are behind often catch up. Its slope is shrunk
    towards none.
    """
    here, gains = [at for at, _ in seen], [end - at for at, end in seen]
    middle, gain, count = fmean(here), fmean(gains), len(seen)
    wide = sum((at - middle) ** 2 for at in here)
    shrunk = wide * (1 + SHRINK / count) or 1.0
    slope = sum((at - middle) * (one - gain) for at, one in zip(here, gains, strict=True)) / shrunk
    slope = min(0.0, max(STEEPEST, slope))
    missed = sum((one - gain - slope * (at - middle)) ** 2 for at, one in zip(here, gains, strict=True))
    least = LEAST * pstdev([end for _, end in seen])
    freedom = count - 1.5
    variance = (missed + least**2) / (freedom + 1)
    sd = math.sqrt(variance * (1 + 1 / count + (value - middle) ** 2 / shrunk)) or 1e-9
    return Ending(value + gain + slope * (value - middle), sd, freedom)
