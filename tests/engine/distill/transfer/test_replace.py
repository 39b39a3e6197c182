"""The classes that stand in for parts of speech."""

from __future__ import annotations

import random

import pytest

from bertdistill.engine.distill.transfer.replace import Classes, word_class


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("walking", 1), ("talking", 90), True),
        (("walking", 1), ("walked", 1), False),
        (("1912", 1), ("7", 50), True),
        ((",", 5), (";", 5), False),
        (("the", 90), ("fox", 1), False),
        (("fox", 1), ("dog", 1), True),
        (("Fox", 1), ("dog", 1), False),
        (("sing", 1), ("king", 1), True),
    ],
)
def test_a_class_is_shape_suffix_or_frequency(one: tuple[str, int], other: tuple[str, int], same: bool) -> None:
    """`sing` has no stem before its suffix, so it is a word without one."""
    assert same == (word_class(*one, 1000) == word_class(*other, 1000))


def test_words_are_drawn_as_often_as_they_occur() -> None:
    classes = Classes({"running": 99, "walking": 1, "the": 100})
    drawn = [classes.other("walking", random.Random(n)) for n in range(100)]
    assert {"running", "walking"} >= set(drawn)
    assert drawn.count("running") > 90
    assert "the" == classes.other("the", random.Random(1))
