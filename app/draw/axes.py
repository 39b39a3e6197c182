"""Axes: round limits, ticks, and thinning and smoothing of what is drawn along them. Pure: it draws nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

_LARGEST = 1e300
"""Beyond it the width of an axis would overflow; below one over it logarithms are no longer exact."""


def number(value: float) -> str:
    """A tick label as a person would write it: `0.25`, `1200`, `12k`, `2.5M`, `1e+12`."""
    for suffix, size, least in (("M", 1e6, 1e6), ("k", 1e3, 1e4)):
        if least <= abs(value) < 1e9:
            return f"{value / size:.4g}{suffix}"
    return f"{value:.6g}" if value == 0 or 1e-4 <= abs(value) < 1e4 else f"{value:.4g}"


@dataclass(frozen=True)
class Axis:
    """One axis: its title, which direction is better, how its ticks are formatted, and a line across at each of
    `lines`.

    With `choices` the values are indexes into them, and they are the ticks.
    """

    title: str
    better: Literal["maximize", "minimize"]
    text: Callable[[float], str] = number
    log: bool = False
    lines: tuple[tuple[float, str], ...] = ()
    choices: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    """The part of it that is drawn; None: as the values suggest."""

    def coordinate(self, value: float) -> float:
        """The value on the scale of the axis: its logarithm on a logarithmic one."""
        return math.log10(value) if self.log else value


@dataclass(frozen=True)
class Scale:
    """An axis with its limits, in values."""

    axis: Axis
    low: float
    high: float

    def share(self, value: float) -> float:
        """0 at the low limit, 1 at the high one; the middle where both are the same."""
        return self.shares((value,))[0]

    def shares(self, values: Iterable[float]) -> list[float]:
        low, high = self.axis.coordinate(self.low), self.axis.coordinate(self.high)
        if high <= low:
            return [0.5 for _ in values]
        width = high - low
        if self.axis.log:
            return [(math.log10(v) - low) / width for v in values]
        return [(v - low) / width for v in values]

    def value(self, share: float) -> float:
        """The value at a share of the axis."""
        low, high = self.axis.coordinate(self.low), self.axis.coordinate(self.high)
        at = low + share * (high - low)
        return float(10.0**at) if self.axis.log else at

    def holds(self, value: float) -> bool:
        return drawable(value, log=self.axis.log) and self.low <= value <= self.high

    def ticks(self, most: int) -> list[float]:
        if self.axis.choices:
            return [float(i) for i in range(len(self.axis.choices)) if self.low <= i <= self.high]
        return ticks(self.low, self.high, most, log=self.axis.log)

    def text(self, value: float) -> str:
        return self.axis.choices[int(value)] if self.axis.choices else self.axis.text(value)


def drawable(value: float | None, *, log: bool = False) -> bool:
    """Whether the value can be drawn: finite, and positive on a logarithmic axis."""
    return value is not None and math.isfinite(value) and abs(value) <= _LARGEST and (not log or value >= 1 / _LARGEST)


def scale(values: Iterable[float], axis: Axis, *, margin: float = 0.03, parts: int = 12) -> Scale:
    """Limits that enclose the drawable `values` (at least one) and the lines near them, rounded outwards to steps of
    about one of `parts` of the range.

    Round limits change rarely, so a chart that grows keeps most of its cells. A line whose distance exceeds the range
    of the values stays outside, or it would squeeze them together.
    """
    if axis.limits and all(drawable(limit, log=axis.log) for limit in axis.limits):
        return Scale(axis, *axis.limits)
    if axis.choices:
        return Scale(axis, -0.5, len(axis.choices) - 0.5)
    found = list(values)
    low, high = axis.coordinate(min(found)), axis.coordinate(max(found))
    width = high - low
    for value in (axis.coordinate(v) for v, _ in axis.lines if drawable(v, log=axis.log)):
        if width == 0 or low - width <= value <= high + width:
            low, high = min(low, value), max(high, value)
    low, high = _widened(low, high, axis, margin)
    return Scale(axis, *(_round_log(low, high) if axis.log else _round_linear(low, high, parts)))


def _widened(low: float, high: float, axis: Axis, margin: float) -> tuple[float, float]:
    least = 0.05 if axis.log else max(abs(high) * 1e-12, 1e-290)
    if high - low < least:
        margin, width = 1.0, (0.1 if axis.log else abs(high) * 0.05 or 1.0)
    else:
        width = high - low
    return low - margin * width, high + margin * width


def _round_linear(low: float, high: float, parts: int) -> tuple[float, float]:
    step = _step((high - low) / parts)
    return float(f"{math.floor(low / step) * step:.12g}"), float(f"{math.ceil(high / step) * step:.12g}")


def _round_log(low: float, high: float) -> tuple[float, float]:
    """Limits given as exponents, rounded outwards to values with few leading digits."""
    grid = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0) if high - low >= 0.5 else tuple(g / 20 for g in range(20, 201))
    low, high = max(-303.0, low), min(303.0, high)  # a margin must not push them beyond the largest float
    down, up = math.floor(low), math.floor(high)
    below = max((g for g in grid if g <= 10 ** (low - down) * (1 + 1e-9)), default=1.0)
    above = min((g for g in grid if g >= 10 ** (high - up) * (1 - 1e-9)), default=10.0)
    return below * 10.0**down, above * 10.0**up


def _step(rough: float) -> float:
    """The smallest round step that is at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(s * power for s in (1, 2, 2.5, 5, 10, 20) if s * power >= rough)


def ticks(low: float, high: float, most: int, *, log: bool = False) -> list[float]:
    """Round values inside [low, high], at most `most`; over a decade on a log axis 1, 2 and 5 times powers of ten."""
    if log and low > 0 and high / low >= 10:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        for steps in ((1, 2, 5), (1, 3), (1,)):
            found = [s * 10.0**e for e in range(first, last + 1) for s in steps if low <= s * 10.0**e <= high]
            if len(found) <= most:
                return found
        return found[:: math.ceil(len(found) / max(1, most))]
    if high <= low:
        return [low]
    step = _step((high - low) / max(1, most))
    return [float(f"{k * step:.12g}") for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def thin(pairs: Sequence[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
    """Reduce to about `limit` points, keeping the lowest and highest of each segment, so that no spike is lost."""
    if len(pairs) <= limit or limit < 2:
        return list(pairs)
    size = math.ceil(2 * len(pairs) / limit)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(pairs), size):
        stretch = pairs[start : start + size]
        kept.extend(sorted({min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}))
    return kept


def smooth(pairs: Sequence[tuple[float, float]], weight: float) -> list[tuple[float, float]]:
    """Exponential moving average; `weight` in [0, 1) is that of the past.

    Divided by the weights so far (as Adam corrects its moments), so that it starts at the first value and not at 0.
    """
    if not 0 < weight < 1:
        return list(pairs)
    mean, left, smoothed = 0.0, 1.0, []
    for step, value in pairs:
        mean = weight * mean + (1 - weight) * value
        left *= weight
        smoothed.append((step, mean / (1 - left)))
    return smoothed
