"""The context of every kind of attempt: its spec, folder, events, stop flag and device.

It trains and scores nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TypeVar

import torch

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import NOTICE, PROGRESS, EventWriter
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device

PROGRESS_SECONDS = 0.5


class Stopped(Exception):
    """The attempt was asked to stop. Training has written its checkpoint `last`; an unfinished cache is not kept."""


@dataclass(frozen=True)
class Run:
    """One running attempt."""

    spec: AttemptSpec
    paths: RunPaths
    events: EventWriter
    stop: threading.Event
    device: torch.device

    @property
    def caches(self) -> Path:
        return Path(self.spec.caches)

    def notice(self, level: str, text: str) -> None:
        """Send a notice to the user, on the screen and in the log."""
        print(f"{level}: {text}", flush=True)  # noqa: T201 - the worker's stdout is log.txt
        self.events.emit(NOTICE, level=level, text=text)

    def warn(self, text: str) -> None:
        """Warn that something may affect the results."""
        self.notice("warning", text)

    def progress(self, phase: str, unit: str) -> Callable[[int, int], None]:
        """A callback (done, total) that reports `phase` at a limited rate; raises Stopped if asked to stop."""
        print(f"{phase} …", flush=True)  # noqa: T201 - the worker's stdout is log.txt
        started = reported_at = monotonic()

        def report(done: int, total: int) -> None:
            nonlocal reported_at
            if self.stop.is_set():
                raise Stopped
            now = monotonic()
            if now - reported_at < PROGRESS_SECONDS and done < total:
                return
            reported_at = now
            rate = round(done / max(now - started, 1e-9), 2)
            self.events.emit(PROGRESS, phase=phase, done=done, total=total, rate=rate, unit=unit)

        return report

    def waiting(self, what: str) -> Callable[[], None]:
        """For `caches.build_once`: says that another attempt builds the same; raises Stopped if asked to stop."""
        report = cache(lambda: self.progress(f"waiting for the same {what}", "attempts"))
        return lambda: report()(0, 1)


M = TypeVar("M", bound=torch.nn.Module)


def to_device(model: M, device: torch.device) -> M:
    """`model.to(device)`, whose type transformers hides behind a decorator."""
    moved: M = torch.nn.Module.to(model, device)
    return moved


def open_device(device: Device) -> torch.device:
    """Set up the assigned device: CPU threads, or the one visible GPU and its share of memory."""
    torch.set_num_threads(max(1, device.threads))
    if device.kind == "cpu":
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")  # allows TF32 for fp32
    if device.memory_fraction < 1:
        torch.cuda.set_per_process_memory_fraction(device.memory_fraction)
    return torch.device("cuda")
