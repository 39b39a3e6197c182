"""Dual training: the teacher reads texts in which some words are divided by the student's vocabulary.

Zhao et al. 2019 and 2021, arXiv 1909.11687. The embeddings of those pieces are the student's, projected up to the
teacher's width, so what the teacher makes of them teaches the student's embeddings. It contains no loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.data.mixed import Mixer
from bertdistill.engine.distill.families.first_position import first_position
from bertdistill.engine.distill.families.transformer import accepts_token_types
from bertdistill.engine.distill.training.shared_projection import SharedProjection


@dataclass(frozen=True)
class Dual:
    """Of one training."""

    student: nn.Module
    teacher: nn.Module
    """In evaluation mode and without gradients of its own weights."""
    mixer: Mixer
    share: float
    """Probability that a word is divided by the student's vocabulary."""
    projection: SharedProjection | None
    """None if both hidden sizes are equal."""

    def logits(self, batch: Batch, precision: torch.dtype) -> Tensor:
        """The teacher's logits for the texts of the batch, (batch, classes); the gradient reaches the student.

        Words are drawn from torch's own generator, so that a checkpoint's random state determines them.
        """
        device = batch.input_ids.device
        mixed = self.mixer.mix(batch.rows, lambda words: (torch.rand(words) < self.share).numpy())
        other, mask = torch.from_numpy(mixed.other).to(device), torch.from_numpy(mixed.mask).long().to(device)
        ids = torch.from_numpy(mixed.ids).to(device)
        inputs: dict[str, Any] = {"attention_mask": mask}
        if mixed.token_types is not None and accepts_token_types(self.teacher):
            inputs["token_type_ids"] = torch.from_numpy(mixed.token_types).to(device)
        enabled = precision != torch.float32
        with torch.autocast(device.type, precision, enabled=enabled), first_position(self.teacher):
            embeddings = self._embeddings(ids, other)
            found: Tensor = self.teacher(inputs_embeds=embeddings, **inputs).logits
        return found

    def _embeddings(self, ids: Tensor, other: Tensor) -> Tensor:
        """(batch, length, width of the teacher)."""
        student: Any = self.student
        teacher: Any = self.teacher
        own = student.get_input_embeddings()(ids[other])
        if self.projection is not None:
            own = own @ self.projection.up.T
        plain: Tensor = teacher.get_input_embeddings()(ids.masked_fill(other, 0))
        return plain.index_put((other,), own.to(plain.dtype))
