"""Extractive question answering, in the form of SQuAD 1.1 and 2.0. The official scoring rules are in `squad`."""

from __future__ import annotations

from bertdistill.engine.contract.metrics import Metric
from bertdistill.engine.tasks.task import Task

QUESTION_ANSWERING = "question-answering"

TASK = Task(
    name=QUESTION_ANSWERING,
    spans=True,
    metrics=(
        Metric("exact", "questions answered with a gold text, after the official normalisation", "maximize", "%", 2),
        Metric("f1", "mean token overlap with the best gold text", "maximize", "%", 2),
        Metric("has_answer_exact", "exact over the answerable questions", "maximize", "%", 2),
        Metric("has_answer_f1", "f1 over the answerable questions", "maximize", "%", 2),
        Metric("no_answer_exact", "share of unanswerable questions left unanswered", "maximize", "%", 2),
        Metric("no_answer_f1", "the same as no_answer_exact, as the official script prints it", "maximize", "%", 2),
        Metric("null_threshold", "abstention threshold tuned on the search split", "minimize", "", 3, signed=True,
               no_aim="is tuned, not better or worse; use a score"),
    ),
)  # fmt: skip
