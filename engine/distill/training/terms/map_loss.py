"""The map losses: hidden states of every token after each layer, against those of the teacher's layers.

MobileBERT, Sun et al. 2020, arXiv 2004.02984, section 3.4: feature map transfer, divided into the discrepancy of the
normalised maps and those of their statistics, as in the authors' code (TensorFlow Model Garden, projects/mobilebert).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from bertdistill.engine.contract.terms import MAP, MAP_MEAN, MAP_VARIANCE
from bertdistill.engine.distill.training.terms.step import Step
from bertdistill.engine.families.layer_pairs import even_pairs

EPSILON = 1e-5
"""Added to a variance before it divides."""

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def map_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Squared difference of the states, each with mean 0 and variance 1, averaged over width and tokens, then examples.

    Both are (batch, length, width); `mask` (batch, length) is 1 on tokens and 0 on padding.
    """
    return _over_tokens((_normalised(student) - _normalised(teacher)).square().mean(-1), mask)


def map_mean_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Squared difference of the means over width, averaged in the same way."""
    return _over_tokens((student.mean(-1) - teacher.mean(-1)).square(), mask)


def map_variance_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Absolute difference of the variances over width, averaged in the same way."""
    variances = (states.var(-1, correction=0) for states in (student, teacher))
    return _over_tokens((next(variances) - next(variances)).abs(), mask)


def _normalised(states: Tensor) -> Tensor:
    return functional.layer_norm(states, states.shape[-1:], eps=EPSILON)


def _over_tokens(values: Tensor, mask: Tensor) -> Tensor:
    return ((values * mask).sum(1) / mask.sum(1)).mean()


def value(step: Step) -> Tensor:
    """The term `map_loss` of one step, a scalar."""
    return _over_layers(step, MAP, map_loss)


def mean_value(step: Step) -> Tensor:
    """The term `map_mean_loss`."""
    return _over_layers(step, MAP_MEAN, map_mean_loss)


def variance_value(step: Step) -> Tensor:
    """The term `map_variance_loss`."""
    return _over_layers(step, MAP_VARIANCE, map_variance_loss)


def _over_layers(step: Step, name: str, loss: Loss) -> Tensor:
    """The sum over the student's layers; that of layer l is divided by l, as in the authors' code."""
    teacher, mask = step.taught.hidden, step.batch.attention_mask
    total = step.logits.new_zeros(())
    for own, other in step.compared(even_pairs(len(step.out.hidden) - 1, len(teacher) - 1)[1:]):
        states = step.projected(name, step.out.hidden[own].float())
        total = total + loss(states, teacher[other].float(), mask) / own
    return total
