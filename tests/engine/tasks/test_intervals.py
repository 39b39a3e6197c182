"""Bootstrap intervals and the scores that they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, matthews_corrcoef

from bertdistill.engine.tasks.intervals import bootstrap, class_scores, span_scores

RNG = np.random.default_rng(4)


def test_interval_of_a_share_is_the_binomial_one() -> None:
    """For 400 examples of which 60 % are right the interval is about ± 1.96 standard errors, 4.8 points."""
    right = (np.arange(400) % 5 < 3).astype(float)
    low, high = bootstrap(lambda w: {"exact": 100 * w @ right / w.sum()}, 400, samples=1000, seed=1)["exact"]
    assert (55.2, 64.8) == (pytest.approx(low, abs=0.7), pytest.approx(high, abs=0.7))


def test_same_seed_same_interval() -> None:
    """Two verifications of one model print the same interval."""
    statistic = span_scores(RNG.integers(0, 2, 50) * 1.0, RNG.random(50), RNG.random(50) < 0.4)
    assert bootstrap(statistic, 50, samples=50, seed=3) == bootstrap(statistic, 50, samples=50, seed=3)
    assert bootstrap(statistic, 50, samples=50, seed=3) != bootstrap(statistic, 50, samples=50, seed=4)


def test_class_scores_equal_scikit_learn() -> None:
    """Weighted counts give what scikit-learn gives on the resample itself, where class 4 of 5 never occurs."""
    truth, chosen = RNG.integers(0, 4, 60), RNG.integers(0, 3, 60)
    statistic = class_scores(truth, chosen, 5)
    whole = f1_score(truth, chosen, labels=range(5), average="macro", zero_division=0)
    assert statistic(np.ones(60))["macro_f1"] == pytest.approx(100 * whole)
    for _ in range(20):
        rows = RNG.integers(0, 60, 25)
        scores = statistic(np.bincount(rows, minlength=60))
        assert scores["accuracy"] == pytest.approx(100 * (truth[rows] == chosen[rows]).mean())
        labels = [*np.union1d(truth[rows], chosen[rows]), 4]
        macro = f1_score(truth[rows], chosen[rows], labels=labels, average="macro", zero_division=0)
        assert scores["macro_f1"] == pytest.approx(100 * macro)
        assert scores["matthews"] == pytest.approx(100 * matthews_corrcoef(truth[rows], chosen[rows]))


def test_rare_labels_do_not_pull_the_interval_below_the_score() -> None:
    """Fifty labels of two examples each, all right: many resamples lack some label, and each still scores 100."""
    truth = np.repeat(np.arange(50), 2)
    assert (100.0, 100.0) == bootstrap(class_scores(truth, truth, 50), 100, samples=100)["macro_f1"]


def test_matthews_of_one_class_is_zero() -> None:
    """As in scikit-learn: nothing can be correlated."""
    assert 0.0 == class_scores(np.zeros(4, int), np.zeros(4, int), 2)(np.ones(4))["matthews"]


def test_span_scores_by_kind_of_question() -> None:
    """exact and f1 over all, answerable and unanswerable questions; a kind that does not occur has no score."""
    correct, partial = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 0.5, 1.0, 0.0])
    impossible = np.array([False, False, True, True])
    scores = span_scores(correct, partial, impossible)(np.array([2, 1, 1, 0]))
    expected = {
        "exact": 75.0,
        "f1": 87.5,
        "has_answer_exact": 200 / 3,
        "has_answer_f1": 250 / 3,
        "no_answer_exact": 100.0,
        "no_answer_f1": 100.0,
    }
    assert expected == pytest.approx(scores)
    assert {"exact", "f1", "has_answer_exact", "has_answer_f1"} == set(
        span_scores(correct, partial, np.zeros(4, bool))(np.ones(4))
    )


def test_resamples_without_a_kind_are_left_out() -> None:
    """One unanswerable question is missing from many resamples; its interval stays finite."""
    impossible = np.arange(6) == 0
    found = bootstrap(span_scores(np.ones(6), np.ones(6), impossible), 6, samples=200)
    assert (100.0, 100.0) == found["no_answer_exact"]
