"""Dual training and shared projection in a whole trial, from the preparation to a verified export, in this process."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tests.preparing import LINES, make_run, split_report
from tests.tiny import TEXTS, make_checkpoint
from transformers import AutoModelForSequenceClassification

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import CHECKPOINT, METRICS_LOGGED, EventWriter, parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.spec import Settings, TeacherSpec
from bertdistill.engine.distill.data.batches import collate, pad_edges
from bertdistill.engine.distill.data.features import open_features
from bertdistill.engine.distill.export.answer import classify
from bertdistill.engine.distill.export.promotion import verify
from bertdistill.engine.distill.families.encoder import ENCODERS, Encoder
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Run, Stopped
from bertdistill.engine.distill.training.layerwise import Layerwise, layerwise
from bertdistill.engine.distill.trial import run_trial
from bertdistill.engine.distill.vocabularies import for_trial
from bertdistill.engine.distill.with_teacher import mixer_of, start_of
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.tasks.text_classification import TASK

CPU = torch.device("cpu")
SETTINGS = Settings(
    vocab_size=100,
    hidden_size=16,
    ffn_size=48,
    projection_weight=10.0,
    projection="both",
    dual_share=0.5,
    batch_size=8,
    epochs=2.0,
    evaluations=2,
    precision="fp32",
    learning_rate=1e-3,
)


class StopAfter(threading.Event):
    """A stop that is requested while training is under way, whatever the machine's speed."""

    def __init__(self, reads: int) -> None:
        super().__init__()
        self.left = reads

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module", name="spec")
def _spec(tmp_path_factory: pytest.TempPathFactory) -> AttemptSpec:
    """A teacher of two layers of width 32, whose words a smaller vocabulary divides."""
    root = tmp_path_factory.mktemp("study")
    teacher = make_checkpoint(root / "teacher", "bert", head="cls", texts=[*LINES, *TEXTS])
    run = split_report(
        make_run(root / "run", TeacherSpec(model=str(teacher)), init="teacher", max_length=32, importance=True)
    )
    wanted = {"families": ["transformer"], "vocabularies": {"cut": [100]}, "neurons": True, "projection": True}
    spec = dataclasses.replace(run.spec, **wanted)
    facts = prepare(dataclasses.replace(run, spec=spec))
    return dataclasses.replace(spec, kind="trial", trial=0, prepared=facts, settings=SETTINGS, select_metric="accuracy")


def attempt(spec: AttemptSpec, folder: Path, stop: threading.Event | None = None) -> Run:
    folder.mkdir(parents=True)
    paths = RunPaths(folder)
    return Run(spec, paths, EventWriter(paths.events), stop or threading.Event(), CPU)


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    parsed = [parse_event(line) for line in run.paths.events.read_bytes().splitlines()]
    return [one for one in parsed if one and one["k"] == kind]


def beside(spec: AttemptSpec, folder: Path) -> tuple[Run, Encoder, Layerwise, Any]:
    """The student before training with what its loss needs, and its teacher as transformers loads it."""
    run = for_trial(attempt(spec, folder))
    model, facts = ENCODERS.build(run.spec), run.spec.prepared
    teacher = AutoModelForSequenceClassification.from_pretrained(facts.teacher_folder)
    found = layerwise(
        model,
        spec.settings,
        facts.teacher_shape,
        lambda: Encoder(teacher),
        start=start_of(run.spec, model),
        mixer=mixer_of(run, model),
    )
    assert found is not None
    return run, model, found, teacher


def test_a_student_cut_from_its_teacher_begins_as_its_projection(spec: AttemptSpec, tmp_path: Path) -> None:
    """The matrices start as the projection that cut it, so linears agree, and only LayerNorms, fitted, do not."""
    fewer = dataclasses.replace(spec, settings=dataclasses.replace(SETTINGS, heads=3))
    _, model, found, _ = beside(fewer, tmp_path / "trial")
    shared: Any = found.helpers["projection_loss"]
    differences = {"LayerNorm": 0.0, "others": 0.0}
    for one in shared._variables:
        pair = one.pair()
        moved = pair.teacher
        if pair.columns:
            moved = moved @ shared.up
        if pair.rows:
            moved = shared.down @ moved
        kind = "LayerNorm" if isinstance(one.owner, torch.nn.LayerNorm) else "others"
        differences[kind] = max(differences[kind], (moved - pair.student).abs().max().item())
    assert differences["others"] < 1e-5 < differences["LayerNorm"]
    assert not found.states
    assert 32 * 16 * 2 == sum(one.numel() for one in found.helpers.parameters())
    assert 16 == model.net.get_input_embeddings().weight.shape[1]


def test_the_teacher_reads_the_students_pieces_by_projected_embeddings(spec: AttemptSpec, tmp_path: Path) -> None:
    """Against a plain reading, text by text and piece by piece; the gradient reaches the student's embeddings alone."""
    run, model, found, teacher = beside(spec, tmp_path / "trial")
    facts, dual = run.spec.prepared, found.dual
    assert dual is not None
    assert dual.projection is not None
    features = open_features(Path(facts.features_of("train", model.units)))
    rows = np.array([0, 5, 8])
    batch = collate(features, rows, edges=pad_edges(features.lengths), pad_id=0)
    torch.manual_seed(3)
    logits = dual.logits(batch, torch.float32)
    torch.manual_seed(3)
    mixed = dual.mixer.mix(rows, lambda words: (torch.rand(words) < 0.5).numpy())
    assert mixed.other.any()
    assert not mixed.other[mixed.mask].all()
    own, plain = model.net.get_input_embeddings().weight, teacher.get_input_embeddings().weight
    for row in range(len(rows)):
        vectors = []
        for place in np.flatnonzero(mixed.mask[row]):
            piece = int(mixed.ids[row, place])
            vectors.append(dual.projection.up @ own[piece] if mixed.other[row, place] else plain[piece])
        alone = teacher.eval()(inputs_embeds=torch.stack(vectors)[None]).logits[0]
        assert torch.allclose(alone, logits[row], atol=1e-5)
    logits.sum().backward()
    assert {"bert.embeddings.word_embeddings.weight"} == {
        name for name, one in model.net.named_parameters() if one.grad is not None
    }
    assert dual.projection.up.grad is not None
    assert all(one.grad is None for one in teacher.parameters())


def test_a_student_as_wide_as_its_teacher_needs_no_matrices(spec: AttemptSpec, tmp_path: Path) -> None:
    """Its embeddings are read as they are, here those of low rank."""
    wide = dataclasses.replace(SETTINGS, hidden_size=0, projection_weight=0.0, embedding_rank=8)
    run, model, found, _ = beside(dataclasses.replace(spec, settings=wide), tmp_path / "trial")
    assert not found.helpers
    assert found.teacher is None  # it reads other tokens, so nothing else is asked of it
    assert found.dual is not None
    assert found.dual.projection is None
    features = open_features(Path(run.spec.prepared.features_of("train", model.units)))
    batch = collate(features, np.arange(4), edges=pad_edges(features.lengths), pad_id=0)
    found.dual.logits(batch, torch.float32).sum().backward()
    taught = {name for name, one in model.net.named_parameters() if one.grad is not None}
    assert {f"bert.embeddings.word_embeddings.{name}.weight" for name in ("factors", "projection")} == taught


def test_a_trial_is_stopped_resumed_and_exported(spec: AttemptSpec, tmp_path: Path) -> None:
    """Bit-equal after a kill, both losses logged; neither matrices nor teacher are counted or in a model file."""
    plan = TRANSFORMER.plan(spec.prepared, SETTINGS, scratch=False)
    params = int(TRANSFORMER.known(plan, TASK, spec.prepared)["params"])
    whole = attempt(dataclasses.replace(spec, expected_params=params), tmp_path / "whole")
    metrics = run_trial(whole)
    first = attempt(spec, tmp_path / "first", StopAfter(6))
    with pytest.raises(Stopped):
        run_trial(first)
    last = str(first.paths.last.resolve())
    second = attempt(dataclasses.replace(spec, resume_from=last), tmp_path / "second")
    run_trial(second)
    files = [load_file(run.paths.last / "model.safetensors") for run in (whole, second)]
    assert all(torch.equal(one, files[1][name]) for name, one in files[0].items())
    assert params == sum(one.numel() for one in files[0].values())
    with safe_open(whole.paths.last / "trainer.safetensors", "pt") as file:
        names = {name for name in file.keys() if name.startswith("helper.")}  # noqa: SIM118 - it is no mapping
    assert {"helper.projection_loss.up", "helper.projection_loss.down"} == names
    logged = [one["values"] for one in events(whole, METRICS_LOGGED) if "train/loss" in one["values"]]
    assert all(one["train/dual_loss"] > 0 and one["train/projection_loss"] > 0 for one in logged)
    parts = logged[0]
    expected = 0.5 * (parts["train/soft_loss"] + parts["train/hard_loss"])
    expected += 10 * parts["train/projection_loss"] + parts["train/dual_loss"]
    assert expected == pytest.approx(parts["train/loss"], rel=1e-5)
    best = next(one for one in reversed(events(whole, CHECKPOINT)) if one["role"] == "best")
    order = Promotion(
        whole.paths.folder / best["folder"], best["sha256"], tmp_path / "v1", "dual", 1, metrics, samples=20
    )
    again = attempt(dataclasses.replace(spec, kind="promote", promote=order), tmp_path / "verification")
    assert "" == verify(again.spec, again.events, again.paths, stop=again.stop, device=CPU)["report"]["problem"]
    assert {"neg", "pos"} == set(classify(order.target, text="a good film")["probabilities"])
