"""Words find items, a minus excludes them; whatever has no value is the last one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bertdistill.app.views.listing import WordFilter, holds, ordered


@pytest.mark.parametrize(
    ("text", "found"), [("", True), ("SST class", True), ("sst -failed", False), ("-x", True), ("sst x", False)]
)
def test_the_words_that_find_an_item(text: str, found: bool) -> None:
    assert holds("sst2-small Failed classification", text) is found
    assert WordFilter[str]("", str, tuple).test(text)("sst2-small Failed classification") is found


@pytest.mark.parametrize(
    ("text", "found"), [("", []), ("x a", ["alpha", "Axe"]), ("-al", ["-alpha"]), ("alpha", []), ("x ", [])]
)
def test_the_last_word_is_completed(text: str, found: list[str]) -> None:
    assert WordFilter[Any]("", str, lambda: ["alpha", "Axe", "alpha"]).complete(text) == found


def test_missing_values_are_last_either_way() -> None:
    """Numbers come before words; equal ones stay in their order."""
    values = [None, "b", 2, math.nan, 1.5, "a", 2.0]
    places = list(range(len(values)))
    assert ordered(places, values.__getitem__) == [4, 2, 6, 5, 1, 0, 3]
    assert ordered(places, values.__getitem__, reverse=True) == [1, 5, 2, 6, 4, 0, 3]
