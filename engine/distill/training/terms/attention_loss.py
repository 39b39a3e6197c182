"""The attention loss: attention scores before the softmax, against those of the teacher's layers.

TinyBERT, Jiao et al. 2020, arXiv 1909.10351, equation 7.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bertdistill.engine.distill.families.model import Projections
from bertdistill.engine.distill.training.terms.step import Step, by_head
from bertdistill.engine.families.layer_pairs import even_pairs


def scores(query: Tensor, key: Tensor) -> Tensor:
    """Q Kᵀ / √d of tensors (batch, heads, length, d), as attention computes it before the softmax."""
    return torch.matmul(query, key.transpose(-1, -2)) * float(query.shape[-1] ** -0.5)


def attention_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Squared difference of scores (batch, heads, length, length), averaged over heads and pairs of tokens.

    Then over examples. `mask` (batch, length) is 1 on tokens and 0 on padding.
    """
    pairs = mask[:, :, None] * mask[:, None, :]
    differences = (student - teacher).square().mean(1) * pairs
    return (differences.sum((1, 2)) / pairs.sum((1, 2))).mean()


def value(step: Step) -> Tensor:
    """The term of one step, a scalar: the sum over the layers of the student."""
    own, other = step.out, step.taught
    total = step.logits.new_zeros(())
    for layer, of_teacher in step.compared(even_pairs(len(own.hidden) - 1, len(other.hidden) - 1)[1:]):
        pair = scores_of(own.projections[layer]), scores_of(other.projections[of_teacher])
        total = total + attention_loss(*pair, step.batch.attention_mask)
    return total


def scores_of(found: Projections) -> Tensor:
    """The scores of one layer, (batch, heads, length, length), fp32."""
    return scores(by_head(found.query.float(), found.heads), by_head(found.key.float(), found.heads))
