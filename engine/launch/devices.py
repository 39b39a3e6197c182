"""Which processors a machine has and which GPUs are free, by NVML and UUID.

It starts nothing. Indices are never used as names: they differ between CUDA and NVML.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bertdistill.engine.contract.spec import Device

FOLDER_VARIABLE = "BERTDISTILL_RUN_FOLDER"
"""Set for every worker, so that our processes on a GPU can be distinguished from those of others."""

DRIVER_SIGNS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/proc/driver/nvidia")
"""One of these exists if there is an NVIDIA driver, the third under Windows."""
_USED_SHARE = 0.10
_FOREIGN_BYTES = 300 * 2**20


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def nvml_session() -> Iterator[Any]:
    """NVML, or None where there is no NVIDIA driver."""
    if not any(Path(sign).exists() for sign in DRIVER_SIGNS):
        yield None
        return
    import pynvml  # 40 ms, and a look for the library each time, which a machine without a GPU need not pay

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def gpu_uuids(environ: Mapping[str, str]) -> list[str]:
    """UUIDs of the GPUs that we may use, in NVML order; what CUDA_VISIBLE_DEVICES leaves out is left out."""
    with nvml_session() as nvml:
        if nvml is None:
            return []
        found = _all_uuids(nvml)
    return visible(found, environ.get("CUDA_VISIBLE_DEVICES"))


def _all_uuids(nvml: Any) -> list[str]:
    """Every GPU that answers: one that fell off its bus must not hide the others."""
    found: list[str] = []
    for n in range(nvml.nvmlDeviceGetCount()):
        try:
            found += _device_uuids(nvml, nvml.nvmlDeviceGetHandleByIndex(n))
        except nvml.NVMLError:
            continue
    return found


def visible(uuids: Sequence[str], allowed: str | None) -> list[str]:
    """Those of `uuids` that a CUDA_VISIBLE_DEVICES value lets through: indices or beginnings of UUIDs.

    As in CUDA, the first entry that fits nothing ends the list.
    """
    if allowed is None:
        return list(uuids)
    chosen: list[str] = []
    for entry in (part.strip() for part in allowed.split(",")):
        matches = [uuids[int(entry)]] if entry.isdecimal() and int(entry) < len(uuids) else []
        matches = matches or [uuid for uuid in uuids if entry.startswith(("GPU-", "MIG-")) and uuid.startswith(entry)]
        if len(matches) != 1:
            break
        chosen += matches
    return chosen


def _device_uuids(nvml: Any, handle: Any) -> list[str]:
    """The GPU itself, or its MIG instances when it is divided."""
    try:
        divided = nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE
    except nvml.NVMLError:
        divided = False
    if not divided:
        return [str(nvml.nvmlDeviceGetUUID(handle))]
    parts = []
    for n in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            parts.append(str(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, n))))
        except nvml.NVMLError:
            continue  # this place holds no instance
    return parts


def memory_bytes(device: Device) -> int | None:
    """Memory that a worker on this device of this machine can have; None if that is unknown."""
    if device.node:
        return None
    if device.kind == "cpu":
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (ValueError, OSError):
            return None
    with nvml_session() as nvml:
        if nvml is None:
            return None
        try:
            total = int(nvml.nvmlDeviceGetMemoryInfo(nvml.nvmlDeviceGetHandleByUUID(device.uuid)).total)
        except nvml.NVMLError:
            return None
    return int(device.memory_fraction * total)


def gpu_busy(device: Device) -> str:
    """Why this GPU is in use by others; empty if it is free.

    Someone else's process with more than 300 MiB, or (where pids are hidden, as in containers) more than a tenth of the
    memory in use while no worker of ours can be the reason.
    """
    with nvml_session() as nvml:
        if nvml is None:
            return "the NVIDIA driver does not respond"
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(device.uuid)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        except nvml.NVMLError as error:
            return f"NVML reports: {error}"
        try:
            running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except nvml.NVMLError:  # not everywhere (Windows' Linux); the memory in use decides then
            running = []
    used = [(int(entry.pid), entry.usedGpuMemory or 0) for entry in running]
    return busy_reason(used, memory.used, memory.total, is_ours=_is_ours, shared=device.memory_fraction < 1)


def busy_reason(
    processes: Sequence[tuple[int, int]], used: int, total: int, *, is_ours: Callable[[int], bool], shared: bool
) -> str:
    """`gpu_busy` as arithmetic: processes as (pid, bytes), memory in bytes."""
    foreign = [(pid, size) for pid, size in processes if not is_ours(pid)]
    large = [(pid, size) for pid, size in foreign if size > _FOREIGN_BYTES]
    if large and not shared:
        return "; ".join(f"process {pid} of someone else holds {size / 2**30:.1f} GiB" for pid, size in large)
    if large and any(Path(f"/proc/{pid}").exists() for pid, _ in large):
        return "; ".join(f"process {pid} of someone else holds {size / 2**30:.1f} GiB" for pid, size in large)
    if not shared and len(foreign) == len(processes) and used > _USED_SHARE * total:
        return f"{used / 2**30:.1f} of {total / 2**30:.1f} GiB are in use"
    return ""


def _is_ours(pid: int) -> bool:
    try:
        return f"{FOLDER_VARIABLE}=".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
