"""N-grams of tokenised texts: what counts as one, in how many texts it occurs, and which become features."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.texts import made_features

from bertdistill.engine.contract.facts import Prepared, Units
from bertdistill.engine.distill.families.linear_net import NO_KEY
from bertdistill.engine.distill.families.ngrams import chosen, ngrams_of, with_ngrams
from bertdistill.engine.families.linear import LinearPlan

CLS, SEP, A, B, C = 1, 2, 7, 8, 9
UNITS = Units(vocabulary=5, size=10, special_ids=(0, CLS, SEP), separator_id=SEP)
BASE = UNITS.size + 1


def key(*ids: int, side: int = 0) -> int:
    found = 0
    for one in ids:
        found = found * BASE + one + 1
    return found * 2 + side


def keys(text: list[int], longest: int, *, pairs: bool = False) -> list[int]:
    ids = torch.tensor([text])
    found = ngrams_of(UNITS, pairs=pairs).keys(ids, torch.ones_like(ids), longest)
    return sorted(one for one in found[0].tolist() if one != NO_KEY)


def test_n_grams_stay_within_a_text() -> None:
    """None contains a special unit or reaches over one."""
    assert sorted([key(A), key(B), key(A, B)]) == keys([CLS, A, B, SEP], 3)
    assert sorted([key(A), key(B), key(C), key(A, B), key(B, C), key(A, B, C)]) == keys([A, B, C, SEP], 3)
    assert [key(A)] == keys([A], 3)


def test_the_texts_of_a_pair_are_told_apart() -> None:
    """The same word in the other text is another feature."""
    pair = [CLS, A, B, SEP, A, SEP]
    assert sorted([key(A), key(B), key(A, B), key(A, side=1)]) == keys(pair, 2, pairs=True)
    assert sorted([key(A), key(A), key(B), key(A, B)]) == keys(pair, 2)


def test_padding_is_not_read() -> None:
    """Even where the padding id is that of a word: a tokenizer may have none of its own."""
    ids = torch.tensor([[A, B, A, A]])
    found = ngrams_of(UNITS, pairs=False).keys(ids, torch.tensor([[1, 1, 0, 0]]), 2)
    assert {NO_KEY, key(A), key(B), key(A, B)} == set(found[0].tolist())


TEXTS = [[A, A, B, SEP], [A, B, SEP], [B, C, SEP], [A, C, SEP]]


def test_a_count_is_a_number_of_texts(tmp_path: Path) -> None:
    """Not of occurrences; the fourth text is not labelled."""
    found = with_ngrams(UNITS, made_features(tmp_path, TEXTS), 3, 2, tmp_path, pairs=False)
    assert [3, 2, 1, 0] == [
        found.ngrams.at_least[0][0],
        found.ngrams.at_least[0][1],
        found.ngrams.at_least[0][2],
        found.ngrams.at_least[0][3],
    ]
    assert [3, 1, 0] == list(found.ngrams.at_least[1][:3])  # a a, a b (twice), b c
    assert (3, 4) == (found.ngrams.texts, found.whole_ngrams.texts)
    assert 4 == found.whole_ngrams.at_least[1][0]  # a c as well


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (LinearPlan("", 1, 1, 3), {key(A), key(B), key(C)}),
        (LinearPlan("", 1, 2, 2), {key(A), key(B)}),
        (LinearPlan("", 1, 1, 1), {key(B)}),
        (LinearPlan("", 2, 2, 3), {key(A), key(B), key(A, B)}),
        (LinearPlan("", 2, 1, 4), {key(A), key(B), key(A, B), key(C)}),
    ],
)
def test_the_most_frequent_become_features(tmp_path: Path, plan: LinearPlan, expected: set[int]) -> None:
    """In a tie the shorter one; in ascending order, with the idf of scikit-learn."""
    units = with_ngrams(UNITS, made_features(tmp_path, TEXTS), 3, 2, tmp_path, pairs=False)
    found, idf = chosen(plan, Prepared(units={"": units}))
    assert found.tolist() == sorted(expected)
    counts = {key(A): 2, key(B): 3, key(C): 1, key(A, B): 2}
    for one, value in zip(found.tolist(), idf.tolist(), strict=True):
        assert value == pytest.approx(torch.log(torch.tensor(4 / (1 + counts[one]))).item() + 1)
