"""Points and their summaries agree whatever the order of writing, and long curves are read from few rows."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertdistill.store import reads
from bertdistill.store.db import Database, Reading
from bertdistill.store.metrics import BUCKET, CurvePoint, Point, curve, points_after, store_points
from bertdistill.store.rows import Series, Study, Trial


def only_series(session: Reading, study: Study) -> Series:
    [series] = reads.series(session, study.id, 0)
    return series


def rollups(session: Reading) -> list[tuple[object, ...]]:
    query = """SELECT series_id, bucket, points, not_finite,
        min_value, max_value, round(sum_value, 9), last_value, last_time
        FROM metric_rollup ORDER BY series_id, bucket"""
    return session.rows(query)


def expected_rollups(series_id: int, points: dict[int, tuple[float | None, float]]) -> list[tuple[object, ...]]:
    """The same in plain Python, from what was stored last for every step."""
    rows = []
    for bucket in sorted({step // BUCKET for step in points}):
        inside = [points[step] for step in sorted(points) if step // BUCKET == bucket]
        finite = [value for value, _ in inside if value is not None]
        low, high, last = (min(finite), max(finite), finite[-1]) if finite else (None, None, None)
        missing = len(inside) - len(finite)
        rows.append(
            (series_id, bucket, len(finite), missing, low, high, round(sum(finite), 9), last, float(inside[-1][1]))
        )
    return rows


values = st.none() | st.integers(-1000, 1000).map(lambda number: number / 8)
steps = st.integers(0, 40) | st.integers(990, 1010) | st.integers(2995, 5005)
batches = st.lists(st.lists(st.tuples(steps, values), max_size=12), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=batches)
def test_summaries_equal_the_points_after_any_sequence_of_writes(
    db: Database, study: Study, written: list[list[tuple[int, float | None]]]
) -> None:
    """Repeated steps, gaps, values that are not finite, buckets touched in any order."""
    last: dict[int, tuple[float | None, float]] = {}
    with db.write() as session:
        for table in ("metric", "metric_rollup", "series"):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")
    for clock, batch in enumerate(written):
        with db.write() as session:
            store_points(session, study.id, 0, [("x", step, value, float(clock)) for step, value in batch])
        last.update({step: (value, float(clock)) for step, value in batch})
    with db.read() as session:
        if not last:
            assert [] == reads.series(session, study.id)
            return
        series = only_series(session, study)
        assert expected_rollups(series.id, last) == rollups(session)
    finite = [value for value, _ in last.values() if value is not None]
    assert (len(last), len(last) - len(finite)) == (series.points, series.not_finite)
    assert (max(last), last[max(last)][0]) == (series.last_step, series.last_value)
    assert (min(finite, default=None), max(finite, default=None)) == (series.min_value, series.max_value)


def test_the_same_points_again_change_nothing(db: Database, study: Study, trial: Trial) -> None:
    """A batch whose transaction was lost after its commit is simply repeated."""
    points: list[Point] = [("train/loss", step, 1 / (step + 1), 5.0) for step in range(1500)]
    found = []
    for _ in range(2):
        with db.write() as session:
            store_points(session, study.id, trial.id, points)
        with db.read() as session:
            found.append((rollups(session), reads.series(session, study.id)))
    assert found[0] == found[1]


def test_series_of_trials_and_of_the_preparation_are_kept_apart(db: Database, study: Study, trial: Trial) -> None:
    """The same name may be used by each."""
    with db.write() as session:
        store_points(session, study.id, 0, [("train/loss", 0, 1.0, 1.0)])
        store_points(session, study.id, trial.id, [("train/loss", 0, 2.0, 1.0)])
    with db.read() as session:
        found = {one.trial_id: one.last_value for one in reads.series(session, study.id)}
        assert ["train/loss"] == [one.name for one in reads.series(session, study.id, trial.id)]
    assert {0: 1.0, trial.id: 2.0} == found


def fill(db: Database, study: Study, steps: Iterable[int]) -> int:
    """A series with a value at each step; returns its id."""
    points: list[Point] = [("x", step, math.sin(step / 5000) * 8 + step % 7, step / 10) for step in steps]
    with db.write() as session:
        store_points(session, study.id, 0, points)
        return only_series(session, study).id or 0


def test_a_short_curve_is_every_point_by_itself(db: Database, study: Study) -> None:
    """Values that are not finite are left out."""
    with db.write() as session:
        store_points(session, study.id, 0, [("x", 10, 1.5, 3.0), ("x", 20, None, 4.0), ("x", 500, 2.5, 5.0)])
        series_id = only_series(session, study).id or 0
    with db.read() as session:
        assert [CurvePoint(10, 1.5, 1.5, 1.5, 1.5, 3.0), CurvePoint(500, 2.5, 2.5, 2.5, 2.5, 5.0)] == curve(
            session, series_id
        )
        assert [500] == [one.step for one in curve(session, series_id, first=11)]
        assert [] == curve(session, series_id, first=30, last=40)
        assert [] == curve(session, series_id, first=501)
        assert [] == curve(session, series_id + 1)


@pytest.mark.parametrize("steps", [range(2_000), range(500, 45_000, 3), range(500, 90_000, 7), range(0, 250_000, 3)])
def test_columns_sum_up_what_they_cover(db: Database, study: Study, steps: range) -> None:
    """Minimum, maximum, mean and last of every column, whether read from points or from rollups."""
    series_id = fill(db, study, steps)
    with db.read() as session:
        found = curve(session, series_id, columns=50)
        everything = points_after(session, series_id, -1, 1_000_000)
    assert 25 <= len(found) <= 50
    before = -1
    for column in found:
        inside = [row for row in everything if before < row[0] <= column.step]
        finite = [row[1] for row in inside if row[1] is not None]
        assert (min(finite), max(finite), finite[-1]) == (column.value_min, column.value_max, column.value_last)
        assert math.isclose(sum(finite) / len(finite), column.value_mean, rel_tol=1e-9)
        assert inside[-1][2] == column.time
        before = column.step
    assert everything[-1][0] == found[-1].step


def test_a_window_is_read_finely(db: Database, study: Study) -> None:
    """A zoom into a long curve shows points again, nothing outside the window."""
    series_id = fill(db, study, range(0, 250_000, 3))
    with db.read() as session:
        found = curve(session, series_id, columns=80, first=30_000, last=30_120)
    assert list(range(30_000, 30_121, 3)) == [one.step for one in found]


def test_a_million_points_are_read_from_a_thousand_rows(db: Database, study: Study) -> None:
    """The statements that read a long curve do not touch its points but for the two ends."""
    with db.write() as session:
        run = session.connection().exec_driver_sql
        store_points(session, study.id, 0, [("x", 0, 1.0, 0.0), ("x", 999_999, 1.0, 0.0)])
        run("DELETE FROM metric_rollup")
        run(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT 1000) "
            "INSERT INTO metric_rollup SELECT 1, i, 1000, 0, i, i + 1, i * 1000.0, i, i FROM n"
        )
        run(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300) "
            "INSERT INTO metric SELECT 1, i, 5.0, 0.0 FROM n"
        )
    with db.read() as session:
        found = curve(session, 1, columns=200)
    assert [CurvePoint(4_999, 0.0, 5.0, 2.0, 4.0, 4.0), CurvePoint(9_999, 5.0, 10.0, 7.0, 9.0, 9.0)] == found[:2]
    assert (200, 999_999) == (len(found), found[-1].step)


def test_new_points_are_read_from_where_one_stopped(db: Database, study: Study) -> None:
    """At most as many as asked for, those that are not finite included."""
    fill(db, study, range(10))
    with db.write() as session:
        store_points(session, study.id, 0, [("x", 10, None, time.time())])
        series_id = only_series(session, study).id or 0
    with db.read() as session:
        assert [6, 7] == [row[0] for row in points_after(session, series_id, 5, 2)]
        assert [(9, False), (10, True)] == [(row[0], row[1] is None) for row in points_after(session, series_id, 8, 9)]
