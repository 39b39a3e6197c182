"""The two matrices between the hidden states of teacher and student, and the weights that they compare.

They are trained with the student and belong to no model. It contains no formula and decides no pairs of layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.training.terms.projection_loss import Pair, projection_loss
from bertdistill.engine.families.shared_projection import DIRECTIONS, KEPT, PROJECTED, Compared


@dataclass(frozen=True)
class Start:
    """How a student was made, as far as its teacher's weights can be recognised in it."""

    basis: Tensor | None = None
    """(d, p): the directions of the teacher's hidden states that the student kept; None if they are not the teacher's.
    """
    compared: Sequence[Compared] = ()
    """The layers of the projection loss; empty without it."""
    heads: Sequence[Sequence[int]] = ()
    """For each layer of the student, the heads that it kept; empty if they are not needed. Likewise `neurons`."""
    neurons: Sequence[Sequence[int]] = ()


PLAIN = Start()


class SharedProjection(nn.Module):
    """U (p, d) and V (d, p). They start from `basis`, or as random orthonormal directions."""

    def __init__(self, student: int, teacher: int, basis: Tensor | None = None, *, down: bool = True) -> None:
        super().__init__()
        start = nn.init.orthogonal_(torch.empty(teacher, student)) if basis is None else basis.clone()
        self.up = nn.Parameter(start)
        self.down = nn.Parameter(start.T.contiguous().clone()) if down else None
        self._variables: tuple[_Variable, ...] = ()
        self._directions: tuple[str, ...] = ()

    def compare(self, student: nn.Module, teacher: nn.Module, start: Start, how: str) -> None:
        """Let the loss compare these two networks. Neither becomes part of this module."""
        self._variables = tuple(_variables(student, teacher, start))
        self._directions = DIRECTIONS[how]

    def forward(self) -> Tensor:
        """The projection loss, a scalar."""
        assert self.down is not None
        return projection_loss((one.pair() for one in self._variables), self.down, self.up, self._directions)


@dataclass(frozen=True)
class _Variable:
    """A weight or bias. The student's is looked up in every step, as a pass may replace it."""

    owner: nn.Module
    name: str
    teacher: Tensor
    rows: bool
    columns: bool

    def pair(self) -> Pair:
        return Pair(getattr(self.owner, self.name), self.teacher, self.rows, self.columns)


def _variables(student: Any, teacher: Any, start: Start) -> Iterator[_Variable]:
    own, other = standalone.layers_of(student), standalone.layers_of(teacher)
    size = teacher.config.hidden_size // teacher.config.num_attention_heads
    for one in start.compared:
        heads = start.heads[one.student] if one.attention == KEPT else ()
        attention = _Axis(one.attention, [head * size + place for head in heads for place in range(size)])
        neurons = _Axis(one.neurons, start.neurons[one.student] if one.neurons == KEPT else ())
        mine = _modules(own[one.student], student.config.model_type)
        theirs = _modules(other[one.teacher], teacher.config.model_type)
        axes = _axes(attention, neurons)
        for module, source, (rows, columns) in zip(mine, theirs, axes, strict=True):
            yield from _of_module(module, source, rows, columns)


@dataclass(frozen=True)
class _Axis:
    """An axis of variables: how it is compared, and with which places of the teacher's, all if empty."""

    how: str
    places: Sequence[int] = ()

    def of(self, variable: Tensor, dim: int) -> Tensor:
        """The teacher's variable at these places."""
        if not self.places:
            return variable
        return variable.index_select(dim, torch.tensor(list(self.places), device=variable.device))


_HIDDEN = _Axis(PROJECTED)


def _modules(layer: nn.Module, kind: str) -> list[Any]:
    """Queries, keys, values, attention output, both linears of the feed-forward network, both LayerNorms."""
    names = standalone.NAMES[kind]
    attention = layer.get_submodule(names.attention)
    others = (names.output, *names.feed_forward, *names.norms)
    return [
        *(getattr(attention, name) for name in names.projections),
        *(getattr(layer.get_submodule(path), name) for path, name in others),
    ]


def _axes(attention: _Axis, neurons: _Axis) -> list[tuple[_Axis, _Axis]]:
    """(rows, columns) of these modules."""
    return [
        *[(attention, _HIDDEN)] * 3,
        (_HIDDEN, attention),
        (neurons, _HIDDEN),
        (_HIDDEN, neurons),
        *[(_HIDDEN, _HIDDEN)] * 2,
    ]


def _of_module(module: nn.Module, source: nn.Module, rows: _Axis, columns: _Axis) -> Iterator[_Variable]:
    for name, variable in source.named_parameters(recurse=False):
        found = rows.of(variable.detach(), 0)
        matrix = variable.ndim == 2
        found = columns.of(found, 1) if matrix else found
        yield _Variable(module, name, found, rows.how == PROJECTED, matrix and columns.how == PROJECTED)
