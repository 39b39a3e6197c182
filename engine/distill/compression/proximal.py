"""Reweighted proximal pruning, RPP (Guo et al. 2019, arXiv 1909.12486): a weighted l1 norm outside AdamW.

After AdamW has made z of the weights, w = sign(z) max(|z| - gamma alpha eta, 0), with the learning rate eta of the step
and alpha = 1 / (|w| + epsilon), which is renewed in rounds. From the end of the schedule the zeros found are held and
the rest is trained on: no weight is cut that the norm has not made 0, so the sparsity is what `train/sparsity` shows.

With the setting gamma = 0 it is chosen in each round so that the rest of the schedule makes about the wanted share 0:
with alpha = 1 / |w|, w^2 / 2 falls by gamma times the sum of the rates, whatever the weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bertdistill.engine.distill.compression.masks import Masks, Matrices, share
from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.families.sparsity import Pruning, count

EPSILON = 1e-3
"""Of alpha. Some hundredths of a typical weight: a zero is held against updates of AdamW, a large weight hardly feels
the norm."""


class Proximal:
    """See `passes.Pass`."""

    def __init__(self, matrices: Matrices, pruning: Pruning) -> None:
        self._matrices, self._pruning = matrices, pruning
        self._alphas: dict[str, Tensor] = {}
        self._strength = torch.zeros((), dtype=torch.float64)
        self._masks = Masks(matrices)
        self._held = False

    def groups(self) -> list[dict[str, Any]]:
        return []

    @torch.no_grad()
    def before_step(self, now: Moment) -> None:
        first, last = self._pruning.span(now.steps)
        if now.step >= last:
            self._hold()
        elif now.step >= first and (now.step == first or self._round(now) != self._round(now, before=1)):
            self._alphas = {name: 1 / (weight.abs() + EPSILON) for name, weight in self._matrices.items()}
            self._strength.fill_(self._pruning.strength or self._steered(now))

    def before_update(self) -> None:
        self._masks.silence()

    @torch.no_grad()
    def after_step(self, now: Moment) -> None:
        if self._held:
            self._masks.apply()
            return
        for name, alpha in self._alphas.items():
            weight, threshold = self._matrices[name], float(self._strength) * now.rate(now.step) * alpha
            weight.copy_(weight.sign() * (weight.abs() - threshold).clamp_(min=0))

    def at_end(self) -> None:
        self._hold()

    def settled(self, step: int, steps: int) -> bool:
        return self._pruning.settled(step, steps)

    def zeros(self) -> int:
        return self._masks.zeros if self._held else sum(int((one == 0).sum()) for one in self._matrices.values())

    def series(self) -> dict[str, float]:
        return {"sparsity": share(self.zeros(), self._matrices)}

    def state(self) -> Mapping[str, Tensor]:
        found = {"strength": self._strength}
        if self._held:
            return found | {f"mask.{name}": mask for name, mask in self._masks.by_name.items()}
        return found | {f"alpha.{name}": alpha for name, alpha in self._alphas.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._strength = state["strength"].cpu()
        for name, weight in self._matrices.items():
            if (alpha := state.get(f"alpha.{name}")) is not None:
                self._alphas[name] = alpha.to(weight.device)
        if held := {name: state[f"mask.{name}"] for name in self._matrices if f"mask.{name}" in state}:
            self._masks.restore(held)
            self._held = True

    def _round(self, now: Moment, before: int = 0) -> int:
        return self._pruning.round_at(now.step - before, now.steps)

    def _hold(self) -> None:
        if not self._held:
            self._masks.hold({name: weight.detach() == 0 for name, weight in self._matrices.items()})
            self._alphas, self._held = {}, True

    def _steered(self, now: Moment) -> float:
        """The gamma with which the wanted share of all weights in scope is 0 by the end of the schedule.

        A weight of size q needs q^2 (1 + 1 / n) / 2 + q epsilon in n rounds, between which alpha is constant.
        """
        every = torch.cat([weight.abs().flatten() for weight in self._matrices.values()]).cpu().numpy()
        wanted = count(len(every), self._pruning.sparsity)
        edge = float(np.partition(every, wanted - 1)[wanted - 1]) if wanted else 0.0
        last = self._pruning.span(now.steps)[1]
        rates = sum(now.rate(step) for step in range(now.step, min(last, now.steps)))
        rounds = max(1, min(self._pruning.rounds - self._round(now), last - now.step))
        return (edge**2 * (1 + 1 / rounds) / 2 + edge * EPSILON) / rates if rates > 0 else 0.0
