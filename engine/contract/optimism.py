"""How far a model's score on the report split is from that on the validation split, which chose it. Pure arithmetic.

A model is chosen because it scores well on the validation split, so that score is partly luck; the report split has
chosen nothing. The difference has the noise of both splits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Z95 = 1.959964


@dataclass(frozen=True)
class Optimism:
    """Validation minus report, with both ends of its 95 % interval."""

    difference: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """`+0.46 (-1.65 to +2.57)`."""
        return f"{self.difference:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def optimism(
    validation: float, report: float, ends: tuple[float, float], validation_examples: int, report_examples: int
) -> Optimism | None:
    """`ends` is the 95 % interval of the report score; None if either split is empty.

    The validation score varies as much per example, so its variance is that of the report score times the ratio of
    the numbers of examples. The splits share no examples, so the variances add up.
    """
    if validation_examples < 1 or report_examples < 1:
        return None
    half = (ends[1] - ends[0]) / 2 * math.sqrt(1 + report_examples / validation_examples)
    difference = validation - report
    return Optimism(difference, difference - half, difference + half)


def of_report(report: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Optimism]:
    """Of each score of a verified version, from its stored report; empty for versions that older versions verified."""
    found: dict[str, Optimism] = {}
    counts = [report.get(name) for name in ("search_examples", "report_examples")]
    intervals = report.get("intervals")
    if not all(isinstance(count, int) for count in counts) or not isinstance(intervals, Mapping):
        return {}
    for name, ends in intervals.items():
        values = [report.get(f"{name}_repeated"), metrics.get(name), *(ends if isinstance(ends, list) else ())]
        numbers = [v for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
        if len(numbers) == len(values) == 4:
            one = optimism(numbers[0], numbers[1], (numbers[2], numbers[3]), int(counts[0] or 0), int(counts[1] or 0))
            found |= {} if one is None else {str(name): one}
    return found
