"""Movement pruning (Sanh et al. 2020, arXiv 2005.07683): zeros are the weights that training moves towards 0.

Every weight W has a score S. The network computes with W M, where M keeps the highest scores of each matrix; S gets the
gradient that M would get if the choice were the identity (straight-through, equation 4), dL/dS = dL/d(W M) W, so a
score rises where W moves away from 0. Weights that are masked keep their value and may return.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bertdistill.engine.distill.compression.masks import Masks, Matrices, lowest, share
from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.families.sparsity import Pruning, count


class Movement:
    """See `passes.Pass`. Between steps the network holds W M; W itself is here."""

    def __init__(self, matrices: Matrices, pruning: Pruning) -> None:
        self._matrices, self._pruning = matrices, pruning
        self._scores = {name: nn.Parameter(torch.zeros_like(weight)) for name, weight in matrices.items()}
        self._whole = {name: weight.detach().clone() for name, weight in matrices.items()}
        self._masks = Masks(matrices)

    def groups(self) -> list[dict[str, Any]]:
        scores = list(self._scores.values())
        return [{"params": scores, "lr": self._pruning.learning_rate, "weight_decay": 0.0}]

    def before_step(self, now: Moment) -> None:
        self._mask(self._pruning.level(now.step, now.steps))

    def before_update(self) -> None:
        for name, weight in self._matrices.items():
            if weight.grad is not None:
                self._scores[name].grad = weight.grad * self._whole[name]
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
        return self._masks.zeros

    def series(self) -> dict[str, float]:
        return {"sparsity": share(self.zeros(), self._matrices)}

    def state(self) -> Mapping[str, Tensor]:
        parts: dict[str, Mapping[str, Tensor]]
        parts = {"mask": self._masks.by_name, "score": self._scores, "whole": self._whole}
        return {f"{part}.{name}": one.detach() for part, found in parts.items() for name, one in found.items()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, weight in self._matrices.items():
            self._scores[name].copy_(state[f"score.{name}"])
            self._whole[name].copy_(state[f"whole.{name}"])
            if (mask := state.get(f"mask.{name}")) is not None:
                self._masks.by_name[name] = mask.to(weight.device)

    @torch.no_grad()
    def _mask(self, level: float) -> None:
        for name, weight in self._matrices.items():
            self._masks.by_name[name] = lowest(self._scores[name], count(weight.numel(), level))
            weight.copy_(self._whole[name])
        self._masks.apply()
