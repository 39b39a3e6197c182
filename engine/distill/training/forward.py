"""One forward pass, as in training, prediction and measurement. It computes no loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bertdistill.engine.distill.families.model import Outputs, Servable

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.batches import Batch


def forward(model: Servable, batch: Batch, *, precision: torch.dtype, hidden: bool = False) -> Outputs:
    """The outputs of a batch in this precision, with the hidden states of all tokens if asked for."""
    with torch.autocast(batch.input_ids.device.type, precision, enabled=precision != torch.float32):
        return model(batch, hidden=True) if hidden else model(batch)
