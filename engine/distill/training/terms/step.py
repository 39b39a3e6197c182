"""One training step as seen by the loss terms. It computes no loss.

Every term that compares choices takes *rows of choices*: logits of shape (rows, choices). A classifier has one row per
example and one choice per label; a span model has two rows per example (start and end) and one choice per token,
padding masked out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor, nn

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.families.model import Outputs
from bertdistill.engine.families.layer_pairs import Pairs, compared
from bertdistill.engine.families.stages import WHOLE, Stage

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.batches import Batch

MASKED = -1e4
"""Logit of a non-existent choice: probability 0 in both fp32 and bf16, and no NaN in 0 · log 0."""


@dataclass(frozen=True)
class Step:
    """The student's outputs for one batch, the batch with the teacher's signals, and the settings.

    `helpers` are learned projections by the name of their term; `teacher` are the outputs of a teacher that runs in the
    step; `mixed` its logits for the texts in pieces of both vocabularies, (rows, choices).
    """

    out: Outputs
    batch: Batch
    settings: Settings
    helpers: nn.ModuleDict | None = None
    teacher: Outputs | None = None
    mixed: Tensor | None = None
    stage: Stage = WHOLE
    """Which terms and layers count."""

    @cached_property
    def logits(self) -> Tensor:
        """The student's logits, (rows, choices), fp32."""
        return self._rows(self.out.logits)

    @cached_property
    def targets(self) -> Tensor:
        """Index of the correct choice, (rows,)."""
        return self.batch.targets.reshape(-1)

    @cached_property
    def teacher_logits(self) -> Tensor:
        """The teacher's logits, (rows, choices), fp32."""
        return self._rows(self.batch.teacher[LOGITS])

    @property
    def taught(self) -> Outputs:
        """The outputs of the teacher in the step."""
        assert self.teacher is not None, "a term of the loss is marked online, but no teacher ran"
        return self.teacher

    def compared(self, pairs: Pairs) -> Pairs:
        """Those pairs of layers that are compared in this step."""
        return tuple(pair for pair in compared(pairs, self.settings) if self.stage.covers(pair[0]))

    def projected(self, name: str, states: Tensor) -> Tensor:
        """States of the student in the teacher's width, which they have if the term of that name has no projection."""
        if self.helpers is None or name not in self.helpers:
            return states
        projected: Tensor = self.helpers[name](states)
        return projected

    def _rows(self, logits: Tensor) -> Tensor:
        return span_choices(logits, self.batch.attention_mask) if self.batch.targets.ndim == 2 else logits.float()


def by_head(vectors: Tensor, heads: int) -> Tensor:
    """(batch, length, width) as (batch, heads, length, width / heads)."""
    return vectors.reshape(*vectors.shape[:-1], heads, -1).transpose(1, 2)


def span_choices(logits: Tensor, mask: Tensor) -> Tensor:
    """Start and end logits (batch, length, 2) as rows of choices (2 · batch, length).

    `mask` (batch, length) is 1 on tokens and 0 on padding.
    """
    rows = logits.float().transpose(1, 2).masked_fill(mask.bool().logical_not().unsqueeze(1), MASKED)
    return rows.reshape(-1, logits.shape[1])
