"""The course of a training: its phases, and in each of them the steps, the batches and the learning rate.

The main phase trains on the terms of the loss, in one stage or, if settings ask for it, on layers first and predictions
then; a second phase may fine-tune on the labels alone. It makes no tensors.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import transfer_rows, transfer_share, untaught
from bertdistill.engine.distill.data.batches import IntArray, batches_per_epoch, epoch_order
from bertdistill.engine.families.stages import Stage, stages

LOGGED_POINTS = 2000
"""Maximum number of loss reports: enough for any curve, and the device rarely has to wait."""


@dataclass(frozen=True)
class Phase:
    """A part of a training, in optimiser steps of its own from 0."""

    settings: Settings
    """Of this phase: the weights of its losses, its passes and its learning rate."""
    taught: bool
    """Whether it reads the teacher and the transfer set; otherwise only labelled inputs and their labels."""
    features: int
    """Inputs of one epoch."""
    from_transfer: int
    """Rows of each batch without a label."""
    passes_per_epoch: int
    passes: int
    """Total number of batches. The last step accumulates the remaining ones, so that no run exceeds its epochs."""
    steps: int
    stages: tuple[Stage, ...]
    """Ranges of its steps, in order: which terms and layers count in them."""
    first_epoch: int = 0
    """Number of its first epoch, which decides the order of the inputs."""

    @property
    def warmup(self) -> int:
        """Steps of the warm-up of its first stage."""
        return self._warmup(self.stages[0])

    def _warmup(self, stage: Stage) -> int:
        return round(stage.steps * self.settings.warmup_fraction)

    def stage_at(self, step: int) -> Stage:
        """The stage of the step after so many steps; at the end, the last one."""
        return next((one for one in self.stages if step < one.end), self.stages[-1])

    def passes_of(self, step: int) -> int:
        """Number of batches accumulated in the step after so many steps."""
        accumulation = self.settings.accumulation
        return min(accumulation, self.passes - step * accumulation)

    def examples(self, step: int) -> int:
        """Examples seen in so many steps. Within an epoch, its smaller batch counts as the last one."""
        epochs, passes = divmod(min(step * self.settings.accumulation, self.passes), self.passes_per_epoch)
        return epochs * self.features + min(passes * self.settings.batch_size, self.features)

    def rate(self, step: int, peak: float) -> float:
        """Linear rise from 0 over the warm-up, then linear decay that would reach 0 one step after the last.

        The schedule of transformers' `get_linear_schedule_with_warmup`; with a warm-up, the first step has rate 0. Each
        stage has its own.
        """
        stage = self.stage_at(step)
        done, warmup = step - stage.begin, self._warmup(stage)
        if done < warmup:
            return peak * done / warmup
        return peak * (stage.steps - done) / max(1, stage.steps - warmup)

    def batches(self, lengths: IntArray, transfer: int, step: int) -> Iterator[list[IntArray]]:
        """The rows of each batch, step by step, of the steps after the first `step` ones."""
        rows = self._rows(lengths, transfer, step * self.settings.accumulation)
        for now in range(step, self.steps):
            yield list(itertools.islice(rows, self.passes_of(now)))

    def _rows(self, lengths: IntArray, transfer: int, first_pass: int) -> Iterator[IntArray]:
        epoch, skip = divmod(first_pass, self.passes_per_epoch)
        while True:
            order = epoch_order(
                lengths,
                self.settings.batch_size,
                seed=self.settings.seed,
                epoch=self.first_epoch + epoch,
                transfer=transfer,
                from_transfer=self.from_transfer,
            )
            yield from order[skip:]
            epoch, skip = epoch + 1, 0


@dataclass(frozen=True)
class Schedule:
    """The length of a run in optimiser steps, and when it is evaluated."""

    phases: tuple[Phase, ...]
    evaluate_after: tuple[int, ...]
    log_every: int

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    def at(self, step: int) -> tuple[Phase, int]:
        """The phase of the step after so many steps, and how many of its own came before; at the end, the last one."""
        for phase in self.phases[:-1]:
            if step < phase.steps:
                return phase, step
            step -= phase.steps
        return self.phases[-1], step

    def rest(self, step: int) -> Iterator[tuple[Phase, int]]:
        """The phases that are not over after so many steps, each with how many of its own came before."""
        for phase in self.phases:
            if step < phase.steps:
                yield phase, step
            step = max(0, step - phase.steps)

    def rate(self, step: int) -> float:
        """The learning rate of the step after so many steps."""
        phase, own = self.at(step)
        return phase.rate(own, phase.settings.learning_rate)

    def examples(self, step: int) -> int:
        """Examples seen in so many steps."""
        phase, own = self.at(step)
        before = itertools.takewhile(lambda one: one is not phase, self.phases)
        return sum(one.examples(one.steps) for one in before) + phase.examples(own)

    def evaluation_due(self, step: int, evaluations: int) -> bool:
        """Whether an evaluation is due before the next step (it is repeated if it was interrupted)."""
        return evaluations < len(self.evaluate_after) and step >= self.evaluate_after[evaluations]


def schedule(features: int, settings: Settings, transfer: int = 0, compared: Sequence[int] = ()) -> Schedule:
    """The schedule of `settings` for so many labelled features; at least one step.

    With a transfer set of `transfer` features, an epoch still is one pass over the labelled ones. `compared` are the
    layers that the loss compares. Steps that learn from layers alone are not evaluated: nothing teaches the head yet.
    """
    phases = [_phase(features, settings, transfer, taught=True, compared=compared)]
    if settings.finetune_epochs:
        own = dataclasses.replace(
            untaught(settings), epochs=settings.finetune_epochs, learning_rate=settings.finetune_learning_rate
        )
        later = _phase(features, own, 0, taught=False)
        phases.append(dataclasses.replace(later, first_epoch=math.ceil(settings.epochs)))
    steps = sum(phase.steps for phase in phases)
    first = phases[0].stages[-1].begin
    scored = (round((steps - first) * (i + 1) / settings.evaluations) for i in range(settings.evaluations))
    marks = sorted({first + max(1, after) for after in scored})
    return Schedule(tuple(phases), tuple(marks), -(-steps // LOGGED_POINTS))


def _phase(features: int, settings: Settings, transfer: int, *, taught: bool, compared: Sequence[int] = ()) -> Phase:
    others = transfer_rows(settings.batch_size, transfer_share(settings)) if transfer else 0
    per_epoch = batches_per_epoch(features, settings.batch_size - others)
    passes = max(1, math.ceil(round(per_epoch * settings.epochs, 6)))  # 10 batches, 1.1 epochs: 11 and not 12
    steps = -(-passes // settings.accumulation)
    return Phase(
        settings=settings,
        taught=taught,
        features=features + per_epoch * others,
        from_transfer=others,
        passes_per_epoch=per_epoch,
        passes=passes,
        steps=steps,
        stages=stages(settings, steps, compared),
    )
