"""Both launchers against one conformance class, the local one with real processes, and the arithmetic of GPUs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import fake_worker
from tests.fakes import CPU, fake_environment, wait_for

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.events import parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import AttemptSpec, DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.launch import devices, process
from bertdistill.engine.launch.launchers import (
    InlineLauncher,
    Launcher,
    LocalLauncher,
    read_exit,
    worker_command,
    worker_environment,
)


def attempt(folder: Path, kind: str = "prepare") -> RunPaths:
    """A run folder with a spec in it."""
    folder.mkdir(parents=True)
    paths = RunPaths(folder)
    AttemptSpec(
        kind=kind,
        study="s",
        task="text-classification",
        data=DataSpec(),
        teacher=TeacherSpec(model="scratch"),
        student=StudentSpec(),
        settings=Settings(),
        device=CPU,
        caches=str(folder.parent / "caches"),
        trial=0 if kind == "trial" else None,
    ).write(paths.spec)
    return paths


class Conformance:
    """What every launcher owes to the runner. `launcher` makes one whose workers behave as told."""

    @pytest.fixture
    def launcher(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launcher]:
        raise NotImplementedError

    def finished(self, launcher: Launcher, paths: RunPaths, handle: dict[str, Any]) -> str:
        wait_for(lambda: not launcher.alive(paths, handle), "the attempt to end")
        found = read_exit(paths)
        assert found is not None
        return found.kind

    def test_it_runs_a_worker_to_its_end(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """Events and exit.json are there; the handle is JSON."""
        one, paths = launcher(), attempt(tmp_path / "a")
        handle = one.start(paths, CPU, grace=5)
        assert self.finished(one, paths, handle) == "complete"
        kinds = [parse_event(line)["k"] for line in paths.events.read_bytes().splitlines()]  # type: ignore[index]
        assert (kinds[0], kinds[-1]) == ("started", "ended")
        assert all(isinstance(key, str) for key in handle)

    def test_it_tells_ends_apart(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """A refusal and a crash have their classes, and the log says why."""
        for name, behaviour, kind in (
            ("a", {"refuse_prepare": True}, "refused"),
            ("b", {"crash_prepare": 1}, "crashed"),
        ):
            one, paths = launcher(**behaviour), attempt(tmp_path / name)
            assert kind == self.finished(one, paths, one.start(paths, CPU, grace=5))

    def test_an_attempt_starts_once(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """A folder that was used is refused."""
        one, paths = launcher(), attempt(tmp_path / "a")
        self.finished(one, paths, one.start(paths, CPU, grace=5))
        with pytest.raises(LaunchError, match="runs or has ended"):
            one.start(paths, CPU, grace=5)

    def test_what_never_started_is_lost(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """A free lock without an exit.json: nobody wrote down the end."""
        paths = attempt(tmp_path / "a")
        assert not launcher().alive(paths, {})
        found = read_exit(paths)
        assert found is not None
        assert found.kind == "lost"

    def test_it_has_a_free_slot(self, launcher: Callable[..., Launcher]) -> None:
        """At least one, with a name of its own and a device."""
        slots = launcher().slots()
        assert len({slot.name for slot in slots}) == len(slots) >= 1
        assert launcher().busy(slots[0]) == ""

    def test_stopping_what_has_ended_does_nothing(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """The end stays what it was."""
        one, paths = launcher(), attempt(tmp_path / "a")
        handle = one.start(paths, CPU, grace=5)
        self.finished(one, paths, handle)
        one.stop(paths, handle)
        one.kill(paths, handle)
        assert self.finished(one, paths, handle) == "complete"


class TestInlineLauncher(Conformance):
    """In this process."""

    @pytest.fixture
    def launcher(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launcher]:
        before = signal.getsignal(signal.SIGTERM)

        def main(argv: list[str]) -> int:
            try:
                return fake_worker.main(argv)
            finally:
                signal.signal(signal.SIGTERM, before)

        def make(**behaviour: Any) -> Launcher:
            environment = fake_environment(tmp_path, **behaviour)
            monkeypatch.setenv("BERTDISTILL_FAKE", environment["BERTDISTILL_FAKE"])
            return InlineLauncher(main=main)

        return make

    def test_an_exception_is_a_crash_with_its_traceback(self, tmp_path: Path) -> None:
        """Nothing of the worker's failure reaches the caller."""

        def broken(argv: list[str]) -> int:
            raise RuntimeError("in the worker")

        paths = attempt(tmp_path / "a")
        InlineLauncher(main=broken).start(paths, CPU, grace=1)
        found = read_exit(paths)
        assert found is not None
        assert (found.kind, "RuntimeError: in the worker" in found.log_tail) == ("crashed", True)


class TestLocalLauncher(Conformance):
    """As processes."""

    @pytest.fixture
    def launcher(self, tmp_path: Path) -> Callable[..., Launcher]:
        def make(**behaviour: Any) -> Launcher:
            return LocalLauncher(environ=fake_environment(tmp_path, **behaviour))

        return make

    def hold(self, launcher: Callable[..., Launcher], tmp_path: Path, **more: Any) -> tuple[Any, RunPaths, Any]:
        """A trial that stands at half of its steps."""
        (tmp_path / "hold").touch()
        one, paths = launcher(hold=str(tmp_path / "hold"), **more), attempt(tmp_path / "a", "trial")
        handle = one.start(paths, CPU, grace=5)
        wait_for(lambda: paths.events.exists() and b'"done":3' in paths.events.read_bytes(), "the trial at half")
        return one, paths, handle

    def test_it_is_alive_from_the_first_instant(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """The lock is held when `start` returns, before the shim has even begun."""
        one, paths = launcher(), attempt(tmp_path / "a")
        handle = one.start(paths, CPU, grace=5)
        assert one.alive(paths, handle)
        self.finished(one, paths, handle)

    def test_a_stop_lets_the_worker_save(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """It leaves a checkpoint of the step at which it stood."""
        one, paths, handle = self.hold(launcher, tmp_path)
        one.stop(paths, handle)
        assert self.finished(one, paths, handle) == "stopped"
        assert (paths.checkpoints / "last-000003").is_dir()

    def test_a_stop_right_after_the_start_is_not_lost(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """The shim is asked before it can hear; it hears later, and says that it was a stop."""
        (tmp_path / "hold").touch()
        one, paths = launcher(hold=str(tmp_path / "hold")), attempt(tmp_path / "a", "trial")
        handle = one.start(paths, CPU, grace=5)
        one.stop(paths, handle)
        assert self.finished(one, paths, handle) == "stopped"

    def test_a_stop_works_without_the_shim(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """kill -9 of the shim: its worker saves and leaves; the end is lost, the checkpoint is not."""
        one, paths, handle = self.hold(launcher, tmp_path)
        os.kill(handle["shim"], signal.SIGKILL)
        one.stop(paths, handle)
        assert self.finished(one, paths, handle) == "lost"
        assert (paths.checkpoints / "last-000003").is_dir()

    def test_a_kill_ends_everything(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """Also a child in a session of its own, which no group signal reaches."""
        one, paths, handle = self.hold(launcher, tmp_path, linger=600)
        one.kill(paths, handle)
        assert self.finished(one, paths, handle) == "killed_by_signal_9"
        assert [] == list(process.holders(paths.lock))

    def test_a_child_keeps_the_attempt_alive(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """The worker is done and says so, but something of it still holds the device."""
        one, paths = launcher(linger=600), attempt(tmp_path / "a")
        handle = one.start(paths, CPU, grace=5)
        wait_for(paths.exit.exists, "the worker to end")
        assert one.alive(paths, handle)
        assert read_exit(paths) is None
        wait_for(lambda: one.kill(paths, handle) or not one.alive(paths, handle), "the child to end")
        assert self.finished(one, paths, handle) == "complete"

    def test_a_reused_pid_is_not_signalled(self, tmp_path: Path) -> None:
        """Another start time or another boot means another process."""
        me = process.me()
        assert not process.send(process.Identity(me.pid, me.start + 1), signal.SIGKILL, boot=process.boot_id())
        assert not process.send(me, signal.SIGKILL, boot="another boot")
        assert not process.send(process.Identity(0, 0), signal.SIGKILL, boot=process.boot_id())

    def test_cpu_slots_divide_the_threads(self, tmp_path: Path) -> None:
        """As many threads as cores in all, one at least each."""
        one = LocalLauncher(environ={"CUDA_VISIBLE_DEVICES": ""})
        cores = devices.cores()
        assert [("cpu0", cores)] == [(slot.name, slot.device.threads) for slot in one.slots()]
        many = one.slots(wanted=cores * 2)
        assert {1} == {slot.device.threads for slot in many}
        assert len(many) == cores * 2

    def test_the_worker_gets_its_share(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """Threads and GPU are in its environment, its folder is its working directory."""
        code = "import os; print(*(os.environ[n] for n in ('OMP_NUM_THREADS', 'CUDA_VISIBLE_DEVICES')), os.getcwd())"
        one = LocalLauncher(command=("python3", "-c", code), environ=dict(os.environ))
        paths = attempt(tmp_path / "a")
        self.finished(one, paths, one.start(paths, Device("cuda", 3, "GPU-1"), grace=5))
        assert paths.log.read_text() == f"3 GPU-1 {paths.folder}\n"

    def test_the_command_can_be_replaced(self) -> None:
        """By an environment variable; the default runs our worker without the working directory on its path."""
        assert worker_command({"BERTDISTILL_WORKER": "nice -n 5 'my python'"}) == ("nice", "-n", "5", "my python")
        assert worker_command({})[1:] == ("-P", "-m", "bertdistill.engine.distill.worker")

    def test_a_folder_that_is_gone_is_a_launch_error(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """Not a traceback of the operating system."""
        with pytest.raises(LaunchError):
            launcher().start(RunPaths(tmp_path / "gone"), CPU, grace=1)


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


def test_a_cpu_worker_keeps_the_memory_that_it_will_need_again(tmp_path: Path) -> None:
    """The allocator is told so where training runs in host memory; what a person has set comes first."""
    name = "MALLOC_TRIM_THRESHOLD_"
    cpu, gpu = Device("cpu", 2), Device("cuda", 2, "GPU-1", 1.0)
    assert 2**32 == int(worker_environment({}, cpu, tmp_path)[name])
    assert name not in worker_environment({}, gpu, tmp_path)
    assert "1" == worker_environment({name: "1"}, cpu, tmp_path)[name]
