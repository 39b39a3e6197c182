"""The Gaussian process: what it expects, how sure it is, and that its fit climbs the right slope."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from bertdistill.engine.search.process import Process, _misfit, _squares

RNG = np.random.default_rng(0)
X = RNG.random((30, 3))
GROUPS, MAIN = np.arange(3), np.array([True, False, False])


def made(noise: float = 0.0) -> np.ndarray:
    """Depends on the first column most, on the second a little, and not on the third."""
    y: np.ndarray = 80 + 10 * X[:, 0] + 2 * np.sin(4 * X[:, 1]) + noise * RNG.standard_normal(len(X))
    return y


def test_the_slope_of_the_fit_is_that_of_its_cost() -> None:
    """Checked against differences; a wrong slope would end the fit anywhere."""
    apart = np.array([_squares(X[:, [i]], X[:, [i]]) for i in range(3)])
    y = (made(0.3) - 85) / 3
    at = np.array([-0.5, 0.2, 0.4, 0.3, -1.0, -3.0])

    def value(where: np.ndarray) -> float:
        return _misfit(where, apart, MAIN, np.eye(30) * 1e-6, y)[0]

    def slope(where: np.ndarray) -> np.ndarray:
        return _misfit(where, apart, MAIN, np.eye(30) * 1e-6, y)[1]

    assert check_grad(value, slope, at) < 1e-3


def test_it_interpolates_and_knows_what_it_does_not_know() -> None:
    """Between points it is right within its own doubt, which grows away from them."""
    process = Process(X, made(), GROUPS, MAIN)
    mean, sd = process.at(X)
    assert np.abs(mean - made()).max() < 0.5
    assert process.at(np.array([[3.0, 3.0, 3.0]]))[1][0] > 5 * sd.max()
    new = RNG.random((200, 3))
    mean, sd = process.at(new)
    right = 80 + 10 * new[:, 0] + 2 * np.sin(4 * new[:, 1])
    assert np.mean(np.abs(mean - right) < 2 * sd + 0.05) > 0.85


def test_noise_is_found_in_scatter() -> None:
    """Of scores with noise of 1.3 points."""
    assert 0.6 < Process(X, made(1.3), GROUPS, MAIN).noise < 2.2


def test_a_trial_that_runs_teaches_where_but_not_what() -> None:
    """The mean stays, the doubt there falls."""
    process, there = Process(X, made(1.0), GROUPS, MAIN), np.array([[0.5, 0.5, 0.5], [2.0, 2.0, 2.0]])
    after = process.believing(there)
    assert process.at(there)[0] == pytest.approx(after.at(there)[0], abs=0.05)
    assert (after.at(there)[1] < process.at(there)[1]).all()


def test_draws_have_its_mean_and_spread() -> None:
    """Together, as near points move together."""
    process, near = Process(X, made(1.0), GROUPS, MAIN), np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.51], [2.0, 0.0, 0.0]])
    draws = process.drawn(near, 4000, np.random.default_rng(1))
    mean, sd = process.at(near)
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.2)
    assert draws.std(axis=0) == pytest.approx(sd, rel=0.1)
    assert np.corrcoef(draws.T)[0, 1] > 0.95
