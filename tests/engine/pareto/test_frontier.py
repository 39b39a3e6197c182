"""Dominance, rank and volume against slow definitions, the published table and an independent library."""

from __future__ import annotations

import math
from collections.abc import Sequence

import moocore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertdistill.engine.pareto.frontier import (
    Objective,
    Point,
    dominates,
    feasible,
    gains,
    hypervolume,
    non_dominated,
    oriented,
    ranking,
    ranks,
    reference_point,
    shares,
    unit_points,
)

ACCURACY_AND_SIZE = (Objective("exact", "maximize"), Objective("params", "minimize"))
PUBLISHED = [
    ("baseline", {"exact": 67.07, "params": 66_364_418.0}),
    ("best", {"exact": 70.55, "params": 66_364_418.0}),
    ("6 x 11", {"exact": 70.26, "params": 65_183_618.0}),
    ("4 x 11", {"exact": 66.82, "params": 51_401_474.0}),
]

# Few distinct values, so that ties and duplicates are common.
coordinates = st.integers(0, 6).map(float)


def clouds(width: int) -> st.SearchStrategy[list[Point]]:
    return st.lists(st.tuples(*[coordinates] * width), min_size=1, max_size=25)


def slow_ranks(points: Sequence[Point]) -> list[int]:
    """Peel one frontier after the other, by the definition."""
    left, result, rank = set(range(len(points))), [0] * len(points), 0
    while left:
        front = {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        for i in front:
            result[i] = rank
        left, rank = left - front, rank + 1
    return result


def counted_volume(points: Sequence[Point], reference: Point) -> float:
    """The volume of whole-numbered points by counting unit cells."""
    cells = [()]
    for edge in reference:
        cells = [(*cell, i) for cell in cells for i in range(int(edge))]
    return float(sum(any(all(a <= c for a, c in zip(p, cell, strict=True)) for p in points) for cell in cells))


def test_published_frontier() -> None:
    """The frontier of the four published students is three of them; the baseline is dominated."""
    rows = ranking(PUBLISHED, ACCURACY_AND_SIZE)
    assert ["best", "6 x 11", "4 x 11", "baseline"] == [row.key for row in rows]
    assert [True, True, True, False] == [row.on_frontier for row in rows]
    assert "6 x 11" == rows[-1].dominated_by
    assert [0.0, 0.0, 0.0] == [row.distance for row in rows[:3]]


@given(clouds(2))
def test_ranks_of_two_objectives(points: list[Point]) -> None:
    """The bisection gives the fronts of the definition, duplicates and ties included."""
    assert slow_ranks(points) == ranks(points)


@given(clouds(3))
def test_ranks_of_three_objectives(points: list[Point]) -> None:
    """The general sort gives the fronts of the definition."""
    assert slow_ranks(points) == ranks(points)


@given(clouds(2))
def test_non_dominated_is_rank_zero(points: list[Point]) -> None:
    """A point is on the frontier when no other dominates it."""
    expected = [not any(dominates(q, p) for q in points) for p in points]
    assert expected == non_dominated(points)


def test_no_points() -> None:
    """Empty studies have empty answers."""
    assert [] == ranks([])
    assert [] == ranking([], ACCURACY_AND_SIZE)
    assert 0.0 == hypervolume([], (1.0, 1.0))
    assert [] == shares([], ACCURACY_AND_SIZE)


@given(clouds(2))
def test_volume_by_counting(points: list[Point]) -> None:
    """The sweep gives the area that counting cells gives; points beyond the reference add nothing."""
    assert counted_volume(points, (5.0, 4.0)) == hypervolume(points, (5.0, 4.0))


@given(clouds(2))
def test_volume_against_moocore(points: list[Point]) -> None:
    """The sweep agrees with an independent implementation."""
    expected = moocore.hypervolume([list(p) for p in points], ref=[7.0, 7.0])
    assert pytest.approx(expected) == hypervolume(points, (7.0, 7.0))


@given(clouds(3))
def test_volume_of_three_objectives(points: list[Point]) -> None:
    """Beyond two objectives the volume is still the one that counting gives."""
    assert pytest.approx(counted_volume(points, (4.0, 5.0, 4.0))) == hypervolume(points, (4.0, 5.0, 4.0))


@given(clouds(2))
def test_gains_add_up(points: list[Point]) -> None:
    """Each trial's gain is what it added when it came; together they are the volume."""
    result = gains(points, (7.0, 7.0))
    assert pytest.approx(hypervolume(points, (7.0, 7.0))) == sum(result)
    for i, gain in enumerate(result):
        before, after = hypervolume(points[:i], (7.0, 7.0)), hypervolume(points[: i + 1], (7.0, 7.0))
        assert pytest.approx(after - before) == gain


def test_orientation() -> None:
    """Maximised metrics change sign, so smaller is better everywhere; a missing one is an error."""
    assert (-67.0, 5.0) == oriented({"exact": 67.0, "params": 5.0}, ACCURACY_AND_SIZE)
    with pytest.raises(ValueError, match="no value for params"):
        oriented({"exact": 67.0, "params": None}, ACCURACY_AND_SIZE)
    with pytest.raises(ValueError, match="no value for exact"):
        oriented({"exact": math.nan, "params": 1.0}, ACCURACY_AND_SIZE)


def test_thresholds_are_inclusive() -> None:
    """A value on the threshold is feasible, in both directions; a missing value is not."""
    objectives = (Objective("exact", "maximize", 50.0), Objective("params", "minimize", 10.0))
    assert feasible({"exact": 50.0, "params": 10.0}, objectives)
    assert not feasible({"exact": 49.99, "params": 10.0}, objectives)
    assert not feasible({"exact": 50.0, "params": 10.01}, objectives)
    assert not feasible({"exact": 50.0}, objectives)


def test_infeasible_rows_come_last() -> None:
    """A trial below the threshold is never on the frontier, however small; nearer ones come first."""
    objectives = (Objective("exact", "maximize", 60.0), Objective("params", "minimize"))
    rows = [("far", {"exact": 40.0, "params": 1.0}), ("near", {"exact": 59.0, "params": 9.0}), *PUBLISHED]
    result = ranking(rows, objectives)
    assert ["best", "6 x 11", "4 x 11", "baseline", "near", "far"] == [row.key for row in result]
    assert [False, False] == [row.feasible or row.on_frontier for row in result[-2:]]
    assert 0.0 < result[-2].distance < result[-1].distance


def test_incomplete_rows_are_left_out() -> None:
    """A running trial has no place in the ranked list yet."""
    rows = [*PUBLISHED, ("running", {"exact": None, "params": 1.0})]
    assert "running" not in [row.key for row in ranking(rows, ACCURACY_AND_SIZE)]


def test_sizes_are_compared_by_ratio() -> None:
    """Halving a size is the same distance at 100 million parameters as at 10 million."""
    points = [(-90.0, 1e8), (-80.0, 1e7), (-70.0, 1e6)]
    objectives = (Objective("accuracy", "maximize", 70.0), Objective("params", "minimize", 1e8))
    middle = unit_points(points, objectives)[1]
    assert pytest.approx((0.5, 0.5)) == middle


def test_shares_of_a_full_box_are_one() -> None:
    """One student that is best in everything fills the box; a second extreme cannot raise it."""
    objectives = (Objective("accuracy", "maximize", 50.0), Objective("params", "minimize", 1e8))
    assert pytest.approx(1.0) == sum(shares([(-90.0, 1e6)], objectives))
    assert pytest.approx(1.0) == sum(shares([(-90.0, 1e6), (-60.0, 1e7)], objectives))
    assert sum(shares([(-90.0, 1e8), (-50.0, 1e6)], objectives)) < 0.01


def test_reference_is_the_threshold_or_beyond_the_worst() -> None:
    """Where no threshold is given, extreme points still gain a little."""
    points = [(-90.0, 1e8), (-70.0, 1e6)]
    free = reference_point(points, ACCURACY_AND_SIZE)
    assert pytest.approx((-68.0, 10**8.2)) == free
    bound = reference_point(points, (Objective("exact", "maximize", 60.0), ACCURACY_AND_SIZE[1]))
    assert -60.0 == bound[0]


@given(clouds(2))
def test_ranking_names_who_dominates(points: list[Point]) -> None:
    """Every feasible row off the frontier names a frontier row that dominates it."""
    objectives = (Objective("exact", "maximize"), Objective("f1", "maximize"))
    rows = [(i, {"exact": -p[0], "f1": -p[1]}) for i, p in enumerate(points)]
    result = ranking(rows, objectives)
    frontier = {row.key for row in result if row.on_frontier}
    assert {i for i, rank in enumerate(slow_ranks(points)) if rank == 0} == frontier
    for row in result:
        if row.on_frontier:
            assert row.dominated_by is None
        else:
            assert row.dominated_by in frontier
            assert dominates(points[row.dominated_by or 0], points[row.key])
            assert row.distance > 0


def test_a_constraint_decides_who_is_feasible_and_nothing_else() -> None:
    """Two aims and a latency limit: points have two coordinates, and a slow trial cannot be on the frontier."""
    objectives = (
        Objective("exact", "maximize"),
        Objective("params", "minimize"),
        Objective("latency_ms", "minimize", 10.0, constraint=True),
    )
    rows = [
        ("slow", {"exact": 90.0, "params": 5.0, "latency_ms": 11.0}),
        ("quick", {"exact": 80.0, "params": 5.0, "latency_ms": 1.0}),
        ("quicker", {"exact": 70.0, "params": 5.0, "latency_ms": 0.5}),
    ]
    found = {row.key: (row.on_frontier, row.feasible) for row in ranking(rows, objectives)}
    assert {"slow": (False, False), "quick": (True, True), "quicker": (False, True)} == found
    slower = ("slower", {"exact": 90.0, "params": 5.0, "latency_ms": 21.0})
    far = {row.key: row.distance for row in ranking([*rows, slower], objectives)}
    assert far["slow"] == pytest.approx(math.log10(1.1) / math.log10(42.0))
    assert far["slower"] == pytest.approx(math.log10(2.1) / math.log10(42.0))
    assert (-90.0, 5.0) == oriented(rows[0][1], objectives)
    assert 2 == len(reference_point([(-80.0, 5.0)], objectives))
    assert 0 < sum(shares([(-80.0, 5.0), (-70.0, 4.0)], objectives)) <= 1


def test_dominated_rows_go_by_distance_alone() -> None:
    """A strong row that several others beat by little stands above a weak one that nothing as small beats."""
    objectives = (Objective("exact", "maximize"), Objective("latency_ms", "minimize"))
    values = {"best": (90.0, 50.0), "small": (40.0, 5.0), "a": (89.0, 51.0), "b": (88.0, 52.0), "weak": (20.0, 6.0)}
    rows = [(name, {"exact": exact, "latency_ms": ms}) for name, (exact, ms) in values.items()]
    assert ["best", "small", "a", "b", "weak"] == [row.key for row in ranking(rows, objectives)]


def test_nothing_is_ranked_without_an_objective() -> None:
    """Runs that were only logged: no row, no frontier, no hypervolume."""
    assert [] == ranking([("a", {"loss": 1.0}), ("b", {})], ())
    assert [0.0, 0.0] == shares([(), ()], ())
    assert 0.0 == hypervolume([()], ())
