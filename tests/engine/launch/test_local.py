"""The launcher of this machine, with real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engine.launch.conformance import Conformance, attempt
from tests.fakes import CPU, fake_environment, wait_for

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch import devices, process
from bertdistill.engine.launch.devices import FOLDER_VARIABLE
from bertdistill.engine.launch.local import LocalLauncher, worker_command, worker_environment
from bertdistill.engine.launch.protocol import Launcher


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
        os.kill(handle.shim, signal.SIGKILL)
        one.stop(paths, handle)
        assert self.finished(one, paths, handle) == "lost"
        assert (paths.checkpoints / "last-000003").is_dir()

    def test_a_kill_ends_everything(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """Also a child in a session of its own, which no group signal reaches."""
        one, paths, handle = self.hold(launcher, tmp_path, linger=600)
        one.kill(paths, handle)
        assert self.finished(one, paths, handle) == "killed_by_signal_9"
        assert [] == list(process.holders(paths.lock))

    def test_a_child_in_a_session_of_its_own_ends_with_its_worker(
        self, launcher: Callable[..., Launcher], tmp_path: Path
    ) -> None:
        """Whether or not it holds the lock; when the worker ends by itself, and when it is killed."""
        for name, behaviour in (("a", {"linger": 600}), ("b", {"linger": 600, "linger_unlocked": True})):
            one, paths = launcher(**behaviour), attempt(tmp_path / name)
            handle = one.start(paths, CPU, grace=5)
            assert self.finished(one, paths, handle) == "complete"
            assert [] == list(process.naming(FOLDER_VARIABLE, str(paths.folder)))

    def test_a_kill_reaches_children_whose_shim_is_gone(
        self, launcher: Callable[..., Launcher], tmp_path: Path
    ) -> None:
        """They hold no lock and are in no group of ours; their environment names the folder."""
        one, paths, handle = self.hold(launcher, tmp_path, linger=600, linger_unlocked=True)
        os.kill(handle.shim, signal.SIGKILL)
        wait_for(lambda: not one.alive(paths, handle), "the worker to leave")
        assert len(list(process.naming(FOLDER_VARIABLE, str(paths.folder)))) == 1
        one.kill(paths, handle)
        wait_for(lambda: not list(process.naming(FOLDER_VARIABLE, str(paths.folder))), "the child to end")

    def test_a_deleted_lock_makes_no_attempt_dead(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """Nor one that was put in its place: the processes are known."""
        one, paths, handle = self.hold(launcher, tmp_path)
        paths.lock.unlink()
        assert one.alive(paths, handle)
        assert one.ended(paths, handle) is None
        paths.lock.touch()
        assert one.alive(paths, {})
        one.stop(paths, handle)
        assert self.finished(one, paths, handle) == "stopped"

    def test_a_worker_that_replaced_its_log_ends_all_the_same(
        self, launcher: Callable[..., Launcher], tmp_path: Path
    ) -> None:
        """The shim reads it at the end, and must not wait for a FIFO."""
        code = "import os; os.unlink('log.txt'); os.mkfifo('log.txt')"
        one = LocalLauncher(command=("python3", "-c", code), environ=dict(os.environ))
        paths = attempt(tmp_path / "a")
        assert self.finished(one, paths, one.start(paths, CPU, grace=5)) == "complete"

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


def test_a_cpu_worker_keeps_the_memory_that_it_will_need_again(tmp_path: Path) -> None:
    """The allocator is told so where training runs in host memory; what a person has set comes first."""
    name = "MALLOC_TRIM_THRESHOLD_"
    cpu, gpu = Device("cpu", 2), Device("cuda", 2, "GPU-1", 1.0)
    assert 2**32 == int(worker_environment({}, cpu, tmp_path)[name])
    assert name not in worker_environment({}, gpu, tmp_path)
    assert "1" == worker_environment({name: "1"}, cpu, tmp_path)[name]
