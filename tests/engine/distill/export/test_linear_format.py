"""Exports of the family linear: what stands in the folder works alone and gives the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
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


def fitted(folder: Path, units: str, pairs: bool) -> tuple[Path, Any, CardFacts]:
    """A student fitted to these texts, saved; its tokenizer; what its card is made of."""
    folder.mkdir(exist_ok=True)
    second = "a sad story" if pairs else None
    rows = [TextExample(str(i), text, second, i % 2) for i, text in enumerate(TEXTS)]
    examples = Examples(TEXT_CLASSIFICATION, rows, ("good", "bad"))
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
        prepared=Prepared(labels=("good", "bad"), pairs=pairs, units={"": counted, name: counted}),
    )
    model = LINEARS.build(spec)
    model.fit(features, settings, {})
    model.save(folder / "student")
    return folder / "student", tokenizer, CardFacts(name="l", task=TEXT_CLASSIFICATION, data=data, settings=settings)


def test_exports_classify_where_this_project_is_not_installed(tmp_path: Path) -> None:
    """With torch, safetensors and tokenizers alone, as `ask` does; long texts are cut as in training. There is no ONNX
    file, and it says why.
    """
    asked: dict[str, list[str]] = {}
    for units, pairs in CASES:
        student, tokenizer, facts = fitted(tmp_path / units, units, pairs)
        said: list[str] = []
        target = tmp_path / f"v-{units}"
        files = export_model(student, target, card_facts=facts, tokenizer=tokenizer, say=said.append)
        assert {"README.md", "config.json", "model.safetensors", "modeling.py", "tokenizer.json"} <= set(files)
        assert "model.onnx" not in files
        assert any("cannot be written as ONNX" in one for one in said)
        asked[str(target)] = ["a bad story about nothing " * 4, *(["a good film"] if pairs else [])]
    command = [sys.executable, "-I", "-c", STRANGER, json.dumps(asked)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert 0 == done.returncode, done.stderr
    for folder, found in json.loads(done.stdout).items():
        here = classify(Path(folder), *asked[folder])
        assert "bad" == here["label"]
        assert here["probabilities"] == {name: round(value, 4) for name, value in found.items()}
        assert here["tokens"] > here["tokens_read"] == 12


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
