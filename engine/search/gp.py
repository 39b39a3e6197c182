"""A Gaussian process that learns from the whole search space and picks its next point from all or part of it.

It knows no trials and no parameters beyond optuna's distributions. Optuna does not support a part: with a smaller range
its sampler ignores the parameter's history, and a frozen one leaves the model although it still explains scores. It
also finds the exact maximum of the acquisition function, which is in a corner of the space as long as little is known:
half of all proposals were corners. Here the best of many candidates is taken, which are hardly ever corners.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna._gp.search_space import SearchSpace
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import GPSampler

CANDIDATES = 2048
"""Number of random points; then half as many around the best of them, for each of SPREADS."""
CENTRES = 16
SPREADS = (0.1, 0.03)
"""Standard deviations around a centre, as fractions of a parameter's range."""
SWAPPED = 0.2
"""Fraction of a centre's coordinates that are resampled."""

Part = tuple[BaseDistribution, BaseDistribution, tuple[int, ...]]
"""The whole distribution, the one to draw from, and the categories (by index) that may be drawn."""


class NarrowGP(GPSampler):
    """Optuna's sampler with a custom search for the best acquisition value, restricted to `parts`.

    Overrides `_optimize_acqf`, optuna's private hook for the acquisition optimiser, which may change between versions;
    the version is pinned, and a test proposes with it.
    """

    def __init__(self, parts: Mapping[str, Part], *, seed: int, startup_trials: int) -> None:
        super().__init__(seed=seed, n_startup_trials=startup_trials, warn_independent_sampling=False)
        self._parts = parts
        self._names: list[str] = []

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Record the order of the parameters in the model.

        One thread: on matrices of a few hundred rows more of them only wait for each other, and beside busy workers a
        proposal took five times as long.
        """
        import torch  # optuna imports it, too, but only for a model

        self._names = list(search_space)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return super().sample_relative(study, trial, search_space)
        finally:
            torch.set_num_threads(threads)

    def _optimize_acqf(self, acqf: Any, best_params: np.ndarray | None) -> np.ndarray:
        """The best candidate in the part, in the coordinates of the whole space."""
        inner = _Inner(acqf, [self._parts[name] for name in self._names])
        centres = None if best_params is None else inner.inward(best_params)
        return inner.outward(best_candidate(inner, centres, self._rng.rng))


def best_candidate(acqf: Any, centres: np.ndarray | None, rng: np.random.RandomState) -> np.ndarray:
    """The candidate with the highest acquisition value, (parameters,) in the unit box.

    Candidates are random points and points around the best of these, and around `centres` (points, parameters).
    """
    space = acqf.search_space
    points = space.sample_normalized_params(CANDIDATES, rng=rng)
    values = acqf.eval_acqf_no_grad(points)
    for spread in SPREADS:
        best = points[np.argsort(-values, kind="stable")[:CENTRES]]
        around = best if centres is None else np.vstack([best, centres])
        near = _around(around, spread, space, rng)
        points = np.vstack([points, near])
        values = np.concatenate([values, acqf.eval_acqf_no_grad(near)])
    found: np.ndarray = points[int(np.argmax(values))]
    return found


def _around(centres: np.ndarray, spread: float, space: Any, rng: np.random.RandomState) -> np.ndarray:
    """Points near the centres, reflected at the borders, because clipping would pile points up there."""
    points = centres[rng.randint(len(centres), size=CANDIDATES // 2)]
    points = np.where(rng.rand(*points.shape) < SWAPPED, space.sample_normalized_params(len(points), rng=rng), points)
    continuous = np.asarray(space.continuous_indices, dtype=int)
    moved = np.abs(points[:, continuous] + spread * rng.randn(len(points), len(continuous)))
    points[:, continuous] = np.clip(1 - np.abs(1 - moved), 0, 1)
    return points


class _Inner:
    """The acquisition function on the unit box of the part; each point is mapped to the unit box of the whole space."""

    def __init__(self, acqf: Any, parts: list[Part]) -> None:
        self._acqf = acqf
        names = [str(i) for i in range(len(parts))]
        shapes = [_kept(drawn, indices) for _, drawn, indices in parts]
        self.search_space = SearchSpace(dict(zip(names, shapes, strict=True)))
        pairs = [_carried(whole, drawn) for whole, drawn, _ in parts]
        self._start = np.array([start for start, _ in pairs])
        self._width = np.array([width for _, width in pairs])
        self._tables = {
            i: np.array(indices, dtype=float)
            for i, (whole, _, indices) in enumerate(parts)
            if isinstance(whole, CategoricalDistribution)
        }

    def eval_acqf_no_grad(self, x: np.ndarray) -> np.ndarray:
        """Values at `points` (points, parameters) of the part."""
        values: np.ndarray = self._acqf.eval_acqf_no_grad(self.outward(x))
        return values

    def outward(self, x: np.ndarray) -> np.ndarray:
        """Points of the part in the coordinates of the whole space."""
        carried: np.ndarray = x * self._width + self._start
        for i, table in self._tables.items():
            carried[..., i] = table[x[..., i].astype(int)]
        return carried

    def inward(self, x: np.ndarray) -> np.ndarray:
        """Those points of the whole space that are in the part, in the part's coordinates."""
        carried = (x - self._start) / np.where(self._width > 0, self._width, 1.0)
        for i, table in self._tables.items():
            carried[..., i] = [np.flatnonzero(table == index)[0] if index in table else -1 for index in x[..., i]]
        ends = np.array([len(self._tables[i]) - 1.0 if i in self._tables else 1.0 for i in range(x.shape[-1])])
        found: np.ndarray = carried[((carried >= 0) & (carried <= ends)).all(axis=-1)]
        return found


def _kept(drawn: BaseDistribution, indices: tuple[int, ...]) -> BaseDistribution:
    if isinstance(drawn, CategoricalDistribution):
        return CategoricalDistribution([drawn.choices[i] for i in indices])
    return drawn


def _carried(whole: BaseDistribution, drawn: BaseDistribution) -> tuple[float, float]:
    """Where the part starts in the unit interval of the whole range, and its width there."""
    if not isinstance(whole, (FloatDistribution, IntDistribution)):
        return 0.0, 1.0
    assert isinstance(drawn, (FloatDistribution, IntDistribution))
    (low, high), (start, end) = _ends(whole), _ends(drawn)
    return (start - low) / (high - low), (end - start) / (high - low)


def _ends(shape: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Ends as scaled by optuna's model: half a step beyond the last value, logarithmic if set."""
    half = 0.5 * (shape.step or 0.0)
    low, high = shape.low - half, shape.high + half
    return (math.log(low), math.log(high)) if shape.log else (low, high)
