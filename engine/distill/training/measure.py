"""Measure a model: time of one example on one CPU thread, examples per second in batches, memory of the worker.

It changes neither the model nor, after the measurement, the process's settings. Other workers often train on the same
cores meanwhile. Wall time grows with them; CPU time of the thread grows by at most a quarter, because they evict
its caches; the ratio to a reference measured alternately stays within a hundredth (`benchmarks/latency.py`).
"""

from __future__ import annotations

import copy
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from bertdistill.engine.distill.data.batches import Batch, collate
from bertdistill.engine.distill.families.model import Servable
from bertdistill.engine.distill.training.evaluate import features_for
from bertdistill.engine.distill.training.forward import forward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bertdistill.engine.distill.data.features import Features

MIN_REPEATS = 5
TOKENISED = 200
"""Texts that are tokenised to time the tokenizer: some 20 ms."""
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Latency:
    """Times of one forward pass in ms, and how reliable they are."""

    cpu_ms: float
    """Median CPU time of the thread, which does not include waiting for a core."""
    spread: float
    """Interquartile range of that CPU time in percent of its median."""
    wall_ms: float
    wall_p95_ms: float
    load: float
    """Load average of the machine, 1 minute."""
    ratio: float | None = None
    """CPU time relative to the reference model, None without one."""

    def metrics(self) -> dict[str, float]:
        """By the metric names of the contract."""
        found = {"latency_cpu_ms": self.cpu_ms, "latency_spread": self.spread, "latency_load": self.load}
        found |= {"latency_ms": self.wall_ms, "latency_p95_ms": self.wall_p95_ms}
        return found if self.ratio is None else found | {"latency_ratio": self.ratio}


def example_batch(model: Servable, features: Features, length: float, pad_id: int) -> Batch:
    """The input whose length is closest to `length` tokens, alone and unpadded, for `latency`."""
    lengths = features.lengths
    row = int(np.argmin(np.abs(lengths - length)))
    return collate(features_for(model, features), np.array([row]), edges=lengths[row : row + 1], pad_id=pad_id)


def latency(
    model: Servable,
    batch: Batch,
    *,
    reference: tuple[Servable, Batch] | None = None,
    warmup: int = 5,
    repeats: int = 50,
    seconds: float = 20.0,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.thread_time,
) -> Latency:
    """Time forward passes of `batch` (one example) on one CPU thread in fp32, alternating with `reference`.

    A model on another device or of another dtype is copied. Stops early after `seconds`, but not before five
    repeats.
    """
    pairs = [(_on_cpu(one), given) for one, given in [(model, batch), *([reference] if reference else [])]]
    walls: list[float] = []
    cpus: list[list[float]] = [[] for _ in pairs]
    with _one_thread(), torch.inference_mode(), _evaluating(*[one.net for one, _ in pairs]):
        for _ in range(max(warmup, 1)):
            for one, given in pairs:
                one(given)
        began = clock()
        while len(walls) < repeats and (len(walls) < MIN_REPEATS or clock() - began < seconds):
            for number, (one, given) in enumerate(pairs):
                start, cpu_start = clock(), cpu_clock()
                one(given)
                cpus[number].append(cpu_clock() - cpu_start)
                if number == 0:
                    walls.append(clock() - start)
    return _latency(walls, *cpus)


def _latency(walls: Sequence[float], cpus: Sequence[float], reference: Sequence[float] = ()) -> Latency:
    wall, wall_p95 = np.percentile(np.array(walls) * 1e3, [50, 95])
    low, cpu, high = np.percentile(np.array(cpus) * 1e3, [25, 50, 75])
    return Latency(
        cpu_ms=float(cpu),
        spread=100 * float((high - low) / cpu),
        wall_ms=float(wall),
        wall_p95_ms=float(wall_p95),
        load=os.getloadavg()[0],
        ratio=float(cpu / (np.median(reference) * 1e3)) if len(reference) else None,
    )


def throughput(
    model: Servable,
    batches: Sequence[Batch],
    device: torch.device,
    *,
    precision: torch.dtype = torch.float32,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Examples per second over `batches`, after a warm-up round; the model must be on `device`."""
    if not batches:
        raise ValueError("throughput needs at least one batch")
    with torch.inference_mode(), _evaluating(model.net):
        for batch in batches:  # all of them: shapes differ, and a GPU warms up for each
            forward(model, batch.to(device), precision=precision)
        _wait(device)
        began = clock()
        for batch in batches:
            forward(model, batch.to(device), precision=precision)
        _wait(device)
    return sum(len(batch.rows) for batch in batches) / (clock() - began)


def tokenizer_ms(
    tokenizer: Any, rows: Sequence[Any], max_length: int, *, clock: Callable[[], float] = time.thread_time
) -> float:
    """Mean CPU time of tokenising one text (`row.text`, `row.pair`) alone, as a served model does, in ms."""
    chosen = rows[:: max(1, len(rows) // TOKENISED)][:TOKENISED]
    texts = [(row.text,) if row.pair is None else (row.text, row.pair) for row in chosen]
    tokenizer(*texts[0])  # the first call builds things
    began = clock()
    for one in texts:
        tokenizer(*one, truncation="longest_first", max_length=max_length)
    return 1000 * (clock() - began) / len(texts)


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory so far in 10^6 bytes: what torch reserved on a GPU, the resident set of this process otherwise."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _on_cpu(model: Servable) -> Servable:
    if all(p.device == CPU and p.dtype == torch.float32 for p in model.net.parameters()):
        return model
    copied = copy.deepcopy(model)
    nn.Module.to(copied.net, device=CPU, dtype=torch.float32)
    return copied


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _evaluating(*models: nn.Module) -> Iterator[None]:
    training = [model.training for model in models]
    for model in models:
        model.eval()
    try:
        yield
    finally:
        for model, mode in zip(models, training, strict=True):
            model.train(mode)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
