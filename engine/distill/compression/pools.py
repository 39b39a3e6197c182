"""What pruning chooses from: the single weights of a matrix, or the heads or feed-forward neurons of a layer.

A choice is made within each pool. Nothing is chosen or changed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bertdistill.engine.distill.compression.masks import Matrices, matrices_of
from bertdistill.engine.distill.families import standalone
from bertdistill.engine.families.sparsity import HEADS, Pruning, count, gone


class Pool(Protocol):
    """The candidates of one choice."""

    @property
    def key(self) -> str:
        """Its name in the state of a pass."""
        ...

    @property
    def matrices(self) -> Matrices:
        """What it is in."""
        ...

    @property
    def shape(self) -> torch.Size:
        """That of a mask of candidates."""
        ...

    def gates(self) -> Pool:
        """The same candidates as far as masking them takes their effect away: of heads and neurons, their outputs.

        With their inputs masked as well, the gradient of a masked one would say nothing of what it would do.
        """
        ...

    def wanted(self, level: float) -> int:
        """How many of them are 0 at this share."""
        ...

    def norms(self) -> Tensor:
        """The L2 norm of each candidate."""
        ...

    def sums(self, of: Callable[[str], Tensor]) -> Tensor:
        """For each candidate the sum over its weights of values that `of` gives for a matrix by name."""
        ...

    def masks(self, chosen: Tensor) -> dict[str, Tensor]:
        """The weights of these candidates in each matrix."""
        ...

    def chosen(self, masks: Mapping[str, Tensor]) -> Tensor:
        """The inverse of `masks`."""
        ...


@dataclass(frozen=True)
class Entries:
    """The single weights of a matrix."""

    key: str
    weight: nn.Parameter

    @property
    def matrices(self) -> Matrices:
        return {self.key: self.weight}

    @property
    def shape(self) -> torch.Size:
        return self.weight.shape

    def gates(self) -> Pool:
        return self

    def wanted(self, level: float) -> int:
        return count(self.weight.numel(), level)

    def norms(self) -> Tensor:
        return self.weight.detach().abs()

    def sums(self, of: Callable[[str], Tensor]) -> Tensor:
        return of(self.key)

    def masks(self, chosen: Tensor) -> dict[str, Tensor]:
        return {self.key: chosen}

    def chosen(self, masks: Mapping[str, Tensor]) -> Tensor:
        return masks[self.key]


@dataclass(frozen=True)
class Structures:
    """Heads or neurons of a layer: `size` rows each of the first matrices and columns of the last one."""

    key: str
    matrices: Matrices
    size: int

    @property
    def _last(self) -> str:
        return list(self.matrices)[-1]

    @property
    def shape(self) -> torch.Size:
        return torch.Size([self.matrices[self._last].shape[1] // self.size])

    def gates(self) -> Pool:
        return Structures(self.key, {self._last: self.matrices[self._last]}, self.size)

    def wanted(self, level: float) -> int:
        return gone(self.shape[0], level)

    def norms(self) -> Tensor:
        return self.sums(lambda name: self.matrices[name].detach().square()).sqrt()

    def sums(self, of: Callable[[str], Tensor]) -> Tensor:
        found = [of(name).sum(0 if name == self._last else 1) for name in self.matrices]
        return torch.stack(found).sum(0).view(-1, self.size).sum(1)

    def masks(self, chosen: Tensor) -> dict[str, Tensor]:
        wide = chosen.repeat_interleave(self.size)
        shaped = {name: wide if name == self._last else wide[:, None] for name in self.matrices}
        return {name: shaped[name].expand_as(weight) for name, weight in self.matrices.items()}

    def chosen(self, masks: Mapping[str, Tensor]) -> Tensor:
        return masks[self._last][0, :: self.size]


def pools_of(net: nn.Module, pruning: Pruning) -> tuple[Pool, ...]:
    """Those in the scope of the pruning, in an encoder on its device."""
    if not pruning.structures:
        return tuple(Entries(*one) for one in matrices_of(net, embeddings=pruning.embeddings).items())
    return tuple(pool for kind in pruning.structures for pool in _structures(net, kind))


def parameters_each(pool: Pool, net: nn.Module) -> int:
    """Parameters that go with a head or neuron that is removed, with its biases; 0 for a single weight."""
    if not isinstance(pool, Structures):
        return 0
    biases = [name for name in list(pool.matrices)[:-1] if name.removesuffix("weight") + "bias" in net.state_dict()]
    weights = sum(weight.numel() for weight in pool.matrices.values()) // pool.shape[0]
    return weights + len(biases) * pool.size


def _structures(net: nn.Module, kind: str) -> list[Pool]:
    config: Any = net.config
    names = standalone.NAMES[config.model_type]
    by_id = {id(weight): name for name, weight in net.named_parameters()}
    attention = [(names.attention, name) for name in names.projections]
    linears = [*attention, names.output] if kind == HEADS else names.feed_forward
    found: list[Pool] = []
    for number, layer in enumerate(standalone.layers_of(net)):
        owner: Any = layer.get_submodule(names.attention)
        size = int(owner.attention_head_size) if kind == HEADS else 1
        weights: list[Any] = [layer.get_submodule(path).get_submodule(name).weight for path, name in linears]
        found.append(Structures(f"layer.{number}.{kind}", {by_id[id(one)]: one for one in weights}, size))
    return found
