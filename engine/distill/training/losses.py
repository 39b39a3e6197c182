"""What a student is trained on: the hard loss against labels, the soft loss against the teacher, and their mix.

Pure functions of tensors. They know no model, no task name and no data set.

Every loss sees *choices*: logits of shape (rows, choices). A classifier has one row an example and one choice a label;
a span model has two rows an example (start and end) and one choice a token, padding masked out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

MASKED = -1e4
"""Logit of a choice that does not exist: probability 0 in fp32 and bf16 alike, and no NaN in 0 · log 0."""


class Losses(NamedTuple):
    """Scalars of one batch; `total` alone carries the gradient that matters."""

    total: Tensor
    hard: Tensor
    soft: Tensor


def hard_loss(student_logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of `student_logits` (rows, choices) against class indices `targets` (rows,)."""
    return functional.cross_entropy(student_logits, targets)


def soft_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) of both softmaxes at `temperature`, summed over choices, averaged over rows.

    Hinton et al. 2015, arXiv 1503.02531; the reduction is `batchmean`, as in DistilBERT and the original experiment, so
    that for spans the mean over rows is also the mean over start and end. Both arguments are (rows, choices).
    """
    student = functional.log_softmax(student_logits / temperature, dim=-1)
    teacher = functional.log_softmax(teacher_logits / temperature, dim=-1)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def mixed_loss(
    student_logits: Tensor, targets: Tensor, teacher_logits: Tensor | None, *, alpha: float, temperature: float
) -> Losses:
    """alpha · soft + (1 - alpha) · hard. Without teacher logits the soft loss is 0 and the total is the hard loss."""
    hard = hard_loss(student_logits, targets)
    if teacher_logits is None:
        return Losses(hard, hard.detach(), torch.zeros_like(hard))
    soft = soft_loss(student_logits, teacher_logits, temperature)
    return Losses(alpha * soft + (1 - alpha) * hard, hard.detach(), soft.detach())


def span_choices(outputs: Tensor, mask: Tensor) -> Tensor:
    """Start and end logits (batch, length, 2) as rows of choices (2 · batch, length).

    `mask` (batch, length) is 1 on tokens and 0 on padding.
    """
    logits = outputs.float().transpose(1, 2).masked_fill(mask.bool().logical_not().unsqueeze(1), MASKED)
    return logits.reshape(-1, outputs.shape[1])
