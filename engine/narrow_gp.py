"""A Gaussian process that learns from the whole search space and looks for its next point in a part of it only.

It knows no trials and no parameters beyond optuna's distributions. Optuna has nothing for this: with a smaller range
its sampler forgets the parameter, and a frozen one leaves the model although it still explains the scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna._gp import optim_mixed
from optuna._gp.search_space import SearchSpace
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import GPSampler

Part = tuple[BaseDistribution, BaseDistribution, tuple[int, ...]]
"""The whole distribution, the one that is drawn from, and the categories (by index) that may be drawn."""


class NarrowGP(GPSampler):
    """Optuna's sampler with its search for the best acquisition value confined to `parts`.

    Overrides `_optimize_acqf`, which optuna leaves open for another way of optimising and may rename between versions;
    the versions are pinned and a test proposes with it.
    """

    def __init__(self, parts: Mapping[str, Part], *, seed: int, startup_trials: int) -> None:
        super().__init__(seed=seed, n_startup_trials=startup_trials, warn_independent_sampling=False)
        self._parts = parts
        self._names: list[str] = []

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Note the order of the parameters in the model."""
        self._names = list(search_space)
        return super().sample_relative(study, trial, search_space)

    def _optimize_acqf(self, acqf: Any, best_params: np.ndarray | None) -> np.ndarray:
        """The best point of the part, in the coordinates of the whole.

        The best past trials, from which optuna would start, may lie outside of the part.
        """
        inner = _Inner(acqf, [self._parts[name] for name in self._names])
        found, _ = optim_mixed.optimize_acqf_mixed(
            inner,  # type: ignore[arg-type]  # it has all that is used of optuna's own class
            n_preliminary_samples=self._n_preliminary_samples,
            n_local_search=self._n_local_search,
            tol=self._tol,
            rng=self._rng.rng,
        )
        return inner.outward(found)


class _Inner:
    """An acquisition function over the unit box of the part: each point is carried into that of the whole."""

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
        self.length_scales = acqf.length_scales / np.where(self._width > 0, self._width, 1.0)

    def eval_acqf(self, x: Any) -> Any:
        """Values at torch points `(…, parameters)` of the part."""
        carried = x * x.new_tensor(self._width) + x.new_tensor(self._start)
        for i, table in self._tables.items():
            carried[..., i] = x.new_tensor(table)[x[..., i].long()]
        return self._acqf.eval_acqf(carried)

    def eval_acqf_no_grad(self, x: np.ndarray) -> np.ndarray:
        """The same for numpy points."""
        values: np.ndarray = self._acqf.eval_acqf_no_grad(self.outward(x))
        return values

    def outward(self, x: np.ndarray) -> np.ndarray:
        """Points of the part in the coordinates of the whole."""
        carried: np.ndarray = x * self._width + self._start
        for i, table in self._tables.items():
            carried[..., i] = table[x[..., i].astype(int)]
        return carried


def _kept(drawn: BaseDistribution, indices: tuple[int, ...]) -> BaseDistribution:
    if isinstance(drawn, CategoricalDistribution):
        return CategoricalDistribution([drawn.choices[i] for i in indices])
    return drawn


def _carried(whole: BaseDistribution, drawn: BaseDistribution) -> tuple[float, float]:
    """Where the part starts in the unit interval of the whole, and how wide it is there."""
    if not isinstance(whole, (FloatDistribution, IntDistribution)):
        return 0.0, 1.0
    assert isinstance(drawn, (FloatDistribution, IntDistribution))
    (low, high), (start, end) = _ends(whole), _ends(drawn)
    return (start - low) / (high - low), (end - start) / (high - low)


def _ends(shape: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """As optuna's model scales them: half a step beyond the last value, logarithms where asked."""
    half = 0.5 * (shape.step or 0.0)
    low, high = shape.low - half, shape.high + half
    return (math.log(low), math.log(high)) if shape.log else (low, high)
