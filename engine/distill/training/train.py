"""The training loop for teachers and students, and the prediction loop.

It knows features, a model and settings, but neither their origin nor the meaning of the scores.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bertdistill.engine.contract.events import CHECKPOINT, PROGRESS
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.compression.passes import Moment, Pass
from bertdistill.engine.distill.data.batches import (
    Batch,
    by_length,
    collate,
    pad_edges,
)
from bertdistill.engine.distill.families.model import TOKEN_TYPES, Model, Servable
from bertdistill.engine.distill.run import Stopped
from bertdistill.engine.distill.training import checkpoints
from bertdistill.engine.distill.training.checkpoints import Position
from bertdistill.engine.distill.training.dropout import cheap_dropout
from bertdistill.engine.distill.training.forward import forward
from bertdistill.engine.distill.training.layerwise import Layerwise, enter, readable
from bertdistill.engine.distill.training.losses import Losses, losses_of
from bertdistill.engine.distill.training.meter import Meter, sources
from bertdistill.engine.distill.training.schedule import Phase, Schedule, schedule
from bertdistill.engine.distill.training.terms.step import MASKED, Step
from bertdistill.engine.families.stages import Stage

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.features import Features

PROGRESS_SECONDS = 1.0


class Diverged(Exception):
    """The loss or the gradient is not finite: the settings cannot work."""


@dataclass(frozen=True)
class Evaluation:
    """Scores on the validation split; `files` (name to content) are stored with the best checkpoint."""

    score: float
    """The metric that selects the best checkpoint, oriented so that larger is better."""
    metrics: dict[str, float]
    files: Mapping[str, str | bytes]


class Reporter(Protocol):
    """Where a training reports to: the events of its attempt."""

    def emit(self, kind: str, **fields: Any) -> None: ...

    def metrics(self, step: int, values: dict[str, float]) -> None: ...


class Stop(Protocol):
    """Set by SIGTERM."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Job:
    """Everything that a training needs. `teacher` holds its signals, each aligned with `features`, fp16.

    The last `transfer` features have no label.
    Logits are (tokens, 2) if answers are spans, else (features, classes).
    """

    model: Model
    features: Features
    settings: Settings
    paths: RunPaths
    events: Reporter
    stop: Stop
    device: torch.device
    precision: torch.dtype
    pad_id: int
    evaluate: Callable[[], Evaluation]
    teacher: Mapping[str, npt.NDArray[np.float16]] = field(default_factory=dict)
    transfer: int = 0
    layerwise: Layerwise | None = None
    """Given if the loss compares layers."""
    passes: Sequence[Pass] = ()
    """Changes to the network during training."""
    save_best: Callable[[Path], None] | None = None
    """Writes a best checkpoint; if None, as `model.save` writes the last one."""
    resume_from: Path | None = None
    phase: str = "train"
    seconds: float = 0.0
    """Spent on what this training starts from."""
    losses: Callable[[Batch], Losses] | None = None
    """The losses of a batch, if they are not the terms of the settings."""

    @property
    def helpers(self) -> torch.nn.ModuleDict | None:
        """What is learnt beside the network."""
        return None if self.layerwise is None else self.layerwise.helpers

    @property
    def trained(self) -> torch.nn.Module:
        """The network with its helpers."""
        return torch.nn.ModuleDict({"net": self.model.net, "helpers": self.helpers}) if self.helpers else self.model.net


def make_optimizer(model: torch.nn.Module, settings: Settings, passes: Sequence[Pass] = ()) -> torch.optim.AdamW:
    """Fused AdamW with the betas of the settings; no weight decay for bias and LayerNorm.

    The groups of `passes` follow the two of the model.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    plain = [p for name, p in named if p.ndim < 2 or "norm" in name.lower()]
    decayed = [p for name, p in named if not (p.ndim < 2 or "norm" in name.lower())]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    groups += [group for one in passes for group in one.groups()]
    return torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        betas=(settings.beta_1, settings.beta_2),
        eps=settings.adam_epsilon,
        fused=True,
    )


def train(job: Job) -> Position:
    """Train to the end and return the last position, whose `best_*` fields describe the best checkpoint.

    Raises Stopped (checkpoint written), Diverged, or what torch raises if memory runs out.
    """
    settings, net = job.settings, job.model.net
    compared = job.layerwise.compared if job.layerwise else ()
    plan = schedule(len(job.features.lengths) - job.transfer, settings, job.transfer, compared)
    optimizer = make_optimizer(job.trained, settings, job.passes)
    peaks = [group["lr"] for group in optimizer.param_groups]
    extra = [weight for group in optimizer.param_groups[2:] for weight in group["params"]]
    trained = [*job.trained.parameters(), *extra]
    position = Position(seconds=job.seconds)
    checkpoints.seed_everything(settings.seed)
    if job.resume_from is not None:
        position = checkpoints.read_position(job.resume_from)
        checkpoints.restore(job.resume_from, net, optimizer, job.helpers, job.passes)
    batches = _batches(job, plan, position.step)
    log = _Log(job, plan)
    meter = Meter(position, sources(job.device))
    saved_at = time.monotonic()
    entered: Stage | None = None

    def here(**changes: Any) -> Position:
        return meter.at(replace(position, **changes))

    while True:
        if position.step == plan.steps:
            for one in job.passes:
                one.at_end()
        due = plan.evaluation_due(position.step, position.evaluations)
        if due:
            try:
                position = evaluated(job, plan, here(evaluations=position.evaluations + 1))
            except Stopped:  # the evaluation is repeated on resume, before the next step
                _save_last(job, here(), optimizer)
                raise
        if position.step == plan.steps:
            return here()
        stopping = job.stop.is_set()  # read once: a signal between two reads would skip the checkpoint
        if stopping or due or time.monotonic() - saved_at > settings.checkpoint_minutes * 60:
            _save_last(job, here(), optimizer)
            saved_at = time.monotonic()
        if stopping:
            raise Stopped
        net.train()
        now = Moment(position.step, plan.steps, plan.rate)
        phase, step = plan.at(position.step)
        stage = phase.stage_at(step)
        if stage is not entered and job.layerwise is not None:
            enter(net, stage)
        if step == stage.begin:  # moments of another loss would choose the size of the first updates
            optimizer.state.clear()
        entered = stage
        for one in job.passes:
            one.before_step(now)
        for group, peak in zip(optimizer.param_groups, _peaks(peaks, phase), strict=True):
            group["lr"] = phase.rate(step, peak)
        parts = next(batches)
        examples = sum(len(batch.rows) for batch in parts)
        for batch in parts:
            losses = _losses(job, batch.to(job.device), phase, stage)
            torch.autograd.backward(losses.total * (len(batch.rows) / examples))  # the mean over all examples
            log.add(losses, len(batch.rows))
        for one in job.passes:
            one.before_update()
        norm = torch.nn.utils.clip_grad_norm_(trained, settings.max_grad_norm or math.inf)
        optimizer.step()
        for one in job.passes:
            one.after_step(now)
        optimizer.zero_grad(set_to_none=True)
        position = here(step=position.step + 1)
        if position.step % plan.log_every == 0 or step + 1 == stage.end:
            log.flush(position.step, norm, now.rate(now.step))


def _peaks(peaks: Sequence[float], phase: Phase) -> list[float]:
    """The peak learning rates of the optimiser's groups: the phase's for the network; passes have their own."""
    return [phase.settings.learning_rate] * 2 + [*peaks[2:]]


def _losses(job: Job, batch: Batch, phase: Phase, stage: Stage) -> Losses:
    """The losses of one batch, after its forward passes."""
    if job.losses is not None:
        return job.losses(batch)
    if job.layerwise is None or not phase.taught:
        with cheap_dropout(job.model.net, job.device):
            return losses_of(Step(forward(job.model, batch, precision=job.precision), batch, phase.settings))
    mixed = job.layerwise.mixed(batch, job.precision) if stage.predicts else None
    if not stage.compares:
        with cheap_dropout(job.model.net, job.device):
            outputs = forward(job.model, readable(job.model, batch), precision=job.precision)
        return losses_of(Step(outputs, batch, phase.settings, job.helpers, mixed=mixed, stage=stage))
    taught = job.layerwise.taught(batch, job.precision)
    with cheap_dropout(job.model.net, job.device):
        outputs = job.layerwise.student(job.model, batch, job.precision)
    return losses_of(Step(outputs, batch, phase.settings, job.helpers, taught, mixed, stage))


def evaluated(job: Job, plan: Schedule, position: Position) -> Position:
    """Score the model at this position and save it if it is the best so far; the position with what is best.

    While a pass has not settled, a model is scored but not the best: it is another one than was asked for.
    """
    evaluation = job.evaluate()
    scores = {f"search/{name}": value for name, value in evaluation.metrics.items()}
    job.events.metrics(position.step, {"examples": plan.examples(position.step), **scores})
    if not all(one.settled(position.step, plan.steps) for one in job.passes):
        return position
    if position.best_score is not None and not evaluation.score > position.best_score:
        return position
    before = position.best_folder  # `last` still refers to it: a resumed run may need it
    position = replace(position, best_score=evaluation.score, best_metrics=evaluation.metrics)
    write = job.save_best or job.model.save
    saved = checkpoints.save(job.paths, "best", position, write, extra=evaluation.files, keep=before)
    _report(job, "best", position, saved, evaluation.metrics)
    return replace(position, best_folder=str(saved.folder))


def _save_last(job: Job, position: Position, optimizer: torch.optim.Optimizer) -> None:
    saved = checkpoints.save(
        job.paths, "last", position, job.model.save, optimizer=optimizer, helpers=job.helpers, passes=job.passes
    )
    checkpoints.discard(job.paths, "best", keep=(position.best_folder,))
    _report(job, "last", position, saved, {})


def _report(job: Job, role: str, position: Position, saved: checkpoints.Saved, metrics: dict[str, float]) -> None:
    job.events.emit(
        CHECKPOINT,
        role=role,
        step=position.step,
        folder=str(saved.folder),
        sha256=saved.sha256,
        size_bytes=saved.size_bytes,
        metrics=metrics,
    )


def _batches(job: Job, plan: Schedule, step: int) -> Iterator[list[Batch]]:
    """The batches of each step after the first `step` ones, to the end of the last phase."""
    edges = pad_edges(job.features.lengths)
    for phase, first in plan.rest(step):
        features, transfer, teacher = job.features, job.transfer, job.teacher
        if not phase.taught:
            labelled = len(features) - transfer
            features, transfer, teacher = features.part(0, labelled), 0, {}
            if TOKEN_TYPES not in job.model.inputs:  # they are there for a teacher that runs in the step
                features = replace(features, token_types=None)
        for parts in phase.batches(features.lengths, transfer, first):
            yield [collate(features, rows, edges=edges, pad_id=job.pad_id, teacher=teacher) for rows in parts]


class _Log:
    """Sums losses on the device and reads them back once per report: reading every step would stall a GPU."""

    def __init__(self, job: Job, plan: Schedule) -> None:
        self._job, self._plan = job, plan
        self._sums: dict[str, Tensor] = {}
        self._examples = 0
        self._since = self._said = time.monotonic()

    def add(self, losses: Losses, examples: int) -> None:
        for name, value in {"loss": losses.total.detach(), **losses.parts}.items():
            self._sums[name] = self._sums.get(name, 0) + value * examples
        self._examples += examples

    def flush(self, step: int, norm: Tensor, rate: float) -> None:
        means = (torch.stack(list(self._sums.values())) / self._examples).tolist()
        values = dict(zip(self._sums, means, strict=True))
        total, norm_value = values["loss"], float(norm)
        if not math.isfinite(total + norm_value):
            raise Diverged(f"loss {total:g} with gradient norm {norm_value:g} at step {step}, learning rate {rate:.3g}")
        now = time.monotonic()
        seen, total_examples = self._plan.examples(step), self._plan.examples(self._plan.steps)
        speed = self._examples / max(now - self._since, 1e-9)
        values |= {"learning_rate": rate, "gradient_norm": norm_value, "examples_per_second": speed}
        for one in self._job.passes:
            values |= one.series()
        self._job.events.metrics(step, {"examples": seen, **{f"train/{name}": value for name, value in values.items()}})
        if now - self._said >= PROGRESS_SECONDS or seen == total_examples:
            self._job.events.emit(
                PROGRESS,
                phase=self._job.phase,
                done=seen,
                total=total_examples,
                rate=round(speed, 2),
                unit="examples",
            )
            self._said = now
        self._sums.clear()
        self._examples = 0
        self._since = now


@torch.inference_mode()
def predict(
    model: Servable,
    features: Features,
    *,
    device: torch.device,
    precision: torch.dtype = torch.float32,
    pad_id: int = 0,
    batch_tokens: int = 8192,
    stop: Stop | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Outputs of every feature, aligned with the flat arrays: (tokens, 2) for spans, (features, classes) otherwise.

    Dropout is off and the random state unchanged. Raises Stopped if `stop` is set meanwhile.
    """
    training = model.net.training
    model.net.eval()
    span, lengths, done = features.targets.ndim == 2, features.lengths, 0
    edges = pad_edges(lengths)
    flat = np.full((int(features.offsets[-1]), 2), MASKED, np.float32) if span else None
    rows_out: dict[int, npt.NDArray[np.float32]] = {}
    for rows in by_length(lengths, batch_tokens):
        if stop is not None and stop.is_set():
            raise Stopped
        batch = collate(features, rows, edges=edges, pad_id=pad_id).to(device)
        outputs = forward(model, batch, precision=precision).logits.float().cpu().numpy()
        for i, row in enumerate(rows):
            if flat is None:
                rows_out[int(row)] = outputs[i]
            else:
                flat[features.offsets[row] : features.offsets[row + 1]] = outputs[i, : lengths[row]]
        done += len(rows)
        if progress is not None:
            progress(done, len(lengths))
    model.net.train(training)
    return flat if flat is not None else np.stack([rows_out[i] for i in range(len(lengths))])
