"""The published points: complete, and what they kept of their own teachers."""

from __future__ import annotations

import pytest

from bertdistill.engine.analysis.published import PUBLISHED, data_sets, kept, points_of


def test_every_point_can_be_drawn() -> None:
    assert all(one.compression >= 1 and 0 < one.score <= 100 and one.paper and one.split for one in PUBLISHED)
    assert len(PUBLISHED) == len({(one.method, one.base, one.data, one.metric, one.compression) for one in PUBLISHED})


def test_teachers_are_no_points() -> None:
    assert all(one.method != "teacher" for data in data_sets() for one in points_of(data))


def test_what_was_kept_is_of_the_same_split_and_metric() -> None:
    found = {one.method: kept(one) for one in points_of("SST-2")}
    assert found["PKD, 6 layers"] == pytest.approx(100 * 92.0 / 93.5)
    assert found["RPP, 59.3 %"] is None, "its teacher's score on that split is not published with it"
