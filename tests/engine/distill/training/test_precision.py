"""The number format is the one that is measured to be faster, and stays the same for all attempts of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.training import precision
from bertdistill.engine.distill.training.precision import choose_precision, faster, measured, width_of

ABLE = "model name: Xeon\nflags: avx512f avx512_bf16"


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Iterator[Run]:
    precision._kept.cache_clear()
    yield cast(Run, SimpleNamespace(device=torch.device("cpu"), caches=tmp_path))
    precision._kept.cache_clear()


def clocked(monkeypatch: pytest.MonkeyPatch, fp32: float, bf16: float) -> list[int]:
    """Measurements find this; returns the widths that were measured."""
    widths = list[int]()

    def found(width: int) -> dict[torch.dtype, float]:
        widths.append(width)
        return {torch.float32: fp32, torch.bfloat16: bf16}

    monkeypatch.setattr(precision, "measured", found)
    monkeypatch.setattr(precision, "_processor", lambda: ABLE)
    return widths


@pytest.mark.parametrize(
    ("fp32", "bf16", "chosen"),
    [(1.0, 2.0, torch.float32), (1.0, 0.9, torch.float32), (1.0, 0.5, torch.bfloat16)],
    ids=["slower", "hardly faster", "faster"],
)
def test_a_processor_is_measured_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, fp32: float, bf16: float, chosen: torch.dtype
) -> None:
    """For each width; a later process reads what the first one found, whatever it would find itself."""
    widths = clocked(monkeypatch, fp32, bf16)
    assert [choose_precision("auto", run, width) for width in (60, 70, 1000)] == [chosen] * 3
    assert widths == [64, 384]
    precision._kept.cache_clear()
    assert clocked(monkeypatch, bf16, fp32) == []
    assert choose_precision("auto", run, 64) == chosen


def test_what_is_asked_for_is_not_measured(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a processor that has no bf16."""
    widths = clocked(monkeypatch, 1.0, 0.1)
    assert choose_precision("fp32", run, 64) == torch.float32
    assert choose_precision("bf16", run, 64) == torch.bfloat16
    monkeypatch.setattr(precision, "_processor", lambda: "flags: avx512f")
    assert choose_precision("auto", run, 64) == torch.float32
    assert widths == []


def test_a_gpu_must_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says yes for a V100 or T4 as well, where bf16 is emulated and slower than fp32."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    run = cast(Run, SimpleNamespace(device=torch.device("cuda")))
    assert choose_precision("auto", run, 64) == torch.float32
    assert choose_precision("bf16", run, 64) == torch.bfloat16


def test_measuring_leaves_no_trace_in_the_trial() -> None:
    """The random numbers that follow are the same; both formats are really run."""
    before = torch.get_rng_state()
    ticks = iter(range(1000))
    found = measured(8, clock=lambda: next(ticks))
    assert torch.equal(before, torch.get_rng_state())
    assert found == {torch.float32: 1, torch.bfloat16: 1}
    assert faster(found) == torch.float32


def test_the_width_is_that_of_most_layers() -> None:
    """Not that of the head, nor of the widest layer; a model without products counts as narrow."""
    layer: list[Any] = [nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 128), nn.Linear(128, 32)]
    assert width_of(nn.Sequential(*layer, nn.Linear(32, 2))) == 32
    assert width_of(nn.LSTM(4, 4)) == 0
