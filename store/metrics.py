"""Metric series: storing points with their rollups, and reading a long curve in a few columns.

It does not define which series exist or what a value means. Hand-written SQL, because an ORM is 14 times slower here.

Summaries are exact by construction: a bucket is recomputed from its points, and a series from its buckets, whenever one
of its points is written. So a line read twice, or a step reported again by a resumed attempt, changes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bertdistill.store.db import Reading

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

BUCKET = 1000
"""Steps per rollup row."""
SCAN_BUCKETS = 50
"""Curves over at most this many buckets are read from their points (at most 20 ms), longer ones from the rollups."""

Point = tuple[str, int, float | None, float]
"""Series name, step, value (None: not finite), Unix time."""

_UPSERT = """
INSERT INTO metric (series_id, step, value, time) VALUES (?, ?, ?, ?)
ON CONFLICT (series_id, step) DO UPDATE SET value = excluded.value, time = excluded.time
"""
_ROLL_UP = f"""
INSERT OR REPLACE INTO metric_rollup
    (series_id, bucket, points, not_finite, min_value, max_value, sum_value, last_value, last_time)
SELECT ?1, ?2, count(value), count(*) - count(value), min(value), max(value), total(value),
    (SELECT value FROM metric WHERE series_id = ?1 AND step BETWEEN ?2 * {BUCKET} AND ?2 * {BUCKET} + {BUCKET - 1}
        AND value IS NOT NULL ORDER BY step DESC LIMIT 1),
    (SELECT time FROM metric WHERE series_id = ?1 AND step < (?2 + 1) * {BUCKET} ORDER BY step DESC LIMIT 1)
FROM metric WHERE series_id = ?1 AND step BETWEEN ?2 * {BUCKET} AND ?2 * {BUCKET} + {BUCKET - 1}
"""
_SUM_UP = """
UPDATE series SET (points, not_finite, min_value, max_value) =
        (SELECT sum(points) + sum(not_finite), sum(not_finite), min(min_value), max(max_value)
         FROM metric_rollup WHERE series_id = series.id),
    (last_step, last_value) = (SELECT step, value FROM metric WHERE series_id = series.id ORDER BY step DESC LIMIT 1)
WHERE id = ?
"""


@dataclass(frozen=True)
class Points:
    """Points of one trial (0: the study's preparation), and the row ids of its existing series."""

    study_id: int
    trial_id: int
    points: Sequence[Point]
    series: Mapping[str, int] = field(default_factory=dict)


def store_points(session: Writing, study_id: int, trial_id: int, points: Sequence[Point]) -> None:
    """`store_all` for the points of one trial."""
    store_all(session, [Points(study_id, trial_id, points)])


def store_all(session: Writing, reported: Sequence[Points]) -> None:
    """Store or replace points and update their rollup and series rows.

    Of two points with the same series and step, the later one wins. Steps are integers from 0, values finite or
    None: the caller has checked them.
    """
    rows: list[tuple[int, int, float | None, float]] = []
    for one in reported:
        series_of = _series_ids(session, one)
        rows += [(series_of[name], step, value, time) for name, step, value, time in one.points]
    if not rows:
        return
    session.run(_UPSERT, rows)
    session.run(_ROLL_UP, list({(series_id, step // BUCKET) for series_id, step, _, _ in rows}))
    session.run(_SUM_UP, list({(series_id,) for series_id, _, _, _ in rows}))


def _series_ids(session: Writing, reported: Points) -> Mapping[str, int]:
    """Row ids of the series of these points, which are created if missing."""
    names = {point[0] for point in reported.points}
    if names <= reported.series.keys():
        return reported.series
    session.run(
        "INSERT OR IGNORE INTO series (study_id, trial_id, name, points, not_finite) VALUES (?, ?, ?, 0, 0)",
        [(reported.study_id, reported.trial_id, name) for name in sorted(names)],
    )
    query = "SELECT name, id FROM series WHERE study_id = ? AND trial_id = ?"
    return dict(session.rows(query, reported.study_id, reported.trial_id))


@dataclass(frozen=True)
class CurvePoint:
    """One column of a curve: the finite values of the steps up to `step` since the previous column."""

    step: int
    value_min: float
    value_max: float
    value_mean: float
    value_last: float
    time: float


_ENDS = """
SELECT (SELECT min(step) FROM metric WHERE series_id = ?1), (SELECT max(step) FROM metric WHERE series_id = ?1)
"""
_SINGLE = """
SELECT step, value, value, value, value, time FROM metric
WHERE series_id = ? AND step BETWEEN ? AND ? AND value IS NOT NULL ORDER BY step LIMIT ?
"""
_SCANNED = """
WITH part AS (
    SELECT max(step) AS step, min(value) AS low, max(value) AS high, avg(value) AS mean FROM metric
    WHERE series_id = ?1 AND step BETWEEN ?2 AND ?3 AND value IS NOT NULL
    GROUP BY (step - ?2) * ?4 / (?3 - ?2 + 1))
SELECT part.step, low, high, mean, metric.value, metric.time
FROM part JOIN metric ON metric.series_id = ?1 AND metric.step = part.step ORDER BY part.step
"""
_ROLLED = f"""
WITH part AS (
    SELECT max(bucket) AS bucket, min(min_value) AS low, max(max_value) AS high, sum(sum_value) / sum(points) AS mean
    FROM metric_rollup WHERE series_id = ?1 AND bucket BETWEEN ?2 AND ?3 AND points > 0
    GROUP BY (bucket - ?2) * ?4 / (?3 - ?2 + 1))
SELECT min(part.bucket * {BUCKET} + {BUCKET - 1}, ?5), low, high, mean, r.last_value, r.last_time
FROM part JOIN metric_rollup AS r ON r.series_id = ?1 AND r.bucket = part.bucket ORDER BY part.bucket
"""


def curve(
    session: Reading, series_id: int, *, columns: int = 200, first: int | None = None, last: int | None = None
) -> list[CurvePoint]:
    """The curve from step `first` to `last` (inclusive; default: all) in at most `columns` parts, in order.

    Single points if there are few enough. A range of more than 50,000 steps is widened to whole buckets of
    1,000 steps. Parts without a finite value are omitted.
    """
    ((lowest, highest),) = session.rows(_ENDS, series_id)
    if lowest is None:
        return []
    start = lowest if first is None else max(first, lowest)
    end = highest if last is None else min(last, highest)
    if start > end:
        return []
    rows = session.rows(_SINGLE, series_id, start, end, columns + 1)
    if len(rows) > columns:
        low_bucket, high_bucket = start // BUCKET, end // BUCKET
        if high_bucket - low_bucket < SCAN_BUCKETS:
            rows = session.rows(_SCANNED, series_id, start, end, columns)
        else:
            rows = session.rows(_ROLLED, series_id, low_bucket, high_bucket, columns, highest)
    return [CurvePoint(*row) for row in rows]


def points_after(session: Reading, series_id: int, step: int, limit: int) -> list[tuple[int, float | None, float]]:
    """The next points after `step` as (step, value, time), at most `limit`."""
    query = "SELECT step, value, time FROM metric WHERE series_id = ? AND step > ? ORDER BY step LIMIT ?"
    return [(step, value, time) for step, value, time in session.rows(query, series_id, step, limit)]
