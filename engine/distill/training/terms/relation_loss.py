"""The relation loss: how tokens relate to each other in the queries, keys and values of one layer.

MiniLM v2, Wang et al. 2021, arXiv 2012.15828, equations 4 to 6, with all three relations weighted equally.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from bertdistill.engine.distill.training.terms.step import MASKED, Step, by_head
from bertdistill.engine.families.layer_pairs import relation_heads, relation_layer


def relation_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher ‖ student) of softmax(X Xᵀ / √d), averaged over heads and tokens, then over examples.

    Both are (batch, heads, length, d), with a d of their own. `mask` (batch, length) is 1 on tokens and 0 on padding.
    """
    own, other = _relations(student, mask), _relations(teacher, mask)
    divergence = functional.kl_div(own, other, reduction="none", log_target=True).sum(-1).mean(1) * mask
    return (divergence.sum(1) / mask.sum(1)).mean()


def _relations(vectors: Tensor, mask: Tensor) -> Tensor:
    """Log probabilities (batch, heads, length, length)."""
    products = vectors @ vectors.transpose(-1, -2) * vectors.shape[-1] ** -0.5
    return functional.log_softmax(products.masked_fill(mask[:, None, None, :] == 0, MASKED), dim=-1)


def value(step: Step) -> Tensor:
    """The term of one step, a scalar: the sum over queries, keys and values."""
    last, chosen = len(step.out.hidden) - 1, relation_layer(step.settings, len(step.taught.hidden) - 1)
    if not step.stage.covers(last):
        return step.logits.new_zeros(())
    own, other = step.out.projections[last], step.taught.projections[chosen]
    heads = relation_heads(step.settings, other.heads)
    total = step.logits.new_zeros(())
    for mine, theirs in zip(own[:3], other[:3], strict=True):
        pair = by_head(mine.float(), heads), by_head(theirs.float(), heads)
        total = total + relation_loss(*pair, step.batch.attention_mask)
    return total
