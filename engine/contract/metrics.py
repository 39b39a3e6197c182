"""What a metric is, and the metrics shared by all tasks. The scores of each task are in `engine.tasks`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A number that a trial yields. `known_before` means that it follows from the settings alone."""

    name: str
    help: str
    direction: Literal["maximize", "minimize"]
    unit: str = ""
    decimals: int = 2
    known_before: bool = False
    signed: bool = False
    """It may be negative, so relative differences are meaningless."""
    not_an_objective: str = ""
    """Why it cannot be an objective, and what to use instead; empty if it can."""


_COSTS = re.compile(
    r"(?:^|[^a-z])(?:\w*loss|err|error|cost|time|seconds|minutes|hours|latency|ms|size|memory|params|flops"
    r"|perplexity|ppl|wer|cer|mae|mse|rmse|nll|bpc)(?:[^a-z]|$)",
    re.IGNORECASE,
)


def costs(metric: str) -> bool:
    """Whether the name of a metric says that less of it is better: `val/loss`, `error_rate`, `latency_ms`."""
    return bool(_COSTS.search(metric.replace("_", " ")))


GENERAL = (
    Metric("search_loss", "mean hard loss on the validation split", "minimize", "", 4),
    Metric("params", "parameters of the whole student, embeddings and head included", "minimize", "", 0, True),
    Metric("nonzero_params", "parameters that pruning has not set to 0; sizes follow params", "minimize", "", 0,
           True),
    Metric("encoder_params", "parameters of the encoder layers, without embeddings and head", "minimize", "", 0, True),
    Metric("size_mb", "parameters as fp32, in 10^6 bytes, whatever settings.weights", "minimize", "MB", 1, True),
    Metric("bytes", "size of model.safetensors without its header, which names the tensors", "minimize", "B", 0, True),
    Metric("compression", "the teacher's parameters as fp32, in bytes, over these bytes", "maximize", "x", 1, True),
    Metric("gflops", "10^9 floating point operations for one example of mean length", "minimize", "GFLOP", 3, True),
    Metric("gflops_cached", "the same with a passage that separate layers read before; without them gflops", "minimize",
           "GFLOP", 3, True),
    Metric("latency_cpu_ms", "median CPU time of one example, one CPU thread, fp32", "minimize", "ms", 2),
    Metric("latency_ratio", "CPU time of one example relative to the teacher's", "minimize", "", 3),
    Metric("latency_spread", "interquartile range of the CPU times in percent of their median", "minimize", "%", 1,
           not_an_objective="only shows how reliable latency_cpu_ms is; use latency_ratio"),
    Metric("latency_ms", "median wall time of one example, one CPU thread, fp32", "minimize", "ms", 2),
    Metric("latency_cached_ms", "latency_cpu_ms with a passage that separate layers read before", "minimize", "ms", 2),
    Metric("latency_p95_ms", "95th percentile of the wall times", "minimize", "ms", 2),
    Metric("latency_load", "load average of the machine while latency was measured", "minimize", "", 1,
           not_an_objective="only shows what else ran during the measurement; use latency_ratio"),
    Metric("throughput", "examples per second in batches on the trial's device", "maximize", "/s", 1),
    Metric("train_minutes", "training time, including evaluations and pre-training, whichever trial did that",
           "minimize", "min", 2),
    Metric("cpu_seconds", "CPU time of the training and its evaluations, of all threads", "minimize", "s", 1),
    Metric("energy_wh", "energy of the machine's processors and the trial's GPU in that time, whatever else used them; "
           "where it can be read (see doctor)", "minimize", "Wh", 3),
    Metric("peak_memory_mb", "peak memory of the worker (GPU memory on a GPU)", "minimize", "MB", 0),
)  # fmt: skip
"""Metrics of any student, whatever its task."""
COUNTS = ("params", "nonzero_params", "encoder_params")
"""Metrics that count parameters."""
LATENCY_CACHED = "latency_cached_ms"
LATENCIES = tuple(
    metric.name for metric in GENERAL if metric.name.startswith("latency_") and metric.name != LATENCY_CACHED
)
"""All are measured together: a latency says little without its spread and the load at the time."""
