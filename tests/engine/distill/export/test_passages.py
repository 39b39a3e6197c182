"""Passages read once: the same numbers as without the cache, and no cache that fits neither model nor disk."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import TEXTS, make_checkpoint
from transformers import AutoTokenizer

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec, Settings
from bertdistill.engine.distill.export import answer, passage_cache, passages
from bertdistill.engine.distill.export.card import CardFacts
from bertdistill.engine.distill.export.export import export_model
from bertdistill.engine.distill.export.passage_cache import open_cache, read_passages, windows_of, write_cache
from bertdistill.engine.distill.export.passages import Asked, ask, build, open_reader
from bertdistill.engine.distill.families.transformer import build_student, read_shape, save_student
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING as QA
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION as CLASSIFY

QUESTION = "Who sleeps under the tall tree?"
DATA = DataSpec(train="train.json", report="dev.json", max_length=48, max_question_length=16, doc_stride=8)


def promoted(folder: Path, *, task: str = QA, seed: int = 0, threshold: float | None = 100.0, **settings: Any) -> Path:
    """An exported model of four layers."""
    initial = make_checkpoint(folder / "initial", "bert", layers=4, seed=seed)
    chosen = Settings(**{"separate_layers": 3, "initializer_range": 0.3, **settings})
    labels = () if task == QA else ("a", "b")
    model, kept = build_student(initial, chosen, task=task, labels=labels, shape=read_shape(initial))
    save_student(model, kept, folder / "student")
    facts = CardFacts(name="tiny", task=task, data=DATA, settings=chosen, null_threshold=threshold)
    tokenizer = AutoTokenizer.from_pretrained(initial)
    export_model(folder / "student", folder / "v1", card_facts=facts, tokenizer=tokenizer, onnx=False)
    return folder / "v1"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A promoted model with three separate layers."""
    return promoted(tmp_path_factory.mktemp("promoted"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short passages, and one of several windows."""
    path = tmp_path_factory.mktemp("passages") / "passages.txt"
    path.write_text("\n".join([*TEXTS, " ".join(TEXTS), "", TEXTS[0]]))
    return path


def test_equal_to_the_model_without_a_cache(model: Path, file: Path, tmp_path: Path) -> None:
    """Logits of every token of every window to 1e-5 in fp32, whatever the length of the question."""
    built = build(model, file, tmp_path / "fp32", "fp32")
    assert (5, 3) == (built["passages"], built["separate_layers"])
    assert built["windows"] > built["passages"]
    reader = open_reader(model)
    cache = open_cache(tmp_path / "fp32", reader.digest)
    for question in ("Who?", QUESTION, QUESTION * 9):
        asked = Asked(reader, cache, question, None)
        found, expected = asked.from_cache(), asked.whole()
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_same_answer_as_ask(model: Path, file: Path, tmp_path: Path) -> None:
    """Windows are tokens of the passage as training makes them; half the bytes round the scores in the third digit."""
    fp32, fp16 = (build(model, file, tmp_path / name, name) for name in ("fp32", "fp16"))
    for number, text in enumerate(TEXTS, 1):
        plain = answer.answer(model, question=QUESTION, context=text)
        for folder, tolerance in (("fp32", 1e-3), ("fp16", 0.02)):
            found = ask(model, tmp_path / folder, QUESTION, passage=number)
            assert plain["score"] == pytest.approx(found["score"], abs=tolerance)
            assert plain["null_score"] == pytest.approx(found["null_score"], abs=tolerance)
        assert {"answer", "abstained", "best_span", "null_threshold"} <= plain.keys() & found.keys()
    width, tokens = 32, fp32["tokens"]
    assert (tokens * (4 * width + 12), tokens * (2 * width + 12)) == (fp32["bytes"], fp16["bytes"])
    assert round(fp16["bytes"] / 5) == fp16["bytes_per_passage"]
    stored = sum((tmp_path / "fp16" / f"{name}.npy").stat().st_size for name in ("states", "ids", "char_spans"))
    assert fp16["bytes"] == pytest.approx(stored, abs=500)


def test_the_surest_passage_answers(model: Path, file: Path, tmp_path: Path) -> None:
    """Of all passages it is the one with the smallest null odds; above the threshold there is no answer."""
    build(model, file, tmp_path / "built")
    each = [ask(model, tmp_path / "built", QUESTION, passage=number) for number in range(1, 6)]
    odds = [one["null_score"] - one["score"] for one in each]
    best = ask(model, tmp_path / "built", QUESTION, compare=True)
    assert int(np.argmin(odds)) + 1 == best["passage"]
    assert each[best["passage"] - 1]["best_span"] == best["best_span"] == best["answer"]
    assert 0 < best["largest_difference"] < 0.05  # fp16
    assert {"latency_cached_ms", "latency_cpu_ms"} <= best.keys()
    assert "latency_cpu_ms" not in each[0]


def test_windows_cover_a_passage(model: Path) -> None:
    """With the room that the longest question leaves, the overlap of training and a separator at each end."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    text = " ".join(TEXTS)
    windows = windows_of([text], tokenizer, DATA)
    whole = tokenizer(text, add_special_tokens=False)["input_ids"]
    room, parts = 48 - 16 - 3, np.split(windows.ids, windows.offsets[1:-1])
    assert all(part[-1] == tokenizer.sep_token_id for part in parts)
    pieces = [part[:-1].tolist() for part in parts]
    assert [whole[start : start + room] for start in range(0, len(whole) - 8, room - 8)] == pieces
    expected = tokenizer(
        QUESTION, text, truncation="only_second", max_length=48, stride=8, return_overflowing_tokens=True
    )
    first = expected["input_ids"][0]
    assert first[first.index(tokenizer.sep_token_id) + 1 :][:room] == pieces[0]
    (start, stop), token = windows.char_spans[3], windows.ids[3]
    assert text[start:stop].lower() == tokenizer.decode([token]).removeprefix("##")


def test_a_cache_of_another_model_is_refused(model: Path, file: Path, tmp_path: Path) -> None:
    """Its states mean nothing to this one; so do those of a folder that is not whole."""
    build(model, file, tmp_path / "built")
    other = promoted(tmp_path / "other", seed=1)
    with pytest.raises(ConfigError, match="another model"):
        ask(other, tmp_path / "built", QUESTION)
    with pytest.raises(ConfigError, match="already exists"):
        build(model, file, tmp_path / "built")
    with pytest.raises(ConfigError, match="passage 9"):
        ask(model, tmp_path / "built", QUESTION, passage=9)
    states = tmp_path / "built" / passage_cache.STATES
    np.save(states, np.load(states)[:-1])
    with pytest.raises(ConfigError, match="do not belong together"):
        ask(model, tmp_path / "built", QUESTION)
    shutil.copyfile(tmp_path / "built" / passage_cache.TEXTS, states)
    with pytest.raises(ConfigError, match="no complete passages"):
        ask(model, tmp_path / "built", QUESTION)


def test_a_disk_that_is_too_small(model: Path, file: Path, tmp_path: Path) -> None:
    """Is found before anything is written; the message names the bytes."""
    reader, texts = open_reader(model), read_passages(file)
    windows = windows_of(texts, reader.tokenizer, reader.data)
    needed = len(windows.ids) * (32 * 4 + 12)
    order = {"model": reader.digest, "numbers": "fp32", "pad_id": reader.pad_id}
    with pytest.raises(ConfigError, match=f"needs {needed:,} bytes, but only {needed - 1:,} are free") as refused:
        write_cache(tmp_path / "new", texts, windows, reader.net, **order, free=lambda path: needed - 1)
    assert "fp16" in refused.value.hint
    assert [] == list(tmp_path.iterdir())
    write_cache(tmp_path / "new", texts, windows, reader.net, **order, free=lambda path: needed)
    assert (tmp_path / "new" / passage_cache.INDEX).is_file()


@pytest.mark.parametrize(
    ("options", "text"),
    [({"separate_layers": 0}, "all layers of this model read"), ({"task": CLASSIFY}, "classifies texts")],
)
def test_other_models_are_refused(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    """A model without separate layers, and one that answers no questions."""
    with pytest.raises(ConfigError, match=text):
        open_reader(promoted(tmp_path, **options, threshold=None))


def test_files_of_passages(tmp_path: Path) -> None:
    """SQuAD JSON: each passage once; a text file: its lines."""
    paragraph = {"context": "Ada wrote it.", "qas": [{"id": str(i), "question": "Who?", "answers": []} for i in (1, 2)]}
    squad = tmp_path / "squad.json"
    squad.write_text(json.dumps({"version": "v2.0", "data": [{"title": "A", "paragraphs": [paragraph]}]}))
    assert ("Ada wrote it.",) == read_passages(squad)
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    for path, text in ((empty, "no passages"), (tmp_path / "nowhere.txt", "not a file")):
        with pytest.raises(ConfigError, match=text):
            read_passages(path)


def test_the_program(
    model: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON object for each request; an error is one line on stderr."""
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    folder = str(tmp_path / "built")
    orders = [
        {"build": {"model": str(model), "file": str(file), "folder": folder, "numbers": "fp16"}},
        {"ask": {"model": str(model), "folder": folder, "question": QUESTION}},
        {"ask": {"model": str(model), "folder": folder, "question": " "}},
    ]
    codes, replies = [], []
    for order in orders:
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(order)))
        codes.append(passages.main())
        replies.append(capsys.readouterr())
    assert [0, 0, 1] == codes
    assert folder == json.loads(replies[0].out)["folder"]
    assert json.loads(replies[1].out)["passage"] in range(1, 6)
    assert "the question is empty\n" == replies[2].err
