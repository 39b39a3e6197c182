"""What a task is to everything outside of the worker: its scores and the shape of its answers."""

from __future__ import annotations

from dataclasses import dataclass

from bertdistill.engine.contract.metrics import Metric

SPAN_LOGITS = 2
"""Start and end, for every token."""


@dataclass(frozen=True)
class Task:
    """One task. Code branches on these properties, never on a name."""

    name: str
    """As in a study file."""
    metrics: tuple[Metric, ...]
    """The scores that a set of predictions yields; the first picks the best checkpoint by default."""
    spans: bool
    """Whether an answer is a span of a passage (two logits a token); else it is a label (one logit a label)."""

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(metric.name for metric in self.metrics)

    @property
    def selectable(self) -> tuple[str, ...]:
        """Scores that say which of two checkpoints is better."""
        return tuple(metric.name for metric in self.metrics if not metric.no_aim)

    def logits(self, labels: int) -> int:
        """Outputs of the task head: for each token (spans) or for each example."""
        return SPAN_LOGITS if self.spans else labels
