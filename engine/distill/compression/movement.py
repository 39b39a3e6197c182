"""Movement pruning (Sanh et al. 2020, arXiv 2005.07683): zeros are the weights that training moves towards 0.

Every weight W has a score S. The network computes with W M, where M keeps the highest scores of each matrix; S gets the
gradient that M would get if the choice were the identity (straight-through, equation 4), dL/dS = dL/d(W M) W, so a
score rises where W moves away from 0. Weights that are masked keep their value and may return.

A head or neuron that is pruned as a whole has one score, whose gradient is the sum over the weights of its output
(block movement pruning, Lagunas et al. 2021, arXiv 2109.04838, with one block for each).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bertdistill.engine.distill.compression.masks import Masks, lowest
from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.distill.compression.pools import Pool
from bertdistill.engine.families.sparsity import Pruning


class Movement:
    """See `passes.Pass`. Between steps the network holds W M; W itself is here."""

    def __init__(self, pools: Sequence[Pool], pruning: Pruning) -> None:
        self._pools, self._pruning = [pool.gates() for pool in pools], pruning
        self._matrices = {name: weight for pool in self._pools for name, weight in pool.matrices.items()}
        self._scores = {pool.key: nn.Parameter(_zeros(pool)) for pool in self._pools}
        self._whole = {name: weight.detach().clone() for name, weight in self._matrices.items()}
        self._masks = Masks(self._matrices)

    def groups(self) -> list[dict[str, Any]]:
        scores = list(self._scores.values())
        return [{"params": scores, "lr": self._pruning.learning_rate, "weight_decay": 0.0}]

    def before_step(self, now: Moment) -> None:
        self._mask(self._pruning.level(now.step, now.steps))

    def before_update(self) -> None:
        for pool in self._pools:
            if all(weight.grad is not None for weight in pool.matrices.values()):
                self._scores[pool.key].grad = pool.sums(self._gradient)
        self._masks.silence()

    @torch.no_grad()
    def after_step(self, now: Moment) -> None:
        for name, mask in self._masks.by_name.items():
            whole = self._whole[name]
            whole.copy_(torch.where(mask, whole, self._matrices[name]))
        self._masks.apply()

    def at_end(self) -> None:
        self._mask(self._pruning.sparsity)

    def settled(self, step: int, steps: int) -> bool:
        return self._pruning.settled(step, steps)

    def zeros(self) -> int:
        return 0 if self._pruning.structures else self._masks.zeros

    def series(self) -> dict[str, float]:
        return {"sparsity": self._masks.share}

    def state(self) -> Mapping[str, Tensor]:
        parts: dict[str, Mapping[str, Tensor]]
        parts = {"mask": self._masks.by_name, "score": self._scores, "whole": self._whole}
        return {f"{part}.{name}": one.detach() for part, found in parts.items() for name, one in found.items()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, score in self._scores.items():
            score.copy_(state[f"score.{name}"])
        for name, whole in self._whole.items():
            whole.copy_(state[f"whole.{name}"])
        self._masks.restore({name: state[f"mask.{name}"] for name in self._matrices if f"mask.{name}" in state})

    @torch.no_grad()
    def _mask(self, level: float) -> None:
        for pool in self._pools:
            self._masks.hold(pool.masks(lowest(self._scores[pool.key], pool.wanted(level))))
        for name, weight in self._matrices.items():
            weight.copy_(self._whole[name])
        self._masks.apply()

    def _gradient(self, name: str) -> Tensor:
        """What M of this matrix would get."""
        gradient = self._matrices[name].grad
        assert gradient is not None
        return gradient * self._whole[name]


def _zeros(pool: Pool) -> Tensor:
    """A score for each candidate, of the kind of its weights."""
    return next(iter(pool.matrices.values())).new_zeros(pool.shape)
