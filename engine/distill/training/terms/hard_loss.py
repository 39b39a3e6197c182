"""The hard loss: cross-entropy against labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from bertdistill.engine.distill.data.examples import NO_LABEL
from bertdistill.engine.distill.training.terms.step import Step


def hard_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of `logits` (rows, choices) against class indices `targets` (rows,).

    Rows whose target is NO_LABEL do not count; one at least must have a label.
    """
    return functional.cross_entropy(logits, targets, ignore_index=NO_LABEL)


def value(step: Step) -> Tensor:
    """The term of one step, a scalar."""
    return hard_loss(step.logits, step.targets)
