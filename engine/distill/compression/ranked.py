"""Pruning by a rank of the weights: magnitude (once, gradual, iterative) and random. What was pruned stays so.

Zhu and Gupta 2017 (arXiv 1710.01878) prune the smallest weights of each matrix by a cubic schedule. With a mask at
every step this is gradual pruning, which Gordon et al. 2020 (arXiv 2002.08307) compare with pruning before and after
training; in rounds with training between them it is the NIP of Guo et al. 2019 (arXiv 1909.12486, the baseline of RPP).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bertdistill.engine.distill.compression.masks import Masks, lowest
from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.distill.compression.pools import Pool
from bertdistill.engine.families.sparsity import Pruning

Rank = Callable[[Pool], Tensor]
"""A value for each candidate of a pool: the lowest are pruned first."""


def by_magnitude(pools: Sequence[Pool], seed: int) -> Rank:
    """The absolute value; of heads and neurons the L2 norm."""
    return lambda pool: pool.norms()


def at_random(pools: Sequence[Pool], seed: int) -> Rank:
    """A number that depends on the seed only, so that more sparsity keeps the zeros there were."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {pool.key: torch.rand(pool.shape, generator=generator) for pool in pools}
    return lambda pool: drawn[pool.key].to(next(iter(pool.matrices.values())).device)


class Ranked:
    """See `passes.Pass`."""

    def __init__(self, pools: Sequence[Pool], pruning: Pruning, rank: Rank) -> None:
        self._pools, self._pruning, self._rank = pools, pruning, rank
        self._masks = Masks({name: weight for pool in pools for name, weight in pool.matrices.items()})
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
        return 0 if self._pruning.structures else self._masks.zeros

    def series(self) -> dict[str, float]:
        return {"sparsity": self._masks.share}

    def state(self) -> Mapping[str, Tensor]:
        return self._masks.by_name

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._masks.restore(state)
        for pool in self._pools if state else ():
            self._counts[pool.key] = int(pool.chosen(self._masks.by_name).sum())

    def _prune(self, level: float) -> None:
        """Hold this share of every pool at 0. Zeros have the lowest magnitude, so they stay."""
        for pool in self._pools:
            wanted = pool.wanted(level)
            if wanted != self._counts.get(pool.key, 0):
                self._masks.hold(pool.masks(lowest(self._rank(pool), wanted)))
                self._counts[pool.key] = wanted
        self._masks.apply()
