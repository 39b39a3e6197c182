"""What of a long history a sampler is given. That a memory changes no proposal is in `test_optimiser`."""

from __future__ import annotations

import copy

from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from bertdistill.engine.search.frozen import most_informative, optuna_trial
from bertdistill.engine.search.past import PastTrial


def test_the_most_informative_trials() -> None:
    """Of many: those that the fewest others dominate, then the newest; few are all told."""

    def point(trial: PastTrial) -> tuple[float | None, ...]:
        return trial.values

    best = [PastTrial({}, "complete", (float(i), float(-i))) for i in range(10)]
    rest = [PastTrial({}, "complete", (50.0 + i, 50.0 + i)) for i in range(500)]
    other = [PastTrial({}, "infeasible"), PastTrial({}, "running")]
    told = [*best, *rest, *other]
    chosen = most_informative(told, point, 40)
    assert all(place in chosen for place in range(10))
    assert 40 == sum(place in chosen for place in range(len(told)))
    assert all(place in chosen for place in range(len(told) - 20, len(told)))
    assert all(place in most_informative(told, point, 512) for place in range(512))


def test_a_long_history_without_a_result_is_its_newest_part() -> None:
    """Nothing can be compared, and nothing fails."""
    told = [PastTrial({}, "infeasible") for _ in range(50)]
    chosen = most_informative(told, lambda trial: trial.values, 10)
    assert list(range(40, 50)) == [place for place in range(50) if place in chosen]


def test_a_copy_of_a_trial_shares_what_never_changes() -> None:
    """Optuna copies each trial that is added to a study, and numbers and marks the copy."""
    shape = {"layers": IntDistribution(1, 6)}
    made = optuna_trial(TrialState.COMPLETE, [1.0], {"layers": 2}, shape)
    made.set_constraint("size", 0.5)
    copied = copy.deepcopy(made)
    copied.number = 7
    copied.set_constraint("runs", -1.0)
    copied.set_user_attr("seen", True)
    assert (-1, {"size": 0.5}, {}) == (made.number, made.constraints, made.user_attrs)
    assert copied.distributions["layers"] is shape["layers"]
