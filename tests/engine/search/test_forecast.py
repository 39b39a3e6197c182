"""The predicted end of a curve."""

from __future__ import annotations

import random

import pytest

from bertdistill.engine.search.forecast import Ending, ending


def test_equal_gains_are_expected_again() -> None:
    """Everything gained 10; the spread is not taken for zero because few agree."""
    found = ending(55.0, [(40.0, 50.0), (50.0, 60.0), (60.0, 70.0), (70.0, 80.0)])
    assert 65.0 == pytest.approx(found.mean)
    assert 0.5 < found.sd < 2.0
    assert 0.5 == pytest.approx(found.chance_above(65.0))


def test_who_is_behind_catches_up_and_nobody_falls_behind_for_being_ahead() -> None:
    """A chance-level start gains more; a slope beyond that would let the better trial end worse."""
    seen = [(50.0, 80.0), (52.0, 80.0), (70.0, 82.0), (78.0, 84.0), (80.0, 84.0)]
    low, high = ending(50.0, seen), ending(80.0, seen)
    assert low.mean - 50 > high.mean - 80 + 10
    assert low.mean < high.mean
    steeper = [(50.0, 90.0), (60.0, 85.0), (70.0, 80.0), (80.0, 75.0)]
    assert ending(50.0, steeper).mean <= ending(80.0, steeper).mean


@pytest.mark.parametrize(("freedom", "far", "above"), [(3.0, 2.353, 0.05), (10.0, 1.812, 0.05), (2.0, 1.886, 0.1)])
def test_the_approximate_tail_is_that_of_student(freedom: float, far: float, above: float) -> None:
    """Quantiles of tables of the t distribution."""
    assert above == pytest.approx(Ending(0.0, 1.0, freedom).chance_above(far), abs=0.02)


def test_its_probabilities_are_kept() -> None:
    """Of curves whose gains are normal, no more end above a height than it says, and not far fewer."""
    dice = random.Random(0)
    said = came = 0.0
    for _ in range(400):
        seen = [(at, at + dice.gauss(5, 2)) for at in (dice.gauss(80, 3) for _ in range(6))]
        value = dice.gauss(80, 3)
        chance = ending(value, seen).chance_above(value + 8)
        said, came = said + chance, came + (dice.gauss(5, 2) > 8)
    assert said / 2 < came < 1.1 * said


def test_identical_curves_are_no_division_by_zero() -> None:
    """Repeats without any difference."""
    assert ending(60.0, [(60.0, 70.0)] * 4).chance_above(65.0) > 0.9
