"""Words for thresholds that are missed."""

from __future__ import annotations

import pytest

from bertdistill.app.views.thresholds import missed_words
from bertdistill.engine.pareto.frontier import Objective

LIMITS = (
    Objective("accuracy", "maximize", 33.0),
    Objective("params", "minimize", 1e6),
    Objective("latency_ms", "minimize"),
)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"accuracy": 33.0, "params": 1e6, "latency_ms": 9.0}, ""),
        ({"accuracy": 31.2, "params": 1e6}, "accuracy 31.20 is 1.80 below the threshold 33.00"),
        (
            {"accuracy": 32.999, "params": 1.25e6},
            "accuracy 33.00 is 0.001 below the threshold 33.00, params 1.25M is 250k above the threshold 1.00M",
        ),
        ({"accuracy": None}, ""),
    ],
)
def test_what_is_missed_and_by_how_much(values: dict[str, float | None], words: str) -> None:
    """On the right side is no miss, and neither is a metric that nobody measured."""
    assert words == missed_words(LIMITS, values)
