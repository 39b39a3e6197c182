"""What a task is outside the worker: its scores and the shape of its answers."""

from __future__ import annotations

from dataclasses import dataclass

from bertdistill.engine.contract.metrics import Metric

SPAN_LOGITS = 2
"""Start and end logit of every token."""


@dataclass(frozen=True)
class Task:
    """One task. Code branches on these properties, never on a name."""

    name: str
    """Its name in a study file."""
    metrics: tuple[Metric, ...]
    """The scores of a set of predictions; by default the first one selects the best checkpoint."""
    spans: bool
    """Whether an answer is a span of a passage (two logits per token) rather than a label (one logit per label)."""

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(metric.name for metric in self.metrics)

    @property
    def selectable(self) -> tuple[str, ...]:
        """Scores that can select the better of two checkpoints."""
        return tuple(metric.name for metric in self.metrics if not metric.not_an_objective)

    def logits(self, labels: int) -> int:
        """Number of outputs of the task head, per token (spans) or per example."""
        return SPAN_LOGITS if self.spans else labels
