"""Training against layers of the teacher: what is learnt beside the student, and an exact resume with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tests.engine.distill.training.jobs import COUNT, StopAfter, events, make_job, make_model, weights

from bertdistill.engine.contract.events import METRICS_LOGGED
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import CLS, HIDDEN
from bertdistill.engine.distill.run import Stopped
from bertdistill.engine.distill.training.layerwise import layerwise
from bertdistill.engine.distill.training.train import Job, train

TEACHER = {"layers": 4, "hidden_size": 24}


def job(folder: Path, **more: Any) -> Job:
    """A student of width 16 with a teacher of width 24, so that a projection is learnt."""
    settings = Settings(batch_size=8, epochs=2, evaluations=2, learning_rate=1e-3, hidden_weight=10.0)
    model = make_model()
    plain = make_job(folder, model=model, settings=settings, layerwise=layerwise(model, settings, TEACHER), **more)
    states = np.random.default_rng(5).normal(size=(COUNT, 3, 24)).astype(np.float16)
    return make_job(folder, **{**vars(plain), "teacher": {**plain.teacher, CLS: states}})


def test_a_resumed_run_ends_with_the_same_weights_and_projection(tmp_path: Path) -> None:
    """Killed in the middle: student, projection and losses are equal to the last bit."""
    whole = job(tmp_path / "whole")
    train(whole)
    first = job(tmp_path / "first", stop=StopAfter(5))
    with pytest.raises(Stopped):
        train(first)
    second = job(tmp_path / "second", resume_from=first.paths.last.resolve())
    train(second)
    assert all(torch.equal(one, weights(second)[name]) for name, one in weights(whole).items())
    assert whole.layerwise is not None
    assert second.layerwise is not None
    ends = [one.layerwise.helpers[HIDDEN] for one in (whole, second) if one.layerwise]
    assert torch.equal(ends[0].weight, ends[1].weight)
    start = layerwise(make_model(), whole.settings, TEACHER)
    assert start is not None
    assert not torch.equal(start.helpers[HIDDEN].weight, ends[0].weight)
    curves = [[e["values"].get("train/hidden_loss") for e in events(one, METRICS_LOGGED)] for one in (whole, second)]
    assert curves[1] == curves[0][-len(curves[1]) :]


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
    found = layerwise(make_model(), Settings(hidden_weight=1.0), TEACHER | {"hidden_size": 16})
    assert found is not None
    assert 0 == len(found.helpers)
    assert layerwise(make_model(), Settings(), TEACHER) is None
    assert layerwise(make_model(), Settings(hidden_weight=1.0, family="mlp"), TEACHER) is None
