"""Places of trials along parameters and objectives."""

from __future__ import annotations

import math

import pytest
from tests.spaces import parse_search

from bertdistill.engine.analysis.coordinates import (
    Axis,
    Stretch,
    metric_axis,
    parallel,
    parameter_axis,
    slices,
    stretches,
)
from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.space import Parameter, Value

SPACE = parse_search(
    {
        "layers": {"low": 1, "high": 5},
        "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "layer_choice": {"choices": ["first", "even"]},
        "head_choice": {"choices": ["random", "importance"], "when": {"layer_choice": ["even"]}},
    }
)
OBJECTIVES = (Objective("exact", "maximize"), Objective("params", "minimize"))


def trial(number: int, exact: float | None, params: float, *, frontier: bool = False, **given: Value) -> Outcome:
    """A complete trial."""
    values = {"exact": exact, "params": params}
    return Outcome(number, given, values, complete=True, frontier=frontier, feasible=True)


TRIALS = [
    trial(0, 60.0, 1e7, frontier=True, layers=5, learning_rate=1e-4, layer_choice="first"),
    trial(1, 50.0, 1e6, layers=1, learning_rate=1e-3, layer_choice="even", head_choice="importance"),
    trial(2, 40.0, 2e6, layers=3, learning_rate=1e-5, layer_choice="first"),
    Outcome(3, {"layers": 2}, {"params": 5e6}),
]


@pytest.mark.parametrize(("value", "place"), [(1e-5, 0.0), (1e-4, 0.5), (1e-3, 1.0)])
def test_a_logarithmic_parameter_has_a_logarithmic_axis(value: float, place: float) -> None:
    """Ratios are distances."""
    assert pytest.approx(place) == parameter_axis(SPACE[1], [value]).place(value)


def test_numeric_choices_lie_in_their_order_and_evenly() -> None:
    """16, 32 and 128 are three steps, whatever the order in the file."""
    axis = parameter_axis(Parameter("batch_size", "choice", choices=(32, 128, 16)), [])
    assert [0.0, 0.5, 1.0] == [axis.place(value) for value in (16, 32, 128)]


def test_a_parameter_of_one_family_has_an_axis_of_its_own() -> None:
    """Lines and slices of trials of other families leave it out."""
    space = parse_search({"mlp": {"hidden_size": {"choices": [16, 32]}}, "layers": {"low": 1, "high": 5}})
    small = Outcome(4, {"mlp.hidden_size": 32}, {"exact": 30.0, "params": 1e5}, complete=True)
    found = parallel([*TRIALS, small], space, OBJECTIVES, params=["mlp.hidden_size", "layers"])
    assert ["mlp.hidden_size", "layers", "exact", "params"] == [axis.name for axis in found.axes]
    places = {line.number: line.places[:2] for line in found.lines}
    assert ((1.0, None), (None, 1.0)) == (places[4], places[0])
    assert [1, 3] == [len(one.points) for one in slices([*TRIALS, small], space, OBJECTIVES[0])]


def test_words_lie_in_the_order_of_the_file() -> None:
    """An unknown word has no place; one that a baseline used gets one at the end."""
    axis = parameter_axis(SPACE[2], ["even", "list"])
    assert [0.0, 0.5, 1.0, None] == [axis.place(word) for word in ("first", "even", "list", "odd")]


def test_values_outside_of_the_range_widen_the_axis() -> None:
    """A baseline of 12 layers in a search over 1 to 5."""
    axis = parameter_axis(SPACE[0], [12, 3])
    assert (1.0, 12.0, 1.0) == (axis.low, axis.high, axis.place(12))


def test_places_of_odd_values() -> None:
    """No value, no number, no logarithm: no place. A constant lies in the middle."""
    axis = Axis("params", "number", 1.0, 10.0, log=True)
    assert [None] * 4 == [axis.place(value) for value in (None, math.nan, -1.0, "text")]
    assert 0.5 == Axis("exact", "number", 3.0, 3.0).place(3.0)
    assert 0.5 == Axis("a", "choice", choices=("only",)).place("only")


def test_axes_of_metrics_are_logarithmic_only_for_sizes_that_spread() -> None:
    """Ten times and more; a score never is; no value at all does no harm."""
    assert metric_axis("params", [1e6, 2e7]).log
    assert not metric_axis("params", [1e6, 2e6]).log
    assert not metric_axis("exact", [1.0, 90.0]).log
    assert (0.0, 0.0) == (metric_axis("exact", [None]).low, metric_axis("exact", [None]).high)


def test_parallel_coordinates_hold_complete_trials_frontier_last() -> None:
    """An inactive parameter has no place; objectives say which way is better."""
    found = parallel(TRIALS, SPACE, OBJECTIVES)
    assert [*(p.name for p in SPACE), "exact", "params"] == [axis.name for axis in found.axes]
    assert [None] * 4 + ["maximize", "minimize"] == [axis.better for axis in found.axes]
    assert [1, 2, 0] == [line.number for line in found.lines]
    assert (1.0, pytest.approx(0.5), 0.0, None, 1.0, 1.0) == found.lines[2].places
    assert (0.0, 1.0, 1.0, 1.0, pytest.approx(0.5), 0.0) == found.lines[0].places


def test_parallel_coordinates_of_what_is_named() -> None:
    """In the order that was asked for."""
    found = parallel(TRIALS, SPACE, OBJECTIVES, params=["layer_choice"], metrics=["params"])
    assert ["layer_choice", "params"] == [axis.name for axis in found.axes]


def test_slices_leave_out_trials_in_which_the_parameter_is_inactive() -> None:
    """Points are ordered along the parameter."""
    layers, _, _, heads = slices(TRIALS, SPACE, OBJECTIVES[0])
    assert [(1, 1, 50.0), (2, 3, 40.0), (0, 5, 60.0)] == [(p.number, p.value, p.score) for p in layers.points]
    assert [1] == [p.number for p in heads.points]


def test_few_values_are_stretches_of_their_own() -> None:
    """With the number, best and median of their trials."""
    found = slices([*TRIALS, trial(4, 70.0, 1e6, layers=3)], SPACE, OBJECTIVES[0])[0]
    assert Stretch(3, 3, 2, 70.0, 55.0, 4) == stretches(found)[1]


@pytest.mark.parametrize("count", [6, 7, 23, 100])
def test_many_values_are_joined_evenly(count: int) -> None:
    """At most five parts, none of them empty, no trial lost, neighbours in order."""
    trials = [trial(i, float(i), 1e6, learning_rate=1e-5 * 10 ** (2 * i / count)) for i in range(count)]
    parts = stretches(slices(trials, SPACE, OBJECTIVES[0])[1])
    assert 5 == len(parts)
    assert count == sum(part.trials for part in parts)
    assert max(part.trials for part in parts) - min(part.trials for part in parts) <= 1
    ends = [float(end) for part in parts for end in (part.low, part.high)]
    assert sorted(ends) == ends


def test_the_best_of_a_minimised_objective_is_the_lowest() -> None:
    """Direction decides."""
    part = stretches(slices(TRIALS, SPACE, OBJECTIVES[1])[2])[0]
    assert (2e6, 2) == (part.best, part.best_number)
