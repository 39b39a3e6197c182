"""The training loss of a student: the weighted sum of the terms in its settings.

It contains no formulas: those are in `terms`, by the names of `contract.terms.TERMS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from bertdistill.engine.contract.terms import TERMS
from bertdistill.engine.distill.training.terms import (
    attention_loss,
    attention_map_loss,
    dual_loss,
    hard_loss,
    hidden_loss,
    map_loss,
    projection_loss,
    relation_loss,
    soft_loss,
    states_loss,
)
from bertdistill.engine.distill.training.terms.step import Step

VALUES: dict[str, Callable[[Step], Tensor]] = {
    "soft_loss": soft_loss.value,
    "hard_loss": hard_loss.value,
    "hidden_loss": hidden_loss.value,
    "states_loss": states_loss.value,
    "attention_loss": attention_loss.value,
    "relation_loss": relation_loss.value,
    "map_loss": map_loss.value,
    "map_mean_loss": map_loss.mean_value,
    "map_variance_loss": map_loss.variance_value,
    "attention_map_loss": attention_map_loss.value,
    "projection_loss": projection_loss.value,
    "dual_loss": dual_loss.value,
}
"""A test keeps the names in sync with TERMS."""


class Losses(NamedTuple):
    """Scalars of one batch; only `total` carries the gradient."""

    total: Tensor
    parts: dict[str, Tensor]
    """Each term before weighting, detached."""


def losses_of(step: Step) -> Losses:
    """The weighted sum of the terms that count in this step; others are not computed, unless they are watched.

    Raises ValueError if all weights are 0: then nothing can be learnt.
    """
    weighted: list[Tensor] = []
    parts: dict[str, Tensor] = {}
    for name, term in TERMS.items():
        weight = term.weight_in(step.settings) if step.stage.counts(term) else 0.0
        if weight == 0 and not term.watched:
            continue
        value = VALUES[name](step)
        parts[name] = value.detach()
        if weight != 0:
            weighted.append(weight * value)
    if not weighted:
        raise ValueError("every term of the loss has weight 0")
    total = weighted[0]
    for value in weighted[1:]:
        total = total + value
    return Losses(total, parts)
