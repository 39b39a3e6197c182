"""The memory that a trial will need, from trials of the study that were measured, and from its size.

    peak = base + 16 bytes * params + slope * batch size * GFLOP of one example

16 bytes are a weight, its gradient and AdamW's two moments in fp32. What the backward pass keeps grows with the batch
and with the work on an example. `base` and `slope` are fitted to trials that were measured, so they hold for their
precision, lengths and device. Pure arithmetic; an estimate, and it is called one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from bertdistill.engine.families.table import FAMILIES

BYTES_PER_PARAMETER = 16
FEWEST = 3
"""Minimum number of trials to fit."""


@dataclass(frozen=True)
class Load:
    """What decides the memory of a trial."""

    params: float
    work: float
    """Batch size times the GFLOP of one example."""


@dataclass(frozen=True)
class Memory:
    """Fitted to `trials` trials; `most` is the largest measured over what was then estimated. In 10^6 bytes."""

    base: float
    slope: float
    most: float
    trials: int

    def estimate(self, load: Load) -> float:
        """10^6 bytes."""
        return _weights(load) + self.base + self.slope * load.work


def load_of(settings: Mapping[str, Any], known: Mapping[str, float]) -> Load | None:
    """That of a trial; None if it is fitted as a whole, or its size is unknown."""
    family = FAMILIES.get(str(settings.get("family")))
    if family is None or "batch_size" not in family.settings or not {"params", "gflops"} <= known.keys():
        return None
    return Load(float(known["params"]), int(settings["batch_size"]) * float(known["gflops"]))


def fit(measured: Iterable[tuple[Load, float]]) -> Memory | None:
    """From trials and their peak in 10^6 bytes; None of fewer than FEWEST.

    Least squares on what weights do not explain, with a slope that is not negative.
    """
    pairs = [(load, peak) for load, peak in measured if peak > 0]
    if len(pairs) < FEWEST:
        return None
    rest = [peak - _weights(load) for load, peak in pairs]
    slope = max(0.0, _slope([load.work for load, _ in pairs], rest))
    base = fmean(value - slope * load.work for value, (load, _) in zip(rest, pairs, strict=True))
    plain = Memory(base, slope, 1.0, len(pairs))
    return Memory(base, slope, max(peak / max(plain.estimate(load), 1e-9) for load, peak in pairs), len(pairs))


def _weights(load: Load) -> float:
    return BYTES_PER_PARAMETER * load.params / 1e6


def _slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    mean_x, mean_y = fmean(xs), fmean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
