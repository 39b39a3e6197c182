"""Exports of the families mlp and bilstm: what stands in the folder works alone and gives the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import make_tokenizer

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import INT4, INT8, DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.distill.compression.weights import save_packed
from bertdistill.engine.distill.data.examples import Examples, TextExample
from bertdistill.engine.distill.data.features import build_features
from bertdistill.engine.distill.data.units import count_units
from bertdistill.engine.distill.data.words import word_tokenizer
from bertdistill.engine.distill.export.answer import classify
from bertdistill.engine.distill.export.card import CardFacts
from bertdistill.engine.distill.export.export import export_model
from bertdistill.engine.distill.export.formats import FORMATS
from bertdistill.engine.distill.export.onnx_file import missing_for_onnx
from bertdistill.engine.distill.export.tiny_format import TinyFormat
from bertdistill.engine.distill.families.table import BUILDERS
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

TEXTS = ("A good film!", "a bad , sad and very long story about nothing", "good", "It 's the film I 'll see")
CASES: list[tuple[str, str, bool, dict[str, Any]]] = [
    ("mlp", "words", False, {}),
    ("mlp", "teacher", True, {"pooling": "attention", "weights": INT4}),
    ("bilstm", "teacher", False, {"layers": 2}),
    ("bilstm", "words", True, {"pooling": "max", "weights": INT8}),
    ("bilstm", "words", False, {"pooling": "max", "layers": 2}),
    ("bilstm", "teacher", True, {}),
]

# Runs where this project and transformers cannot be imported.
STRANGER = """
import sys; sys.modules["bertdistill"] = sys.modules["transformers"] = None
import json
found = {}
for folder in sys.argv[2:]:
    sys.modules.pop("modeling", None)
    sys.path.insert(0, folder)
    from modeling import load
    found[folder] = load(folder).classify(*json.loads(sys.argv[1])[folder])
    sys.path.remove(folder)
print(json.dumps(found))
"""


def make_student(folder: Path, family: str, units: str, pairs: bool, changes: dict[str, Any]) -> tuple[Path, Any]:
    """An untrained student of these texts, saved, and its tokenizer."""
    folder.mkdir()
    second = "so so" if pairs else None
    rows = [TextExample(str(i), text, second, i % 2) for i, text in enumerate(TEXTS)]
    examples = Examples(TEXT_CLASSIFICATION, rows, ("bad", "good"))
    tokenizer = word_tokenizer(TEXTS, folder / "words") if units == "words" else make_tokenizer("bert", TEXTS)
    data = DataSpec(max_length=12)
    features = build_features(examples, tokenizer, data, folder=folder / "f", progress=lambda done, total: None)
    counted = count_units(tokenizer, "", features, len(rows), folder)
    name = "words" if units == "words" else ""
    facts = Prepared(labels=("bad", "good"), pairs=pairs, units={"": counted, name: counted})
    settings = Settings(family=family, units=units, vocab_size=14, hidden_size=5, initializer_range=1.0, **changes)
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
        prepared=facts,
    )
    save_packed(BUILDERS[family].build(spec), settings.weights, folder / "student")
    return folder / "student", tokenizer


def card_facts(**changes: Any) -> CardFacts:
    data = DataSpec(train="train.tsv", report="test.tsv", max_length=12)
    return CardFacts(name="tiny", task=TEXT_CLASSIFICATION, data=data, settings=Settings(**changes))


def test_every_family_has_a_format() -> None:
    """A family that cannot be promoted would show that only after a search."""
    assert set(BUILDERS) == set(FORMATS)


def test_exports_classify_where_this_project_is_not_installed(tmp_path: Path) -> None:
    """With torch, safetensors and tokenizers alone, as `ask` does; long texts are cut as in training."""
    asked: dict[str, tuple[str, ...]] = {}
    for number, (family, units, pairs, changes) in enumerate(CASES):
        student, tokenizer = make_student(tmp_path / str(number), family, units, pairs, changes)
        target = tmp_path / f"v{number}"
        told = card_facts(family=family, units=units, **changes)
        files = export_model(student, target, card_facts=told, tokenizer=tokenizer, onnx=False)
        assert {"README.md", "config.json", "model.safetensors", "modeling.py", "tokenizer.json"} <= set(files)
        asked[str(target)] = ("a good story about nothing " * 4, *(["so what ?"] if pairs else []))
    command = [sys.executable, "-I", "-c", STRANGER, json.dumps(asked), *asked]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert 0 == done.returncode, done.stderr
    for folder, found in json.loads(done.stdout).items():
        here = classify(Path(folder), *asked[folder])
        assert here["probabilities"] == {name: round(value, 4) for name, value in found.items()}
        assert here["tokens"] > here["tokens_read"] == 12


@pytest.mark.parametrize(("family", "units", "pairs", "changes"), CASES)
def test_the_card_says_what_it_is(
    family: str, units: str, pairs: bool, changes: dict[str, Any], tmp_path: Path
) -> None:
    """Its kind, its units, its real sizes; no setting that another family reads."""
    student, _ = make_student(tmp_path / "one", family, units, pairs, changes)
    described = TinyFormat(student).describe(card_facts(family=family, units=units, vocab_size=500), onnx=True)
    assert ("LSTM" if family == "bilstm" else "bag-of-words") in described.summary
    assert ("it reads words" if units == "words" else "pieces of the teacher's tokenizer") in described.summary
    assert "14 embeddings" in described.summary
    assert 14 == described.settings["vocab_size"]
    assert 5 == described.settings["hidden_size"]
    assert not {"heads", "head_choice", "attention_dropout"} & set(described.settings)
    assert ('"A second one."' in described.loading) == pairs


@pytest.mark.skipif(bool(missing_for_onnx()), reason="the extra onnx is not installed")
@pytest.mark.parametrize(("family", "units", "pairs", "changes"), CASES)
def test_onnx_gives_the_same_logits(
    family: str, units: str, pairs: bool, changes: dict[str, Any], tmp_path: Path
) -> None:
    """To 1e-5, for other shapes than the traced one, with padding and an empty text."""
    import onnxruntime  # part of the extra

    student, tokenizer = make_student(tmp_path / "one", family, units, pairs, changes)
    said: list[str] = []
    files = export_model(student, tmp_path / "v1", card_facts=card_facts(), tokenizer=tokenizer, say=said.append)
    assert "model.onnx" in files, said
    session = onnxruntime.InferenceSession(str(tmp_path / "v1" / "model.onnx"))
    net = TinyFormat(student).net
    for shape in ((1, 1), (1, 6), (5, 19)):
        ids = torch.randint(0, len(tokenizer), shape, generator=torch.Generator().manual_seed(1))
        ids[-1, shape[1] // 2 :] = 0
        [got] = session.run(None, {"input_ids": ids.numpy()})
        with torch.inference_mode():
            assert (torch.from_numpy(got) - net(ids)).abs().max() < 1e-5


def test_a_damaged_student_is_refused(tmp_path: Path) -> None:
    """Weights that are missing, or a config that does not fit them."""
    student, tokenizer = make_student(tmp_path / "one", "mlp", "words", False, {})
    config = json.loads((student / "config.json").read_text())
    (student / "config.json").write_text(json.dumps(config | {"hidden_size": 6}))
    with pytest.raises(Exception, match="not a complete student"):
        export_model(student, tmp_path / "v1", card_facts=card_facts(), tokenizer=tokenizer)
    assert not (tmp_path / "v1").exists()
