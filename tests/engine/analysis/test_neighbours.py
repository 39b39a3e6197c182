"""A guess from the nearest trials: what is near, how it is weighted, and when there is nothing to guess from."""

from __future__ import annotations

from typing import Any

import pytest

from bertdistill.engine.analysis.neighbours import Neighbour, expected, nearest
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.study.space import Parameter
from bertdistill.engine.study.student import params_of
from bertdistill.store.rows import Trial, TrialState

SPACE = (
    Parameter("layers", "int", low=1, high=5),
    Parameter("learning_rate", "float", low=1e-5, high=1e-3, log=True),
    Parameter("layer_choice", "choice", choices=("first", "even")),
)


def trial(number: int, score: float | None, state: TrialState = TrialState.COMPLETE, **params: Any) -> Trial:
    metrics = {} if score is None else {"accuracy": score}
    return Trial(study_id=1, number=number, state=state, params=params, metrics=metrics, created_at=0.0)


def test_the_nearest_come_first() -> None:
    """Along a logarithmic axis ratios count; another word is a whole axis away; unfinished trials are left out."""
    here = Settings(layers=3, learning_rate=1e-4, layer_choice="first")
    trials = [
        trial(0, 50.0, layers=3, learning_rate=1e-4, layer_choice="even"),
        trial(1, 60.0, layers=3, learning_rate=1e-3, layer_choice="first"),
        trial(2, 70.0, layers=4, learning_rate=1e-4, layer_choice="first"),
        trial(3, 80.0, TrialState.RUNNING, layers=3, learning_rate=1e-4, layer_choice="first"),
        trial(4, None, layers=3, learning_rate=1e-4, layer_choice="first"),
        trial(5, 90.0, layers=1, learning_rate=1e-5, layer_choice="even"),
    ]
    found = nearest(SPACE, trials, params_of(SPACE, here), "accuracy")
    assert [2, 1, 0] == [one.number for one in found]
    assert [0.25 / 3**0.5, 0.5 / 3**0.5, 1 / 3**0.5] == pytest.approx([one.distance for one in found])


def test_an_inactive_parameter_is_a_whole_axis_away() -> None:
    """A condition that does not hold in one of two trials keeps them apart, in both not."""
    space = (*SPACE[:1], Parameter("head_seed", "int", low=0, high=9, when={"layers": (1, 2)}))
    with_it, without = trial(0, 1.0, layers=2, head_seed=4), trial(1, 2.0, layers=3)
    found = nearest(space, [with_it, without], params_of(space, Settings(layers=3, head_seed=4)), "accuracy")
    assert [(1, 0.0), (0, pytest.approx(((0.25**2 + 1) / 2) ** 0.5))] == [(one.number, one.distance) for one in found]


def test_the_guess_leans_on_the_nearest() -> None:
    """Weights fall with the square of the distance; the same settings decide alone; nothing is nothing."""
    assert (1 * 10 + 0.25 * 20) / 1.25 == pytest.approx(expected([Neighbour(0, 0.1, 10.0), Neighbour(1, 0.2, 20.0)]))
    assert 10.0 == pytest.approx(expected([Neighbour(0, 0.0, 10.0), Neighbour(1, 0.5, 90.0)]), abs=0.01)
    assert expected([]) is None
