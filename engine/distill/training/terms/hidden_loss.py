"""The hidden loss: the states of the first token after each layer, against those of the teacher's layers.

Patient knowledge distillation, Sun et al. 2019, arXiv 1908.09355, equation 7.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bertdistill.engine.contract.terms import CLS, HIDDEN
from bertdistill.engine.distill.training.terms.step import Step
from bertdistill.engine.families.layer_pairs import hidden_pairs


def hidden_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of vectors of length 1, both (batch, layers, width).

    The mean is over batch, layers and width, as in the authors' code, from which their weights of 10 to 1,000 are; the
    paper sums over layers and width.
    """
    return functional.mse_loss(functional.normalize(student, dim=-1), functional.normalize(teacher, dim=-1))


def value(step: Step) -> Tensor:
    """The term of one step, a scalar. The teacher's states are those of all its layers but the last."""
    teacher = step.batch.teacher[CLS]
    pairs = step.compared(hidden_pairs(len(step.out.hidden) - 1, teacher.shape[1] + 1, step.settings.hidden_map))
    if not pairs:  # of the last layer alone, which other terms compare
        return step.logits.new_zeros(())
    student = torch.stack([step.out.hidden[layer][:, 0] for layer, _ in pairs], dim=1).float()
    return hidden_loss(step.projected(HIDDEN, student), teacher[:, [layer - 1 for _, layer in pairs]])
