"""Word embeddings of low rank: the initial model's table by its singular value decomposition, or new ones.

V times h weights become V times r and r times h (ALBERT, Lan et al. 2020, arXiv 1909.11942, section 3.1). It trains
nothing and decides no sizes.
"""

from __future__ import annotations

from typing import Any

import torch

from bertdistill.engine.distill.families import standalone


@torch.no_grad()
def factorise(model: Any, rank: int, *, scratch: bool) -> None:
    """Replace the word embeddings of `model`. From scratch both factors are drawn like all of its weights."""
    table = model.base_model.embeddings.word_embeddings.weight
    low = standalone.factorise(model, rank)
    if scratch:
        low.apply(model._init_weights)
        return
    # W = U S V' to rank r is W V_r V_r', and the columns of V are the eigenvectors of W' W.
    right = torch.linalg.eigh(table.double().T @ table.double())[1].flip(1)[:, :rank].float()
    low.factors.weight.copy_(table @ right)
    low.projection.weight.copy_(right)
