"""Which trials are not beaten: dominance, rank, hypervolume and the gain of each trial. Pure; knows no trial states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Objective:
    """A metric with a direction and perhaps a threshold that a trial must reach to be feasible (inclusive)."""

    metric: str
    direction: Literal["maximize", "minimize"]
    threshold: float | None = None

    def feasible(self, value: float) -> bool:
        """Whether `value` is on the right side of the threshold."""
        if self.threshold is None:
            return True
        return value >= self.threshold if self.direction == "maximize" else value <= self.threshold
