"""Repeats stand with their means: a lucky seed is not on the frontier, and an unlucky one does not hide its point."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertdistill.engine.pareto.frontier import Objective, hypervolume, oriented, ranking, shares, unit_points
from bertdistill.engine.pareto.repeats import Measured, gains_in_time, grouped, ranked_rows

AIMS = (Objective("exact", "maximize"), Objective("params", "minimize"))
LUCKY = [
    Measured(0, {"exact": 80.0, "params": 10.0}, "a", 1),
    Measured(1, {"exact": 82.0, "params": 10.0}, "b", 1),
    Measured(2, {"exact": 76.0, "params": 10.0}, "b", 2),
    Measured(3, {"exact": 77.0, "params": 10.0}, "b", 3),
]


def test_a_lucky_seed_is_not_on_the_frontier() -> None:
    """82 is the best score of all, but its point has 78.33 on average, so trial 0 stands there."""
    found = {row.key: row for row in ranked_rows(LUCKY, AIMS)}
    assert {0: True, 1: False, 2: False, 3: False} == {number: row.on_frontier for number, row in found.items()}
    assert {0} == {found[number].dominated_by for number in (1, 2, 3)}
    assert 1 == len({found[number].distance for number in (1, 2, 3)})


def test_a_point_has_means_spreads_and_its_first_trial() -> None:
    """Sizes are equal and keep their exact value; the spread is the sample standard deviation."""
    (alone, point) = grouped(LUCKY, AIMS)
    assert ((0,), 1, {}) == (alone.members, alone.seeds, alone.spreads)
    assert ((1, 2, 3), 1, 3) == (point.members, point.first, point.seeds)
    assert (pytest.approx(78.3333, abs=1e-4), 10.0) == (point.means["exact"], point.means["params"])
    assert {"exact": pytest.approx(3.2146, abs=1e-4)} == point.spreads


def test_a_seed_that_ran_twice_counts_once() -> None:
    """Or a repeat without news would halve the weight of the other seeds."""
    twice = [*LUCKY[1:3], Measured(9, {"exact": 82.0, "params": 10.0}, "b", 1)]
    (point,) = grouped(twice, AIMS)
    assert ((1, 2, 9), 2, 79.0) == (point.members, point.seeds, point.means["exact"])


def test_a_repeat_without_all_objectives_is_not_of_its_point() -> None:
    """It has no rank, and its other values do not move the means."""
    (point,) = grouped([LUCKY[1], Measured(5, {"exact": None, "params": 10.0}, "b", 5)], AIMS)
    assert ((1,), 82.0) == (point.members, point.means["exact"])


def test_an_unlucky_repeat_takes_from_the_hypervolume() -> None:
    """What was gained by luck is given back, and the sum is the volume of the means."""
    others = [Measured(n, {"exact": exact, "params": size}) for n, exact, size in ((7, 60.0, 5.0), (8, 90.0, 20.0))]
    found = gains_in_time([LUCKY[0], *others, *LUCKY[1:]], AIMS)
    assert found[3] > 0 > found[4]
    assert 0.0 == pytest.approx(sum(found[3:]))  # the mean is below trial 0 in the end
    assert sum(found) > 0


def test_a_mean_that_misses_a_threshold_counts_for_nothing() -> None:
    """The first seed alone reached it."""
    aims = (Objective("exact", "maximize", 79.0), AIMS[1])
    found = gains_in_time([LUCKY[0], *LUCKY[1:]], aims)
    assert 0.0 == pytest.approx(sum(found[1:]))


scores = st.integers(0, 4).map(float)
tables = st.lists(st.tuples(scores, scores), min_size=1, max_size=12)


@given(tables)
def test_without_repeats_nothing_changes(values: Sequence[tuple[float, float]]) -> None:
    """Every trial is a point of its own, ranked and valued as ever."""
    rows = [Measured(n, {"exact": a, "params": b + 1}, n, 0) for n, (a, b) in enumerate(values)]
    assert ranking([(row.key, row.values) for row in rows], AIMS) == ranked_rows(rows, AIMS)
    points = [(-a, b + 1) for a, b in values]
    assert shares(points, AIMS) == gains_in_time(rows, AIMS)


@given(st.lists(st.tuples(st.integers(0, 3), scores), min_size=1, max_size=12))
def test_gains_add_up_to_the_volume_of_the_means(values: Sequence[tuple[int, float]]) -> None:
    """Whatever repeats what, in the box of the means: a lucky seed does not widen it for good."""
    rows = [Measured(n, {"exact": a, "params": point + 1.0}, point, n) for n, (point, a) in enumerate(values)]
    means = [oriented(one.means, AIMS) for one in grouped(rows, AIMS)]
    found = gains_in_time(rows, AIMS)
    assert hypervolume(unit_points(means, AIMS), (1.0, 1.0)) == pytest.approx(sum(found))
    assert all(-1e-9 <= volume <= 1 + 1e-9 for volume in accumulate(found))
