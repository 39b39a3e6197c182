"""The covariance is that of a bootstrap, seeds and examples are told apart, and what is drawn is the frontier."""

from __future__ import annotations

import numpy as np
import pytest

from bertdistill.engine.analysis.noise import (
    Repeated,
    covariance,
    draws,
    frontier_of,
    frontier_of_many,
    influences,
    seed_variance,
    shrunk,
)
from bertdistill.engine.pareto.frontier import non_dominated
from bertdistill.engine.tasks.intervals import statistic

RANDOM = np.random.default_rng(3)
TRUTH = RANDOM.integers(0, 3, 300)


def judged(right: float) -> dict[str, object]:
    chosen = np.where(RANDOM.random(300) < right, TRUTH, RANDOM.integers(0, 3, 300))
    return {"classes": 3, "truth": TRUTH, "chosen": chosen}


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "matthews"])
def test_influences_have_the_covariance_of_a_bootstrap(metric: str) -> None:
    """Of two models on the same examples, for scores that are means and scores that are not."""
    models = [judged(0.8), judged(0.6)]
    moves = [influences(one, metric) for one in models]
    scores = [statistic(one) for one in models]
    weights = RANDOM.multinomial(300, np.full(300, 1 / 300), size=1500)
    drawn = np.array([[score(row)[metric] for score in scores] for row in weights])
    found = covariance([Repeated(moves=(one,)) for one in moves if one is not None])
    assert np.cov(drawn.T) == pytest.approx(found, rel=0.12, abs=0.3)


def test_influences_of_spans_are_their_single_scores() -> None:
    """Exact match and F1 are means; another score has none."""
    spans = {"correct": [1.0, 0.0], "partial": [1.0, 0.5], "impossible": [False, False]}
    exact, f1 = influences(spans, "exact"), influences(spans, "f1")
    assert exact is not None
    assert f1 is not None
    assert ([50.0, -50.0], [25.0, -25.0]) == (exact.tolist(), f1.tolist())
    assert influences(spans, "latency_ms") is None


def test_the_variance_between_seeds_is_without_that_of_the_examples() -> None:
    """Two seeds that are right by chance, each on its own examples, differ by nothing but the examples."""
    points = []
    for _ in range(200):
        runs = 100.0 * (RANDOM.random((2, 400)) < 0.8)
        scores = runs.mean(1)
        points.append(Repeated(2, float(scores.std(ddof=1)), tuple(run - run.mean() for run in runs)))
    assert seed_variance(points) == pytest.approx(0.0, abs=0.6)
    bare = [Repeated(one.seeds, one.spread) for one in points]
    assert seed_variance(bare) == pytest.approx(100 * 100 * 0.16 / 400, rel=0.2)
    assert seed_variance([Repeated()]) is None
    by_freedom = [Repeated(2, 2**0.5), Repeated(2, 0.0), Repeated(3, 3.0), Repeated(1)]
    assert pytest.approx((2 + 0 + 2 * 9) / 4) == seed_variance(by_freedom)


def test_a_mean_over_seeds_is_surer() -> None:
    """The pooled variance counts for a point of one seed as a whole, for three as a third."""
    found = covariance([Repeated(1), Repeated(3, 2.0), Repeated(1, alone=4.0)])
    assert [8.0, 4.0 + 4.0 / 3, 8.0] == pytest.approx(np.diag(found).tolist())  # 4 where no examples are known
    assert [4.0, 4.0 / 3] == pytest.approx(np.diag(covariance([Repeated(1), Repeated(3, 2.0)])).tolist())


def test_scores_that_scatter_like_noise_are_drawn_together() -> None:
    """Those that scatter far more than their noise keep their places."""
    noise = np.eye(30)
    alike, apart = RANDOM.standard_normal(30), 20 * RANDOM.standard_normal(30)
    assert 0.5 * alike.std() > shrunk(alike, noise)[0].std()
    assert apart == pytest.approx(shrunk(apart, noise)[0], abs=0.4)
    mean, left = shrunk(alike[:3], noise[:3, :3])
    assert (alike[:3].tolist(), noise[:3, :3].tolist()) == (mean.tolist(), left.tolist())  # too few to learn from


def test_noise_that_all_share_moves_no_score() -> None:
    """Hard examples lower all scores alike; none of them is luck."""
    scores = RANDOM.standard_normal(20)
    assert scores == pytest.approx(shrunk(scores, np.full((20, 20), 4.0) + 1e-4 * np.eye(20))[0], abs=0.05)


def test_draws_repeat_themselves() -> None:
    """The same study has the same probabilities on every look."""
    noise = np.array([[4.0, 3.0], [3.0, 4.0]])
    first, again = (draws(np.zeros(2), noise, seed=7, count=4000) for _ in range(2))
    assert (first == again).all()
    assert noise == pytest.approx(np.cov(first.T), abs=0.35)


@pytest.mark.parametrize("objectives", [2, 3])
def test_the_frontier_of_every_draw_is_that_of_the_definition(objectives: int) -> None:
    """Also with equal sizes and equal scores."""
    costs = RANDOM.integers(0, 5, 12).astype(float)
    rest = RANDOM.integers(0, 5, (40, 12, objectives - 1)).astype(float)
    points = np.concatenate([np.broadcast_to(costs[None, :, None], (40, 12, 1)), rest], axis=2)
    slow = [non_dominated([tuple(point) for point in draw]) for draw in points.tolist()]
    assert slow == frontier_of_many(points).tolist()
    if objectives == 2:
        assert slow == frontier_of(costs, rest[:, :, 0]).tolist()
