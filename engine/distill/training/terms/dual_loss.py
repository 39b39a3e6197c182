"""The dual loss: what the teacher makes of texts in mixed pieces, against what it makes of its own.

Dual training, Zhao et al. 2019, arXiv 1909.11687. There the teacher predicts masked words; here it is a fixed
classifier, so what it should say is known: what it says of the same text in its own pieces, by the soft loss of the
trial.
"""

from __future__ import annotations

from torch import Tensor

from bertdistill.engine.distill.training.terms.soft_loss import logits_loss, soft_loss
from bertdistill.engine.distill.training.terms.step import Step


def value(step: Step) -> Tensor:
    """The term of one step, a scalar."""
    assert step.mixed is not None, "dual training has weight, but no teacher read mixed pieces"
    if step.settings.soft_loss == "mse":
        return logits_loss(step.mixed.float(), step.teacher_logits)
    return soft_loss(step.mixed.float(), step.teacher_logits, step.settings.temperature)
