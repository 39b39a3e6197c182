"""The loss of a masked language model, in training and on held-out texts. It draws no batches and keeps no weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bertdistill.engine.distill.data.batches import Batch, by_length, collate, pad_edges
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.pretraining.masking import Masking
from bertdistill.engine.distill.pretraining.network import MaskedModel
from bertdistill.engine.distill.run import Run, Stopped
from bertdistill.engine.distill.training.forward import forward
from bertdistill.engine.distill.training.losses import Losses
from bertdistill.engine.distill.training.train import Evaluation

MOST_TOKENS = 65_536
"""Of the held-out texts, about a tenth of which is predicted at an evaluation."""
BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Objective:
    """Cross-entropy of the tokens that are predicted, averaged over those of a batch."""

    model: MaskedModel
    masking: Masking
    held_out: Features
    """The validation split, whose texts no student is trained on."""
    precision: torch.dtype
    pad_id: int

    def losses(self, batch: Batch) -> Losses:
        """Of a training batch, with masks drawn from torch's generator, whose state checkpoints keep."""
        total, count = self._sum(batch, None)
        return Losses(total / max(1, count), {})

    @torch.inference_mode()
    def evaluate(self, run: Run) -> Evaluation:
        """Of the held-out texts, always with the same masks; Stopped if the attempt is asked to stop."""
        generator = torch.Generator().manual_seed(0)
        total, count = 0.0, 0
        for batch in self._held_out():
            if run.stop.is_set():
                raise Stopped
            part, predicted = self._sum(batch.to(run.device), generator)
            total, count = total + float(part), count + predicted
        mean = total / max(1, count)
        return Evaluation(-mean, {"mlm": mean}, {})

    def _held_out(self) -> Iterator[Batch]:
        features, lengths = self.held_out, self.held_out.lengths
        few = min(len(features), max(1, int(MOST_TOKENS / np.mean(lengths))))
        rows = np.unique(np.linspace(0, len(features) - 1, few).round().astype(np.int64))
        edges = pad_edges(lengths)
        for part in by_length(lengths[rows], BATCH_TOKENS):
            yield collate(features, rows[part], edges=edges, pad_id=self.pad_id)

    def _sum(self, batch: Batch, generator: torch.Generator | None) -> tuple[Tensor, int]:
        """The sum over the predicted tokens, and their number."""
        read, chosen = self.masking.draw(batch.input_ids, generator)
        seen = Batch(batch.rows, batch.padded, read, batch.attention_mask, batch.token_types, batch.targets)
        states = forward(self.model, seen, precision=self.precision).logits[chosen]
        with torch.autocast(states.device.type, self.precision, enabled=self.precision != torch.float32):
            logits = self.model.net.logits(states)
        return cross_entropy(logits.float(), batch.input_ids[chosen], reduction="sum"), int(chosen.sum())
