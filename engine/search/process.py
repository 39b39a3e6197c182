"""A Gaussian process: what a number, such as the score, is expected to be elsewhere, and how sure that is.

The sum of two Matérn 5/2 processes with one length for each group of columns: one of the groups that matter most, one
of all of them; and a linear part in some columns, and noise. Numpy and scipy only: a model of some hundred points takes
a fraction of a second, without torch. It knows no trials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Array = np.ndarray

MOST_FITTED = 100
"""Points that the lengths are fitted to: the newest ones, as each further step costs the cube of their number."""
SMALLEST_NOISE = 1e-6
STEPS = 60
FEW = 50
"""Up to so many points the fit starts from two places: then it has several optima, and costs little."""
ROOT = math.sqrt(5.0)
LENGTH = 0.25
LENGTH_SPREAD, NOISE_AT, NOISE_SPREAD, HEIGHT_SPREAD = 1.0, -3.5, 1.5, 0.7
FINE_AT = -1.5
"""Priors of logarithms, for inputs in a unit box and standardised outputs."""


@dataclass(frozen=True)
class Hyper:
    """The fitted constants of a process, as logarithms."""

    lengths: Array
    """One for each group of columns."""
    coarse: float
    """Of the variance by the groups that matter most."""
    fine: float
    """Of the further variance by all of them."""
    noise: float
    """Of its variance."""


class Process:
    """A process that has seen values `y` at inputs `x`."""

    def __init__(
        self,
        x: Array,
        y: Array,
        groups: Array,
        main: Array,
        *,
        linear: Array | None = None,
    ) -> None:
        """`main` says of each group whether it is one of those that matter most."""
        self._x, self._groups, self._main = x, groups, main
        self._linear = np.zeros(0, dtype=int) if linear is None else linear
        self._offset = float(np.mean(y)) if len(y) else 0.0
        self._scale = float(np.std(y)) or 1.0 if len(y) else 1.0
        self._y = (y - self._offset) / self._scale
        newest = slice(-MOST_FITTED, None)
        self.hyper = fit(x[newest], self._y[newest], groups, main, self._linear)
        self._solve()

    def _solve(self) -> None:
        noise = math.exp(self.hyper.noise) + SMALLEST_NOISE
        self._root = np.linalg.cholesky(self._kernel(self._x, self._x) + noise * np.eye(len(self._y)))
        self._weights = cho_solve((self._root, True), self._y)

    @property
    def noise(self) -> float:
        """The standard deviation of a value around the process."""
        return self._scale * math.exp(self.hyper.noise / 2)

    def believing(self, x: Array) -> Process:
        """The process after values as expected were seen at `x`: what runs there already is worth less."""
        found = object.__new__(Process)
        found.__dict__.update(self.__dict__)
        mean, _ = self.at(x)
        found._x = np.vstack([self._x, x])
        found._y = np.concatenate([self._y, (mean - self._offset) / self._scale])
        found._solve()
        return found

    def at(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at `x`, without the noise of a value."""
        between = self._kernel(self._x, x)
        mean = between.T @ self._weights
        seen = solve_triangular(self._root, between, lower=True, check_finite=False)
        variance = self._prior(x) - np.einsum("ij,ij->j", seen, seen)
        return self._offset + self._scale * mean, self._scale * np.sqrt(np.maximum(variance, 1e-12))

    def mean(self, x: Array) -> Array:
        """The mean at `x` alone: the deviation costs most of `at`."""
        found: Array = self._offset + self._scale * self.standardised(x)
        return found

    def standardised(self, x: Array) -> Array:
        """The mean at `x`, in standard deviations of the values that were seen."""
        found: Array = self._kernel(self._x, x).T @ self._weights
        return found

    def drawn(self, x: Array, count: int, rng: np.random.Generator) -> Array:
        """(draws, points) of what the process may be at `x` together."""
        between = self._kernel(self._x, x)
        seen = solve_triangular(self._root, between, lower=True, check_finite=False)
        covariance = self._kernel(x, x) - seen.T @ seen
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        apart = between.T @ self._weights + rng.standard_normal((count, len(x))) @ root.T
        found: Array = self._offset + self._scale * apart
        return found

    def _kernel(self, a: Array, b: Array) -> Array:
        lengths = np.exp(self.hyper.lengths)[self._groups]
        u, v, some = a / lengths, b / lengths, self._main[self._groups]
        coarse = _matern(_squares(u[:, some], v[:, some]), math.exp(self.hyper.coarse))[0]
        fine = _matern(_squares(u, v), math.exp(self.hyper.fine))[0]
        found: Array = coarse + fine + a[:, self._linear] @ b[:, self._linear].T
        return found

    def _prior(self, x: Array) -> Array:
        found: Array = math.exp(self.hyper.coarse) + math.exp(self.hyper.fine) + (x[:, self._linear] ** 2).sum(axis=1)
        return found


def fit(x: Array, y: Array, groups: Array, main: Array, linear: Array) -> Hyper:
    """The most probable constants."""
    count = int(groups.max()) + 1 if len(groups) else 0
    expected = math.log(LENGTH * math.sqrt(max(1, count)))  # more parameters: each matters less
    columns = [x[:, groups == i] for i in range(count)]
    apart = np.array([_squares(one, one) for one in columns]).reshape(count, len(x), len(x))
    fixed = x[:, linear] @ x[:, linear].T + SMALLEST_NOISE * np.eye(len(x))
    prior = np.array([expected] * count + [0.0, FINE_AT if main.any() else 0.0, NOISE_AT])
    spread = np.array([LENGTH_SPREAD] * count + [HEIGHT_SPREAD, HEIGHT_SPREAD, NOISE_SPREAD])

    def cost(at: Array) -> tuple[float, Array]:
        away = (at - prior) / spread
        value, slope = _misfit(at, apart, main, fixed, y)
        return value + 0.5 * float(away @ away), slope + away / spread

    starts = [prior, prior - np.array([1.0] * count + [0.0, 0.0, -2.0])][: 2 if len(x) <= FEW else 1]
    bounds = [(-4.0, 6.0)] * count + [(-4.0, 4.0)] * 2 + [(-12.0, 2.0)]
    found = [minimize(cost, s, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}) for s in starts]
    best = min(found, key=lambda one: float(one.fun)).x
    return Hyper(best[:count], *map(float, best[count:]))


def _misfit(at: Array, apart: Array, main: Array, fixed: Array, y: Array) -> tuple[float, Array]:
    """Minus the logarithm of the likelihood of `y`, and its slope in the logarithms of the constants."""
    weights, (high, low, noise) = np.exp(-2 * at[:-3]), np.exp(at[-3:])
    coarse, steep_coarse = _matern(np.tensordot(weights * main, apart, 1), high)
    fine, steep_fine = _matern(np.tensordot(weights, apart, 1), low)
    try:
        root = np.linalg.cholesky(coarse + fine + fixed + noise * np.eye(len(y)))
    except np.linalg.LinAlgError:
        return 1e10, np.zeros(len(at))
    solved = cho_solve((root, True), y)
    inverse = cho_solve((root, True), np.eye(len(y)))
    tilt = inverse - np.outer(solved, solved)  # twice the slope in each entry of the matrix
    by_fine, by_coarse = (np.tensordot(apart, tilt * steep, 2) for steep in (steep_fine, steep_coarse))
    heights = [0.5 * np.sum(tilt * part) for part in (coarse, fine)]
    slope = np.concatenate([-weights * (by_fine + main * by_coarse), heights, [0.5 * noise * np.trace(tilt)]])
    return 0.5 * float(y @ solved) + float(np.log(np.diag(root)).sum()), slope


def _matern(square: Array, height: float) -> tuple[Array, Array]:
    """The covariance at squared distances, and its slope in them."""
    far = ROOT * np.sqrt(np.maximum(square, 0.0))
    falling = height * np.exp(-far)
    return falling * (1 + far + far * far / 3), -5 / 6 * falling * (1 + far)


def _squares(a: Array, b: Array) -> Array:
    """Squared distances between rows."""
    found: Array = np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T, 0.0)
    return found
