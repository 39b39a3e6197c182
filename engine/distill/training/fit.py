"""Fit a model that is not trained step by step, with the events and the checkpoint of a training of one step.

A fit that is stopped or killed starts again with the next attempt: it takes seconds, so there is no `last` checkpoint.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

from bertdistill.engine.contract.events import PROGRESS
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.model import Fitted, Outputs
from bertdistill.engine.distill.run import Stopped
from bertdistill.engine.distill.training.checkpoints import Position
from bertdistill.engine.distill.training.losses import Losses, losses_of
from bertdistill.engine.distill.training.meter import Meter, sources
from bertdistill.engine.distill.training.schedule import Schedule, schedule
from bertdistill.engine.distill.training.terms.step import Step
from bertdistill.engine.distill.training.train import Job, evaluated, predict


def one_step(features: int) -> Schedule:
    """All features in one step, with an evaluation after it."""
    return schedule(features, Settings(batch_size=features, epochs=1, accumulation=1, evaluations=1))


def fit(job: Job) -> Position:
    """Fit `job.model`, which is a `Fitted`, and evaluate it; the position describes the best checkpoint.

    Raises Stopped if it was asked to stop meanwhile.
    """
    plan, meter = one_step(len(job.features)), Meter(Position(), sources(job.device))
    _progress(job, 0)
    cast(Fitted, job.model).fit(job.features, job.settings, job.teacher)
    losses = _losses(job)
    position = meter.at(Position(step=1, evaluations=1))
    values = {"loss": losses.total, **losses.parts}
    series = {f"train/{name}": float(value) for name, value in values.items()}
    speed = len(job.features) / max(position.seconds, 1e-9)
    job.events.metrics(1, {"examples": len(job.features), **series, "train/examples_per_second": speed})
    _progress(job, len(job.features))
    if job.stop.is_set():
        raise Stopped
    return evaluated(job, plan, position)


def _losses(job: Job) -> Losses:
    """The terms of the loss over all training features, at the fitted weights."""
    outputs = predict(job.model, job.features, device=job.device, pad_id=job.pad_id, stop=job.stop)
    nothing = torch.zeros(len(outputs), 0)
    batch = Batch(
        rows=np.arange(len(outputs)),
        padded=False,
        input_ids=nothing,
        attention_mask=nothing,
        token_types=None,
        targets=torch.from_numpy(np.asarray(job.features.targets, np.int64)),
        teacher={name: torch.from_numpy(signal.astype(np.float32)) for name, signal in job.teacher.items()},
    )
    return losses_of(Step(Outputs(torch.from_numpy(outputs)), batch, job.settings))


def _progress(job: Job, done: int) -> None:
    total = len(job.features)
    job.events.emit(PROGRESS, phase=job.phase, done=done, total=total, rate=0.0, unit="examples")
