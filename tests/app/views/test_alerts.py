"""Attention is asked for what has just happened, not for what is so."""

from __future__ import annotations

from bertdistill.app.views.alerts import Glance, alerts


def test_ends_and_failures() -> None:
    """A study that appears or is resumed says nothing."""
    before = {"a": Glance("running"), "b": Glance("running", 1), "c": Glance("paused", 3), "gone": Glance("running")}
    after = {"a": Glance("complete"), "b": Glance("running", 3), "c": Glance("running", 0), "new": Glance("failed", 9)}
    assert ["study a is complete", "2 more trials of study b failed"] == alerts(before, after)
    assert [] == alerts(after, after)
    assert ["study x is paused", "1 more trial of study x failed"] == alerts(
        {"x": Glance("running")}, {"x": Glance("paused", 1)}
    )
