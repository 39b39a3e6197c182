"""Trials of the family bottleneck, from a preparation to a verified export that plain transformers loads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.engine.distill.test_tiny_students import CPU, attempt, best_of
from tests.preparing import LINES, make_run, split_report
from tests.tiny import make_checkpoint
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.facts import INIT_UNITS
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.spec import INT8, Settings, TeacherSpec
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.export.answer import classify
from bertdistill.engine.distill.export.promotion import verify
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.trial import run_trial
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.tasks.table import TASKS

LEARN: dict[str, Any] = {
    "family": "bottleneck",
    "batch_size": 8,
    "epochs": 6.0,
    "evaluations": 2,
    "learning_rate": 5e-3,
    "alpha": 0.5,
    "precision": "fp32",
    "dropout": 0.0,
    "classifier_dropout": 0.0,
}
TRANSFER: dict[str, Any] = {
    "map_weight": 100.0,
    "map_mean_weight": 5000.0,
    "map_variance_weight": 5.0,
    "attention_map_weight": 1.0,
    "layerwise": "progressive",
    "layerwise_share": 0.5,
}


@pytest.fixture(scope="module", name="taught")
def _taught(tmp_path_factory: pytest.TempPathFactory) -> AttemptSpec:
    """New students of a BERT of two layers, with its embeddings."""
    root = tmp_path_factory.mktemp("taught")
    teacher = make_checkpoint(root / "teacher", "bert", head="cls", texts=LINES, labels=2)
    return prepared(root, teacher, init="teacher")


@pytest.fixture(scope="module", name="cut")
def _cut(tmp_path_factory: pytest.TempPathFactory) -> AttemptSpec:
    """Students cut from a MobileBERT that reads other tokens than the teacher."""
    root = tmp_path_factory.mktemp("cut")
    teacher = make_checkpoint(root / "teacher", "bert", head="cls", texts=LINES, labels=2)
    mobile = make_checkpoint(root / "mobile", "mobilebert", texts=["a good dull film number", *"0123456789"], layers=3)
    return prepared(root, teacher, init=str(mobile))


def prepared(root: Path, teacher: Path, init: str) -> AttemptSpec:
    run = split_report(make_run(root / "run", TeacherSpec(model=str(teacher)), init=init))
    spec = dataclasses.replace(run.spec, families=["bottleneck"], signals=[LOGITS])
    facts = prepare(dataclasses.replace(run, spec=spec))
    return dataclasses.replace(spec, kind="trial", trial=0, prepared=facts, select_metric="accuracy")


def trained(spec: AttemptSpec, folder: Path, **settings: Any) -> tuple[AttemptSpec, dict[str, float], Any]:
    """A trial whose sizes are known beforehand, and its best checkpoint."""
    chosen = Settings(**{**LEARN, **settings})
    family, task = FAMILIES["bottleneck"], TASKS[spec.task]
    plan = family.plan(spec.prepared, chosen, scratch=spec.student.init == "scratch")
    known = family.known(plan, task, spec.prepared)
    spec = dataclasses.replace(spec, settings=chosen, expected_params=int(known["params"]))
    run = attempt(spec, folder)
    metrics = run_trial(run)
    assert known["params"] == metrics["params"]
    return spec, metrics, best_of(run)


def promoted(spec: AttemptSpec, metrics: dict[str, float], best: dict[str, Any], folder: Path) -> Path:
    order = Promotion(Path(best["folder"]), best["sha256"], folder / "v1", "mobile", 1, metrics, samples=20)
    again = attempt(dataclasses.replace(spec, kind="promote", promote=order), folder / "verification")
    found = verify(again.spec, again.events, again.paths, stop=again.stop, device=CPU)
    assert "" == found["report"]["problem"]
    assert metrics["accuracy"] == found["metrics"]["accuracy"]
    return order.target


@pytest.mark.parametrize(
    ("study", "settings"),
    [("taught", TRANSFER), ("taught", {"weights": INT8, "normalization": "layer_norm"}), ("cut", {"layers": 2})],
    ids=["progressive", "int8", "cut"],
)
def test_a_student_is_verified_and_answers(
    study: str, settings: dict[str, Any], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Plain transformers loads what is not packed, and gives the labels of `ask`."""
    spec, metrics, best = trained(request.getfixturevalue(study), tmp_path / "trial", **settings)
    target = promoted(spec, metrics, best, tmp_path)
    texts = [f"a {word} film number 7" for word in ("good", "dull")]
    answers = [classify(target, text)["label"] for text in texts]
    assert (settings.get("weights") == INT8) == (target / "modeling.py").exists()
    if settings.get("weights") == INT8:
        return
    model: Any = AutoModelForSequenceClassification.from_pretrained(target)
    inputs = AutoTokenizer.from_pretrained(target)(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        logits = model.eval()(**inputs).logits
    assert answers == [model.config.id2label[int(row.argmax())] for row in logits]
    assert "mobilebert" == model.config.model_type
    card = (target / "README.md").read_text(encoding="utf-8")
    assert f"A MobileBERT for text-classification with {model.config.num_hidden_layers} layers of width 32" in card


def test_it_reads_the_tokens_of_what_it_is_cut_from(cut: AttemptSpec) -> None:
    """Which the preparation has tokenised beside the teacher's."""
    facts = cut.prepared
    assert {"", INIT_UNITS} == set(facts.units)
    assert INIT_UNITS == FAMILIES["bottleneck"].units(facts, Settings(family="bottleneck"))
