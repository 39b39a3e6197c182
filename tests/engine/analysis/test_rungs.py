"""Which trials stand on the ladder."""

from __future__ import annotations

from typing import Any

import pytest
from tests import two_layers

from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.analysis.rungs import choose, kind_of, smallest_near
from bertdistill.engine.families.table import FAMILIES


def trial(number: int, accuracy: float | None, **settings: Any) -> Outcome:
    """A complete trial."""
    return Outcome(number, {}, {"accuracy": accuracy}, {"family": "transformer", "seed": 1, **settings}, complete=True)


def numbers(outcomes: list[Outcome]) -> dict[tuple[str, str], list[int]]:
    """Trials by family and kind."""
    return {(one.family, one.kind): [t.number for t in one.trials] for one in choose(outcomes, "accuracy")}


def test_the_best_of_every_family_and_kind() -> None:
    """A transfer set counts only for a student that reads the teacher's outputs."""
    found = numbers(
        [
            trial(0, 80.0, alpha=0.0, family="tagger"),
            trial(1, 81.0, alpha=0.0, transfer_share=0.5, family="tagger"),
            trial(2, 79.0, alpha=0.5, family="tagger"),
            trial(3, 82.0, alpha=0.5, transfer_share=0.5, family="tagger"),
            trial(4, 70.0, alpha=0.0, family="other"),
        ]
    )
    expected = {
        ("tagger", "plain"): [1],
        ("tagger", "distilled"): [2],
        ("tagger", "transfer"): [3],
        ("other", "plain"): [4],
    }
    assert expected == found


def test_the_smallest_near_the_teacher_is_sought_among_all_trials() -> None:
    """Also where a larger student of the same family is better; the mean over its seeds counts."""

    def sized(number: int, accuracy: float, params: float | None, **settings: Any) -> Outcome:
        values = {"accuracy": accuracy, "params": params}
        return Outcome(number, {}, values, {"family": "tagger", "seed": 1, **settings}, complete=True)

    trials = [sized(0, 89.0, 9e6), sized(1, 88.5, 2e6, layers=2), sized(2, 88.4, None, layers=3)]
    trials += [sized(3, 88.2, 1e6, layers=1), sized(4, 87.0, 1e6, layers=1, seed=2), sized(5, 70.0, 1e3, layers=0)]
    found = smallest_near(trials, "accuracy", "params", least=88.0)
    assert found is not None
    assert ((1,), True) == (tuple(one.number for one in found.trials), found.is_smallest)
    assert smallest_near(trials, "accuracy", "params", least=90.0) is None


def test_repeats_differ_in_their_seed_only() -> None:
    """The best one leads; another learning rate is another student, and a seed that ran twice counts once."""
    found = numbers(
        [
            trial(0, 80.0, seed=1, learning_rate=0.1),
            trial(1, 82.0, seed=2, learning_rate=0.1),
            trial(2, 81.0, seed=3, learning_rate=0.1),
            trial(3, 80.5, seed=2, learning_rate=0.2),
            trial(4, 81.0, seed=3, learning_rate=0.1),
        ]
    )
    assert {("transformer", "plain"): [1, 2, 0]} == found


def test_a_lucky_seed_puts_no_student_on_a_rung() -> None:
    """The mean over the seeds of a student decides, whatever its best trial scored."""
    lucky = [trial(seed, score, seed=seed, layers=2) for seed, score in enumerate((85.0, 79.0, 79.0))]
    steady = [trial(3 + seed, score, seed=seed, layers=3) for seed, score in enumerate((82.0, 83.0, 82.0))]
    assert {("transformer", "plain"): [4, 3, 5]} == numbers(lucky + steady)


def test_repeats_may_differ_in_what_has_no_effect() -> None:
    """Without the teacher the transfer set is not used, and a bag of words has no layers."""
    [row] = choose(
        [
            trial(0, 80.0, family="mlp", seed=1, alpha=0.0, transfer_share=0.0),
            trial(1, 82.0, family="mlp", seed=2, alpha=0.0, transfer_share=0.5, temperature=4.0),
            trial(2, 81.0, family="mlp", seed=3, alpha=0.0, layers=3),
        ],
        "accuracy",
    )
    assert [1, 2, 0] == [one.number for one in row.trials]


def test_equal_scores_are_led_by_the_earliest_trial() -> None:
    """Whatever order they come in."""
    assert {("transformer", "plain"): [1]} == numbers([trial(4, 80.0, layers=2), trial(1, 80.0, layers=1)])


def test_unfinished_unscored_and_foreign_trials_stand_on_no_rung() -> None:
    """A logged run without a family cannot be placed."""
    running = Outcome(0, {}, {"accuracy": 90.0}, {"family": "transformer"})
    assert {} == numbers([running, trial(1, None), trial(2, float("nan")), trial(3, 90.0, family="")])


def test_a_loss_is_best_when_smallest() -> None:
    """The direction is the caller's."""
    [rung] = choose([trial(0, 0.5), trial(1, 0.4, layers=1)], "accuracy", largest=False)
    assert 1 == rung.best.number


def test_a_setting_that_the_family_ignores_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family that cannot use the teacher's outputs has only plain students."""
    hard_only = two_layers.TwoLayers(settings=two_layers.TwoLayers().settings - {"alpha"})
    monkeypatch.setitem(FAMILIES, two_layers.NAME, hard_only)
    assert "plain" == kind_of({"family": two_layers.NAME, "alpha": 0.5})
    assert "distilled" == kind_of({"family": "transformer", "alpha": 0.5})
