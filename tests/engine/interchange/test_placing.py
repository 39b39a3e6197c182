"""Where points of other trackers are put, in one piece and in many."""

from __future__ import annotations

from collections import Counter

import pytest

from bertdistill.engine.interchange.placing import BEYOND, NEGATIVE, Placed, place
from bertdistill.engine.interchange.records import Curve


def steps_of(steps: list[int], piece: int) -> dict[int, float | None]:
    """The value at each step after pieces of that size; the values are 0, 1, 2 … in the order of the source."""
    found: dict[int, float | None] = {}
    last = Placed()
    for start in range(0, len(steps), piece):
        some = steps[start : start + piece]
        values = [float(number) for number in range(start, start + len(some))]
        columns, last = place(Curve("loss", some, values, [0.0] * len(some)), last, 5.0, Counter())
        found |= dict(zip(columns.steps, columns.values, strict=True))
    return found


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ([0, 1, 2], {0: 0.0, 1: 1.0, 2: 2.0}),
        ([0, 0, 0], {0: 0.0, 1: 1.0, 2: 2.0}),
        ([0, 0, 1, 1], {0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0}),
        ([5, 10, 15, 10, 15, 20], {5: 0.0, 10: 3.0, 15: 4.0, 20: 5.0}),
        ([0, 0, 9, 0, 0], {0: 3.0, 1: 4.0, 9: 2.0}),
    ],
)
def test_one_value_for_a_step(steps: list[int], wanted: dict[int, float], piece: int) -> None:
    """Repeated steps follow one another; earlier steps replace what a resumed training had stored."""
    assert wanted == steps_of(steps, piece)


def test_what_is_no_point() -> None:
    """Steps outside of our range are counted, values that are not finite are gaps, times that are none the start."""
    left_out: Counter[str] = Counter()
    values = [1.0, None, float("inf"), 10**400, float("nan"), 2.0]
    curve = Curve("loss", [-1, 0, 1, 2, 3, 10**30], values, [1.0, 7.0, float("nan"), -5.0, 1e300, 1.0])
    columns, last = place(curve, Placed(), 5.0, left_out)
    assert ([0, 1, 2, 3], [None] * 4, [7.0, 5.0, 5.0, 5.0]) == (columns.steps, columns.values, columns.times)
    assert {NEGATIVE: 1, BEYOND: 1} == left_out
    assert Placed(3, 3) == last
