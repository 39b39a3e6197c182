"""Exports of the family linear: what stands in the folder works alone and gives the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import make_tokenizer

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.distill.data.examples import Examples, TextExample
from bertdistill.engine.distill.data.features import build_features
from bertdistill.engine.distill.data.units import count_units
from bertdistill.engine.distill.data.words import word_tokenizer
from bertdistill.engine.distill.export.answer import classify
from bertdistill.engine.distill.export.card import CardFacts
from bertdistill.engine.distill.export.export import export_model
from bertdistill.engine.distill.export.linear_format import LinearFormat
from bertdistill.engine.distill.export.onnx_file import missing_for_onnx
from bertdistill.engine.distill.families.linear import LINEARS
from bertdistill.engine.distill.families.ngrams import with_ngrams
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

TEXTS = ("A good film!", "a bad , sad and very long story about nothing", "good", "It 's a bad film")
CASES = [("words", False), ("teacher", True)]

# Runs where this project and transformers cannot be imported.
STRANGER = """
import sys; sys.modules["bertdistill"] = sys.modules["transformers"] = None
import json
found = {}
for folder, texts in json.loads(sys.argv[1]).items():
    sys.modules.pop("modeling", None)
    sys.path.insert(0, folder)
    from modeling import load
    found[folder] = load(folder).classify(*texts)
    sys.path.remove(folder)
print(json.dumps(found))
"""


def fitted(
    folder: Path, units: str, pairs: bool, labels: Sequence[str] = ("good", "bad")
) -> tuple[Path, Any, CardFacts]:
    """A student fitted to these texts, saved; its tokenizer; what its card is made of."""
    folder.mkdir(exist_ok=True)
    second = "a sad story" if pairs else None
    rows = [TextExample(str(i), text, second, i % len(labels)) for i, text in enumerate(TEXTS)]
    examples = Examples(TEXT_CLASSIFICATION, rows, tuple(labels))
    tokenizer = word_tokenizer(TEXTS, folder / "words") if units == "words" else make_tokenizer("bert", TEXTS)
    data = DataSpec(train="train.tsv", report="test.tsv", max_length=12)
    features = build_features(examples, tokenizer, data, folder=folder / "f", progress=lambda done, total: None)
    counted = count_units(tokenizer, "", features, len(rows), folder)
    counted = with_ngrams(counted, features, len(rows), 2, folder, pairs=pairs)
    name = "words" if units == "words" else ""
    settings = Settings(family="linear", units=units, ngrams=2, alpha=0.0, term_frequency="sublinear")
    spec = AttemptSpec(
        kind="trial",
        study="s",
        task=TEXT_CLASSIFICATION,
        data=data,
        teacher=TeacherSpec(model="scratch"),
        student=StudentSpec(),
        settings=settings,
        device=Device(),
        caches="",
        prepared=Prepared(labels=tuple(labels), pairs=pairs, units={"": counted, name: counted}),
    )
    model = LINEARS.build(spec)
    model.fit(features, settings, {})
    model.save(folder / "student")
    return folder / "student", tokenizer, CardFacts(name="l", task=TEXT_CLASSIFICATION, data=data, settings=settings)


def test_exports_classify_where_this_project_is_not_installed(tmp_path: Path) -> None:
    """With torch, safetensors and tokenizers alone, as `ask` does; long texts are cut as in training."""
    asked: dict[str, list[str]] = {}
    for units, pairs in CASES:
        student, tokenizer, facts = fitted(tmp_path / units, units, pairs)
        target = tmp_path / f"v-{units}"
        files = export_model(student, target, card_facts=facts, tokenizer=tokenizer, onnx=False)
        assert {"README.md", "config.json", "model.safetensors", "modeling.py", "tokenizer.json"} <= set(files)
        asked[str(target)] = ["a bad story about nothing " * 4, *(["a good film"] if pairs else [])]
    command = [sys.executable, "-I", "-c", STRANGER, json.dumps(asked)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert 0 == done.returncode, done.stderr
    for folder, found in json.loads(done.stdout).items():
        here = classify(Path(folder), *asked[folder])
        assert "bad" == here["label"]
        assert here["probabilities"] == {name: round(value, 4) for name, value in found.items()}
        assert here["tokens"] > here["tokens_read"] == 12


@pytest.mark.skipif(bool(missing_for_onnx()), reason="the extra onnx is not installed")
@pytest.mark.parametrize(("units", "pairs", "labels"), [("words", False, "ab"), ("teacher", True, "abc")])
def test_onnx_gives_the_same_logits(tmp_path: Path, units: str, pairs: bool, labels: str) -> None:
    """To 1e-5, for texts of known and unknown n-grams, padded or empty; the file says what it takes to run it."""
    import onnxruntime  # part of the extra

    student, tokenizer, facts = fitted(tmp_path, units, pairs, labels)
    said: list[str] = []
    files = export_model(student, tmp_path / "v1", card_facts=facts, tokenizer=tokenizer, say=said.append)
    assert "model.onnx" in files, said
    assert "floats for each text" in (tmp_path / "v1" / "README.md").read_text()
    session = onnxruntime.InferenceSession(str(tmp_path / "v1" / "model.onnx"))
    net = LinearFormat(student).net
    texts = [[TEXTS[1], "a sad story"], [TEXTS[0], TEXTS[0]], ["film film film a film", TEXTS[1]], ["zz", ""], ["", ""]]
    given = [text if pairs else text[:1] for text in texts]
    encoded = [tokenizer.backend_tokenizer.encode(*text).ids for text in given]
    ids, mask = torch.zeros(2, 5, max(map(len, encoded)), dtype=torch.long)
    for row, text in enumerate(encoded):
        ids[row, : len(text)], mask[row, : len(text)] = torch.tensor(text), 1
    [got] = session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    with torch.inference_mode():
        wanted = net(ids, mask)
    assert len(labels) == wanted.shape[1]
    assert 1e-3 < (wanted[0] - wanted[2]).abs().max()
    assert (torch.from_numpy(got) - wanted).abs().max() < 1e-5


@pytest.mark.parametrize(("units", "pairs"), CASES)
def test_the_card_says_what_it_is(tmp_path: Path, units: str, pairs: bool) -> None:
    """Its features and units; only settings that it reads."""
    student, _, facts = fitted(tmp_path, units, pairs)
    model = LinearFormat(student)
    described = model.describe(facts, onnx=False)
    assert f"{len(model.net.keys)} n-grams of up to 2 of" in described.summary
    assert ("words" if units == "words" else "pieces of the teacher's tokenizer") in described.summary
    assert (2, 10.0) == (described.settings["ngrams"], described.settings["C"])
    assert not {"heads", "epochs", "seed", "temperature"} & set(described.settings)
    assert ('"A second one."' in described.loading) == pairs
