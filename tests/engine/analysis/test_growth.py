"""The hypervolume after each trial, over trials and over worker time."""

from __future__ import annotations

import pytest

from bertdistill.engine.analysis.growth import growth, last_gain
from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.pareto.frontier import Objective, hypervolume, oriented, shares, unit_points

OBJECTIVES = (Objective("exact", "maximize"), Objective("search_loss", "minimize"))


def ended(number: int, exact: float, loss: float, *, at: float, hours: float = 1.0, feasible: bool = True) -> Outcome:
    """A complete trial."""
    values = {"exact": exact, "search_loss": loss}
    return Outcome(number, {}, values, complete=True, feasible=feasible, finished_at=at, hours=hours)


def test_steps_follow_the_ends_of_the_trials() -> None:
    """Not their numbers; worker time adds up, also over a trial that gained nothing because it failed."""
    failed = Outcome(2, {}, {"exact": None}, finished_at=25.0, hours=0.5)
    running = Outcome(3, {}, {"exact": 99.0}, hours=9.0)
    steps = growth([ended(0, 50, 2, at=30), ended(1, 60, 3, at=20), failed, running], OBJECTIVES)
    assert [1, 2, 0] == [step.number for step in steps]
    assert [1.0, 1.5, 2.5] == [step.worker_hours for step in steps]
    assert [1, 2, 3] == [step.trials for step in steps]
    assert [True, None, True] == [step.gain and step.gain > 0 for step in steps]


def test_the_last_step_is_the_hypervolume() -> None:
    """The gains add up to what all feasible trials cover together."""
    trials = [ended(i, 40 + 7 * i % 30, 3 - 0.2 * i, at=i) for i in range(8)]
    points = [oriented(one.values, OBJECTIVES) for one in trials]
    steps = growth(trials, OBJECTIVES)
    covered = hypervolume(unit_points(points, OBJECTIVES), (1.0, 1.0))
    assert pytest.approx(covered) == steps[-1].hypervolume
    assert pytest.approx(steps[-1].hypervolume) == sum(step.gain or 0.0 for step in steps)
    assert pytest.approx(sum(shares(points, OBJECTIVES))) == steps[-1].hypervolume


def test_a_trial_under_a_threshold_has_no_gain() -> None:
    """None rather than zero: it was not counted."""
    steps = growth([ended(0, 50, 2, at=1), ended(1, 1, 1, at=2, feasible=False)], OBJECTIVES)
    assert steps[1].gain is None
    assert steps[0].hypervolume == steps[1].hypervolume


def test_how_long_nothing_was_gained() -> None:
    """Counted in trials; nothing ever gained is no number."""
    steps = growth([ended(0, 50, 2, at=1), ended(1, 40, 3, at=2), ended(2, 30, 4, at=3)], OBJECTIVES)
    assert 2 == last_gain(steps)
    assert 0 == last_gain(steps[:1])
    assert last_gain([]) is None


def test_no_trial_ended() -> None:
    """A study that just began."""
    assert [] == growth([], OBJECTIVES)
