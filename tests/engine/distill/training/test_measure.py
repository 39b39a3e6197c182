"""Latency, throughput and memory of a model. A clock that the model itself turns makes the times exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import Kind, make_checkpoint

from bertdistill.engine.contract.metrics import LATENCIES
from bertdistill.engine.distill.data.batches import Batch, by_length
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.transformer import load_encoder
from bertdistill.engine.distill.training.measure import Latency, example_batch, latency, peak_memory_mb, throughput
from bertdistill.engine.distill.trial import MEASURED_TOKENS, measured_rows
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING

CPU = torch.device("cpu")


class Timed(torch.nn.Module):
    """Takes the given times, turn by turn, and notes the conditions of each call."""

    def __init__(self, *seconds: float, waits: float = 0.0) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.times: Iterator[float] = cycle(seconds)
        self.elapsed, self.waits = [0.0], waits
        self.calls, self.threads, self.modes = 0, set[int](), set[tuple[bool, bool]]()

    inputs = frozenset[str]()

    @property
    def net(self) -> torch.nn.Module:
        return self

    def clock(self) -> float:
        return self.elapsed[0]

    def wall(self) -> float:
        return self.elapsed[0] + self.calls * self.waits

    def forward(self, batch: Batch) -> Any:
        self.elapsed[0] += next(self.times)
        self.calls += 1
        self.threads.add(torch.get_num_threads())
        self.modes.add((self.training, torch.is_inference_mode_enabled()))
        return SimpleNamespace(logits=self.weight)


def batch(rows: int) -> Batch:
    ids = torch.full((rows, 6), 7)
    return Batch(np.arange(rows), False, ids, torch.ones_like(ids), None, torch.zeros(rows, dtype=torch.long))


def timed(model: Timed, **options: Any) -> Latency:
    """By the model's own clocks: CPU time passes with its calls, wall time also while it waits for a core."""
    return latency(model, batch(1), clock=model.wall, cpu_clock=model.clock, **options)


def test_latency_is_the_median_of_the_repeats() -> None:
    """One slow call in ten moves the 95th percentile and not the median; warm-up calls are not counted."""
    model = Timed(0.05, *[0.002] * 9)
    found = timed(model, warmup=10, repeats=20)
    assert 30 == model.calls
    assert (2.0, 2.0) == pytest.approx((found.cpu_ms, found.wall_ms))
    assert pytest.approx(50.0, rel=0.1) == found.wall_p95_ms


def test_waiting_for_a_core_lengthens_the_wall_time_only() -> None:
    """Beside other workers the CPU time stays what it is alone, and that is the time to aim at."""
    alone, beside = timed(Timed(0.002)), timed(Timed(0.002, waits=0.006))
    assert (2.0, 2.0) == pytest.approx((alone.cpu_ms, beside.cpu_ms))
    assert (2.0, 8.0) == pytest.approx((alone.wall_ms, beside.wall_ms))


def test_the_spread_is_the_interquartile_range() -> None:
    """In percent of the median: 2, 3, 4, 5 and 6 ms spread by 2 of 4 ms."""
    assert 50.0 == pytest.approx(timed(Timed(0.004, 0.002, 0.006, 0.003, 0.005), warmup=5, repeats=5).spread)


def test_the_reference_is_timed_in_turns() -> None:
    """Whatever slows one down slows the other down: a quarter of the reference's time stays a quarter."""
    reference, model = Timed(0.008, 0.016), Timed(0.002, 0.004)
    model.elapsed = reference.elapsed  # one clock
    found = latency(
        model, batch(1), reference=(reference, batch(1)), repeats=6, clock=model.clock, cpu_clock=model.clock
    )
    assert 0.25 == pytest.approx(found.ratio)
    assert (5 + 6, 5 + 6) == (model.calls, reference.calls)


def test_latencies_have_the_names_of_the_contract() -> None:
    """Without a reference there is no ratio; the load beside it is always reported."""
    alone, compared = timed(Timed(0.002)), replace(timed(Timed(0.002)), ratio=0.5)
    assert set(LATENCIES) - {"latency_ratio"} == set(alone.metrics())
    assert set(LATENCIES) == set(compared.metrics())
    assert alone.load >= 0


def test_latency_stops_early_but_not_before_five_repeats() -> None:
    """A large model does not hold the worker for minutes."""
    model = Timed(30.0)
    assert 30_000.0 == pytest.approx(timed(model, warmup=1, repeats=50, seconds=60).wall_ms)
    assert 1 + 5 == model.calls


def test_latency_uses_one_thread_and_restores_everything() -> None:
    """One thread, no dropout, no gradients inside; threads and mode of before afterwards."""
    threads, model = torch.get_num_threads(), Timed(0.001)
    torch.set_num_threads(2)
    try:
        model.train()
        timed(model, repeats=5)
        assert 2 == torch.get_num_threads()
    finally:
        torch.set_num_threads(threads)
    assert ({1}, {(False, True)}, True) == (model.threads, model.modes, model.training)


def test_latency_of_a_half_precision_model_is_measured_in_fp32(tmp_path: Path) -> None:
    """The model itself keeps its type."""
    model = encoder(tmp_path, "bert")
    model.net.bfloat16()
    found = latency(model, batch(1), repeats=5)
    assert 0 < found.wall_ms <= found.wall_p95_ms
    assert {torch.bfloat16} == {parameter.dtype for parameter in model.net.parameters()}


def encoder(folder: Path, kind: Kind) -> Encoder:
    return Encoder(load_encoder(make_checkpoint(folder / "m", kind, head="qa"), QUESTION_ANSWERING, ()))


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta"])
def test_the_example_is_the_one_nearest_to_the_mean_length(tmp_path: Path, kind: Kind) -> None:
    """One row without padding, which the model can read."""
    model, lengths = encoder(tmp_path, kind), [5, 24, 30]
    features = Features(
        folder=Path(),
        input_ids=np.full(sum(lengths), 7, np.uint16),
        token_types=np.zeros(sum(lengths), np.uint8),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        example_index=np.arange(3, dtype=np.int32),
        targets=np.zeros((3, 2), np.int32),
        char_spans=None,
    )
    one = example_batch(model, features, 23.6, pad_id=0)
    assert ((1, 24), False) == (tuple(one.input_ids.shape), one.padded)
    assert (1, 24, 2) == tuple(model(one).logits.shape)


def test_throughput_counts_examples_by_the_clock() -> None:
    """Five examples in two batches of 0.25 s each are ten a second; the warm-up is not counted."""
    model = Timed(0.25)
    assert 10.0 == pytest.approx(throughput(model, [batch(2), batch(3)], CPU, clock=model.clock))
    assert (4, {(False, True)}) == (model.calls, model.modes)


def test_throughput_is_measured_on_inputs_of_every_length() -> None:
    """A few batches stand for all, within a tenth of the tokens of an example."""
    lengths = np.random.default_rng(0).integers(20, 380, size=2000)
    rows = np.concatenate(measured_rows(lengths))
    every = np.concatenate(list(by_length(lengths, MEASURED_TOKENS)))
    assert len(rows) < len(every) / 4
    assert lengths.mean() == pytest.approx(lengths[rows].mean(), rel=0.1)
    assert measured_rows(lengths[:1])[0].tolist() == [0]


def test_throughput_needs_a_batch() -> None:
    """Nothing to measure is an error, not a rate."""
    with pytest.raises(ValueError, match="at least one batch"):
        throughput(Timed(1.0), [], CPU)


def test_peak_memory_sees_what_was_allocated() -> None:
    """80 MB that were touched raise the peak to at least that."""
    block = np.ones(10_000_000)
    assert peak_memory_mb(CPU) > block.nbytes / 1e6
