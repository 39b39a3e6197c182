"""Which tokens a masked language model must predict, and what it reads in their place.

Devlin et al. 2019 (arXiv 1810.04805), section 3.1, drawn again in every step as in RoBERTa (Liu et al. 2019, arXiv
1907.11692, section 4.1). It knows no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bertdistill.engine.contract.errors import ConfigError

MASKED, REPLACED = 0.8, 0.1
"""Shares of the predicted tokens that are masked and replaced by any other; the rest is left as it is."""


@dataclass(frozen=True)
class Masking:
    """Of one vocabulary."""

    probability: float
    """Share of the tokens that are predicted; special ones never are."""
    mask_id: int
    ordinary: Tensor
    """Ids that a text can have: neither special nor unknown. (ids,), ascending."""
    special: Tensor
    """(vocabulary,) True for all others."""

    def to(self, device: torch.device) -> Masking:
        """The same on a device."""
        return Masking(self.probability, self.mask_id, self.ordinary.to(device), self.special.to(device))

    def draw(self, ids: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """What is read in place of `ids` (batch, length), and where it must be predicted: True there.

        Random numbers are drawn on the CPU, from its default generator if none is given, whatever the device.
        """

        def uniform() -> Tensor:
            return torch.rand(ids.shape, generator=generator).to(ids.device)

        chosen = (uniform() < self.probability) & ~self.special[ids]
        kind, other = uniform(), self.ordinary[(uniform() * len(self.ordinary)).long()]
        read = torch.where(chosen & (kind < MASKED), self.mask_id, ids)
        return torch.where(chosen & (kind >= MASKED) & (kind < MASKED + REPLACED), other, read), chosen


def masking_of(tokenizer: Any, probability: float) -> Masking:
    """The masking in the tokens of a tokenizer; ConfigError if it has no mask."""
    if tokenizer.mask_token_id is None:
        raise ConfigError(
            f"settings.pretrain_epochs needs a tokenizer with a mask token, and that of {tokenizer.name_or_path!r} has "
            "none",
            hint="set pretrain_epochs = 0, or use a teacher of the BERT family",
        )
    special = torch.zeros(len(tokenizer), dtype=torch.bool)
    special[list(tokenizer.all_special_ids)] = True
    return Masking(probability, int(tokenizer.mask_token_id), (~special).nonzero().squeeze(1), special)
