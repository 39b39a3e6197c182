"""The units of the training texts, counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.tiny import make_tokenizer
from transformers import PreTrainedTokenizerFast

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.examples import Examples, TextExample
from bertdistill.engine.distill.data.features import build_features
from bertdistill.engine.distill.data.units import by_frequency, count_units, frequent_ids
from bertdistill.engine.distill.data.words import word_tokenizer

TEXTS = ["a good film", "a bad film", "a film", "?"]
EXAMPLES = Examples(
    "text-classification", [TextExample(str(i), t, None, i % 2) for i, t in enumerate(TEXTS)], ("n", "y")
)


def test_the_most_frequent_come_first_and_ties_by_id() -> None:
    """Ids left out and ids that do not occur are not among them."""
    assert [7, 2, 4] == by_frequency(np.array([7, 4, 2, 7, 0, 0, 0], np.uint16), [0, 900]).tolist()


@pytest.mark.parametrize("labelled", [3, 4])
def test_words_are_counted_in_the_labelled_texts(labelled: int, tmp_path: Path) -> None:
    """Special ids do not count; the size of the vocabulary is theirs plus padding and unknown. The rest comes last."""
    tokenizer = word_tokenizer(TEXTS, tmp_path / "words")
    features = build_features(EXAMPLES, tokenizer, DataSpec(), folder=tmp_path / "f", progress=lambda done, total: None)
    units = count_units(tokenizer, "words", features, labelled, tmp_path)
    words = tokenizer.convert_ids_to_tokens(frequent_ids(Path(units.frequent)).tolist())
    assert ["a", "film"] == words[:2]
    known = units.vocabulary - 2
    assert {"a", "film", "bad", "good", *(["?"] if labelled == 4 else [])} == set(words[:known])
    assert (units.whole_vocabulary, ["?"][: 4 - labelled]) == (len(words) + 2, words[known:])
    assert (0, 2, (0, 2), len(tokenizer)) == (units.pad_id, units.separator_id, units.special_ids, units.size)
    assert units.mean_length == pytest.approx(11 / 3 if labelled == 3 else 13 / 4)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_special_tokens_of_a_teacher_are_no_units(kind: str, tmp_path: Path) -> None:
    """Neither its first and last tokens nor padding and masks, whatever their names; nor the unknown token."""
    tokenizer = make_tokenizer(kind, TEXTS)  # type: ignore[arg-type]  # one of its kinds
    features = build_features(EXAMPLES, tokenizer, DataSpec(), folder=tmp_path / "f", progress=lambda done, total: None)
    units = count_units(tokenizer, "teacher", features, 4, tmp_path)
    ids = frequent_ids(Path(units.frequent)).tolist()
    assert not {*tokenizer.all_special_ids} & {*ids}
    assert {*features.input_ids.tolist()} - {*tokenizer.all_special_ids} == {*ids}
    assert tokenizer.sep_token_id == units.separator_id
    assert tokenizer.unk_token_id not in units.special_ids


@pytest.mark.parametrize(("marks", "separator", "pad"), [({"eos_token": "[SEP]"}, 3, 3), ({}, -1, 0)])
def test_a_tokenizer_without_separator_or_padding(
    marks: dict[str, str], separator: int, pad: int, tmp_path: Path
) -> None:
    """The mark that ends texts separates them, and stands for padding, which a tiny student must not read as a word."""
    own = make_tokenizer("bert", TEXTS).backend_tokenizer
    assert 3 == own.token_to_id("[SEP]")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=own, **marks)  # type: ignore[no-untyped-call]  # untyped there
    features = build_features(EXAMPLES, tokenizer, DataSpec(), folder=tmp_path / "f", progress=lambda done, total: None)
    units = count_units(tokenizer, "teacher", features, 4, tmp_path)
    assert (separator, pad) == (units.separator_id, units.pad_id)
