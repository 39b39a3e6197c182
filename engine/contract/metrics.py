"""The metrics of a trial: what each means, whether more is better, and which tasks have it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TASKS = ("question-answering", "text-classification")


@dataclass(frozen=True)
class Metric:
    """A number that a trial ends with. `known_before` says that it follows from the settings alone."""

    name: str
    help: str
    direction: Literal["maximize", "minimize"]
    unit: str = ""
    decimals: int = 2
    tasks: tuple[str, ...] = TASKS
    known_before: bool = False
    signed: bool = False
    """It may be negative, so one value of it is never a share of another."""


_QA, _CLS = TASKS[:1], TASKS[1:]
_METRICS = (
    Metric("exact", "questions answered with a gold text, after the official normalisation", "maximize", "%", 2, _QA),
    Metric("f1", "mean token overlap with the best gold text", "maximize", "%", 2, _QA),
    Metric("has_answer_exact", "exact over the answerable questions", "maximize", "%", 2, _QA),
    Metric("has_answer_f1", "f1 over the answerable questions", "maximize", "%", 2, _QA),
    Metric("no_answer_exact", "share of unanswerable questions left unanswered", "maximize", "%", 2, _QA),
    Metric("no_answer_f1", "the same as no_answer_exact, as the official script prints it", "maximize", "%", 2, _QA),
    Metric("null_threshold", "abstention threshold tuned on the search split", "minimize", "", 3, _QA, signed=True),
    Metric("accuracy", "share of right labels", "maximize", "%", 2, _CLS),
    Metric("macro_f1", "unweighted mean of the F1 of every label; 0 if absent", "maximize", "%", 2, _CLS),
    Metric("matthews", "Matthews correlation, times 100", "maximize", "%", 2, _CLS, signed=True),
    Metric("search_loss", "mean hard loss on the search split", "minimize", "", 4),
    Metric("params", "parameters of the whole student, embeddings and head included", "minimize", "", 0, TASKS, True),
    Metric("encoder_params", "parameters of the layers, without embeddings and head", "minimize", "", 0, TASKS, True),
    Metric("size_mb", "weights in fp32, in 10^6 bytes", "minimize", "MB", 1, TASKS, True),
    Metric("gflops", "10^9 operations of one example of mean length", "minimize", "GFLOP", 3, TASKS, True),
    Metric("latency_cpu_ms", "median CPU time of one example, one CPU thread, fp32", "minimize", "ms", 2),
    Metric("latency_ratio", "CPU time of one example over the teacher's, measured in turns", "minimize", "", 3),
    Metric("latency_spread", "interquartile range of the CPU times, in percent of their median", "minimize", "%", 1),
    Metric("latency_ms", "median wall time of one example, one CPU thread, fp32", "minimize", "ms", 2),
    Metric("latency_p95_ms", "95th percentile of the wall times", "minimize", "ms", 2),
    Metric("latency_load", "load average of the machine while latency was measured", "minimize", "", 1),
    Metric("throughput", "examples a second in batches on the trial's device", "maximize", "/s", 1),
    Metric("train_minutes", "time spent training, evaluations included", "minimize", "min", 2),
    Metric("peak_memory_mb", "largest memory of the worker (GPU memory on a GPU)", "minimize", "MB", 0),
)  # fmt: skip
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}
CIRCUMSTANCES = {
    "null_threshold": "is tuned, not better or worse; use a score",
    "latency_spread": "says how far latency_cpu_ms can be trusted; use latency_ratio",
    "latency_load": "says what ran beside the measurement; use latency_ratio",
}
"""Metrics that nobody can aim at, and what to do instead."""
LATENCIES = tuple(name for name in METRICS if name.startswith("latency_"))
"""All are measured together: a time without its spread and the load beside it says little."""
SCORES: dict[str, tuple[str, ...]] = {
    "question-answering": (
        "exact",
        "f1",
        "has_answer_exact",
        "has_answer_f1",
        "no_answer_exact",
        "no_answer_f1",
        "null_threshold",
    ),
    "text-classification": ("accuracy", "macro_f1", "matthews"),
}
"""What scoring a set of predictions yields, by task; the first is the one that picks the best checkpoint by default."""
