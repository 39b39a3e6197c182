"""Early stopping: only what cannot reach the frontier at its own size is stopped."""

from __future__ import annotations

from typing import Any

import pytest

from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.runner.stopping import Curve, Finished, from_there, scored, should_stop, upper_quantile

OPTIMIST: dict[str, Any] = {"rule": "frontier", "chance": 0.0, "quantile": 1.0}
OBJECTIVES = (Objective("exact", "maximize"), Objective("params", "minimize"))


def trial(name: str, size: float, *scores: float) -> Finished:
    """A complete trial with evaluations at a quarter, half, three quarters and the end."""
    curve = [((i + 1) / 4, score) for i, score in enumerate(scores)]
    return Finished(name, curve, {"exact": scores[-1], "params": size})


FINISHED = [
    trial("trial 0", 60e6, 40, 55, 65, 70),
    trial("trial 1", 50e6, 35, 50, 62, 66),
    trial("trial 2", 30e6, 20, 35, 45, 50),
    trial("trial 3", 60e6, 38, 50, 60, 63),
]


def ask(curve: Curve, size: float, **more: Any) -> str:
    arguments: dict[str, Any] = {"finished": FINISHED, "objectives": OBJECTIVES, **OPTIMIST, "min_trials": 4}
    arguments |= more
    score = scored(arguments["objectives"])
    return should_stop(curve, {"params": size}, **arguments, score=score)


def test_a_hopeless_trial_is_stopped_with_the_reason() -> None:
    """The largest gain from the half on was 16; 40 + 16 is below trial 1, which is smaller."""
    expected = "exact 40.00 after 50% of the training may reach 56.00; trial 0 has 70.00 and is no larger"
    assert expected == ask([(0.25, 30.0), (0.5, 40.0)], 65e6)
    assert "trial 1 has 66.00" in ask([(0.5, 40.0)], 55e6)


def test_a_small_student_is_not_stopped_for_being_worse_than_large_ones() -> None:
    """At 20 million parameters nothing dominates it, however bad it is."""
    assert "" == ask([(0.5, 5.0)], 20e6)


def test_hope_is_generous() -> None:
    """A trial that would reach the frontier with the best gain seen goes on; one hair below it does not."""
    assert "" == ask([(0.5, 54.01)], 60e6)
    assert "" != ask([(0.5, 53.99)], 60e6)


def test_the_quantile_tempers_hope() -> None:
    """Gains from the half on were 15, 16, 15 and 13: half of them did not exceed 15."""
    assert "may reach 55.00" in ask([(0.5, 40.0)], 65e6, quantile=0.5)
    assert "may reach 56.00" in ask([(0.5, 40.0)], 65e6, quantile=0.9)


def test_it_waits_for_enough_trials() -> None:
    """Before min_trials complete trials with an evaluation at this point, nothing is stopped."""
    assert "" == ask([(0.5, 1.0)], 65e6, min_trials=5)
    assert "" == ask([(0.4, 1.0)], 65e6)
    assert "" != ask([(0.51, 1.0)], 65e6)


def test_it_never_stops_a_trial_without_evaluations_or_at_its_end() -> None:
    """Nothing is known before the first evaluation, and nothing is saved after the last."""
    assert "" == ask([], 65e6)
    assert "" == ask([(1.0, 1.0)], 65e6)
    assert "" == ask([(0.5, float("nan"))], 65e6)


def test_infeasible_trials_do_not_stop_others() -> None:
    """A trial below its threshold is not on the frontier."""
    small = trial("tiny", 1e6, 10, 20, 45, 49)
    strict = (Objective("exact", "maximize", 50.0), OBJECTIVES[1])
    assert "tiny" in ask([(0.5, 10.0)], 20e6, finished=[*FINISHED, small])
    assert "" == ask([(0.5, 10.0)], 20e6, finished=[*FINISHED, small], objectives=strict)


def test_other_measured_objectives_switch_the_rule_off() -> None:
    """Latency is not known before training, so no trial can be judged early."""
    objectives = (*OBJECTIVES, Objective("latency_ms", "minimize"))
    assert "" == ask([(0.5, 1.0)], 65e6, objectives=objectives)
    assert "" == ask([(0.5, 1.0)], 65e6, objectives=(OBJECTIVES[0], Objective("f1", "maximize")))


def test_a_size_that_is_not_known_switches_the_rule_off() -> None:
    """The rule never guesses a size."""
    assert "" == should_stop([(0.5, 1.0)], {}, FINISHED, OBJECTIVES, **OPTIMIST, min_trials=1, score=OBJECTIVES[0])


def test_losses_fall() -> None:
    """For a score that is minimised, hope is a fall."""
    objectives = (Objective("search_loss", "minimize"), OBJECTIVES[1])
    finished = [Finished("trial 0", [(0.5, 2.0), (1.0, 1.0)], {"search_loss": 1.0, "params": 1e6})]
    assert "" == should_stop(
        [(0.5, 1.9)], {"params": 2e6}, finished, objectives, **OPTIMIST, min_trials=1, score=scored(objectives)
    )
    reason = should_stop(
        [(0.5, 2.5)], {"params": 2e6}, finished, objectives, **OPTIMIST, min_trials=1, score=scored(objectives)
    )
    assert (
        "search_loss 2.5000 after 50% of the training may reach 1.5000; trial 0 has 1.0000 and is no larger" == reason
    )


def test_a_score_that_fell_gives_no_hope_of_less() -> None:
    """Where all earlier trials got worse, the optimistic rest is 0, not a loss."""
    falling = [trial(f"trial {i}", 60e6, 50, 60, 55, 52) for i in range(4)]
    assert "may reach 51.00" in ask([(0.5, 51.0)], 65e6, finished=falling)


@pytest.mark.parametrize(("quantile", "value"), [(0.1, 1.0), (0.5, 5.0), (0.9, 9.0), (0.91, 10.0), (1.0, 10.0)])
def test_quantiles(quantile: float, value: float) -> None:
    """The smallest value that this share does not exceed."""
    assert value == upper_quantile([float(i) for i in range(10, 0, -1)], quantile)


def test_a_trial_evaluated_elsewhere_says_nothing_about_a_point() -> None:
    """Only evaluations at the same point are compared."""
    assert (55.0, 70.0) == from_there(FINISHED[0], 0.5, OBJECTIVES[0])
    assert from_there(FINISHED[0], 0.4, OBJECTIVES[0]) is None


def test_the_forecast_stops_what_is_unlikely_to_pass() -> None:
    """Trials gained 15, 16, 15 and 13 from the half on: 45 ends near 60, far below 70; 53 may pass 66."""
    forecast: dict[str, Any] = {"rule": "forecast", "chance": 0.05}
    why = ask([(0.5, 45.0)], 65e6, **forecast)
    assert "exact 45.00 after 50% of the training is expected to reach 59.76" in why
    assert "trial 0 has 70.00 and is no larger (chance to pass it: " in why
    assert "" == ask([(0.5, 53.0)], 55e6, **forecast)
    assert "" == ask([(0.5, 5.0)], 20e6, **forecast), "at this size there is nothing to pass"
    assert "" == ask([(0.5, 45.0)], 65e6, **forecast, min_trials=5), "too few have been seen"


def test_a_forecast_of_losses_is_that_of_scores_upside_down() -> None:
    """What falls is predicted like what rises."""
    objectives = (Objective("search_loss", "minimize"), OBJECTIVES[1])
    turned = [
        Finished(
            one.name,
            [(at, -v) for at, v in one.curve],
            {"search_loss": -one.curve[-1][1], "params": one.values["params"]},
        )
        for one in FINISHED
    ]
    more = {"rule": "forecast", "chance": 0.05, "finished": turned, "objectives": objectives}
    assert "is expected to reach -59.7639" in ask([(0.5, -45.0)], 65e6, **more)
    assert "" == ask([(0.5, -53.0)], 55e6, **more)
