"""The load of this machine, and what NVML may leave unsaid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from tests.fakes import wait_for

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.launch import load, process
from bertdistill.engine.launch.load import GpuLoad, Processor, gpu_load, read_load, worker_frozen, worker_memory


class Nvml:
    """As much of pynvml as is asked, for one GPU; names in `silent` do not answer."""

    class NVMLError(Exception):
        """What pynvml raises."""

    def __init__(self, *silent: str) -> None:
        self.silent = silent

    def __getattr__(self, name: str) -> Any:
        answers = {
            "nvmlDeviceGetHandleByIndex": 0,
            "nvmlDeviceGetUUID": "GPU-1",
            "nvmlDeviceGetName": "Toy",
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=94),
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=21, total=80),
            "nvmlDeviceGetComputeRunningProcesses": [
                SimpleNamespace(pid=7, usedGpuMemory=20),
                SimpleNamespace(pid=8, usedGpuMemory=None),
            ],
        }

        def answer(*_: Any) -> Any:
            if name.removeprefix("nvmlDeviceGet") in self.silent:
                raise self.NVMLError
            return answers[name]

        return answer


def state(paths: RunPaths, **changes: Any) -> None:
    """state.json as the shim writes it, with this process as the worker."""
    worker = {"pid": os.getpid(), "start": process.start_ticks(os.getpid())}
    found = {"host": process.host(), "boot_id": process.boot_id(), "shim": worker, "worker": worker}
    paths.state.write_text(json.dumps({**found, **changes}))


def test_the_load_is_within_its_limits() -> None:
    """Percent are percent, and used memory is a part of all of it."""
    found = read_load(0.01)
    assert 0 <= found.cpu_percent <= 100
    assert found.cores >= 1
    assert 0 < found.memory_used < found.memory_total
    assert psutil.virtual_memory().total == found.memory_total


def test_a_gpu_tells_load_memory_and_processes() -> None:
    """A process whose memory is hidden is left out."""
    assert GpuLoad(0, "GPU-1", "Toy", 94.0, 21, 80, {7: 20}) == gpu_load(Nvml(), 0)


def test_what_a_gpu_does_not_tell_is_none() -> None:
    """MIG hides the load, containers hide processes, a dead GPU hides everything."""
    assert GpuLoad(0, "GPU-1", "Toy", None, 21, 80, {7: 20}) == gpu_load(Nvml("UtilizationRates"), 0)
    assert GpuLoad(0, "GPU-1", "Toy", 94.0, None, None) == gpu_load(Nvml("MemoryInfo"), 0)
    assert GpuLoad(0, "GPU-1", "Toy", 94.0, 21, 80) == gpu_load(Nvml("ComputeRunningProcesses"), 0)
    assert None is gpu_load(Nvml("HandleByIndex"), 0)


def test_a_worker_s_memory_is_that_of_its_process(tmp_path: Path) -> None:
    """In main memory what the system says, on GPUs what NVML says of its pid."""
    paths = RunPaths(tmp_path)
    state(paths)
    gpus = tuple(GpuLoad(n, f"GPU-{n}", "Toy", 1.0, 1, 2, {os.getpid(): 20}) for n in range(2))
    resident, on_gpus = worker_memory(paths, gpus)
    assert resident is not None
    assert resident == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert 40 == on_gpus
    assert None is worker_memory(paths)[1]


def test_another_process_is_not_taken_for_the_worker(tmp_path: Path) -> None:
    """A pid that was given away again, another boot, another machine, and a file that is torn or missing."""
    paths = RunPaths(tmp_path)
    assert (None, None) == worker_memory(paths)
    for changes in ({"worker": {"pid": os.getpid(), "start": 1}}, {"boot_id": "other"}, {"host": "other"}):
        state(paths, **changes)
        assert (None, None) == worker_memory(paths)
    paths.state.write_text('{"host": ')
    assert (None, None) == worker_memory(paths)


@pytest.mark.parametrize("pid", ["\0", "self", {}, [1], -1, True, 2**80, None])
def test_a_worker_may_write_anything_as_its_process(tmp_path: Path, pid: Any) -> None:
    """One that is not a process has no memory and is not frozen; whoever looks at all workers must not fail."""
    paths = RunPaths(tmp_path)
    state(paths, worker={"pid": pid, "start": process.start_ticks(os.getpid()) if pid == "self" else 0})
    assert (None, None) == worker_memory(paths, (GpuLoad(0, "GPU-0", "Toy", 1.0, 1, 2, {os.getpid(): 20}),))
    assert not worker_frozen(paths)


def test_a_worker_that_a_signal_stopped_is_frozen(tmp_path: Path) -> None:
    """It lives and does nothing; after SIGCONT it works again."""
    paths = RunPaths(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        state(paths, worker={"pid": child.pid, "start": process.start_ticks(child.pid)})
        assert not worker_frozen(paths)
        child.send_signal(signal.SIGSTOP)
        wait_for(lambda: worker_frozen(paths), "the process to stop")
        child.send_signal(signal.SIGCONT)
        wait_for(lambda: not worker_frozen(paths), "the process to continue")
        child.kill()
    assert not worker_frozen(paths)


def test_the_processor_is_measured_across_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look comes from a new thread of a pool."""
    seconds = iter([(10.0, 100.0), (12.0, 104.0), (12.01, 104.01), (12.0, 108.0)])
    monkeypatch.setattr(load, "_cpu_seconds", lambda: next(seconds))
    processor, found = Processor(), []
    for _ in range(3):
        thread = threading.Thread(target=lambda: found.append(processor.percent()))
        thread.start()
        thread.join()
    assert [50.0, 50.0, 0.0] == found


def test_busy_and_total_seconds_are_those_that_psutil_counts() -> None:
    """Of all cores, without idle time and without counting guests twice."""
    busy, total = load._cpu_seconds()
    times = psutil.cpu_times()
    expected = sum(times) - times.guest - times.guest_nice
    assert total == pytest.approx(expected, rel=1e-3)
    assert busy == pytest.approx(expected - times.idle - times.iowait, rel=1e-2)


def test_the_first_load_of_a_process_is_one() -> None:
    """Measured since the import; whatever the machine does, it is a share."""
    assert 0.0 <= read_load().cpu_percent <= 100.0
