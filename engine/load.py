"""How busy this machine is now: processor, memory and each GPU. It decides nothing and keeps no history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psutil

from bertdistill.engine.devices import nvml_session


@dataclass(frozen=True)
class GpuLoad:
    """One GPU: `percent` of the last second in which a kernel ran, memory in bytes; None where NVML does not say."""

    index: int
    uuid: str
    name: str
    percent: float | None
    memory_used: int | None
    memory_total: int | None


@dataclass(frozen=True)
class Load:
    """`cpu_percent` over all cores since the last call (0 to 100), memory in bytes."""

    cpu_percent: float
    cores: int
    memory_used: int
    memory_total: int
    gpus: tuple[GpuLoad, ...] = ()


def read_load() -> Load:
    """The load now; without an NVIDIA driver there are no GPUs in it."""
    memory = psutil.virtual_memory()
    return Load(
        psutil.cpu_percent(interval=None),
        psutil.cpu_count() or 1,
        memory.total - memory.available,
        memory.total,
        _gpus(),
    )


def _gpus() -> tuple[GpuLoad, ...]:
    with nvml_session() as nvml:
        if nvml is None:
            return ()
        return tuple(one for index in range(nvml.nvmlDeviceGetCount()) if (one := _gpu(nvml, index)) is not None)


def _gpu(nvml: Any, index: int) -> GpuLoad | None:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError:
        return None
    try:
        percent: float | None = float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except nvml.NVMLError:  # a GPU in MIG mode does not say
        percent = None
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        used, total = int(memory.used), int(memory.total)
    except nvml.NVMLError:
        return GpuLoad(index, str(uuid), str(name), percent, None, None)
    return GpuLoad(index, str(uuid), str(name), percent, used, total)
