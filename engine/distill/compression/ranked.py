"""Pruning by a rank of the weights: magnitude (once, gradual, iterative) and random. What was pruned stays so.

Zhu and Gupta 2017 (arXiv 1710.01878) prune the smallest weights of each matrix by a cubic schedule. With a mask at
every step this is gradual pruning, which Gordon et al. 2020 (arXiv 2002.08307) compare with pruning before and after
training; in rounds with training between them it is the NIP of Guo et al. 2019 (arXiv 1909.12486, the baseline of RPP).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bertdistill.engine.distill.compression.masks import Masks, Matrices, lowest, share
from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.families.sparsity import Pruning, count

Rank = Callable[[str], Tensor]
"""By the name of a matrix, a value for each weight: the lowest are pruned first."""


def by_magnitude(matrices: Matrices, seed: int) -> Rank:
    """The absolute value."""
    return lambda name: matrices[name].detach().abs()


def at_random(matrices: Matrices, seed: int) -> Rank:
    """A number that depends on the seed only, so that more sparsity keeps the zeros there were."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {name: torch.rand(weight.shape, generator=generator) for name, weight in matrices.items()}
    return lambda name: drawn[name].to(matrices[name].device)


class Ranked:
    """See `passes.Pass`."""

    def __init__(self, matrices: Matrices, pruning: Pruning, rank: Rank) -> None:
        self._matrices, self._pruning, self._rank = matrices, pruning, rank
        self._masks = Masks(matrices)
        self._counts: dict[str, int] = {}

    def groups(self) -> list[dict[str, Any]]:
        return []

    def before_step(self, now: Moment) -> None:
        self._prune(self._pruning.level(now.step, now.steps))

    def before_update(self) -> None:
        self._masks.silence()

    def after_step(self, now: Moment) -> None:
        self._masks.apply()

    def at_end(self) -> None:
        self._prune(self._pruning.sparsity)

    def settled(self, step: int, steps: int) -> bool:
        return self._pruning.settled(step, steps)

    def zeros(self) -> int:
        return sum(self._counts.values())

    def series(self) -> dict[str, float]:
        return {"sparsity": share(self.zeros(), self._matrices)}

    def state(self) -> Mapping[str, Tensor]:
        return self._masks.by_name

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._masks.by_name = {name: mask.to(self._matrices[name].device) for name, mask in state.items()}
        self._counts = {name: int(mask.sum()) for name, mask in state.items()}

    def _prune(self, level: float) -> None:
        """Hold this share of every matrix at 0. Zeros have the lowest magnitude, so they stay."""
        for name, weight in self._matrices.items():
            wanted = count(weight.numel(), level)
            if wanted != self._counts.get(name, 0):
                self._masks.by_name[name] = lowest(self._rank(name), wanted)
                self._counts[name] = wanted
        self._masks.apply()
