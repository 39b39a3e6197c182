"""All tasks by name, and all their metrics. To add a task, add a module and a row here.

The worker has its own table, `distill.tasks.SCORERS`, with the same names.
"""

from __future__ import annotations

from bertdistill.engine.contract.metrics import GENERAL, Metric
from bertdistill.engine.tasks import question_answering, text_classification
from bertdistill.engine.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (question_answering.TASK, text_classification.TASK)}
METRICS: dict[str, Metric] = {
    metric.name: metric for metrics in (*(task.metrics for task in TASKS.values()), GENERAL) for metric in metrics
}


def metrics_of(task: str) -> tuple[str, ...]:
    """Names of the metrics that trials of this task can have."""
    return (*TASKS[task].scores, *(metric.name for metric in GENERAL))
