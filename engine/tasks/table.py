"""All tasks by name, and all their metrics. To add a task, add a module and a row here.

The worker has its own table, `distill.tasks.SCORERS`, with the same names.
"""

from __future__ import annotations

from typing import Literal

from bertdistill.engine.contract.metrics import GENERAL, Metric, costs
from bertdistill.engine.tasks import question_answering, text_classification
from bertdistill.engine.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (question_answering.TASK, text_classification.TASK)}
METRICS: dict[str, Metric] = {
    metric.name: metric for metrics in (*(task.metrics for task in TASKS.values()), GENERAL) for metric in metrics
}


def usual_direction(metric: str) -> Literal["maximize", "minimize"]:
    """The better side of a metric. Of one that is not in the table, as its name suggests: less loss, error or time."""
    if known := METRICS.get(metric):
        return known.direction
    return "minimize" if costs(metric) else "maximize"


def metrics_of(task: str) -> tuple[str, ...]:
    """Names of the metrics that trials of this task can have."""
    return (*TASKS[task].scores, *(metric.name for metric in GENERAL))
