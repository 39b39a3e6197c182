"""Words of two vocabularies in one input, against a plain reading word by word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tiny import TEXTS, make_tokenizer
from transformers import AutoTokenizer

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.examples import Examples, TextExample
from bertdistill.engine.distill.data.features import build_features
from bertdistill.engine.distill.data.mixed import Division, Mixed, Mixer
from bertdistill.engine.distill.data.pieces import smaller_tokenizer, staying

LONG = " ".join(TEXTS)
PAIRS = [("a quick fox", "the lazy dog"), ("who sleeps", "a tall tree"), (LONG, "the old river")]
MOST = 40


def tokenizers(folder: Path) -> tuple[Any, Any]:
    """One that knows every word, and one that knows only a few of them besides characters."""
    whole = make_tokenizer("bert")
    whole.save_pretrained(folder / "whole")
    return whole, knowing(folder, "the", "fox", "tree")


def knowing(folder: Path, *words: str) -> Any:
    """A tokenizer of characters and these words."""
    whole = str(folder / "whole")
    return smaller_tokenizer(whole, [*staying(AutoTokenizer.from_pretrained(whole)), *words], folder)[0]


def mixer(
    folder: Path, rows: Sequence[tuple[str, str | None]], most: int = MOST, both: tuple[Any, Any] | None = None
) -> tuple[Mixer, Any, Any]:
    examples = Examples("text-classification", [TextExample(str(i), *one, 0) for i, one in enumerate(rows)], [], "d")
    data = DataSpec(max_length=most)
    parts = []
    for number, one in enumerate(found := both or tokenizers(folder)):
        target = folder / f"features-{number}"
        features = build_features(examples, one, data, folder=target, progress=lambda done, total: None)
        parts.append(Division.of(features, one))
    return Mixer(*parts, most), *found


def read(mixed: Mixed, row: int, whole: Any, small: Any) -> list[str]:
    """The pieces of an input, those of the smaller vocabulary in capitals."""
    there = np.flatnonzero(mixed.mask[row])
    return [
        small.convert_ids_to_tokens(int(mixed.ids[row, i])).upper()
        if mixed.other[row, i]
        else whole.convert_ids_to_tokens(int(mixed.ids[row, i]))
        for i in there
    ]


def test_each_word_comes_from_the_vocabulary_that_was_drawn(tmp_path: Path) -> None:
    """Special tokens are never drawn; an input that either tokenizer truncated stays whole."""
    made, whole, small = mixer(tmp_path, PAIRS)
    drawn: list[np.ndarray] = []

    def draw(words: int) -> np.ndarray:
        drawn.append(np.random.default_rng(5).random(words) < 0.5)
        return drawn[-1].copy()

    rows = np.array([2, 0, 1])
    mixed = made.mix(rows, draw)
    place = 0
    for at, row in enumerate(rows):
        first, second = PAIRS[row]
        expected = []
        truncated = row == 2
        ids = whole(first, second, truncation="longest_first", max_length=MOST)["input_ids"]
        for word in (one for one in whole.convert_ids_to_tokens(ids)):  # it knows all words, so a piece is a word
            chosen = drawn[0][place] and not truncated and word not in ("[CLS]", "[SEP]")
            expected += [piece.upper() for piece in small.tokenize(word)] if chosen else [word]
            place += 1
        assert expected == read(mixed, at, whole, small)
        assert mixed.token_types is not None
        second_segment = [piece for piece, one in zip(mixed.token_types[at], mixed.mask[at], strict=True) if one]
        assert sorted(second_segment) == second_segment
    assert len(drawn[0]) == place
    assert not mixed.other[~mixed.mask].any()
    assert np.isclose(1 / 3, made.whole)


@pytest.mark.parametrize("share", [0, 1])
def test_the_ends(tmp_path: Path, share: int) -> None:
    """None or all words of the smaller vocabulary: the inputs of the two tokenizers but for special tokens."""
    made, whole, small = mixer(tmp_path, PAIRS[:2])
    mixed = made.mix(np.arange(2), lambda words: np.full(words, bool(share)))
    for row, (first, second) in enumerate(PAIRS[:2]):
        tokenizer = small if share else whole
        pieces = tokenizer.convert_ids_to_tokens(tokenizer(first, second)["input_ids"])
        assert [one.upper() for one in pieces] == [one.upper() for one in read(mixed, row, whole, small)]


def test_an_input_that_would_get_too_long_stays_whole(tmp_path: Path) -> None:
    """Where each vocabulary lacks what the other has, a mixture can be longer than both; the others are mixed."""
    tokenizers(tmp_path)
    both = knowing(tmp_path, "fox"), knowing(tmp_path, "quick")
    made, plain, other = mixer(tmp_path, [("fox quick", None), ("fox", None)], 10, both)
    assert [8, 6] == [len(one("fox quick")["input_ids"]) for one in both]
    first_word = made.mix(np.arange(2), lambda words: np.arange(words) == 1)
    longest = ["[CLS]", "F", "##O", "##X", "q", "##u", "##i", "##c", "##k", "[SEP]"]
    assert longest == read(first_word, 0, plain, other)
    tight = Mixer(made.plain, made.other, 9)
    mixed = tight.mix(np.arange(2), lambda words: np.isin(np.arange(words), (1, 5)))
    assert ["[CLS]", "fox", "q", "##u", "##i", "##c", "##k", "[SEP]"] == read(mixed, 0, plain, other)
    assert ["[CLS]", "F", "##O", "##X", "[SEP]"] == read(mixed, 1, plain, other)
