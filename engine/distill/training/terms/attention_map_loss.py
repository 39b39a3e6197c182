"""The attention map loss: the attention of every token after the softmax, against that of the teacher's layers.

MobileBERT, Sun et al. 2020, arXiv 2004.02984, section 3.4: attention transfer.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from bertdistill.engine.distill.training.terms.attention_loss import scores_of
from bertdistill.engine.distill.training.terms.step import MASKED, Step
from bertdistill.engine.families.layer_pairs import even_pairs


def attention_map_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher ‖ student) of the softmaxes of scores (batch, heads, length, length), averaged over heads and tokens.

    Then over examples. `mask` (batch, length) is 1 on tokens and 0 on padding.
    """
    own, other = (_attention(scores, mask) for scores in (student, teacher))
    divergence = functional.kl_div(own, other, reduction="none", log_target=True).sum(-1).mean(1) * mask
    return (divergence.sum(1) / mask.sum(1)).mean()


def _attention(scores: Tensor, mask: Tensor) -> Tensor:
    """Log probabilities."""
    return functional.log_softmax(scores.masked_fill(mask[:, None, None, :] == 0, MASKED), dim=-1)


def value(step: Step) -> Tensor:
    """The term of one step, a scalar: the sum over the student's layers; that of layer l is divided by l.

    As in the authors' code, which leaves out the entropy of the teacher: it has no gradient.
    """
    own, other = step.out, step.taught
    total = step.logits.new_zeros(())
    for layer, of_teacher in step.compared(even_pairs(len(own.hidden) - 1, len(other.hidden) - 1)[1:]):
        pair = scores_of(own.projections[layer]), scores_of(other.projections[of_teacher])
        total = total + attention_map_loss(*pair, step.batch.attention_mask) / layer
    return total
