"""The expected gain of hypervolume, against the volumes themselves."""

from __future__ import annotations

import numpy as np
import pytest

from bertdistill.engine.pareto.frontier import hypervolume
from bertdistill.engine.search.gain import expected_gain

CERTAIN = 1e-10


def gained(point: np.ndarray, frontier: np.ndarray) -> float:
    every, corner = [tuple(one) for one in frontier.tolist()], (1.0,) * frontier.shape[1]
    return hypervolume([*every, tuple(point.tolist())], corner) - hypervolume(every, corner)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_without_doubt_it_is_the_gain(objectives: int) -> None:
    """Also of points outside of the box, and better than all that was seen."""
    rng = np.random.default_rng(objectives)
    frontier, points = rng.random((6, objectives)), rng.uniform(-0.3, 1.2, (30, objectives))
    found = expected_gain(points, np.full_like(points, CERTAIN), frontier)
    assert found == pytest.approx([gained(one, frontier) for one in points], abs=1e-8)


def test_with_doubt_it_is_the_mean_gain() -> None:
    """Of one uncertain objective exactly, of two within the error of the quantiles."""
    rng = np.random.default_rng(5)
    frontier, mean = rng.random((5, 2)), np.array([[0.4, 0.5]])
    for sd, near in ((np.array([[0.2, 0.0]]), 0.003), (np.array([[0.2, 0.1]]), 0.01)):
        draws = mean + sd * rng.standard_normal((4000, 2))
        expected = np.mean([gained(one, frontier) for one in draws])
        assert expected_gain(mean, sd, frontier)[0] == pytest.approx(expected, abs=near)


def test_hopeless_points_still_compare() -> None:
    """Far behind the frontier nothing is 0, or the search would pick the first of them."""
    mean = np.array([[1.6, 0.5], [2.2, 0.5]])
    near, far = expected_gain(mean, np.array([[0.1, 0.0], [0.1, 0.0]]), np.array([[0.2, 0.2]]))
    assert near > far > 0


def test_an_empty_frontier_leaves_the_box() -> None:
    """The first trials of a study whose threshold nothing reaches yet."""
    assert 0.25 == pytest.approx(expected_gain(np.array([[0.5, 0.5]]), np.full((1, 2), CERTAIN), np.zeros((0, 2)))[0])
