"""Word order sensitivity as arithmetic: what a shuffle may do, which examples count, and the score."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from bertdistill.engine.tasks.word_order import (
    SAME,
    SHORT,
    Shuffling,
    WordOrder,
    balanced,
    groups,
    left_out,
    measured,
    sensitivity,
    shuffled,
)

SENTENCE = "the film is not as good as it looks ."


@pytest.mark.parametrize("ngram", [1, 2, 3])
def test_a_shuffle_keeps_groups_and_the_end(ngram: int) -> None:
    """The same groups in another order, the last word in its place."""
    draw = random.Random(0)
    parts, last = groups(SENTENCE, ngram)
    for _ in range(50):
        words = shuffled(SENTENCE, ngram, draw).split()
        assert words[-1] == last == "."
        assert sorted(words) == sorted(SENTENCE.split())
        text = " ".join(words)
        assert all(" ".join(part) in text for part in parts)


def test_no_shuffle_is_the_original() -> None:
    """Not even where two of three orders read alike."""
    draw = random.Random(1)
    assert {"b a a end", "a b a end"} == {shuffled("a a b end", 1, draw) for _ in range(60)}


@pytest.mark.parametrize(
    ("text", "ngram", "reason"),
    [
        ("", 1, SHORT),
        ("not so good", 1, SHORT),
        ("not so good .", 1, ""),
        ("very very very good", 1, SAME),
        ("a b a b a b end", 2, SAME),
        ("a b a b a c end", 2, ""),
        ("not so good .", 3, SAME),
        ("ha ha ha ha end", 3, SAME),
    ],
)
def test_texts_that_cannot_be_shuffled(text: str, ngram: int, reason: str) -> None:
    """Three words or fewer, and those that read the same in any order; a shuffle of them would never end."""
    assert reason == left_out(text, ngram)


def test_classes_are_balanced_by_down_sampling() -> None:
    """As many of each as the rarest has, within the limit; the same for the same seed."""
    labels = [0] * 30 + [1] * 8 + [2] * 12
    usable = [i for i in range(50) if i % 2 == 0]
    chosen = balanced(labels, usable, 0, random.Random(3))
    assert {0: 4, 1: 4, 2: 4} == Counter(labels[i] for i in chosen)
    assert set(chosen) <= set(usable)
    assert chosen == sorted(chosen) == balanced(labels, usable, 0, random.Random(3))
    assert 6 == len(balanced(labels, usable, 7, random.Random(3)))
    assert [] == balanced(labels, [], 5, random.Random(3))


@pytest.mark.parametrize(
    ("still_right", "classes", "wos"),
    [(100, 2, 0), (50, 2, 1), (88.22, 2, 0.2356), (87.22, 6, 0.1534), (100 / 6, 6, 1), (40, 2, 1)],
)
def test_the_score_is_normalised_by_the_number_of_classes(still_right: float, classes: int, wos: float) -> None:
    """All right is 0, chance 1; with the two-class form six classes at chance would be 1.67."""
    assert wos == pytest.approx(sensitivity(still_right, classes), abs=1e-4)


def test_what_limits_the_number_is_said() -> None:
    """Below chance, few examples, a class without any."""
    found = measured(
        [20.0, 30.0], classes=("bad", "fair", "good"), kept={"bad": 5, "good": 5}, shuffling=Shuffling(shuffles=2)
    )
    assert (1.0, 25.0, pytest.approx(7.07, abs=0.01)) == (found.wos, found.still_right, found.spread)
    assert (10, 2) == (found.examples, found.classes)
    told = " / ".join(found.notes)
    assert "no example of fair" in told
    assert "below chance (50.00 %)" in told
    assert "only 10 examples" in told
    assert found == WordOrder.from_dict(found.to_dict() | {"cached": True})


def test_one_shuffle_has_no_spread() -> None:
    """And nothing to say about plenty of examples."""
    found = measured([90.0], classes=("a", "b"), kept={"a": 60, "b": 60}, shuffling=Shuffling(shuffles=1))
    assert (None, ()) == (found.spread, found.notes)
