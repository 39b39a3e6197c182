"""How busy this machine is now: processor, memory, GPUs and each worker. It decides nothing and keeps no history.

It reads `/proc` itself: psutil would take 9 ms of the first paint of the app for these four numbers.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.folder import RunPaths, read_object
from bertdistill.engine.launch import process
from bertdistill.engine.launch.devices import nvml_session

LEAST_CPU_SECONDS = 0.1
"""Of all cores together. Times are counted in hundredths of a second."""


@dataclass(frozen=True)
class GpuLoad:
    """One GPU: `percent` of the last second in which a kernel ran, memory in bytes; None if not reported by NVML."""

    index: int
    uuid: str
    name: str
    percent: float | None
    memory_used: int | None
    memory_total: int | None
    used_by: Mapping[int, int] = field(default_factory=dict)
    """Bytes by pid, as far as NVML reports them; containers often hide them."""


@dataclass(frozen=True)
class Load:
    """`cpu_percent` over all cores since the last call (0 to 100), memory in bytes."""

    cpu_percent: float
    cores: int
    memory_used: int
    memory_total: int
    gpus: tuple[GpuLoad, ...] = ()


def read_load(seconds: float | None = None) -> Load:
    """The load now; without an NVIDIA driver there are no GPUs in it.

    The processor's is that since the last call (of any thread), the first time since this module was imported;
    `seconds` measures for that long instead.
    """
    processor = _PROCESSOR
    if seconds is not None:
        processor = Processor()
        time.sleep(seconds)
    return Load(processor.percent(), os.cpu_count() or 1, *_memory(), _gpus())


def _memory() -> tuple[int, int]:
    """Bytes of main memory in use, that is not available to programs, and in total."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    bytes_of = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    total = bytes_of["MemTotal"]
    return max(0, total - bytes_of["MemAvailable"]), total


class Processor:
    """Busy time between two looks, in whichever thread."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._seen, self._percent = _cpu_seconds(), 0.0

    def percent(self) -> float:
        """Over all cores since the last look, 0 to 100; the same again where too little time has passed to tell."""
        with self._turn:
            now = _cpu_seconds()
            (busy, total), (was_busy, was_total) = now, self._seen
            if total - was_total >= LEAST_CPU_SECONDS:
                self._percent = min(100.0, max(0.0, 100 * (busy - was_busy) / (total - was_total)))
                self._seen = now
            return self._percent


def _cpu_seconds() -> tuple[float, float]:
    """Busy and total seconds of all cores since the machine started. Guests are left out: user time includes them."""
    with Path("/proc/stat").open(encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    waiting, second = sum(ticks[3:5]), os.sysconf("SC_CLK_TCK")  # idle and iowait
    return (sum(ticks) - waiting) / second, sum(ticks) / second


_PROCESSOR = Processor()


def worker_memory(paths: RunPaths, gpus: tuple[GpuLoad, ...] = ()) -> tuple[int | None, int | None]:
    """Bytes that the worker of an attempt holds in main memory and on the GPUs; None where that is unknown.

    Only its main process, which is where the model is; pages that it shares with other workers count in each of them.
    """
    worker = _worker(paths)
    if worker is None:
        return None, None
    pid = worker.pid
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        resident: int | None = pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):  # it ended meanwhile
        resident = None
    on_gpus = [gpu.used_by[pid] for gpu in gpus if pid in gpu.used_by]
    return resident, sum(on_gpus) if on_gpus else None


def worker_frozen(paths: RunPaths) -> bool:
    """Whether the worker of an attempt is stopped by a signal or a debugger: it lives, and does nothing."""
    worker = _worker(paths)
    return worker is not None and process.suspended(worker)


def _worker(paths: RunPaths) -> process.Identity | None:
    """The worker if it still is the process that the shim started on this machine."""
    state = read_object(paths.state)
    try:
        worker = process.Identity.from_dict(state["worker"])
        same = state["host"] == process.host() and state["boot_id"] == process.boot_id()
    except (KeyError, TypeError, ValueError):
        return None
    return worker if same and process.start_ticks(worker.pid) == worker.start else None


def _gpus() -> tuple[GpuLoad, ...]:
    with nvml_session() as nvml:
        if nvml is None:
            return ()
        return tuple(one for index in range(nvml.nvmlDeviceGetCount()) if (one := gpu_load(nvml, index)) is not None)


def gpu_load(nvml: Any, index: int) -> GpuLoad | None:
    """One GPU by its NVML index; None if it does not respond. Values that it does not report are left out."""
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
    return GpuLoad(index, str(uuid), str(name), percent, used, total, _used_by(nvml, handle))


def _used_by(nvml: Any, handle: Any) -> dict[int, int]:
    try:
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return {}
    return {int(one.pid): int(one.usedGpuMemory) for one in running if one.usedGpuMemory}
