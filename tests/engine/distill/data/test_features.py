"""Examples as flat arrays: windows, answer positions, the cache folder."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import ByteLevelBPETokenizer
from transformers import BertTokenizer, DistilBertTokenizer, PreTrainedTokenizerFast, RobertaTokenizer

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.examples import Examples, QAExample, TextExample, digest
from bertdistill.engine.distill.data.features import Features, build_features, feature_key, open_features

WORDS = (
    *("mira", "keeps", "a", "red", "cat", "in", "oslin", "and", "the", "dog", "of", "jarl", "sleeps", "near", "old"),
    *("river", "town", "who", "what", "where", "?", ".", ","),
)
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "riv", "##er", "é"]
VOCABULARY = {piece: index for index, piece in enumerate(PIECES)}
CONTEXT = "Mira keeps a red cat in Oslin. The dog of Jarl sleeps near the old river. Mira, the cat and Jarl."
QA, CLS = "question-answering", "text-classification"


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


def bert() -> BertTokenizer:
    """An uncased WordPiece tokenizer without any download."""
    return BertTokenizer(vocab=VOCABULARY, do_lower_case=True)


def roberta() -> RobertaTokenizer:
    """A byte-level tokenizer that makes no token types and covers leading spaces."""
    trainer = ByteLevelBPETokenizer(add_prefix_space=True)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer.train_from_iterator([CONTEXT] * 3, vocab_size=400, special_tokens=special)
    model = json.loads(trainer.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    return RobertaTokenizer(vocab=model["vocab"], merges=merges)


def answered(answer: str, question: str = "What keeps Mira?", key: str = "a", context: str = CONTEXT) -> QAExample:
    """A question whose answer is the first occurrence of a text; the empty answer makes it unanswerable."""
    if not answer:
        return QAExample(key, "T", question, context, (), (), impossible=True)
    return QAExample(key, "T", question, context, (answer,), (context.index(answer),), impossible=False)


def build(
    folder: Path, rows: list[Any], tokenizer: Any = None, progress: Callable[[int, int], None] = quiet, **keys: Any
) -> Features:
    """Features of some rows with short lengths."""
    data = DataSpec(**{"max_length": 20, "doc_stride": 4, "max_question_length": 6} | keys)
    task = QA if isinstance(rows[0], QAExample) else CLS
    examples = Examples(task, rows, () if task == QA else ("0", "1"))
    return build_features(examples, tokenizer or bert(), data, folder=folder, progress=progress)


def window(features: Features, index: int, name: str) -> Any:
    """One array over tokens, for one window."""
    return getattr(features, name)[features.offsets[index] : features.offsets[index + 1]]


def target_text(features: Features, index: int, rows: list[QAExample]) -> str:
    """The passage text between the target tokens of a window; empty when they are (0, 0)."""
    first, last = features.targets[index]
    if (first, last) == (0, 0):
        return ""
    spans = window(features, index, "char_spans")
    return rows[features.example_index[index]].context[spans[first, 0] : spans[last, 1]]


# ---------------------------------------------------------------- questions


def test_a_short_passage_gives_one_window_without_padding(tmp_path: Path) -> None:
    """[CLS] question [SEP] passage [SEP], types 0 and 1, character spans in the passage alone."""
    context = "Mira keeps a cat."
    features = build(tmp_path / "f", [answered("cat", context=context)])
    tokens = ["[CLS]", "what", "keeps", "mira", "?", "[SEP]", "mira", "keeps", "a", "cat", ".", "[SEP]"]
    assert tokens == [PIECES[i] for i in features.input_ids]
    assert [0] * 6 + [1] * 6 == features.token_types.tolist() if features.token_types is not None else False
    assert [0, 12] == features.offsets.tolist()
    assert [[9, 9]] == features.targets.tolist()
    spans = window(features, 0, "char_spans")
    assert ["Mira", "keeps", "a", "cat", "."] == [context[a:b] for a, b in spans[6:11]]
    assert {-1} == set(spans[:6].ravel()) | set(spans[11:].ravel())


def test_arrays_have_the_promised_types(tmp_path: Path) -> None:
    """Small types on disk, and memory-mapped."""
    features = build(tmp_path / "f", [answered("cat")])
    types = {
        "input_ids": np.uint16,
        "token_types": np.uint8,
        "offsets": np.int64,
        "example_index": np.int32,
        "targets": np.int32,
        "char_spans": np.int32,
    }
    for name, dtype in types.items():
        assert dtype == getattr(features, name).dtype
        assert isinstance(getattr(features, name), np.memmap)


def test_a_large_vocabulary_takes_wider_ids(tmp_path: Path) -> None:
    """65,536 entries fit uint16, one more does not."""
    more = {f"w{i}": i for i in range(len(VOCABULARY), 65_536)}
    fits = BertTokenizer(vocab=VOCABULARY | more)
    assert np.uint16 == build(tmp_path / "a", [answered("cat")], fits).input_ids.dtype
    wider = BertTokenizer(vocab=VOCABULARY | more | {"one more": 65_536})
    assert np.int32 == build(tmp_path / "b", [answered("cat")], wider).input_ids.dtype


def test_windows_overlap_by_the_stride_and_cover_the_passage(tmp_path: Path) -> None:
    """Neighbours share doc_stride passage tokens, every window fits, and together they hold every passage token."""
    features = build(tmp_path / "f", [answered("cat")])
    assert len(features) > 1
    assert features.lengths.max() <= 20
    passages = [
        [tuple(span) for span in window(features, i, "char_spans") if span[0] >= 0] for i in range(len(features))
    ]
    for left, right in itertools.pairwise(passages):
        assert left[-4:] == right[:4]
    whole = bert()(CONTEXT, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    assert [tuple(span) for span in whole] == sorted({span for passage in passages for span in passage})


@pytest.mark.parametrize("make", [bert, roberta], ids=["bert", "roberta"])
def test_every_answer_is_placed_in_the_windows_that_hold_it(tmp_path: Path, make: Callable[[], Any]) -> None:
    """In some window the target text is the answer; in windows that cut it, or without answer, the target is CLS."""
    texts = ["Mira", "red cat", "Oslin", "the old river", "Jarl.", "cat in Oslin. The", ""]
    rows = [answered(text, key=str(i)) for i, text in enumerate(texts)]
    features = build(tmp_path / "f", rows, make(), max_length=40, doc_stride=10, max_question_length=20)
    for index, text in enumerate(texts):
        windows = np.flatnonzero(features.example_index == index)
        found = {target_text(features, int(i), rows) for i in windows}
        assert found <= {"", text}
        assert text in found


def test_an_answer_longer_than_the_overlap_may_be_in_no_window(tmp_path: Path) -> None:
    """Then all of its windows point to CLS rather than to a part of it."""
    rows = [answered(CONTEXT)]
    assert {""} == {target_text(build(tmp_path / "f", rows), i, rows) for i in range(2)}


def test_a_part_of_a_word_takes_the_whole_token(tmp_path: Path) -> None:
    """Offsets inside a token widen to the token."""
    rows = [answered("liv", context="She lives.")]
    tokenizer = BertTokenizer(vocab=VOCABULARY | {"she": len(VOCABULARY), "lives": len(VOCABULARY) + 1})
    assert "lives" == target_text(build(tmp_path / "f", rows, tokenizer), 0, rows)


def test_answers_are_placed_by_characters_not_bytes(tmp_path: Path) -> None:
    """Accents that the tokenizer strips, and characters of several bytes, move nothing."""
    context = "É é 🐈 ñ Mira é cat"
    rows = [answered("cat", context=context)]
    assert "cat" == target_text(build(tmp_path / "f", rows), 0, rows)
    assert "cat" == target_text(build(tmp_path / "r", rows, roberta(), max_length=80, max_question_length=20), 0, rows)


def test_long_questions_are_cut_and_space_around_them_goes(tmp_path: Path) -> None:
    """The question takes at most max_question_length tokens, so that the passage keeps its room."""
    question = "  what " + "dog cat " * 20
    features = build(tmp_path / "f", [answered("cat", question)])
    ids = [PIECES[i] for i in window(features, 0, "input_ids")]
    assert ["[CLS]", "what", "dog", "cat", "dog", "cat", "dog", "[SEP]", "mira"] == ids[:9]


def test_tokenizers_without_token_types_make_none(tmp_path: Path) -> None:
    """RoBERTa and DistilBERT take no token types."""
    distil = DistilBertTokenizer(vocab=VOCABULARY, do_lower_case=True)
    for name, tokenizer in (("d", distil), ("r", roberta())):
        features = build(tmp_path / name, [answered("cat")], tokenizer, max_length=60, max_question_length=20)
        assert features.token_types is None
        assert not (features.folder / "token_types.npy").exists()


def test_more_examples_than_a_batch_keep_their_order(tmp_path: Path) -> None:
    """Batches of tokenising show nowhere but in the progress."""
    rows = [answered(("cat", "Oslin", "")[i % 3], key=str(i)) for i in range(2050)]
    seen: list[tuple[int, int]] = []
    features = build(tmp_path / "f", rows, progress=lambda done, total: seen.append((done, total)))
    assert [(1000, 2050), (2000, 2050), (2050, 2050)] == seen
    assert list(range(2050)) == np.unique(features.example_index).tolist()
    assert (np.diff(features.example_index) >= 0).all()
    assert features.char_spans is not None
    assert int(features.offsets[-1]) == len(features.input_ids) == len(features.char_spans)
    last = np.flatnonzero(features.example_index == 2047)
    assert "Oslin" in {target_text(features, int(i), rows) for i in last}


def test_an_empty_passage_is_a_window_without_passage(tmp_path: Path) -> None:
    """Odd data must not end a study."""
    features = build(tmp_path / "f", [answered("", context=""), answered("cat")])
    assert 0 == features.example_index[0]
    assert (window(features, 0, "char_spans") == -1).all()


def test_lengths_that_leave_no_room_are_refused(tmp_path: Path) -> None:
    """The message names the three keys; nothing stays on disk."""
    with pytest.raises(ConfigError, match=r"data\.max_length = 12 leaves 5 passage tokens"):
        build(tmp_path / "f", [answered("cat")], max_length=12, doc_stride=5)
    assert not (tmp_path / "f").exists()
    assert 1 < len(build(tmp_path / "f", [answered("cat")], max_length=12, doc_stride=4))


def test_a_length_beyond_the_model_is_refused(tmp_path: Path) -> None:
    """The tokenizer knows how much its model reads."""
    tokenizer = BertTokenizer(vocab=VOCABULARY, model_max_length=16)
    with pytest.raises(ConfigError, match="reads at most 16 tokens"):
        build(tmp_path / "f", [answered("cat")], tokenizer)


def test_a_tokenizer_without_cls_is_refused(tmp_path: Path) -> None:
    """Unanswerable questions point to the first token, so it must be a special one."""
    bare = PreTrainedTokenizerFast(tokenizer_object=bert().backend_tokenizer)
    bare.backend_tokenizer.post_processor = None
    with pytest.raises(ConfigError, match="puts no special token first"):
        build(tmp_path / "f", [answered("cat")], bare)


# ---------------------------------------------------------------- sentences


def test_sentences_and_pairs(tmp_path: Path) -> None:
    """One input an example, cut to the length, with its label."""
    rows = [TextExample("0", "the cat", None, 1), TextExample("1", "dog " * 50, None, 0)]
    features = build(tmp_path / "f", rows)
    assert ([4, 20], [1, 0], [0, 1]) == (
        features.lengths.tolist(),
        features.targets.tolist(),
        features.example_index.tolist(),
    )
    assert features.char_spans is None
    pair = build(tmp_path / "p", [TextExample("0", "the cat", "a dog", 1)])
    assert ["[CLS]", "the", "cat", "[SEP]", "a", "dog", "[SEP]"] == [PIECES[i] for i in pair.input_ids]
    assert pair.token_types is not None
    assert [0, 0, 0, 0, 1, 1, 1] == pair.token_types.tolist()


# ---------------------------------------------------------------- the cache


def test_a_finished_folder_is_opened_and_not_built_again(tmp_path: Path) -> None:
    """The second call tokenises nothing."""
    first = build(tmp_path / "f", [answered("cat")])
    seen: list[tuple[int, int]] = []
    again = build(tmp_path / "f", [answered("cat")], progress=lambda done, total: seen.append((done, total)))
    assert [] == seen
    assert first.input_ids.tolist() == again.input_ids.tolist() == open_features(tmp_path / "f").input_ids.tolist()


def test_an_interrupted_build_leaves_no_folder_and_is_begun_anew(tmp_path: Path) -> None:
    """Only a finished folder has the name; what a killed process left behind is swept away."""

    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "f", [answered("cat")], progress=interrupted)
    assert not (tmp_path / "f").exists()
    assert 1 < len(build(tmp_path / "f", [answered("cat")]))
    assert {"f", ".f.lock"} == {path.name for path in tmp_path.iterdir()}


def test_two_processes_that_want_one_folder_both_get_it(tmp_path: Path) -> None:
    """One builds, the other waits and opens."""
    code = (
        "import json, sys; from pathlib import Path; from transformers import BertTokenizer\n"
        "from bertdistill.engine.contract.spec import DataSpec\n"
        "from bertdistill.engine.distill.data.examples import Examples, TextExample\n"
        "from bertdistill.engine.distill.data.features import build_features\n"
        "rows = [TextExample(str(i), 'the cat', None, 0) for i in range(20000)]\n"
        "build_features(Examples('text-classification', rows, ('a',)), BertTokenizer(vocab=json.loads(sys.argv[2])),\n"
        "    DataSpec(), folder=Path(sys.argv[1]), progress=lambda done, total: None)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "f"), json.dumps(VOCABULARY)]
    workers = [subprocess.Popen(command) for _ in range(2)]
    assert [0, 0] == [worker.wait(60) for worker in workers]
    assert 20_000 == len(open_features(tmp_path / "f"))


def test_the_key_follows_everything_that_changes_the_arrays() -> None:
    """Tokenizer, lengths, task and examples change it; what has no influence does not, nor does use."""
    data, rows = DataSpec(), Examples(QA, [answered("cat")])

    def key(tokenizer: Any, spec: DataSpec = data, task: str = QA, examples: Examples = rows) -> str:
        return feature_key(tokenizer, spec, task, "train", digest(examples))

    used = bert()
    used("some text", truncation=True, max_length=3, padding="max_length")
    assert key(bert()) == key(used)
    assert key(bert()) == key(bert(), replace(data, max_answer_length=5, n_best=3, search_fraction=0.2))
    assert key(bert(), task=CLS) == key(bert(), replace(data, doc_stride=9), CLS)
    cased = BertTokenizer(vocab=VOCABULARY, do_lower_case=False)
    other = BertTokenizer(vocab=VOCABULARY | {"new": len(VOCABULARY)}, do_lower_case=True)
    distil = DistilBertTokenizer(vocab=VOCABULARY, do_lower_case=True)
    changed = {
        key(bert()),
        key(cased),
        key(other),
        key(distil),
        key(bert(), replace(data, max_length=100)),
        key(bert(), replace(data, doc_stride=9)),
        key(bert(), replace(data, max_question_length=9)),
        key(bert(), task=CLS),
        key(bert(), examples=Examples(QA, [answered("red")])),
    }
    assert 9 == len(changed)


def test_building_leaves_no_truncation_in_the_tokenizer(tmp_path: Path) -> None:
    """It would be saved with an exported model and cut its inputs."""
    tokenizer = bert()
    build(tmp_path / "f", [answered("cat")], tokenizer)
    assert tokenizer.backend_tokenizer.truncation is None
