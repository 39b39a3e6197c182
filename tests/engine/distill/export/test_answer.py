"""Asking an exported folder: it reads as training did, abstains by its threshold and refuses what it is not for."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.foreign import make_foreign
from tests.tiny import TEXTS, Kind, make_checkpoint
from transformers import AutoTokenizer

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec, Settings
from bertdistill.engine.distill.export import answer as module
from bertdistill.engine.distill.export.answer import answer, ask, classify
from bertdistill.engine.distill.export.card import CardFacts
from bertdistill.engine.distill.export.cascade_folder import CASCADE, ROUTER
from bertdistill.engine.distill.export.export import export_model
from bertdistill.engine.distill.families.model import FAMILY
from bertdistill.engine.distill.families.transformer import build_student, load_student, read_shape, save_student
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

QA, CLASSIFY = QUESTION_ANSWERING, TEXT_CLASSIFICATION
LABELS = ("bad", "fair", "good")
QUESTION = "Where does the fox jump?"
DATA = DataSpec(max_length=40, doc_stride=8, max_question_length=16)


def exported(
    tmp_path: Path, task: str = QA, *, kind: Kind = "bert", heads: int = 3, null_threshold: float | None = None
) -> Path:
    init = make_checkpoint(tmp_path / "init", kind)
    settings = Settings(heads=heads, head_choice="random", initializer_range=0.5)
    labels = () if task == QA else LABELS
    model, kept = build_student(init, settings, task=task, labels=labels, shape=read_shape(init))
    save_student(model, kept, tmp_path / "student")
    facts = CardFacts(name="tiny", task=task, data=DATA, settings=settings, null_threshold=null_threshold)
    tokenizer = AutoTokenizer.from_pretrained(init)
    target = tmp_path / "v1"
    export_model(tmp_path / "student", target, card_facts=facts, tokenizer=tokenizer, onnx=False, replace=True)
    return target


def span_of(folder: Path, passage: str) -> tuple[str, float, float]:
    """Best span by trying all of them in one window, its score and the null score."""
    model, tokenizer = load_student(folder)[0], AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(QUESTION, passage, return_tensors="pt", return_offsets_mapping=True)
    spans, inside = encoded.pop("offset_mapping")[0].tolist(), [part == 1 for part in encoded.sequence_ids()]
    with torch.no_grad():
        found = model(**encoded)
    start, end = found.start_logits[0].tolist(), found.end_logits[0].tolist()
    best = max(
        (start[i] + end[j], i, j) for i in range(len(start)) for j in range(i, len(start)) if inside[i] and inside[j]
    )
    return passage[spans[best[1]][0] : spans[best[2]][1]].strip(), best[0], start[0] + end[0]


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta"])
def test_answer_is_the_best_span(tmp_path: Path, kind: Kind) -> None:
    """The same text and scores as by trying every span of the passage."""
    folder, passage = exported(tmp_path, kind=kind), "The quick brown fox jumps over the lazy dog."
    text, score, null = span_of(folder, passage)
    found = answer(folder, question=QUESTION, context=passage)
    assert (text, False) == (found["answer"], found["abstained"])
    assert (score, null) == (pytest.approx(found["score"], abs=1e-3), pytest.approx(found["null_score"], abs=1e-3))
    assert "null_threshold" not in found


def test_abstains_above_the_threshold_only(tmp_path: Path) -> None:
    """The stored threshold is compared with null score minus span score; the best span is told in any case."""
    passage = "The quick brown fox jumps over the lazy dog."
    plain = answer(exported(tmp_path), question=QUESTION, context=passage)
    odds = plain["null_score"] - plain["score"]
    below = answer(exported(tmp_path, null_threshold=odds - 0.1), question=QUESTION, context=passage)
    above = answer(exported(tmp_path, null_threshold=odds + 0.1), question=QUESTION, context=passage)
    assert ("", True, plain["answer"]) == (below["answer"], below["abstained"], below["best_span"])
    assert (plain["answer"], False) == (above["answer"], above["abstained"])
    assert odds - 0.1 == pytest.approx(below["null_threshold"])


def test_long_passages_are_read_to_their_end(tmp_path: Path) -> None:
    """A passage longer than one window is read in windows: its score is that of the best window, wherever it lies."""
    folder = exported(tmp_path)
    words = " ".join(TEXTS).split()
    passage = " ".join(words * 3)
    whole = answer(folder, question=QUESTION, context=passage)
    first = answer(folder, question=QUESTION, context=" ".join(words[:6]))
    assert whole["answer"] in passage
    assert whole["score"] != first["score"]
    last = answer(folder, question=QUESTION, context=f"{'.' * 200} {passage}")
    assert last["score"] >= whole["score"] - 1.0
    assert len(passage.split()) > DATA.max_length


def test_questions_too_long_for_the_windows_of_training(tmp_path: Path) -> None:
    """A question that leaves less room than the overlap of the windows is cut and answered, not refused."""
    folder = exported(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["bertdistill"] |= {"max_length": 24, "doc_stride": 12, "max_question_length": 20}
    (folder / "config.json").write_text(json.dumps(config))
    passage = " ".join(TEXTS)
    found = answer(folder, question=" ".join([QUESTION] * 9), context=passage)
    assert found["answer"] in passage


def test_a_text_that_is_cut_says_so(tmp_path: Path) -> None:
    """Nobody should take the label of the first page for that of the book."""
    folder = exported(tmp_path, CLASSIFY)
    assert "tokens_read" not in classify(folder, "A good film")
    found = classify(folder, "A good film " * 400)
    assert found["tokens_read"] < found["tokens"]


def test_classify_gives_every_label(tmp_path: Path) -> None:
    """Probabilities are the softmax of the model's logits, the label is the most probable one; a pair is read too."""
    folder = exported(tmp_path, CLASSIFY)
    model, tokenizer = load_student(folder)[0], AutoTokenizer.from_pretrained(folder)
    for pair in (None, "Who sleeps?"):
        with torch.no_grad():
            shares = model(**tokenizer("A good film", pair, return_tensors="pt")).logits[0].softmax(-1).tolist()
        found = classify(folder, "A good film", pair)
        assert pytest.approx(dict(zip(LABELS, shares, strict=True)), abs=1e-4) == found["probabilities"]
        assert LABELS[shares.index(max(shares))] == found["label"]
        assert max(shares) == pytest.approx(found["probability"], abs=1e-4)


def test_plain_checkpoint_can_be_asked(tmp_path: Path) -> None:
    """Any folder in transformers format with a fitting head answers, with default lengths."""
    folder = make_checkpoint(tmp_path / "other", "distilbert", head="qa")
    assert answer(folder, question=QUESTION, context="The fox jumps.")["answer"] in "The fox jumps."


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"text": "A good film"}, "is for question-answering"),
        ({"question": QUESTION, "passage": "  "}, "not be empty"),
        ({"question": QUESTION}, "not be empty"),
        ({}, "the request is empty"),
    ],
)
def test_wrong_requests_are_refused(tmp_path: Path, request_: dict[str, Any], words: str) -> None:
    """The error says what the model is for, or what is missing."""
    with pytest.raises(ConfigError, match=words):
        ask(exported(tmp_path), request_)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    """A folder without a model, and a classifier that is asked a question, say what they are."""
    with pytest.raises(ConfigError, match="not an exported model"):
        ask(tmp_path, {"text": "A good film"})
    with pytest.raises(ConfigError, match="is for text-classification"):
        ask(exported(tmp_path, CLASSIFY), {"question": QUESTION, "passage": "The fox."})


def test_as_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON request on stdin, one JSON object on stdout; errors are one line on stderr; exit codes 0, 1, 2."""
    folder = exported(tmp_path, CLASSIFY)
    request = {"text": "A good film", "pair": "A bad film"}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    assert 0 == module.main([str(folder)])
    assert classify(folder, "A good film", "A bad film") == json.loads(capsys.readouterr().out)
    for text in ("{}", "no json"):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert 1 == module.main([str(folder)])
        printed = capsys.readouterr()
        assert ("", 1) == (printed.out, len(printed.err.splitlines()))
    assert 2 == module.main([])
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (None, r"No such file .*router\.json"),
        ("{}", r"router\.json gives no temperature and threshold"),
        ('{"temperature": null, "threshold": "x"}', r"router\.json gives no temperature and threshold"),
        ("[]", r"router\.json: not an object"),
        ('{"temperature": 1.0, "threshold": 0.5}', r"small: not an exported model"),
    ],
)
def test_a_cascade_with_a_missing_part_is_refused(tmp_path: Path, rule: str | None, message: str) -> None:
    """By the name of the part, not as a model of an unknown family."""
    (tmp_path / "config.json").write_text(json.dumps({FAMILY: CASCADE}))
    if rule is not None:
        (tmp_path / ROUTER).write_text(rule)
    with pytest.raises(ConfigError, match=message):
        classify(tmp_path, "a film")


def test_a_teacher_of_another_architecture_is_asked(tmp_path: Path) -> None:
    """As the model to compare a student with, or as the large model of a cascade; it reads what it can."""
    folder = make_foreign(tmp_path / "electra", "electra", TEXTS)
    found = classify(folder, "word " * 90)
    assert (64, {"neg", "pos"}) == (found["tokens_read"], set(found["probabilities"]))
