"""Classification of one text or a pair of texts."""

from __future__ import annotations

from bertdistill.engine.contract.metrics import Metric
from bertdistill.engine.tasks.task import Task

TEXT_CLASSIFICATION = "text-classification"

TASK = Task(
    name=TEXT_CLASSIFICATION,
    spans=False,
    metrics=(
        Metric("accuracy", "share of correct labels", "maximize", "%", 2),
        Metric("macro_f1", "unweighted mean of the per-label F1; 0 for an absent label", "maximize", "%", 2),
        Metric("matthews", "Matthews correlation, times 100", "maximize", "%", 2, signed=True),
    ),
)  # fmt: skip
