"""Curves as the screens draw them: thinned, and grown by their new points only. It reads no store and draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bertdistill.store.metrics import CurvePoint

PREPARATION = -1
"""Stands for a trial's number where the curve is of the preparation, in which the teacher is trained."""


@dataclass(frozen=True)
class TrialCurve:
    """One series of one trial, thinned to the columns of a chart."""

    trial: int
    series: str
    points: tuple[CurvePoint, ...]
    not_finite: int
    """Points of the whole series that are not drawn."""
    examples_per_step: float
    started_at: float

    @property
    def label(self) -> str:
        """`#12`, or the word for the preparation."""
        return "teacher" if self.trial == PREPARATION else f"#{self.trial}"

    def steps(self, axis: str) -> list[float]:
        """Where each point stands on the x axis: `step`, `examples` or `minutes` since the trial began."""
        if axis == "examples":
            return [p.step * self.examples_per_step for p in self.points]
        if axis == "minutes":
            return [(p.time - self.started_at) / 60 for p in self.points]
        return [float(p.step) for p in self.points]


@dataclass
class GrowingCurve:
    """A curve in at most `2 * columns` parts. New points are added as parts; when these are too many, pairs merge."""

    columns: int
    parts: list[CurvePoint] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    """Points behind each part, for the means."""

    def start(self, parts: Sequence[CurvePoint], points: int) -> None:
        """Begin with parts that stand for `points` points in all."""
        each = max(1, round(points / len(parts))) if parts else 1
        self.parts, self.weights = list(parts), [each] * len(parts)

    def grow(self, points: Sequence[tuple[int, float | None, float]]) -> None:
        """Add points (step, value, time) behind the last one; values that are None are left out."""
        for step, value, time in points:
            if value is not None:
                self.parts.append(CurvePoint(step, value, value, value, value, time))
                self.weights.append(1)
        while len(self.parts) > 2 * self.columns:
            self._halve()

    def _halve(self) -> None:
        count = len(self.parts)
        pairs = range(0, count - 1, 2)
        rest = slice(count - 1, count) if count % 2 else slice(0, 0)
        parts = [_merged(self.parts[i], self.parts[i + 1], self.weights[i], self.weights[i + 1]) for i in pairs]
        weights = [self.weights[i] + self.weights[i + 1] for i in pairs]
        self.parts, self.weights = [*parts, *self.parts[rest]], [*weights, *self.weights[rest]]


def _merged(first: CurvePoint, second: CurvePoint, weight: int, other: int) -> CurvePoint:
    mean = (first.value_mean * weight + second.value_mean * other) / (weight + other)
    low, high = min(first.value_min, second.value_min), max(first.value_max, second.value_max)
    return CurvePoint(second.step, low, high, mean, second.value_last, second.time)
