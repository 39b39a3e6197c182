"""How much the measured times of one student change under load: CPU time, ratio and wall time.

`python benchmarks/latency.py [--loads 0 4 10]`. It measures a student against a teacher with twice its layers, both
with random weights, while that many busy processes share its core, and prints a row per load. It trains nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.training.measure import Latency, latency

TOKENS = 128
BUSY = "while True: pass"


def main() -> None:
    """Measure at each load and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--loads", type=int, nargs="+", default=[0, 4, 10], help="busy processes on the same core")
    parser.add_argument("--rounds", type=int, default=3, help="measurements at each load")
    parser.add_argument("--width", type=int, default=384)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # children inherit it, so all of them share this core
    torch.set_num_threads(1)
    student, teacher = (encoder(options.width, layers) for layers in (3, 6))
    print("| load | latency_cpu_ms | latency_ratio | latency_spread | latency_ms | latency_p95_ms |")
    print("|---|---|---|---|---|---|")
    for load in options.loads:
        with busy(load):
            found = [measured(student, teacher) for _ in range(options.rounds)]
        print(f"| {load} | {' | '.join(cells(found))} |", flush=True)


def encoder(width: int, layers: int) -> Encoder:
    """A BERT with heads of width 32, like MiniLM's."""
    config = BertConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 32, intermediate_size=4 * width
    )
    return Encoder(BertForSequenceClassification(config))


def measured(student: Encoder, teacher: Encoder) -> Latency:
    """As a trial measures it."""
    ids = torch.arange(1, TOKENS + 1)[None]
    batch = Batch(np.arange(1), False, ids, torch.ones_like(ids), None, torch.zeros(1, dtype=torch.long))
    return latency(student, batch, reference=(teacher, batch), seconds=8)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """`count` processes that only keep the core busy."""
    children = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def cells(found: list[Latency]) -> Iterator[str]:
    """The values of every round, smallest first."""
    for name, decimals in (("cpu_ms", 2), ("ratio", 3), ("spread", 1), ("wall_ms", 1), ("wall_p95_ms", 1)):
        values = sorted(float(getattr(one, name)) for one in found)
        yield " · ".join(f"{value:.{decimals}f}" for value in values)


if __name__ == "__main__":
    main()
