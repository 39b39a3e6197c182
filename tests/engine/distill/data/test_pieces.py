"""Smaller vocabularies of WordPiece tokenizers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.tiny import TEXTS, make_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertTokenizer, PreTrainedTokenizerFast

from bertdistill.engine.distill.data.pieces import (
    new_pieces,
    ranked_pieces,
    refused,
    smaller_tokenizer,
    staying,
)

LABELLED = ["the fox and the river", "the fox"]
OTHERS = ["a clever fox"]


@pytest.fixture(name="initial")
def _initial(tmp_path: Path) -> BertTokenizer:
    """It knows the words of TEXTS."""
    tokenizer: BertTokenizer = make_tokenizer("bert")
    tokenizer.save_pretrained(tmp_path / "initial")
    return BertTokenizer.from_pretrained(tmp_path / "initial")


def ids(tokenizer: BertTokenizer, texts: list[str]) -> np.ndarray:
    return np.concatenate([np.array(one, np.uint16) for one in tokenizer(texts)["input_ids"]])


def test_special_tokens_and_characters_come_first_then_the_most_frequent(initial: BertTokenizer) -> None:
    """Of the transfer set, only what the labelled texts do not have, and behind it."""
    pieces, labelled = ranked_pieces(initial, ids(initial, LABELLED), ids(initial, OTHERS))
    first = staying(initial)
    assert ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] == first[:5] == pieces[:5]
    assert {"a", "##a", "z", "##z", "!", "4"} <= {*first}
    assert all(len(piece.removeprefix("##")) == 1 for piece in first[5:])
    assert ["the", "fox", "and", "river", "clever"] == pieces[len(first) :]
    assert len(first) + 4 == labelled


def test_words_with_all_their_pieces_read_as_before_and_others_in_characters(
    initial: BertTokenizer, tmp_path: Path
) -> None:
    """What the initial tokenizer did not know stays unknown, and nothing else is."""
    pieces, _ = ranked_pieces(initial, ids(initial, LABELLED), ids(initial, OTHERS))
    size = len(staying(initial)) + 2
    smaller, folder = smaller_tokenizer(str(tmp_path / "initial"), pieces[:size], tmp_path)
    assert size == len(smaller)
    assert ["the", "fox", "a", "##n", "##d"] == smaller.tokenize("The FOX and")
    unknown = "the 東京 fox"
    assert smaller.tokenize(unknown) == initial.tokenize(unknown) == ["the", "[UNK]", "[UNK]", "fox"]
    pair = smaller("the fox", "and")
    assert [0, 0, 0, 0, 1, 1, 1, 1] == pair["token_type_ids"]
    assert ["[CLS]", "the", "fox", "[SEP]", "a", "##n", "##d", "[SEP]"] == smaller.convert_ids_to_tokens(
        pair["input_ids"]
    )
    again, same = smaller_tokenizer(str(tmp_path / "initial"), pieces[:size], tmp_path)
    assert (folder, smaller.get_vocab()) == (same, again.get_vocab())


def test_a_word_becomes_unknown_only_where_the_initial_vocabulary_has_no_piece_for_a_character(tmp_path: Path) -> None:
    """The whole word is there, one of its characters is not: such a loss is counted and said by whoever trains."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "abc", "ab"]
    tokenizer = BertTokenizer(vocab={piece: index for index, piece in enumerate(vocabulary)})
    tokenizer.save_pretrained(tmp_path / "initial")
    smaller, _ = smaller_tokenizer(str(tmp_path / "initial"), staying(tokenizer), tmp_path)
    assert (["abc"], ["[UNK]"]) == (tokenizer.tokenize("abc"), smaller.tokenize("abc"))
    assert ["a", "##b"] == smaller.tokenize("ab")


def test_a_new_vocabulary_holds_the_smaller_ones(initial: BertTokenizer, tmp_path: Path) -> None:
    """Its first pieces are those of a smaller one, so one training serves every size; characters always stay."""
    texts = ["bestest cost lost most"] * 5
    pieces, least = new_pieces(initial, texts)
    assert staying(initial) == pieces[: len(staying(initial))]
    assert pieces == new_pieces(initial, texts)[0]
    assert "##st" == pieces[least]
    smaller, _ = smaller_tokenizer(str(tmp_path / "initial"), pieces[: least + 1], tmp_path)
    assert ["c", "##o", "##st"] == smaller.tokenize("COST")


def test_cased_tokenizers_stay_cased(tmp_path: Path) -> None:
    """Normalisation is the initial one's."""
    words = ["The", "##T", "T", "##h", "h", "##e", "e", "t", "##t"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    tokenizer = BertTokenizer(vocab={piece: index for index, piece in enumerate(vocabulary)}, do_lower_case=False)
    tokenizer.save_pretrained(tmp_path / "initial")
    smaller, _ = smaller_tokenizer(str(tmp_path / "initial"), staying(tokenizer), tmp_path)
    assert ["T", "##h", "##e"] == smaller.tokenize("The")
    assert ["t", "##h", "##e"] == smaller.tokenize("the")


def test_tokenizers_of_other_kinds_are_refused() -> None:
    """With the reason."""
    unigram = Tokenizer(models.Unigram([("a", 0.0)]))
    unigram.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    assert "is Unigram, and not WordPiece" in refused(PreTrainedTokenizerFast(tokenizer_object=unigram))
    assert "is BPE" in refused(make_tokenizer("roberta"))
    assert "" == refused(make_tokenizer("bert", TEXTS))


def test_the_files_of_a_smaller_tokenizer_hold_no_other_vocabulary(initial: BertTokenizer, tmp_path: Path) -> None:
    """Transformers would read a vocab.txt that lies beside it."""
    _, folder = smaller_tokenizer(str(tmp_path / "initial"), staying(initial), tmp_path)
    held = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    assert (len(staying(initial)), []) == (len(held), list(folder.glob("vocab*")))
