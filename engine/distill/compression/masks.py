"""Which weights are 0: the matrices in scope, the choice of the lowest, and masks over them. It schedules nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bertdistill.engine.distill.families import standalone

Matrices = Mapping[str, nn.Parameter]


def matrices_of(net: nn.Module, *, embeddings: bool) -> dict[str, nn.Parameter]:
    """By their names in the encoder `net`: weights of the linear layers in its layers, and the word embeddings."""
    inside = {id(one.weight) for one in standalone.layers_of(net).modules() if isinstance(one, nn.Linear)}
    if embeddings:
        table: nn.Module = net.get_input_embeddings()  # type: ignore[operator]  # of transformers' models
        inside.add(id(table.factors.weight if isinstance(table, standalone.LowRankEmbedding) else table.weight))
    return {name: weight for name, weight in net.named_parameters() if id(weight) in inside}


def lowest(values: Tensor, count: int) -> Tensor:
    """A mask of the `count` lowest values, exactly; of equal ones the first are taken."""
    flat = values.detach().flatten()
    if count == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    edge = _edge(flat, count)
    mask = flat < edge
    ties = (flat == edge).nonzero().squeeze(1)
    mask[ties[: count - int(mask.sum())]] = True
    return mask.view_as(values)


def _edge(flat: Tensor, count: int) -> float:
    """The value of that rank. On a CPU numpy finds it seven times as fast as torch."""
    if flat.device.type == "cpu":
        return float(np.partition(flat.numpy(), count - 1)[count - 1])
    return float(flat.kthvalue(count).values)


class Masks:
    """The weights held at 0, by matrix: True where a weight is 0."""

    def __init__(self, matrices: Matrices) -> None:
        self._matrices = matrices
        self._counts: dict[str, int] = {}
        self.by_name: dict[str, Tensor] = {}

    @property
    def zeros(self) -> int:
        """The number of weights held at 0."""
        return sum(self._counts.values())

    @property
    def share(self) -> float:
        """Of the weights in scope."""
        return share(self.zeros, self._matrices)

    def hold(self, masks: Mapping[str, Tensor]) -> None:
        """Hold these weights at 0 from now on; `apply` sets them."""
        for name, mask in masks.items():
            self.by_name[name], self._counts[name] = mask, int(mask.sum())

    def restore(self, masks: Mapping[str, Tensor]) -> None:
        """Hold what a checkpoint says."""
        self.hold({name: mask.to(self._matrices[name].device) for name, mask in masks.items()})

    @torch.no_grad()
    def apply(self) -> None:
        """Set these weights to 0: momentum and weight decay may have moved them."""
        for name, mask in self.by_name.items():
            self._matrices[name].masked_fill_(mask, 0)

    def silence(self) -> None:
        """Set the gradients of these weights to 0, as they are in the network without them."""
        for name, mask in self.by_name.items():
            if (gradient := self._matrices[name].grad) is not None:
                gradient.masked_fill_(mask, 0)


def share(zeros: int, matrices: Matrices) -> float:
    """Of the weights in scope."""
    return zeros / max(1, sum(weight.numel() for weight in matrices.values()))
