"""The teacher's windows in a student's tokens, and the teacher's logits there, against a plain reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tiny import make_tokenizer
from transformers import BertTokenizer

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.examples import Examples, QAExample
from bertdistill.engine.distill.data.features import Features, build_features
from bertdistill.engine.distill.data.other_windows import NO_CHOICE, logits_at, other_windows
from bertdistill.engine.distill.data.pieces import smaller_tokenizer, staying

QA = "question-answering"
CONTEXT = "The quick brown fox jumps over the lazy dog near the old river. In 1912 a clever engineer built 42 bridges."
ROWS = [
    QAExample("a", "T", "Who jumps?", CONTEXT, ("quick brown fox",), (4,), impossible=False),
    QAExample("b", "T", "What is built?", CONTEXT, ("42 bridges",), (CONTEXT.index("42"),), impossible=False),
    QAExample("c", "T", "Where?", CONTEXT[:30], (), (), impossible=True),
]
EXAMPLES = Examples(QA, ROWS)
DATA = DataSpec(max_length=24, doc_stride=6, max_question_length=8)


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module", name="initial")
def _initial(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BertTokenizer]:
    folder = tmp_path_factory.mktemp("initial")
    make_tokenizer("bert").save_pretrained(folder)
    return folder, BertTokenizer.from_pretrained(folder)


@pytest.fixture(name="theirs")
def _theirs(initial: tuple[Path, BertTokenizer], tmp_path: Path) -> Features:
    return build_features(EXAMPLES, initial[1], DATA, folder=tmp_path / "theirs", progress=quiet)


def smaller(initial: tuple[Path, BertTokenizer], words: list[str], folder: Path) -> Any:
    """A tokenizer that knows all characters, and of the words only these."""
    return smaller_tokenizer(str(initial[0]), [*staying(initial[1]), *words], folder)[0]


def mine(tokenizer: Any, theirs: Features, folder: Path, **keys: Any) -> Features:
    data = DataSpec(**{"max_length": 24, "doc_stride": 6, "max_question_length": 8} | keys)
    return other_windows(EXAMPLES, theirs, tokenizer, data, folder=folder, progress=quiet)


def logits_for(theirs: Features) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(theirs.input_ids), 2)).astype(np.float16)


def test_with_the_same_tokens_windows_and_logits_are_the_same(
    initial: tuple[Path, BertTokenizer], theirs: Features, tmp_path: Path
) -> None:
    """To the last token and bit."""
    same = mine(initial[1], theirs, tmp_path / "mine")
    for name in ("input_ids", "token_types", "offsets", "example_index", "targets", "char_spans"):
        assert np.array_equal(getattr(theirs, name), getattr(same, name)), name
    logits = logits_for(theirs)
    assert np.array_equal(logits, logits_at(logits, theirs, same))


def test_pieces_of_a_word_share_its_logits_at_its_ends(
    initial: tuple[Path, BertTokenizer], theirs: Features, tmp_path: Path
) -> None:
    """Where one of the teacher's tokens begins, its start logit; where it ends, its end logit; nothing between."""
    words = ["the", "fox", "over", "who", "what", "built", "where", "jumps"]  # all of the questions
    tokenizer = smaller(initial, words, tmp_path)
    found = mine(tokenizer, theirs, tmp_path / "mine", max_length=100)
    assert len(found) == len(theirs)
    assert len(found.input_ids) > len(theirs.input_ids)
    logits = logits_for(theirs)
    got = logits_at(logits, theirs, found)
    for window in range(len(theirs)):
        their, our = (slice(*one.offsets[window : window + 2]) for one in (theirs, found))
        spans, own = theirs.char_spans[their], found.char_spans[our]
        for token, (begin, end) in enumerate(own):
            value = got[our][token]
            if begin < 0:  # the questions and marks correspond by position
                place = token if token < len(own) // 2 else token - len(own) + len(spans)
                assert np.array_equal(logits[their][place], value)
                continue
            starts = [one for one, span in enumerate(spans) if span[0] == begin]
            ends = [one for one, span in enumerate(spans) if span[1] == end]
            assert value[0] == (logits[their][starts[0], 0] if starts else NO_CHOICE)
            assert value[1] == (logits[their][ends[0], 1] if ends else NO_CHOICE)
    assert (got == NO_CHOICE).any()


def test_answers_are_where_their_characters_are(
    initial: tuple[Path, BertTokenizer], theirs: Features, tmp_path: Path
) -> None:
    """In every window that has the answer whole."""
    found = mine(smaller(initial, ["the", "fox"], tmp_path), theirs, tmp_path / "mine", max_length=100)
    told = []
    for features in (theirs, found):
        texts = []
        for window, (first, last) in enumerate(features.targets):
            spans = features.char_spans[features.offsets[window] :]
            texts.append(CONTEXT[spans[first, 0] : spans[last, 1]] if first else "")
        told.append(texts)
    assert told[0] == told[1]
    assert {"quick brown fox", "42 bridges", ""} == {*told[0]}


def test_a_window_that_gets_too_long_loses_its_end(
    initial: tuple[Path, BertTokenizer], theirs: Features, tmp_path: Path
) -> None:
    """The stretch begins where the teacher's begins; the question and both marks stay."""
    tokenizer = smaller(initial, [], tmp_path)
    whole = mine(tokenizer, theirs, tmp_path / "whole", max_length=200)
    cut = mine(tokenizer, theirs, tmp_path / "cut", max_length=40)
    assert 40 == cut.lengths.max() < whole.lengths.max()
    for window in range(len(theirs)):
        long, short = (one.input_ids[one.offsets[window] : one.offsets[window + 1]].tolist() for one in (whole, cut))
        assert short == long or short == [*long[: len(short) - 1], tokenizer.sep_token_id]
    assert (cut.targets[:, 0] > 0).sum() < (whole.targets[:, 0] > 0).sum()


def test_a_window_that_begins_inside_a_word_keeps_its_pieces(
    initial: tuple[Path, BertTokenizer], tmp_path: Path
) -> None:
    """Tokenised alone, its first piece would be the beginning of a word."""
    letters = smaller(initial, [], tmp_path)
    theirs = build_features(EXAMPLES, letters, DATA, folder=tmp_path / "letters", progress=quiet)
    same = mine(letters, theirs, tmp_path / "mine")
    assert np.array_equal(theirs.input_ids, same.input_ids)
    coarser = mine(initial[1], theirs, tmp_path / "coarser")
    spans = coarser.char_spans[coarser.char_spans[:, 0] >= 0]
    assert all(CONTEXT[begin:end].strip() == CONTEXT[begin:end] for begin, end in spans)
    assert len(coarser.input_ids) < len(theirs.input_ids)
