"""Trials of the families mlp and bilstm, from a preparation to a verified export, in this process."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.preparing import LINES, make_run
from tests.tiny import make_checkpoint

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import CHECKPOINT, EventWriter, parse_event
from bertdistill.engine.contract.folder import CLASS_LOGITS, RunPaths
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.spec import FP32, INT4, INT8, Settings, TeacherSpec
from bertdistill.engine.distill.data.features import open_features
from bertdistill.engine.distill.export.answer import classify
from bertdistill.engine.distill.export.promotion import verify
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Run, Stopped
from bertdistill.engine.distill.training.train import predict
from bertdistill.engine.distill.trial import run_trial

CPU = torch.device("cpu")
COMMON: dict[str, Any] = {
    "batch_size": 8,
    "epochs": 6.0,
    "evaluations": 2,
    "learning_rate": 2e-2,
    "precision": "fp32",
    "vocab_size": 30,
    "hidden_size": 8,
    "word_dropout": 0.2,
}
STUDENTS: list[dict[str, Any]] = [
    {"family": "mlp", "units": "words", "embedding_init": "teacher-output"},
    {"family": "mlp", "pooling": "attention", "embedding_init": "teacher", "embedding_size": 8, "weights": INT4},
    {"family": "bilstm", "units": "words", "embedding_init": "teacher", "layers": 2, "dropout": 0.3},
    {"family": "bilstm", "pooling": "max", "weights": INT8},
]


class StopAfter(threading.Event):
    """A stop that is requested while training is under way, whatever the machine's speed."""

    def __init__(self, reads: int) -> None:
        super().__init__()
        self.left = reads

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module", name="prepared")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AttemptSpec]:
    root = tmp_path_factory.mktemp("study")
    teacher = make_checkpoint(root / "teacher", "bert", head="cls", texts=LINES)
    run = make_run(root / "run", TeacherSpec(model=str(teacher)))
    report = root / "report.txt"
    report.write_text("\n".join(f"such a {w} film;{label}" for w, label in [("good", "pos"), ("dull", "neg")] * 9))
    wanted = {"teacher": 30, "teacher-output": 30}
    data = dataclasses.replace(run.spec.data, report=str(report))
    spec = dataclasses.replace(run.spec, units=["words"], vectors=wanted, families=["mlp", "bilstm"], data=data)
    facts = prepare(dataclasses.replace(run, spec=spec))
    return root, dataclasses.replace(spec, kind="trial", trial=0, prepared=facts, select_metric="accuracy")


def attempt(spec: AttemptSpec, folder: Path, stop: threading.Event | None = None) -> Run:
    folder.mkdir(parents=True)
    paths = RunPaths(folder)
    return Run(spec, paths, EventWriter(paths.events), stop or threading.Event(), CPU)


def best_of(run: Run) -> dict[str, Any]:
    parsed = [parse_event(line) for line in run.paths.events.read_bytes().splitlines()]
    return [one for one in parsed if one and one["k"] == CHECKPOINT and one["role"] == "best"][-1]


@pytest.mark.parametrize("student", STUDENTS)
def test_a_student_learns_is_verified_and_answers(
    student: dict[str, Any], prepared: tuple[Path, AttemptSpec], tmp_path: Path
) -> None:
    """Two words decide the class; the export classifies like the checkpoint, in the units that it was trained on."""
    spec = dataclasses.replace(prepared[1], settings=Settings(alpha=0.0, **COMMON, **student))
    run = attempt(spec, tmp_path / "trial")
    metrics = run_trial(run)
    assert 100.0 == metrics["accuracy"]
    best = best_of(run)
    order = Promotion(
        checkpoint=Path(best["folder"]),
        sha256=best["sha256"],
        target=tmp_path / "v1",
        name="tiny",
        version=1,
        recorded=metrics,
        samples=20,
    )
    promoted = dataclasses.replace(spec, kind="promote", promote=order)
    again = attempt(promoted, tmp_path / "verification")
    found = verify(promoted, again.events, again.paths, stop=again.stop, device=CPU)
    assert ("", 100.0) == (found["report"]["problem"], found["metrics"]["accuracy"])
    assert metrics["params"] == found["metrics"]["params"]
    assert {"modeling.py", "tokenizer.json", "model.safetensors"} <= {file.name for file in order.target.iterdir()}
    assert ["pos", "neg"] == [classify(order.target, f"a {word} film")["label"] for word in ("good", "dull")]


@pytest.mark.parametrize("student", STUDENTS)
def test_a_resumed_student_has_the_same_weights(
    student: dict[str, Any], prepared: tuple[Path, AttemptSpec], tmp_path: Path
) -> None:
    """To the last bit, dropout of words and of states included, distilled from the teacher."""
    spec = dataclasses.replace(prepared[1], settings=Settings(alpha=0.5, **COMMON, **student))
    whole = attempt(spec, tmp_path / "whole")
    run_trial(whole)
    stopped = attempt(spec, tmp_path / "stopped", StopAfter(12))
    with pytest.raises(Stopped):
        run_trial(stopped)
    assert 0 < len(list(stopped.paths.checkpoints.glob("last-*")))
    resumed = attempt(dataclasses.replace(spec, resume_from=str(stopped.paths.last.resolve())), tmp_path / "resumed")
    run_trial(resumed)
    for one, other in ((whole.paths.last, resumed.paths.last), (whole.paths.best, resumed.paths.best)):
        assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def test_rounded_weights_are_scored_and_others_trained(prepared: tuple[Path, AttemptSpec], tmp_path: Path) -> None:
    """The recorded logits are those of the stored file, bit for bit; the last checkpoint is that of an fp32 trial."""
    runs = {}
    for form in (FP32, INT4):
        settings = Settings(alpha=0.0, **COMMON, family="mlp", units="words", weights=form)
        runs[form] = attempt(dataclasses.replace(prepared[1], settings=settings), tmp_path / form)
        run_trial(runs[form])
    packed, whole = runs[INT4].paths, runs[FP32].paths
    assert (packed.last / "model.safetensors").read_bytes() == (whole.last / "model.safetensors").read_bytes()
    assert [INT4, None] == [
        json.loads((folder / "config.json").read_text()).get("bertdistill_weights")
        for folder in (packed.best, packed.last)
    ]
    facts = prepared[1].prepared
    features = open_features(Path(facts.features_of("search", "words")))
    found = predict(load_model(packed.best), features, device=CPU, pad_id=facts.units_of("words").pad_id)
    assert np.array_equal(found, np.load(packed.best / CLASS_LOGITS))
    assert not np.array_equal(found, np.load(whole.best / CLASS_LOGITS))


@pytest.mark.parametrize("family", ["mlp", "bilstm"])
def test_bad_texts_are_trained_on_and_classified(family: str, tmp_path: Path) -> None:
    """Empty ones, punctuation alone, no known word, and a vocabulary of three rows."""
    teacher = make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)
    run = make_run(tmp_path / "run", TeacherSpec(model=str(teacher)))
    odd = [";pos", ";neg", "...;pos", "\u3042\u3044;neg", " ;pos"]
    Path(run.spec.data.train).write_text("\n".join([*LINES, *odd]), encoding="utf-8")
    spec = dataclasses.replace(run.spec, units=["words"], families=[family])
    facts = prepare(dataclasses.replace(run, spec=spec))
    settings = Settings(family=family, units="words", **COMMON | {"vocab_size": 3, "epochs": 1.0})
    trial = dataclasses.replace(spec, kind="trial", prepared=facts, settings=settings, select_metric="accuracy")
    assert 0 <= run_trial(attempt(trial, tmp_path / "trial"))["accuracy"] <= 100
