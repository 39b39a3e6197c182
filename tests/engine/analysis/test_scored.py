"""Scores with their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from bertdistill.engine.analysis.scored import TEACHER, Split, interval_of, paired, score_of, widened, wilson
from bertdistill.engine.tasks.intervals import class_scores

TRUTH = np.arange(400) % 2
RIGHT = class_scores(TRUTH, TRUTH, 2)


def wrong(count: int, start: int = 0) -> np.ndarray:
    """Predictions of which `count` are wrong."""
    chosen = TRUTH.copy()
    chosen[start : start + count] = 1 - chosen[start : start + count]
    return chosen


def split(**more: object) -> Split:
    """Trials 1 and 2 with 40 and 60 errors, a teacher with 20."""
    made = {1: wrong(40), 2: wrong(60), TEACHER: wrong(20)}
    scores = {number: 100 * float((TRUTH == chosen).mean()) for number, chosen in made.items()}
    statistics = {number: class_scores(TRUTH, chosen, 2) for number, chosen in made.items()}
    return Split(**{"examples": 400, "scores": scores, "statistics": statistics, **more})  # type: ignore[arg-type]  # a test's


def test_wilson_intervals_of_few_examples() -> None:
    """0, 5 and 10 of 10; it never leaves 0 to 100."""
    assert (pytest.approx(0.0), pytest.approx(27.75, abs=0.01)) == wilson(0.0, 10)
    assert (pytest.approx(23.66, abs=0.01), pytest.approx(76.34, abs=0.01)) == wilson(50.0, 10)
    assert (pytest.approx(72.25, abs=0.01), pytest.approx(100.0)) == wilson(100.0, 10)


def test_the_mean_over_seeds_with_its_spread() -> None:
    """Differences are to the teacher's score."""
    found = score_of([1, 2], split(), "accuracy")
    assert found is not None
    assert (87.5, 2, pytest.approx(3.5355, abs=1e-3), -7.5) == (found.value, found.seeds, found.spread, found.gap)


def test_paired_intervals_are_narrower_than_unpaired_ones() -> None:
    """The teacher's errors are among the student's, so resamples move both scores together."""
    known = split()
    ends = paired(known, [1], [TEACHER], "accuracy")
    alone = interval_of([1], 90.0, known, "accuracy")
    assert ends is not None
    assert alone is not None
    assert ends[0] < -5.0 < ends[1] < 0
    assert ends[1] - ends[0] < alone[1] - alone[0]


def test_the_spread_over_seeds_widens_the_difference_to_the_teacher() -> None:
    """Two seeds that differ by 5 points say less than two that agree."""
    one, both = (score_of(numbers, split(), "accuracy") for numbers in ([1], [1, 2]))
    assert one is not None
    assert both is not None
    assert one.gap_interval
    assert both.gap_interval
    assert both.gap_interval[1] - both.gap_interval[0] > one.gap_interval[1] - one.gap_interval[0]


def test_without_predictions_only_shares_have_an_interval() -> None:
    """That of accuracy follows from the number of examples; that of a correlation does not."""
    bare = split(statistics={})
    assert wilson(90.0, 400) == interval_of([1], 90.0, bare, "accuracy")
    assert interval_of([1], 80.0, bare, "matthews") is None
    assert interval_of([1], 90.0, split(statistics={}, examples=0), "accuracy") is None
    assert paired(bare, [1], [TEACHER], "accuracy") is None


def test_an_interval_that_was_stored_is_used() -> None:
    """A promotion stores it."""
    assert (85.0, 93.0) == interval_of([1], 90.0, split(statistics={}, intervals={1: (85.0, 93.0)}), "accuracy")


def test_a_trial_without_a_score_on_the_split() -> None:
    """It has none, and the others count."""
    known = split(scores={1: 90.0})
    assert score_of([2], known, "accuracy") is None
    found = score_of([1, 2], known, "accuracy")
    assert found is not None
    assert (1, None, None) == (found.seeds, found.spread, found.gap)


def test_independent_uncertainties_add_in_squares() -> None:
    """3 and 4 are 5."""
    assert (-5.0, 5.0) == widened(0.0, (-3.0, 3.0), 4.0)
