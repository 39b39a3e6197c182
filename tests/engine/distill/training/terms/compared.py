"""A step in which student and teacher are random tensors, with padding, for tests of terms that compare layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.model import Outputs, Projections
from bertdistill.engine.distill.training.terms.step import Step

LENGTHS = (5, 3, 4)
"""Tokens of the three examples; the rest of their five places is padding."""


def outputs(layers: int, width: int, heads: int, seed: int) -> Outputs:
    """Random states of the embeddings and of each layer, and projections of each layer."""
    generator = torch.Generator().manual_seed(seed)

    def draw() -> torch.Tensor:
        return torch.randn(len(LENGTHS), max(LENGTHS), width, generator=generator)

    hidden = tuple(draw() for _ in range(layers + 1))
    projections = {layer: Projections(draw(), draw(), draw(), heads) for layer in range(1, layers + 1)}
    return Outputs(torch.zeros(len(LENGTHS), 2), hidden, projections=projections)


def step(student: Outputs, teacher: Outputs, helpers: nn.ModuleDict | None = None, **settings: Any) -> Step:
    mask = torch.tensor([[place < length for place in range(max(LENGTHS))] for length in LENGTHS]).long()
    batch = Batch(np.arange(len(LENGTHS)), True, torch.zeros_like(mask), mask, None, mask[:, 0])
    return Step(student, batch, Settings(**settings), helpers, teacher)


def split(vectors: torch.Tensor, heads: int) -> list[np.ndarray]:
    """The parts (batch, length, width / heads) of each head, in float64."""
    return np.split(vectors.double().numpy(), heads, axis=-1)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
