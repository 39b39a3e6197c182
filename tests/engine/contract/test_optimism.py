"""Validation minus report, with the noise of both splits."""

from __future__ import annotations

import pytest

from bertdistill.engine.contract.optimism import of_report, optimism

REPORT = {"accuracy_repeated": 88.0, "intervals": {"accuracy": [86.0, 88.0]}, "search_examples": 500}


def test_the_smaller_split_brings_most_of_the_noise() -> None:
    """A validation split of a quarter of the examples has twice the standard deviation: together the root of five."""
    found = optimism(88.0, 87.0, (86.0, 88.0), 500, 2000)
    assert found is not None
    assert (1.0, pytest.approx(1 - 5**0.5), pytest.approx(1 + 5**0.5)) == (found.difference, found.low, found.high)
    assert "+1.00 (-1.24 to +3.24)" == found.words
    assert optimism(88.0, 87.0, (86.0, 88.0), 0, 2000) is None


def test_a_stored_report_has_one_for_every_score() -> None:
    """Reports without the number of validation examples, or with broken values, have none."""
    whole = REPORT | {"report_examples": 2000}
    assert {"accuracy": 1.0} == {name: one.difference for name, one in of_report(whole, {"accuracy": 87.0}).items()}
    for broken in (REPORT, whole | {"intervals": None}, whole | {"intervals": {"accuracy": [None, 1.0]}}):
        assert {} == of_report(broken, {"accuracy": 87.0})
    assert {} == of_report(whole, {})
