"""Limits and ticks are round, spikes survive thinning, smoothing starts at the first value."""

from __future__ import annotations

import math

import pytest

from bertdistill.app.draw.axes import Axis, drawable, number, scale, smooth, ticks


@pytest.mark.parametrize(
    ("values", "log", "expected"),
    [
        ([31e6, 97e6], False, (20e6, 100e6)),
        ([0.013, 0.97], False, (-0.1, 1.0)),
        ([14_000.0, 4_000_000.0], True, (10_000.0, 5_000_000.0)),
    ],
)
def test_limits_are_round(values: list[float], log: bool, expected: tuple[float, float]) -> None:
    """Limits begin with few digits and hold every value."""
    found = scale(values, Axis("", "minimize", log=log))
    assert expected == pytest.approx((found.low, found.high))


def test_limits_stay_when_a_value_moves_a_little() -> None:
    """A chart that grows within its limits keeps them, so its axes are not sent again."""
    seen = {(s.low, s.high) for n in range(20) if (s := scale([3.0, 81.0 + n / 4], Axis("", "maximize")))}
    assert 1 == len(seen)


def test_limits_that_an_axis_cannot_show_are_not_taken() -> None:
    """Those of a zoom from before its axis became logarithmic."""
    found = scale([10.0, 1000.0], Axis("", "minimize", log=True, limits=(0.0, 50.0)))
    assert 0 < found.low <= 10.0
    assert found.high >= 1000.0


def test_a_far_line_stays_outside() -> None:
    """A threshold far off would leave the values no room; a near one is inside."""
    far = scale([1.0, 2.0], Axis("", "minimize", lines=((100.0, "far"),)))
    near = scale([1.0, 2.0], Axis("", "minimize", lines=((2.5, "near"),)))
    assert (False, True) == (far.holds(100.0), near.holds(2.5))


@pytest.mark.parametrize("values", [[5.0], [0.0], [-1e300, 1e300], [1e16, 1e16 + 2], [1e-300], [5e-324, 1.0]])
@pytest.mark.parametrize("log", [False, True])
def test_limits_of_extremes_are_apart(values: list[float], log: bool) -> None:
    """One value, zero, huge and tiny ones still make an axis on which every value has a finite place."""
    kept = [v for v in values if drawable(v, log=log)] or [1.0]
    found = scale(kept, Axis("", "minimize", log=log))
    assert [True] * len(kept) == [0 <= share <= 1 and math.isfinite(share) for share in found.shares(kept)]
    assert all(math.isfinite(t) for t in found.ticks(5))


def test_choices_are_the_ticks() -> None:
    """An axis of words has one tick a word."""
    found = scale([0.0, 2.0], Axis("", "minimize", choices=("none", "even", "first")))
    assert ["none", "even", "first"] == [found.text(t) for t in found.ticks(9)]


def test_a_place_leads_back_to_its_value() -> None:
    """`value` is the inverse of `share`, on a log axis too."""
    found = scale([1e3, 1e6], Axis("", "minimize", log=True))
    assert pytest.approx(5e4) == found.value(found.share(5e4))


def test_small_ticks_are_kept_apart() -> None:
    """Ticks far below one are not rounded to zero."""
    assert [0.0, 1e-13, 2e-13] == ticks(0.0, 2e-13, 2)


def test_numbers_read_as_a_person_writes_them() -> None:
    """No exponent where digits are short."""
    assert ["12k", "0.25", "10M", "2e-05", "0"] == [number(v) for v in (12000.0, 0.25, 1e7, 2e-5, 0.0)]


def test_smoothing_starts_at_the_first_value() -> None:
    """The moving average is divided by its weights: a constant stays what it is from its first point."""
    smoothed = smooth([(0.0, 3.0), (1.0, 3.0), (2.0, 3.0)], 0.9)
    assert [0.0, 1.0, 2.0] == [step for step, _ in smoothed]
    assert [3.0, 3.0, 3.0] == pytest.approx([value for _, value in smoothed])


def test_smoothing_weighs_the_past() -> None:
    """Two values with weight 0.5: the second counts twice the first."""
    assert pytest.approx(2.0) == smooth([(0.0, 0.0), (1.0, 3.0)], 0.5)[1][1]


@pytest.mark.parametrize("weight", [0.0, 1.0, -1.0, math.nan])
def test_no_smoothing_leaves_the_values(weight: float) -> None:
    """Weights outside of 0 to 1 change nothing."""
    assert [(0.0, 1.0), (1.0, 5.0)] == smooth([(0.0, 1.0), (1.0, 5.0)], weight)
