"""Which number format computes faster on this machine, bf16 or fp32: measured once, because flags do not say.

A processor with instructions for bf16 but without AMX takes twice as long with them as in fp32, and narrow models also
pay for every conversion. The answer is kept beside the caches, so that all attempts of a workspace on a machine
compute alike, and resume to the same bits.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import torch
from torch import nn

from bertdistill.engine.contract.folder import PRECISIONS
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.run import Run

FILE = "precision.json"
FASTER = 1.25
"""By so much bf16 must be faster, because fp32 has more digits."""
WIDTHS = (64, 128, 256, 384)
"""For which it is measured: a model counts as the nearest one."""
ROWS, ROUNDS = 1024, 5

Seconds = Mapping[torch.dtype, float]


def choose_precision(wanted: str, run: Run, width: int) -> torch.dtype:
    """The autocast dtype that is wanted; for `auto`, the one that is faster for a model of this width."""
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bf16" else torch.float32
    if run.device.type == "cuda":  # emulated before Ampere, where it is slower than fp32
        quick = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if quick else torch.float32
    processor = _processor() if run.device.type == "cpu" else ""
    if "avx512_bf16" not in processor and "amx_bf16" not in processor:
        return torch.float32
    return _kept(run.caches, processor, min(WIDTHS, key=lambda one: abs(one - width)))


def width_of(net: nn.Module) -> int:
    """How many numbers most of its products sum up."""
    return statistics.median_low([one.in_features for one in net.modules() if isinstance(one, nn.Linear)] or [0])


def _processor() -> str:
    """Its name and its flags; hosts of one name differ in what they pass on to virtual machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return "\n".join(next((one for one in lines if one.startswith(name)), "") for name in ("model name", "flags"))


@cache
def _kept(caches: Path, processor: str, width: int) -> torch.dtype:
    def build(temporary: Path) -> None:
        found = measured(width)
        (temporary / FILE).write_text(json.dumps({str(dtype): each for dtype, each in found.items()}), encoding="utf-8")

    key = cache_key(processor=processor, torch=torch.__version__, width=width)
    raw = json.loads((build_once(caches / PRECISIONS / key, build) / FILE).read_text(encoding="utf-8"))
    return faster({dtype: raw[str(dtype)] for dtype in (torch.float32, torch.bfloat16)})


def faster(seconds: Seconds) -> torch.dtype:
    """bf16 only if that is clear."""
    quick = seconds[torch.bfloat16] * FASTER < seconds[torch.float32]
    return torch.bfloat16 if quick else torch.float32


def measured(width: int, clock: Callable[[], float] = time.process_time) -> Seconds:
    """The fastest of a few steps through the largest layers of an encoder, in alternation: others compute here, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other where others compute
    with torch.random.fork_rng(devices=[]):  # or the trial would be initialised otherwise than if it were known
        net = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.LayerNorm(width))
        rows = torch.randn(ROWS, width)
    found = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    for number in range(ROUNDS + 1):
        for dtype in found:
            begun = clock()
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                loss = net(rows).float().square().mean()
            loss.backward()
            if number:  # the first one compiles the kernels
                found[dtype] = min(found[dtype], clock() - begun)
    torch.set_num_threads(threads)
    return found
