"""The expected gain of hypervolume of points of which some coordinates are uncertain.

Pure. All coordinates are better if smaller, and scaled so that the reference point is 1 in each.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.special import erf, ndtri

Array = np.ndarray

NODES = 7
"""Values that an uncertain coordinate beyond the first is replaced by, equally probable."""
TINY = 1e-9


def expected_gain(mean: Array, sd: Array, frontier: Array) -> Array:
    """For each row of `mean` and `sd` (points, objectives), by how much it raises the volume of `frontier`.

    Exact in the first uncertain coordinate; the others are replaced by a few of their quantiles.
    """
    uncertain = np.flatnonzero((sd > TINY).any(axis=0))
    along = int(uncertain[0]) if len(uncertain) else 0
    others = [i for i in range(mean.shape[1]) if i != along]
    cells = _Cells(frontier[:, others], frontier[:, along])
    quantiles = _normal_quantiles(NODES)
    found, nodes = np.zeros(len(mean)), [quantiles if i in uncertain else np.zeros(1) for i in others]
    grid = list(itertools.product(*nodes))
    for at in grid:
        placed = mean[:, others] + sd[:, others] * np.array(at)
        found += cells.gain(placed, mean[:, along], np.maximum(sd[:, along], TINY))
    return found / len(grid)


class _Cells:
    """The other coordinates divided into cells in which the frontier is equally high along one."""

    def __init__(self, others: Array, along: Array) -> None:
        inside = (others < 1).all(axis=1) & (along < 1)
        others, along = others[inside], along[inside]
        edges = [np.unique(column) for column in others.T]
        starts = list(itertools.product(*[[-math.inf, *edge] for edge in edges]))
        stops = list(itertools.product(*[[*edge, 1.0] for edge in edges]))
        self._starts, self._stops = (np.array(one).reshape(len(starts), others.shape[1]) for one in (starts, stops))
        below = (others[None, :, :] <= self._starts[:, None, :]).all(axis=2)
        self._height = np.where(below, along[None, :], 1.0).min(axis=1, initial=1.0)

    def gain(self, placed: Array, mean: Array, sd: Array) -> Array:
        """The expected volume below the frontier and above a point at `placed`, normal along the other coordinate."""
        width = np.ones((len(placed), len(self._starts)))
        for i in range(placed.shape[1]):
            width *= np.maximum(0.0, self._stops[:, i] - np.maximum(self._starts[:, i], placed[:, i, None]))
        lift = _expected_excess((self._height - mean[:, None]) / sd[:, None]) * sd[:, None]
        found: Array = (width * lift).sum(axis=1)
        return found


def _expected_excess(far: Array) -> Array:
    """The expectation of max(0, far - n) for a normal n; its tail stays above 0 far out, so that points compare."""
    density = np.exp(-0.5 * far * far) / math.sqrt(2 * math.pi)
    below = 0.5 * (1 + erf(far / math.sqrt(2)))
    near = far * below + density
    tail = density / (far * far + 2)  # where the difference above would be rounding noise
    found: Array = np.where(far < -5, tail, near)
    return found


def _normal_quantiles(count: int) -> Array:
    found: Array = ndtri((np.arange(count) + 0.5) / count)
    return found
