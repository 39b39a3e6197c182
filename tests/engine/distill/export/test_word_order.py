"""Word order sensitivity of real models: a bag of words has none, and what is left out is counted."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import order_study, two_layers
from tests.order_study import LABELS, balance, encoder, study_spec, teacher
from transformers import AutoTokenizer

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.distill.data.split_file import search_examples
from bertdistill.engine.distill.export import word_order
from bertdistill.engine.distill.export.word_order import main, measure
from bertdistill.engine.tasks.word_order import CUT, SHORT, WRONG, Shuffling, left_out

FIVE = Shuffling(shuffles=5, examples=0)


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teacher(tmp_path_factory.mktemp("order") / "teacher")


@pytest.fixture(name="tokenizer", scope="module")
def _tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def bag_of_words(tokenizer: Any) -> two_layers.Model:
    """The mean of random word vectors."""
    sizes = {"vocabulary": len(tokenizer), "hidden": 16, "labels": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = two_layers.Model(two_layers.Net(**sizes), sizes)
    balance(model, model.net.head, tokenizer)
    return model


@pytest.mark.parametrize("ngram", [1, 2, 3])
@pytest.mark.parametrize("pairs", [False, True])
def test_a_bag_of_words_has_no_order(tmp_path: Path, folder: Path, tokenizer: Any, ngram: int, pairs: bool) -> None:
    """Exactly 100 % stay right in every shuffle, so WOS is exactly 0."""
    model = bag_of_words(tokenizer)
    spec = study_spec(tmp_path, folder, model, tokenizer, pairs=pairs)
    found = measure(spec, model, tokenizer, dataclasses.replace(FIVE, ngram=ngram))
    assert (100.0, 0.0, 0.0) == (found.still_right, found.spread, found.wos)
    assert found.examples > 20
    assert 2 == found.classes
    assert found.cpu_seconds > 0


def test_an_encoder_reads_order(tmp_path: Path, folder: Path, tokenizer: Any) -> None:
    """Between chance and all right, the same every time, and another number for other shuffles."""
    model = encoder(folder)
    spec = study_spec(tmp_path, folder, model, tokenizer)
    found = measure(spec, model, tokenizer, FIVE)
    assert 50 < found.still_right < 100
    assert found.wos == pytest.approx((100 - found.still_right) / 50)
    again = measure(spec, model, tokenizer, FIVE)
    assert found == dataclasses.replace(again, cpu_seconds=found.cpu_seconds)
    assert found.still_right != measure(spec, model, tokenizer, dataclasses.replace(FIVE, seed=1)).still_right


def test_stored_answers_save_a_pass(
    tmp_path: Path, folder: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same result; what only the stored answer has right, being of another arithmetic, does not count."""
    model = encoder(folder)
    spec = study_spec(tmp_path, folder, model, tokenizer)
    examples = search_examples(spec)
    known = np.array([row.label for row in examples.rows])
    found = measure(spec, model, tokenizer, FIVE)
    sizes: list[int] = []
    classes = word_order.Reader.classes

    def counted(reader: Any, features: Any) -> Any:
        sizes.append(len(features))
        return classes(reader, features)

    monkeypatch.setattr(word_order.Reader, "classes", counted)
    again = measure(spec, model, tokenizer, FIVE, known)
    assert found == dataclasses.replace(again, cpu_seconds=found.cpu_seconds)
    assert [6 * found.examples] == sizes
    with torch.no_grad():
        model.net.classifier.bias.copy_(torch.tensor([100.0, -100.0]))
    assert 100.0 == measure(spec, model, tokenizer, FIVE, known).still_right


def test_hard_examples_are_those_whose_answer_is_lost(tmp_path: Path, folder: Path, tokenizer: Any) -> None:
    """None for a bag of words, some for an encoder; what has no other order is not hard, whatever its answer."""
    model = encoder(folder)
    spec = study_spec(tmp_path, folder, model, tokenizer)
    known = np.array([row.label for row in search_examples(spec).rows])
    found = word_order.hard(spec, model, tokenizer, FIVE, known)
    assert 0 < sum(found) < len(found) == len(known)
    short = [one is False for one, row in zip(found, search_examples(spec).rows, strict=True) if left_out(row.text, 1)]
    assert all(short)
    bag = bag_of_words(tokenizer)
    labelled = study_spec(tmp_path, folder, bag, tokenizer)
    known = np.array([row.label for row in search_examples(labelled).rows])
    assert not any(word_order.hard(labelled, bag, tokenizer, FIVE, known))


def test_what_cannot_be_used_is_counted(tmp_path: Path, folder: Path, tokenizer: Any) -> None:
    """Wrong ones, those of three words, and those that do not fit whole: a shuffle would bring other words in."""
    model = bag_of_words(tokenizer)
    spec = study_spec(tmp_path, folder, model, tokenizer)
    lines = Path(spec.data.train).read_text().splitlines()
    turned = {"good": "bad", "bad": "good"}
    text, _, label = lines[1].partition("\t")
    extra = [f"{text} or\t{turned[label]}", f"so good .\t{label}", f"{' '.join(['very', 'good'] * 30)} .\t{label}"]
    Path(spec.data.train).write_text("\n".join([*lines, *extra * 4]) + "\n")
    examples = order_study.load_examples(spec.data, spec.task, "train", labels=LABELS)
    search = order_study.cut(examples, spec.data)[1]
    facts = dataclasses.replace(spec.prepared, search_digest=order_study.digest(search))
    found = measure(dataclasses.replace(spec, prepared=facts), model, tokenizer, FIVE)
    assert {WRONG, SHORT, CUT} >= set(found.left_out)
    assert sum(found.left_out.values()) > 0
    assert 100.0 == found.still_right


def test_a_model_that_knows_one_class_is_refused(tmp_path: Path, folder: Path, tokenizer: Any) -> None:
    """There is nothing to balance; the message counts why."""
    model = bag_of_words(tokenizer)
    spec = study_spec(tmp_path, folder, model, tokenizer)
    with torch.no_grad():
        model.net.head.bias.copy_(torch.tensor([100.0, -100.0]))
    with pytest.raises(ConfigError, match=r"only examples of bad are classified correctly .*\(\d+ wrong\)"):
        measure(spec, model, tokenizer, FIVE)


def test_as_a_program(
    tmp_path: Path, folder: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A request on stdin, the result as JSON; one line of what is wrong with a model that is not there."""
    path = RunPaths(tmp_path).spec
    study_spec(tmp_path, folder, encoder(folder), tokenizer).write(path)
    request = {"folder": str(folder), "teacher": True, "shuffling": dataclasses.asdict(FIVE)}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    assert 0 == main([str(path)])
    assert 5 == json.loads(capsys.readouterr().out)["shuffling"]["shuffles"]
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request | {"folder": str(tmp_path / "none")})))
    assert [1, 2] == [main([str(path)]), main([])]
    out, err = capsys.readouterr()
    assert ("", 2) == (out, len(err.splitlines()))
    assert word_order.__name__ in err
