"""Training against layers of the teacher: what is learnt beside the student, and an exact resume with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tests.engine.distill.training.jobs import (
    COUNT,
    StopAfter,
    events,
    make_features,
    make_job,
    make_model,
    weights,
)
from transformers import BertConfig, BertForQuestionAnswering

from bertdistill.engine.contract.events import METRICS_LOGGED
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import CLS
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.model import TOKEN_TYPES, Outputs
from bertdistill.engine.distill.run import Stopped
from bertdistill.engine.distill.training.layerwise import Layerwise, layerwise
from bertdistill.engine.distill.training.train import Job, train

TEACHER = {"layers": 4, "hidden_size": 24}
CACHED = {"hidden_weight": 10.0}
ONLINE = {"states_weight": 0.5, "attention_weight": 0.5, "relation_weight": 0.5, "relation_heads": 4}


def teacher_net() -> Encoder:
    """Four layers of width 24."""
    torch.manual_seed(1)
    config = BertConfig(vocab_size=60, hidden_size=24, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32)
    return Encoder(BertForQuestionAnswering(config))


def job(folder: Path, weights: Mapping[str, float] = CACHED, **more: Any) -> Job:
    """A student of width 16 with a teacher of width 24, so that a projection is learnt."""
    settings = Settings(batch_size=8, epochs=2, evaluations=2, learning_rate=1e-3, **weights)  # type: ignore[arg-type]
    model = make_model()
    found = layerwise(model, settings, TEACHER, teacher_net)
    plain = make_job(folder, model=model, settings=settings, layerwise=found, **more)
    states = np.random.default_rng(5).normal(size=(COUNT, 3, 24)).astype(np.float16)
    return make_job(folder, **{**vars(plain), "teacher": {**plain.teacher, CLS: states}})


@pytest.mark.parametrize("terms", [CACHED, ONLINE], ids=["cached", "online"])
def test_a_resumed_run_ends_with_the_same_weights_and_projection(tmp_path: Path, terms: dict[str, float]) -> None:
    """Killed in the middle: student, projection and losses are equal to the last bit."""
    whole = job(tmp_path / "whole", terms)
    begun = {name: one.clone() for name, one in helpers(whole).items()}
    train(whole)
    first = job(tmp_path / "first", terms, stop=StopAfter(5))
    with pytest.raises(Stopped):
        train(first)
    second = job(tmp_path / "second", terms, resume_from=first.paths.last.resolve())
    train(second)
    assert all(torch.equal(one, weights(second)[name]) for name, one in weights(whole).items())
    assert all(torch.equal(one, helpers(second)[name]) for name, one in helpers(whole).items())
    assert not any(torch.equal(one, begun[name]) for name, one in helpers(whole).items())
    curves = [[one["values"] for one in events(run, METRICS_LOGGED)] for run in (whole, second)]
    names = {name.replace("_weight", "_loss") for name in terms if name.endswith("_weight")}
    assert names <= {name.removeprefix("train/") for name in curves[0][0]}
    assert [one["train/loss"] for one in curves[1] if "train/loss" in one] == [
        one["train/loss"] for one in curves[0] if "train/loss" in one
    ][-sum("train/loss" in one for one in curves[1]) :]


def test_a_run_against_upper_layers_alone_resumes_to_the_same_weights(tmp_path: Path) -> None:
    """A student whose first of two layers is separate: states and scores of the second one, killed in the middle."""
    runs = {}
    for name in ("whole", "first", "second"):
        model, features = make_model(), make_features()
        standalone.separate(model.net, 1)
        within = np.concatenate([np.arange(length) for length in features.lengths])
        own = replace(features, token_types=(within > 2).astype(np.uint8))
        settings = Settings(
            batch_size=8,
            epochs=2,
            evaluations=2,
            learning_rate=1e-3,
            states_weight=0.5,
            attention_weight=0.5,
            separate_layers=1,
            compared_layers="joint",
        )
        found = layerwise(model, settings, TEACHER, teacher_net)
        assert found is not None
        assert ((2, 4),) == found.taps
        stop = {"first": {"stop": StopAfter(5)}, "second": {"resume_from": tmp_path / "first/checkpoints/last"}}
        more: dict[str, Any] = stop.get(name, {})
        runs[name] = make_job(tmp_path / name, model=model, features=own, settings=settings, layerwise=found, **more)
        if name == "first":
            with pytest.raises(Stopped):
                train(runs[name])
        else:
            train(runs[name])
    assert all(torch.equal(one, weights(runs["second"])[name]) for name, one in weights(runs["whole"]).items())


def helpers(run: Job) -> dict[str, torch.Tensor]:
    assert run.helpers is not None
    return dict(run.helpers.state_dict())


def test_the_teacher_in_the_step_is_not_trained(tmp_path: Path) -> None:
    """It stays in evaluation mode, without gradients, on the same weights."""
    run = job(tmp_path / "run", ONLINE)
    assert run.layerwise is not None
    teacher = run.layerwise.teacher
    assert teacher is not None
    before = {name: one.clone() for name, one in teacher.net.state_dict().items()}
    train(run)
    assert not teacher.net.training
    assert all(torch.equal(one, before[name]) for name, one in teacher.net.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.net.parameters())


class Reader:
    """Notes which segment ids it was given."""

    def __init__(self, *inputs: str) -> None:
        self.net = torch.nn.Identity()
        self.inputs = frozenset(inputs)
        self.seen: list[torch.Tensor | None] = []

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs:
        self.seen.append(batch.token_types)
        return Outputs(torch.zeros(1))


def test_segment_ids_reach_the_one_of_the_two_that_reads_them() -> None:
    """A DistilBERT student has none; its BERT teacher, without them, would take every text for a first one."""
    student, teacher = Reader(), Reader(TOKEN_TYPES)
    types = torch.ones(1, 3, dtype=torch.long)
    batch = Batch(np.arange(1), False, types, types, types, types[:, 0])
    found = Layerwise(torch.nn.ModuleDict(), teacher)
    found.student(student, batch, torch.float32)
    found.taught(batch, torch.float32)
    assert [None] == student.seen
    assert teacher.seen[0] is types


def test_the_projection_is_in_no_model_file(tmp_path: Path) -> None:
    """Only beside the optimiser, where a resume needs it."""
    stopped = job(tmp_path / "run", stop=StopAfter(9))
    with pytest.raises(Stopped):
        train(stopped)
    for role in ("last", "best"):
        folder = stopped.paths.checkpoints / role
        with safe_open(folder / "model.safetensors", "pt") as file:
            assert set(stopped.model.net.state_dict()) == set(file.keys())
    with safe_open(stopped.paths.last / "trainer.safetensors", "pt") as file:
        assert {"helper.hidden_loss.weight", "helper.hidden_loss.bias"} <= set(file.keys())


def test_equal_widths_need_no_projection() -> None:
    """And a loss that compares no layers needs nothing at all."""
    found = layerwise(make_model(), Settings(hidden_weight=1.0), TEACHER | {"hidden_size": 16}, teacher_net)
    assert found is not None
    assert 0 == len(found.helpers)
    assert found.teacher is None
    assert layerwise(make_model(), Settings(), TEACHER, teacher_net) is None
    assert layerwise(make_model(), Settings(hidden_weight=1.0, family="mlp"), TEACHER, teacher_net) is None


def test_the_projection_of_a_narrowed_student_starts_from_its_own_width() -> None:
    """Its config still names the width of the initial model."""
    model = make_model()
    standalone.narrow(model.net, 13)
    found = layerwise(model, Settings(hidden_weight=1.0), TEACHER | {"hidden_size": 16}, teacher_net)
    assert found is not None
    assert (16, 13) == tuple(found.helpers["hidden_loss"].weight.shape)
