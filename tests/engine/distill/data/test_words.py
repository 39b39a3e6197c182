"""The word tokenizer of tiny students."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from bertdistill.engine.distill.data.words import word_tokenizer

TEXTS = ["A good film , a GOOD plot !", "it 's not good ... and I do n't care", "a b", "Zoë said “don\u2019t”"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A film, I say!", ["a", "film", ",", "i", "say", "!"]),
        ("it's 's do n't DON'T", ["it's", "'s", "do", "n't", "don't"]),
        ("well-made... 3.5", ["well", "-", "made", "...", "3", ".", "5"]),
        ("(a) 'quoted' «É»", ["(", "a", ")", "'", "quoted", "'", "«", "é", "»"]),
        ("", []),
        (" \t\n", []),
    ],
)
def test_short_words_and_punctuation_are_kept(text: str, words: list[str], tmp_path: Path) -> None:
    """Unlike in scikit-learn's default pattern; for a small model they carry meaning."""
    tokenizer = word_tokenizer([text], tmp_path / "words")
    ids = tokenizer(text)["input_ids"]
    assert [*words, "[SEP]"] == tokenizer.convert_ids_to_tokens(ids)


def test_ids_are_in_order_of_frequency_after_padding_and_unknown(tmp_path: Path) -> None:
    """The first n ids are the n most frequent words, and no word of the texts is left out."""
    tokenizer = word_tokenizer(TEXTS, tmp_path / "words")
    by_id = sorted(tokenizer.get_vocab(), key=lambda word: tokenizer.get_vocab()[word])
    assert ["[PAD]", "[UNK]", "[SEP]", "a", "good"] == by_id[:5]
    assert tokenizer.unk_token_id not in [one for text in TEXTS for one in tokenizer(text)["input_ids"]]
    assert (0, 1) == (tokenizer.pad_token_id, tokenizer.unk_token_id)
    assert [1, 2] == tokenizer("film42")["input_ids"]


def test_a_pair_has_token_types_and_loads_as_any_tokenizer(tmp_path: Path) -> None:
    """Each text ends with a separator; what is saved stands alone."""
    tokenizer = word_tokenizer(TEXTS, tmp_path / "words")
    again = AutoTokenizer.from_pretrained(tmp_path / "words")
    pair = again("a film", "good")
    assert ["a", "film", "[SEP]", "good", "[SEP]"] == again.convert_ids_to_tokens(pair["input_ids"])
    assert [0, 0, 0, 1, 1] == pair["token_type_ids"]
    assert tokenizer("a film", "good")["input_ids"] == pair["input_ids"]


def test_texts_without_words_make_a_tokenizer(tmp_path: Path) -> None:
    """Every word is then unknown, and no text is without ids."""
    tokenizer = word_tokenizer([" "], tmp_path / "words")
    assert ([2], [1, 2]) == (tokenizer("")["input_ids"], tokenizer("film")["input_ids"])
