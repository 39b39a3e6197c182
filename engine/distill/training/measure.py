"""Measure a model: time of one example on one CPU thread, examples a second in batches, memory of the worker.

It changes neither the model nor, beyond the measurement, the process's settings.
"""

from __future__ import annotations

import copy
import inspect
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bertdistill.engine.distill.data.batches import Batch

MIN_REPEATS = 5
CPU = torch.device("cpu")


def example_inputs(model: nn.Module, length: float) -> dict[str, Tensor]:
    """One made input (1, length) on the CPU for `latency`; which tokens it holds does not matter for the time."""
    config: Any = model.config
    size = max(1, round(length))
    ids = torch.arange(size) % max(config.vocab_size - 1, 1) + 1
    ids[ids == (config.pad_token_id or 0)] = config.vocab_size - 1
    inputs = {"input_ids": ids[None]}
    if "token_type_ids" in inspect.signature(model.forward).parameters:
        inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
    return inputs


def latency(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    warmup: int = 5,
    repeats: int = 50,
    seconds: float = 20.0,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float]:
    """Median and 95th percentile of one forward pass of `inputs` (batch 1), in ms: one CPU thread, fp32.

    A model on another device or in another type is copied for it. After `seconds` it stops early, but not before five
    repeats.
    """
    ready = _on_cpu(model)
    times: list[float] = []
    with _one_thread(), torch.inference_mode(), _evaluating(ready):
        for _ in range(max(warmup, 1)):
            ready(**inputs)
        began = clock()
        while len(times) < repeats and (len(times) < MIN_REPEATS or clock() - began < seconds):
            start = clock()
            ready(**inputs)
            times.append(clock() - start)
    median, high = np.percentile(np.array(times) * 1e3, [50, 95])
    return float(median), float(high)


def throughput(
    model: nn.Module,
    batches: Sequence[Batch],
    device: torch.device,
    *,
    precision: torch.dtype = torch.float32,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Examples a second over `batches`, after a round to warm up; the model must be on `device`."""
    from bertdistill.engine.distill.training.train import forward  # the loop that training and evaluation use

    if not batches:
        raise ValueError("throughput needs at least one batch")
    with torch.inference_mode(), _evaluating(model):
        span = batches[0].targets.ndim == 2
        for batch in batches:  # all of them: their shapes differ, and a GPU prepares for each
            forward(model, batch.to(device), span=span, precision=precision)
        _wait(device)
        began = clock()
        for batch in batches:
            forward(model, batch.to(device), span=span, precision=precision)
        _wait(device)
    return sum(len(batch.rows) for batch in batches) / (clock() - began)


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory so far in 10^6 bytes: what torch reserved on a GPU, the resident set of this process otherwise."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _on_cpu(model: nn.Module) -> nn.Module:
    if all(p.device == CPU and p.dtype == torch.float32 for p in model.parameters()):
        return model
    return copy.deepcopy(model).to(device=CPU, dtype=torch.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
