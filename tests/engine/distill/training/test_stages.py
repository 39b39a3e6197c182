"""Training in stages: layers first, then predictions. What is trained, with which rate, and an exact resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.engine.distill.training.jobs import StopAfter, events, weights
from tests.engine.distill.training.test_layerwise import helpers, job

from bertdistill.engine.contract.events import METRICS_LOGGED
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.run import Stopped
from bertdistill.engine.distill.training.schedule import schedule
from bertdistill.engine.distill.training.train import train

LAYERS = {"states_weight": 0.5, "attention_map_weight": 0.5, "map_weight": 0.5}
FIRST, PROGRESSIVE = ({**LAYERS, "layerwise": how} for how in ("first", "progressive"))
STEPS = 16
"""Of which 8 compare layers; with two layers, 4 for each of them."""


def stopped(folder: Path, settings: dict[str, Any], step: int) -> dict[str, torch.Tensor]:
    """The weights after so many steps."""
    run = job(folder, settings, stop=StopAfter(step))
    with pytest.raises(Stopped):
        train(run)
    return weights(run)


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """What was trained in between: embeddings, layers by number, the head."""
    names = {name for name, one in after.items() if not torch.equal(one, before[name])}
    found = {f"layer {name.split('layer.')[1].split('.')[0]}" if "layer." in name else name for name in names}
    return {"embeddings" if "embeddings" in name else "head" if "qa_" in name else name for name in found}


@pytest.mark.parametrize(
    ("settings", "steps"), [(FIRST, (4, 11)), (PROGRESSIVE, (2, 4, 6, 8, 11))], ids=["first", "progressive"]
)
def test_a_run_resumed_in_any_stage_ends_with_the_same_weights(
    tmp_path: Path, settings: dict[str, Any], steps: tuple[int, ...]
) -> None:
    """In the middle of each, and at the first step of each: student, projections and losses, to the last bit."""
    whole = job(tmp_path / "whole", settings)
    train(whole)
    curve = {one["step"]: one["values"] for one in events(whole, METRICS_LOGGED) if "train/loss" in one["values"]}
    for step in steps:
        first = job(tmp_path / f"{step}", settings, stop=StopAfter(step))
        with pytest.raises(Stopped):
            train(first)
        second = job(tmp_path / f"{step}-resumed", settings, resume_from=first.paths.last.resolve())
        train(second)
        assert all(torch.equal(one, weights(second)[name]) for name, one in weights(whole).items()), step
        assert all(torch.equal(one, helpers(second)[name]) for name, one in helpers(whole).items()), step
        rest = [one for one in events(second, METRICS_LOGGED) if "train/loss" in one["values"]]
        assert list(range(step + 1, STEPS + 1)) == [one["step"] for one in rest]
        assert all(one["values"]["train/loss"] == curve[one["step"]]["train/loss"] for one in rest)


def test_each_stage_trains_its_layers(tmp_path: Path) -> None:
    """Below is frozen, above has no gradient, and the head waits for the predictions."""
    states = {step: stopped(tmp_path / f"{step}", PROGRESSIVE, step) for step in (0, 4, 8, 12)}
    assert {"embeddings", "layer 0"} == changed(states[0], states[4])
    assert {"layer 1"} == changed(states[4], states[8])
    assert {"embeddings", "layer 0", "layer 1", "head"} == changed(states[8], states[12])
    joint = {step: stopped(tmp_path / f"first-{step}", FIRST, step) for step in (0, 8)}
    assert {"embeddings", "layer 0", "layer 1"} == changed(joint[0], joint[8])


def test_each_stage_logs_its_terms_and_is_scored_when_the_head_learns(tmp_path: Path) -> None:
    """The hard loss is watched everywhere. No evaluation before predictions are trained, so none can be the best."""
    run = job(tmp_path / "run", PROGRESSIVE)
    position = train(run)
    logged = events(run, METRICS_LOGGED)
    compared = [one["step"] for one in logged if "train/map_loss" in one["values"]]
    predicted = [one["step"] for one in logged if "train/soft_loss" in one["values"]]
    assert (list(range(1, 9)), list(range(9, 17))) == (compared, predicted)
    scored = [one["step"] for one in logged if any(name.startswith("search/") for name in one["values"])]
    assert [12, 16] == scored
    assert position.best_score is not None


def test_the_teacher_runs_only_where_layers_are_compared(tmp_path: Path) -> None:
    """In the other steps nothing but predictions is computed."""
    run = job(tmp_path / "run", FIRST)
    assert run.layerwise is not None
    assert run.layerwise.teacher is not None
    calls: list[int] = []
    run.layerwise.teacher.net.register_forward_hook(lambda *_: calls.append(1))
    train(run)
    assert 8 == len(calls)


def test_each_stage_has_a_warm_up_and_a_decay_of_its_own() -> None:
    """As trainings one after the other would have."""
    settings = Settings(batch_size=8, epochs=2, warmup_fraction=0.25, **PROGRESSIVE)
    plan = schedule(64, settings, compared=(1, 2))
    alone = schedule(32, Settings(batch_size=8, epochs=1, warmup_fraction=0.25))
    rates = [plan.phases[0].rate(step, 1.0) for step in range(plan.steps)]
    short = [alone.phases[0].rate(step, 1.0) for step in range(4)]
    assert [*short, *short] == rates[:8]
    assert [0.0, 0.5, 1.0] == rates[8:11]
    assert max(rates[:4]) == max(rates[4:8]) == 1.0
