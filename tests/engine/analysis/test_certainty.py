"""Probabilities of being on the frontier are calibrated, and ties, luck and intervals follow from the same noise."""

from __future__ import annotations

import numpy as np
import pytest

from bertdistill.engine.analysis import noise
from bertdistill.engine.analysis.certainty import Certainty, certainty
from bertdistill.engine.analysis.noise import Repeated
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.pareto.repeats import Repeats

AIMS = (Objective("accuracy", "maximize"), Objective("params", "minimize"))


def study(scores: list[float], noise: float, aims: tuple[Objective, ...] = AIMS) -> Certainty | None:
    """Points of growing size, each score with this standard deviation, independent of the others."""
    points = [Repeats((n,), 1, {"accuracy": s, "params": 10.0 * (n + 1)}, {}) for n, s in enumerate(scores)]
    return certainty(points, aims, {"accuracy": [Repeated(alone=noise**2) for _ in scores]}, seed=1)


def known(found: Certainty | None) -> Certainty:
    assert found is not None
    return found


def test_far_scores_are_certain_and_close_ones_are_not() -> None:
    """The smallest is on the frontier whatever it scores; a hair above a smaller one says little."""
    found = known(study([70.0, 80.0, 80.1, 60.0], 1.0))
    assert 1.0 == found.on_frontier[0] == found.on_frontier[1]
    assert 0.4 < found.on_frontier[2] < 0.65
    assert 0.0 == found.on_frontier[3]
    assert (True, False) == (found.plausible(2), found.plausible(3))


def test_intervals_ties_and_the_volume() -> None:
    """A difference of two is a tie within 1.96 standard deviations of the difference."""
    found = known(study([70.0, 80.0, 81.0], 1.0))
    assert pytest.approx((68.04, 71.96), abs=0.01) == found.intervals[0]["accuracy"]
    assert pytest.approx((97.54, 100.0), abs=0.01) == known(study([99.5], 1.0)).intervals[0]["accuracy"]
    assert (True, False, None) == (
        found.tie("accuracy", 1, 2, 1.0),
        found.tie("accuracy", 0, 1, 10.0),
        found.tie("params", 0, 1, 10.0),
    )
    assert found.hypervolume is not None
    low, high = found.hypervolume
    assert 0 <= low < high <= 1


def test_a_threshold_within_the_noise_halves_the_chance() -> None:
    """A score on its threshold may as well be below it; a certain metric beyond its own rules a point out."""
    aims = (Objective("accuracy", "maximize", 70.0), Objective("params", "minimize", 25.0))
    found = known(study([70.0, 80.0, 90.0], 1.0, aims))
    assert pytest.approx(0.5, abs=0.05) == found.on_frontier[0]
    assert (1.0, 0.0) == (found.on_frontier[1], found.on_frontier[2])


def test_no_point_within_the_limit_of_a_certain_metric_is_on_no_frontier() -> None:
    """Every student is larger than what is allowed."""
    aims = (AIMS[0], Objective("params", "minimize", 5.0))
    found = known(study([70.0, 80.0], 1.0, aims))
    assert [0.0, 0.0] == list(found.on_frontier.values())
    assert found.hypervolume is None


def test_a_threshold_on_the_score_keeps_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared pair by pair, 200 points took 3.6 s of CPU time in the thread that reads, at every trial that ended."""
    monkeypatch.delattr(noise, "frontier_of_many")
    found = known(study([70.0, 80.0, 90.0], 1.0, (Objective("accuracy", "maximize", 75.0), AIMS[1])))
    assert (0.0, 1.0, 1.0) == tuple(found.on_frontier.values())


def test_nothing_is_known_without_noise() -> None:
    """Sizes have no interval, and a study without repeats or examples says nothing."""
    points = [Repeats((0,), 1, {"accuracy": 80.0, "params": 1.0}, {})]
    assert certainty(points, AIMS, {}) is None
    assert certainty(points, AIMS, {"accuracy": [Repeated()]}) is None


def test_the_luck_of_the_best_of_equals_is_what_it_scored_above_them() -> None:
    """Forty students of one true score: the best is no better than the rest."""
    scores = (80 + np.random.default_rng(5).standard_normal(40)).tolist()
    found = known(study(scores, 1.0))
    best = int(np.argmax(scores))
    assert pytest.approx(scores[best] - 80, abs=0.8) == found.luck[best]
    assert found.luck[int(np.argmin(scores))] < 0


def test_probabilities_are_calibrated() -> None:
    """Of points on the frontier with 80 %, 80 % are: a small version of benchmarks/calibration.py."""
    chances, truth = [], []
    for seed in range(40):
        random = np.random.default_rng(seed)
        sizes = np.sort(random.uniform(1, 10, 24))
        true = 80 + 8 * np.log10(sizes) + random.standard_normal(24)
        seen = true + random.standard_normal(24)
        points = [
            Repeats((n,), 1, {"accuracy": float(y), "params": float(x)}, {})
            for n, (x, y) in enumerate(zip(sizes, seen, strict=True))
        ]
        found = known(certainty(points, AIMS, {"accuracy": [Repeated(alone=1.0)] * 24}, seed=seed))
        chances += [found.on_frontier[n] for n in range(24)]
        truth += (true >= np.maximum.accumulate(true)).tolist()
    said, were = np.array(chances), np.array(truth)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.01)):
        inside = (said >= low) & (said < high)
        assert said[inside].mean() == pytest.approx(were[inside].mean(), abs=0.09)
