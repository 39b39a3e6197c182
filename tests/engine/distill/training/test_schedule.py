"""The phases of a training: distillation, then fine-tuning on labels alone with a rate and a warm-up of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engine.distill.training.jobs import COUNT, StopAfter, events, make_job, make_model, weights

from bertdistill.engine.contract.events import METRICS_LOGGED, PROGRESS
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import transfer_share
from bertdistill.engine.distill.run import Stopped
from bertdistill.engine.distill.training.schedule import schedule
from bertdistill.engine.distill.training.train import Job, train

SETTINGS = Settings(
    batch_size=8,
    epochs=2,
    finetune_epochs=1.5,
    evaluations=3,
    learning_rate=1e-3,
    finetune_learning_rate=4e-3,
    alpha=1.0,
    transfer_share=0.5,
    warmup_fraction=0.25,
)


def test_fine_tuning_follows_with_its_own_rate() -> None:
    """40 labelled inputs and 20 others: ten steps an epoch with half a batch of them, then five without any."""
    plan = schedule(40, SETTINGS, transfer=20)
    main, later = plan.phases
    assert (20, 8, 28) == (main.steps, later.steps, plan.steps)  # 7.5 batches are 8
    assert (4, 0) == (main.from_transfer, later.from_transfer)
    assert [(0.0, 1), (0.0, 1)] == [(phase.rate(0, 1.0), int(phase.rate(phase.warmup, 1.0))) for phase in plan.phases]
    assert [plan.rate(5), plan.rate(22)] == [1e-3, 4e-3]
    assert 0.0 == plan.rate(20) < plan.rate(19)
    assert [0, 80, 160, 168, 224] == [plan.examples(step) for step in (0, 10, 20, 21, 28)]
    assert (9, 19, 28) == plan.evaluate_after
    assert (0.0, 0.0) == (later.settings.alpha, transfer_share(later.settings))


def test_without_passes_there_is_one_phase() -> None:
    """Today's trainings stay as they are."""
    (only,) = schedule(40, dataclasses.replace(SETTINGS, finetune_epochs=0.0)).phases
    assert only.settings == dataclasses.replace(SETTINGS, finetune_epochs=0.0)


def test_fine_tuning_passes_over_labelled_rows_alone_in_a_new_order() -> None:
    """Epoch after epoch each of them once, in another order than in the distillation."""
    plan = schedule(40, dataclasses.replace(SETTINGS, finetune_epochs=2.0), transfer=20)
    lengths = np.full(60, 7)
    main, later = (
        [rows for step in phase.batches(lengths[:n], t, 0) for rows in step]
        for phase, n, t in zip(plan.phases, (60, 40), (20, 0), strict=True)
    )
    assert any((rows >= 40).any() for rows in main)
    first, second = np.concatenate(later[:5]), np.concatenate(later[5:])
    assert sorted(first) == sorted(second) == list(range(40))
    assert first.tolist() != second.tolist()
    assert [row for rows in main for row in rows if row < 40][:40] != first.tolist()


def test_fine_tuning_is_a_training_on_the_labels_alone(tmp_path: Path) -> None:
    """From where the distillation ended, with moments and a rate of its own."""
    # One batch an epoch: the order of its rows does not matter.
    both = Settings(
        batch_size=COUNT,
        epochs=3,
        finetune_epochs=4,
        evaluations=1,
        alpha=0.7,
        learning_rate=2e-3,
        finetune_learning_rate=5e-3,
        warmup_fraction=0.0,
    )
    whole = make_job(tmp_path / "whole", settings=both, model=make_model(dropout=0.0))
    train(whole)
    model = make_model(dropout=0.0)
    train(make_job(tmp_path / "first", settings=dataclasses.replace(both, finetune_epochs=0.0), model=model))
    alone = dataclasses.replace(both, finetune_epochs=0.0, epochs=4, alpha=0.0, learning_rate=5e-3)
    second = make_job(tmp_path / "second", settings=alone, model=model, teacher={})
    train(second)
    values, later = map(losses, (whole, second))
    # Losses and not weights: AdamW turns the rounding errors of gradients that are 0 into steps of full length.
    for step in range(1, 5):
        assert values[3 + step]["train/loss"] == pytest.approx(later[step]["train/loss"], rel=1e-4)
        assert values[3 + step]["train/learning_rate"] == later[step]["train/learning_rate"]
    assert ["train/soft_loss" in values[step] for step in range(1, 8)] == [True] * 3 + [False] * 4
    assert all(values[step]["train/loss"] == values[step]["train/hard_loss"] for step in range(4, 8))
    assert 7 * COUNT == events(whole, PROGRESS)[-1]["done"] == events(whole, PROGRESS)[-1]["total"]


def losses(job: Job) -> dict[int, dict[str, float]]:
    """What was logged of each step."""
    logged = events(job, METRICS_LOGGED)
    return {event["step"]: event["values"] for event in logged if "train/loss" in event["values"]}


@pytest.mark.parametrize("asks", [1, 8, 9, 12])
def test_it_resumes_to_the_same_weights_in_either_phase(tmp_path: Path, asks: int) -> None:
    """And between the two: eight steps, then eight."""
    settings = dataclasses.replace(SETTINGS, epochs=1, finetune_epochs=1, transfer_share=0.0)
    whole = make_job(tmp_path / "whole", settings=settings)
    train(whole)
    first = make_job(tmp_path / "first", settings=settings, stop=StopAfter(asks))
    with pytest.raises(Stopped):
        train(first)
    second = make_job(tmp_path / "second", settings=settings, resume_from=first.paths.last.resolve())
    train(second)
    assert all(torch.equal(one, weights(second)[name]) for name, one in weights(whole).items())
