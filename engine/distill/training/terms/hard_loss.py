"""The hard loss: cross-entropy against labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from bertdistill.engine.distill.training.terms.step import Step


def hard_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of `logits` (rows, choices) against class indices `targets` (rows,)."""
    return functional.cross_entropy(logits, targets)


def value(step: Step) -> Tensor:
    """The term of one step, a scalar."""
    return hard_loss(step.logits, step.targets)
