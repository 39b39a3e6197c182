"""The projection loss: the weights of the layers, against those of the teacher's, by one pair of learned matrices.

Shared projection, Zhao et al. 2019, arXiv 1909.11687 (first version). With U (p, d) and V (d, p) for hidden sizes p of
the student and d of the teacher, the same for all variables of all layers:

    down: Σ_i ‖U θ_t,i V - θ_s,i‖²        up: Σ_i ‖θ_t,i - V θ_s,i U‖²

Of a vector only the rows are projected. The sums are divided by the number of weights compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bertdistill.engine.contract.terms import PROJECTION
from bertdistill.engine.distill.training.terms.step import Step


class Pair(NamedTuple):
    """One variable of the student and the teacher's, matrices (outputs, inputs) or vectors.

    `rows` and `columns` say which axes are projected; the others are equally long.
    """

    student: Tensor
    teacher: Tensor
    rows: bool
    columns: bool


def projection_loss(pairs: Iterable[Pair], down: Tensor, up: Tensor, directions: Sequence[str]) -> Tensor:
    """Mean squared difference over all weights of all variables; of two directions the sum.

    `down` is U (p, d), `up` is V (d, p).
    """
    pairs = tuple(pairs)
    total = down.new_zeros(())
    for direction in directions:
        compared = [_down(pair, down, up) if direction == "down" else _up(pair, down, up) for pair in pairs]
        squares = torch.stack([(mine - theirs).square().sum() for mine, theirs in compared]).sum()
        total = total + squares / sum(mine.numel() for mine, _ in compared)
    return total


def _down(pair: Pair, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    return pair.student, projected(pair.teacher, down if pair.rows else None, up if pair.columns else None)


def _up(pair: Pair, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    return projected(pair.student, up if pair.rows else None, down if pair.columns else None), pair.teacher


def projected(variable: Tensor, left: Tensor | None, right: Tensor | None) -> Tensor:
    """`left` · variable · `right`, each if given.

    An axis of several times their length is projected in blocks, each by the same matrix. Of a vector there is no
    right side.
    """
    if right is not None and variable.ndim == 2:
        variable = (variable.reshape(len(variable), -1, len(right)) @ right).reshape(len(variable), -1)
    if left is None:
        return variable
    columns = variable.shape[1:]
    found: Tensor = left @ variable.reshape(-1, left.shape[1], *(columns or (1,)))
    return found.reshape(-1, *columns)


def value(step: Step) -> Tensor:
    """The term of one step, a scalar. It is the same for every batch."""
    assert step.helpers is not None, "a loss over projected weights has weight, but there are no matrices"
    found: Tensor = step.helpers[PROJECTION]()
    return found
