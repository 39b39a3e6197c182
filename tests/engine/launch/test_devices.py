"""Which GPUs are visible, free and answering: arithmetic over what NVML says."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch import devices

UUIDS = ("GPU-aaaa", "GPU-abbb", "MIG-cccc")


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (None, list(UUIDS)),
        ("", []),
        ("1", ["GPU-abbb"]),
        ("2,0", ["MIG-cccc", "GPU-aaaa"]),
        ("GPU-ab,MIG-cccc", ["GPU-abbb", "MIG-cccc"]),
        ("0,9,1", ["GPU-aaaa"]),
        ("GPU-a", []),
        ("-1", []),
    ],
)
def test_visible_devices_follow_cuda(allowed: str | None, expected: list[str]) -> None:
    """Indices or unique beginnings of UUIDs, up to the first entry that fits nothing."""
    assert expected == devices.visible(UUIDS, allowed)


GIB = 2**30


@pytest.mark.parametrize(
    ("running", "used", "ours", "shared", "words"),
    [
        ([], 1 * GIB, (), False, ""),
        ([], 9 * GIB, (), False, "9.0 of 80.0 GiB"),
        ([(7, 3 * GIB)], 3 * GIB, (), False, "process 7"),
        ([(7, GIB // 10)], 1 * GIB, (), False, ""),
        ([(7, 30 * GIB)], 30 * GIB, (7,), False, ""),
        ([(7, 30 * GIB)], 30 * GIB, (7,), True, ""),
    ],
)
def test_busy_gpus(running: list[tuple[int, int]], used: int, ours: tuple[int, ...], shared: bool, words: str) -> None:
    """Other people's processes and unexplained memory make a GPU busy; our own do not."""
    reason = devices.busy_reason(running, used, 80 * GIB, is_ours=lambda pid: pid in ours, shared=shared)
    assert (words in reason) if words else (reason == "")


class Nvml:
    """Three GPUs, the second of which fell off its bus; this system lists no processes."""

    class NVMLError(Exception):
        pass

    NVML_DEVICE_MIG_ENABLE = 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's names
        return 3

    def nvmlDeviceGetHandleByIndex(self, n: int) -> int:  # noqa: N802
        if n == 1:
            raise self.NVMLError("GPU is lost")
        return n

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        return uuid

    def nvmlDeviceGetMigMode(self, handle: int) -> tuple[int, int]:  # noqa: N802
        raise self.NVMLError("not supported")

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return f"GPU-{handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(used=9 * GIB if handle == "GPU-2" else GIB // 10, total=80 * GIB)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[SimpleNamespace]:  # noqa: N802
        raise self.NVMLError("not supported")


def test_a_lost_gpu_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that answer are there; without a list of processes the memory in use decides."""
    monkeypatch.setattr(devices, "nvml_session", lambda: nullcontext(Nvml()))
    assert ["GPU-0", "GPU-2"] == devices.gpu_uuids({})
    assert devices.gpu_busy(Device("cuda", 1, "GPU-0")) == ""
    assert "9.0 of 80.0 GiB" in devices.gpu_busy(Device("cuda", 1, "GPU-2"))
