"""The states loss: hidden states of every token after each layer, against those of the teacher's layers.

TinyBERT, Jiao et al. 2020, arXiv 1909.10351, equations 8 and 9.
"""

from __future__ import annotations

from torch import Tensor

from bertdistill.engine.contract.terms import STATES
from bertdistill.engine.distill.training.terms.step import Step
from bertdistill.engine.families.layer_pairs import even_pairs


def states_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Squared difference of states, both (batch, length, width), averaged over width and tokens, then over examples.

    `mask` (batch, length) is 1 on tokens and 0 on padding.
    """
    differences = (student - teacher).square().mean(-1) * mask
    return (differences.sum(1) / mask.sum(1)).mean()


def value(step: Step) -> Tensor:
    """The term of one step, a scalar: the sum over embeddings and layers of the student."""
    teacher, mask = step.taught.hidden, step.batch.attention_mask
    total = step.logits.new_zeros(())
    for own, other in step.compared(even_pairs(len(step.out.hidden) - 1, len(teacher) - 1)):
        states = step.projected(STATES, step.out.hidden[own].float())
        total = total + states_loss(states, teacher[other].float(), mask)
    return total
