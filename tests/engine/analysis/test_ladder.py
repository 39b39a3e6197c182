"""The ladder: order, differences to the teacher, what distillation brought, the smallest family near the teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bertdistill.engine.analysis.ladder import REPORT, VALIDATION, Frame, Ladder, ladder
from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.analysis.rungs import Chosen, choose
from bertdistill.engine.analysis.scored import TEACHER, Split
from bertdistill.engine.tasks.intervals import Statistic, class_scores

TRUTH = np.arange(1000) % 2
SIZES = {"linear": 20_000, "mlp": 80_000, "transformer": 20_000_000}


def trial(number: int, family: str, accuracy: float, **settings: Any) -> Outcome:
    """A complete trial of the size of its family."""
    values = {"accuracy": accuracy, "params": float(SIZES[family]), "size_mb": SIZES[family] * 4e-6}
    return Outcome(number, {}, values, {"family": family, "alpha": 0.0, "seed": 1, **settings}, complete=True)


TRIALS = [
    trial(0, "transformer", 89.0),
    trial(1, "mlp", 80.0),
    trial(2, "mlp", 81.0, alpha=1.0),
    trial(3, "mlp", 88.5, alpha=1.0, transfer_share=0.5),
    trial(4, "linear", 82.0),
]


def predictions(accuracy: float) -> Statistic:
    """Those of a model whose first examples are the wrong ones."""
    chosen = TRUTH.copy()
    chosen[: round(len(TRUTH) * (1 - accuracy / 100))] ^= 1
    return class_scores(TRUTH, chosen, 2)


def known(scores: Mapping[int, float], *, predicted: bool = True) -> Split:
    """A split of 1,000 examples."""
    statistics = {number: predictions(value) for number, value in scores.items()} if predicted else {}
    return Split(len(TRUTH), scores, statistics)


def made(trials: list[Outcome] = TRIALS, report: Split | None = None, teacher: float | None = 89.2) -> Ladder:
    """The ladder of some trials."""
    scores = {one.number: float(one.values["accuracy"] or 0.0) for one in trials}
    scores |= {} if teacher is None else {TEACHER: teacher}
    splits = {VALIDATION: known(scores), **({REPORT: report} if report else {})}
    references = {"published": {"accuracy": 91.0, "params": 66e6}, "only a size": {"params": 1.0}}
    return ladder(choose(trials, "accuracy"), Frame("toy", "accuracy", "params", splits, {"params": 22e6}, references))


def test_students_come_by_size_then_by_what_they_learn_from() -> None:
    """The teacher and the references are beside them."""
    found = made()
    rungs = [(one.family, one.kind, one.numbers) for one in found.rungs]
    assert [
        ("linear", "plain", (4,)),
        ("mlp", "plain", (1,)),
        ("mlp", "distilled", (2,)),
        ("mlp", "transfer", (3,)),
        ("transformer", "plain", (0,)),
    ] == rungs
    assert found.teacher is not None
    assert 89.2 == found.teacher.scores[VALIDATION].value
    assert ["published", "only a size"] == [one.family for one in found.references]
    assert {} == found.references[1].scores


def test_differences_to_the_teacher_have_paired_intervals() -> None:
    """The smaller the difference, the nearer to 0."""
    gaps = {one.family: one.scores[VALIDATION] for one in made().rungs if one.kind == "plain"}
    assert pytest.approx(-0.2) == gaps["transformer"].gap
    low, high = gaps["transformer"].gap_interval or (0.0, 0.0)
    assert -1 < low < -0.2 < high <= 0


def test_the_smallest_family_within_a_point_of_the_teacher() -> None:
    """0.7 below: its interval reaches beyond 1 point, so it is not certain."""
    near = made().near
    assert near.rung is not None
    assert ("mlp", "transfer", False) == (near.rung.family, near.rung.kind, near.certain)
    certain = made([trial(0, "transformer", 89.1)]).near
    assert certain.rung is not None
    assert certain.certain


def test_a_smaller_student_than_the_best_of_its_family_is_named() -> None:
    """It has a row of its own, and no part in what distillation brought."""
    small = Outcome(9, {}, {"accuracy": 88.3, "params": 60_000.0}, TRIALS[3].settings, complete=True)
    scores = {one.number: float(one.values["accuracy"] or 0.0) for one in [*TRIALS, small]} | {TEACHER: 89.2}
    chosen = [*choose(TRIALS, "accuracy"), Chosen("mlp", "transfer", (small,), is_smallest=True)]
    found = ladder(chosen, Frame("toy", "accuracy", "params", {VALIDATION: known(scores)}))
    assert found.near.rung is not None
    assert ((9,), True) == (found.near.rung.numbers, found.near.rung.is_smallest)
    assert made().effects == found.effects


def test_no_family_within_a_point_of_the_teacher() -> None:
    """The closest is named; without a teacher there is none."""
    near = made([trial(0, "transformer", 88.0), trial(1, "mlp", 80.0)]).near
    assert near.rung is None
    assert near.closest is not None
    assert "transformer" == near.closest.family
    assert made(teacher=None).near.closest is None


def test_exactly_a_point_below_is_near() -> None:
    """Whatever the binary digits of 89.2 - 1 are."""
    assert made([trial(0, "transformer", 88.2)]).near.rung is not None


def test_what_distillation_brought() -> None:
    """1 point on 1,000 examples is a difference when the right answers of one include those of the other."""
    found = {(one.kind, one.against): one for one in made().effects}
    assert {("distilled", "plain"), ("transfer", "plain"), ("transfer", "distilled")} == set(found)
    effect = found["distilled", "plain"]
    assert (pytest.approx(1.0), True, False) == (effect.difference, effect.same_settings, effect.tie)


def test_a_difference_within_the_spread_over_seeds_is_a_tie() -> None:
    """Also with other settings, which is said."""
    seeds = [trial(n, "mlp", value, seed=n) for n, value in ((0, 78.0), (1, 82.0), (2, 80.0))]
    distilled = [trial(n, "mlp", value, seed=n, alpha=1.0, learning_rate=0.3) for n, value in ((3, 79.0), (4, 83.0))]
    [effect] = made([*seeds, *distilled]).effects
    assert (pytest.approx(1.0), True, False) == (effect.difference, effect.tie, effect.same_settings)


def test_the_report_split_decides_once_every_row_is_scored_there() -> None:
    """The rows stay those that were chosen on the validation split."""
    scores = {0: 89.0, 1: 79.0, 2: 80.0, 3: 84.0, 4: 81.5}
    assert VALIDATION == made(report=known(scores)).split
    found = made(report=known({**scores, TEACHER: 89.0}))
    assert REPORT == found.split
    assert found.near.rung is not None
    assert "transformer" == found.near.rung.family
    assert [4, 1, 2, 3, 0] == [one.numbers[0] for one in found.rungs]
    assert {VALIDATION: 1000, REPORT: 1000} == found.examples


@pytest.mark.parametrize(("teacher", "weak"), [(89.2, False), (82.1, True), (81.0, True)])
@pytest.mark.parametrize("predicted", [True, False])
def test_a_teacher_no_better_than_a_plain_student_is_weak(teacher: float, weak: bool, predicted: bool) -> None:
    """The best one is named; an encoder, which starts from the teacher, and what is distilled do not count."""
    scores = {one.number: float(one.values["accuracy"] or 0.0) for one in TRIALS} | {TEACHER: teacher}
    splits = {VALIDATION: known(scores, predicted=predicted)}
    rival = ladder(choose(TRIALS, "accuracy"), Frame("toy", "accuracy", "params", splits)).rival
    if predicted or teacher != 82.1:  # without predictions there is no interval, and 0.1 below is below
        assert ("linear" if weak else None) == (rival and rival.family)
    else:
        assert rival is None


def test_a_ladder_without_predictions() -> None:
    """No interval of a difference, and so no certainty."""
    scores = {one.number: float(one.values["accuracy"] or 0.0) for one in TRIALS} | {TEACHER: 89.2}
    splits = {VALIDATION: known(scores, predicted=False)}
    found = ladder(choose(TRIALS, "accuracy"), Frame("toy", "accuracy", "params", splits))
    assert found.near.rung is not None
    assert found.near.certain is None
    assert [None] * 3 == [one.tie for one in found.effects]
