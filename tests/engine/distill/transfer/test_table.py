"""Every kind of transfer set: reproducible, without duplicates, training texts and texts that are held back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import islice

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import TRANSFER_KINDS, TransferSpec
from bertdistill.engine.data.unlabelled import WORD, normal
from bertdistill.engine.distill.transfer.material import Material
from bertdistill.engine.distill.transfer.table import ENDLESS, KINDS, transfer_texts

Make = Callable[..., Material]
CHANGED = sorted(ENDLESS)


def test_the_kinds_are_those_of_a_study_file() -> None:
    assert set(TRANSFER_KINDS) == set(KINDS)


@pytest.mark.parametrize("kind", CHANGED)
@pytest.mark.parametrize("paired", [False, True])
def test_a_seed_gives_the_same_distinct_new_texts(material: Make, kind: str, paired: bool) -> None:
    spec = TransferSpec(kind=kind, rows=12, seed=3)
    found, again = (transfer_texts(material(spec, paired=paired), {}) for _ in range(2))
    other = transfer_texts(material(dataclasses.replace(spec, seed=4), paired=paired), {})
    assert found == again != other
    forms = {normal(text) for text in found}
    assert 12 == len(forms)
    assert not forms & {normal((row.text, row.pair)) for row in material(paired=paired).rows}
    assert all((pair is not None) == paired for _, pair in found)


def test_a_pair_has_one_side_changed(material: Make) -> None:
    """A changed sentence stands beside one that belongs to it."""
    made = material(TransferSpec(kind="ngrams", rows=20), paired=True)
    whole = {(row.text, row.pair) for row in made.rows}
    for text, pair in transfer_texts(made, {}):
        assert any((text == first) != (pair == second) for first, second in whole)


def test_texts_of_the_splits_are_dropped_and_counted(material: Make) -> None:
    """Case and white space do not make a text another one."""
    held = {"validation": {normal(("FOX", None))}, "report": {normal(("Dog", None)), normal(("story", None))}}
    made = material(TransferSpec(kind="words"))
    found = [text for text, _ in transfer_texts(made, held)]
    assert not {"fox", "dog", "story"} & {text.casefold() for text in found}
    said = made.run.paths.events.read_text()
    assert "2 report texts" in said
    assert "1 validation text" in said


def test_a_second_table_does_not_repeat_the_first(material: Make) -> None:
    made = material(TransferSpec(kind="words"), TransferSpec(kind="words", rows=1000))
    with pytest.raises(ConfigError, match=r"transfer\.1 \(words\): no row is left; dropped \d+ duplicates"):
        transfer_texts(made, {})


def test_fewer_rows_than_wanted_are_a_warning(material: Make) -> None:
    """There are not so many n-grams; without a limit the draw would never end."""
    made = material(TransferSpec(kind="ngrams", rows=500, shortest=2, longest=2), texts=("a b c d", "b c d e"))
    assert 4 == len(transfer_texts(made, {}))
    assert "4 rows of 500 wanted" in made.run.paths.events.read_text()


def test_words_come_alone_the_most_frequent_first(material: Make) -> None:
    found = [text for text, _ in transfer_texts(material(TransferSpec(kind="words", rows=3)), {})]
    assert [".", "a", "and"] == found
    every = {text for text, _ in transfer_texts(material(TransferSpec(kind="words")), {})}
    assert {"don't", "I", "1912", "!"} <= every


def test_ngrams_are_parts_of_the_texts(material: Make) -> None:
    made = material(TransferSpec(kind="ngrams", rows=30, shortest=3, longest=4))
    for text, _ in transfer_texts(made, {}):
        assert any(text in row.text for row in made.rows)
        assert 3 <= len(WORD.findall(text)) <= 4


def test_a_mask_stands_for_a_word_and_never_for_all(material: Make) -> None:
    made = material(TransferSpec(kind="mask", rows=30, share=0.5))
    for text, _ in transfer_texts(made, {}):
        assert "[MASK]" in text
        assert text.replace("[MASK]", "").strip()


@pytest.mark.parametrize("kind", CHANGED)
def test_texts_too_short_to_change_do_not_hang(material: Make, kind: str) -> None:
    made = material(texts=("one", "two"))
    spec = TransferSpec(kind=kind, rows=1)
    assert {("", None)} == set(islice(KINDS[kind](spec, made, "transfer.0"), 50))
