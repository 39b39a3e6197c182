"""The survey: which configurations stand for a method, and which method is the best at each compression."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.analysis.scored import TEACHER, Split
from bertdistill.engine.analysis.survey import REPORT, VALIDATION, Frame, configurations, survey


def trial(number: int, method: str, compression: float, *, seed: int = 1, **settings: Any) -> Outcome:
    given = {"family": "transformer", "recipe": method, "seed": seed, **settings}
    return Outcome(number, {}, {"compression": compression, "bytes": 100 / compression}, given, complete=True)


def right(count: int, of: int = 200) -> Any:
    """Accuracy as a function of the weights of examples, of which the first `count` are right."""
    correct = np.arange(of) < count

    def statistic(weights: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        return {"accuracy": 100 * (weights * correct).sum(-1) / weights.sum(-1)}

    return statistic


TRIALS = [
    trial(0, "layers", 2.0),
    trial(1, "layers", 2.0, seed=2),
    trial(2, "layers", 4.0, layers=2),
    trial(3, "narrow", 3.0),
    trial(4, "narrow", 2.5, ffn_size=7),
    trial(5, "tiny", 30.0),
]
SCORES = {0: 86.0, 1: 88.0, 2: 80.0, 3: 88.0, 4: 85.0, 5: 70.0, TEACHER: 90.0}


def frame(**splits: Split) -> Frame:
    return Frame("toy", "accuracy", {VALIDATION: Split(200, SCORES), **splits})


def test_of_each_method_what_none_of_it_beats() -> None:
    """Seeds are one configuration; #4 is both larger and worse than #3."""
    found = configurations(TRIALS, frame())
    assert [("layers", (1, 0)), ("layers", (2,)), ("narrow", (3,)), ("tiny", (5,))] == [
        (one.method, one.numbers) for one in found
    ]


def test_the_best_at_each_compression() -> None:
    found = survey(configurations(TRIALS, frame()), frame())
    assert [(2.0, "narrow"), (5.0, "tiny"), (10.0, "tiny"), (20.0, "tiny"), (60.0, None)] == [
        (one.factor, one.entry and one.entry.method) for one in found.best
    ]
    kept = {one.method: one.kept for one in found.entries if one.compression != 4}
    assert {"layers": 100 * 87 / 90, "narrow": 100 * 88 / 90, "tiny": 100 * 70 / 90} == pytest.approx(kept)
    assert (VALIDATION, True, 90.0) == (found.split, found.by_bytes, found.teacher and found.teacher.value)
    assert [2.0, 3.0, 4.0, 30.0] == [one.compression for one in found.entries]


def test_the_report_split_decides_about_ties_but_not_about_the_choice() -> None:
    """There #0 and #1 are better than #3, which stays the best by validation; the difference is within noise."""
    scores = {0: 87.0, 1: 87.0, 2: 60.0, 3: 86.5, 5: 60.0, TEACHER: 90.0}
    known = Split(200, scores, {number: right(int(2 * value)) for number, value in scores.items()})
    found = survey(configurations(TRIALS, frame()), frame(**{REPORT: known}))
    assert REPORT == found.split
    assert ("narrow", ("layers",)) == (found.best[0].entry and found.best[0].entry.method, found.best[0].ties)
    assert found.best[0].entry
    assert 100 * 86.5 / 90 == pytest.approx(found.best[0].entry.kept)


def test_a_difference_within_the_spread_over_seeds_is_a_tie() -> None:
    """As in the ladder: the answers alone tell 87 from 83, but the seeds of the method are 18 points apart."""
    seeds = [trial(0, "wide", 2.0), trial(1, "wide", 2.0, seed=2), trial(3, "narrow", 3.0)]
    scores = {0: 92.0, 1: 74.0, 3: 87.0}
    known = Split(200, scores, {number: right(int(2 * value)) for number, value in scores.items()})
    found = survey(configurations(seeds, frame(validation=known)), frame(validation=known))
    assert ("narrow", ("wide",)) == (found.best[0].entry and found.best[0].entry.method, found.best[0].ties)


def test_parameters_where_no_bytes_are_known() -> None:
    plain = [Outcome(0, {}, {"params": 50.0}, {"family": "mlp"}, complete=True)]
    known = Frame("toy", "accuracy", {VALIDATION: Split(200, {0: 80.0})}, teacher_params=1000.0)
    found = survey(configurations(plain, known), known)
    assert (20.0, False, None) == (found.entries[0].compression, found.by_bytes, found.entries[0].kept)


def test_nothing_without_a_size_a_score_or_a_family() -> None:
    unsized = Outcome(0, {}, {}, {"family": "mlp"}, complete=True)
    logged = Outcome(1, {}, {"compression": 2.0}, {}, complete=True)
    running = Outcome(2, {}, {"compression": 2.0}, {"family": "mlp"})
    assert [] == configurations([unsized, logged, running], frame())


def test_a_smaller_score_may_be_the_better_one() -> None:
    low = Frame("toy", "loss", {VALIDATION: Split(0, {0: 2.0, 3: 1.0})}, largest=False)
    found = survey(configurations([trial(0, "a", 3.0), trial(3, "b", 3.0)], low), low)
    assert "b" == (found.best[0].entry and found.best[0].entry.method)
