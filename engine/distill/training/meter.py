"""What a training has used so far, over all of its attempts: time, CPU time and, where it can be read, energy.

The hardware counts energy for whole parts: the processors of the machine, and the GPU of the trial. What else used them
meanwhile is in it. It starts no thread, and reads the counters at most once a second.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from bertdistill.engine.contract.energy import MICROJOULES_PER_WH, counters
from bertdistill.engine.distill.training.checkpoints import Position

READ_SECONDS = 1.0


class Source(Protocol):
    """A counter of microjoules that starts again at 0 after `limit`."""

    @property
    def limit(self) -> int: ...

    def read(self) -> int:
        """OSError or ValueError if it does not answer."""
        ...


@dataclass(frozen=True)
class Gpu:
    """The GPU that this process may use, by NVML."""

    nvml: Any
    handle: Any
    limit: int = 0

    @staticmethod
    def open() -> Gpu | None:
        """None if it does not count: GPUs before 2017, and parts of one."""
        import pynvml  # only where there is a GPU

        try:
            pynvml.nvmlInit()
            found = Gpu(pynvml, pynvml.nvmlDeviceGetHandleByUUID(os.environ.get("CUDA_VISIBLE_DEVICES", "")))
            found.read()
        except (pynvml.NVMLError, OSError):
            return None
        return found

    def read(self) -> int:
        try:
            return 1000 * int(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle))
        except self.nvml.NVMLError as error:
            raise OSError(str(error)) from error


def sources(device: torch.device) -> list[Source]:
    """What can be read here; on a GPU nothing, if the GPU cannot be: the processors alone would look like the whole."""
    if device.type != "cuda":
        return [*counters()[0]]
    gpu = Gpu.open()
    return [*counters()[0], gpu] if gpu else []


@dataclass
class Meter:
    """Counts on from a position."""

    before: Position
    sources: Sequence[Source] = ()
    _began: float = field(default_factory=time.monotonic)
    _cpu: float = field(default_factory=time.process_time)
    _microjoules: int = 0

    def __post_init__(self) -> None:
        self._counts, self._read_at = self._read(), self._began

    def at(self, position: Position) -> Position:
        """The position with what has been used until now; its energy is None where it was not counted throughout."""
        self._look()
        before = self.before
        known = bool(self._counts) and before.energy_wh is not None
        return replace(
            position,
            seconds=before.seconds + time.monotonic() - self._began,
            cpu_seconds=before.cpu_seconds + time.process_time() - self._cpu,
            energy_wh=(before.energy_wh or 0.0) + self._microjoules / MICROJOULES_PER_WH if known else None,
        )

    def _look(self) -> None:
        if not self._counts or time.monotonic() - self._read_at < READ_SECONDS:
            return
        now = self._read()
        for source, before, after in zip(self.sources, self._counts, now, strict=bool(now)):
            self._microjoules += after - before if after >= before else after - before + source.limit
        self._counts, self._read_at = now, time.monotonic()

    def _read(self) -> list[int]:
        """One number for each source; none if one of them has ceased to answer."""
        try:
            return [source.read() for source in self.sources]
        except (OSError, ValueError):
            return []
