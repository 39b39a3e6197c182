"""Extractive question answering, in the form of SQuAD 1.1 and 2.0. The official scoring rules are in `squad`."""

from __future__ import annotations

from bertdistill.engine.contract.metrics import Metric
from bertdistill.engine.tasks.task import Task

QUESTION_ANSWERING = "question-answering"

TASK = Task(
    name=QUESTION_ANSWERING,
    spans=True,
    metrics=(
        Metric("exact", "answers equal to a gold answer after the official normalisation", "maximize", "%", 2),
        Metric("f1", "mean token-level F1 with the best-matching gold answer", "maximize", "%", 2),
        Metric("has_answer_exact", "exact over answerable questions", "maximize", "%", 2),
        Metric("has_answer_f1", "f1 over answerable questions", "maximize", "%", 2),
        Metric("no_answer_exact", "share of unanswerable questions left unanswered", "maximize", "%", 2),
        Metric("no_answer_f1", "equal to no_answer_exact; the official script prints both", "maximize", "%", 2),
        Metric("null_threshold", "abstention threshold tuned on the validation split", "minimize", "", 3, signed=True,
               not_an_objective="is tuned, so neither direction is better; use a score"),
    ),
)  # fmt: skip
