"""Workers that are forked from a process with everything loaded: for the runner they are like any other."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.launch import test_local
from tests.engine.launch.conformance import attempt
from tests.fakes import CPU, DEADLINE, behave, fake_environment, wait_for

from bertdistill.engine.contract.folder import RunPaths, read_object
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch import process, warm
from bertdistill.engine.launch.devices import FOLDER_VARIABLE
from bertdistill.engine.launch.local import COMMAND_VARIABLE, LocalLauncher, worker_environment
from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.launch.warm import Parent, Warm

MODULE = "tests.engine.launch.warm_worker"
ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(not warm.supported(), reason="processes are forked on Linux only")


def environment(folder: Path, **behaviour: Any) -> dict[str, str]:
    """That of fake workers, without a command of their own and with the tests importable."""
    found = fake_environment(folder, **behaviour) | {"PYTHONPATH": str(ROOT)}
    del found[COMMAND_VARIABLE]
    return found


def parent_of(found: Warm) -> Parent:
    [one] = found._parents.values()
    return one


def ready(found: Warm, environ: dict[str, str], device: Device = CPU) -> Parent:
    """Its parent for workers of this environment, once it has loaded."""
    found.expect(worker_environment(environ, device, Path("/")))
    parent = parent_of(found)
    assert wait_for(lambda: parent.look() or parent.ready, "the parent to load") is True
    return parent


@pytest.fixture(scope="module", name="shared")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], Warm]]:
    """A loaded parent: a folder for the behaviour of its workers, and their environment."""
    folder, found = tmp_path_factory.mktemp("warm"), Warm(MODULE)
    environ = environment(folder)
    ready(found, environ)
    yield folder, environ, found
    found.close()


class TestWarmLauncher(test_local.TestLocalLauncher):
    """Forked from a parent; what a test starts with a command of its own is not."""

    @pytest.fixture
    def launcher(self, shared: tuple[Path, dict[str, str], Warm]) -> Callable[..., Launcher]:
        folder, environ, found = shared

        def make(**behaviour: Any) -> Launcher:
            behave(folder, **behaviour)
            ready(found, environ)
            return LocalLauncher(environ=environ, warm=found)

        return make

    def hold(self, launcher: Callable[..., Launcher], tmp_path: Path, **more: Any) -> tuple[Any, RunPaths, Any]:
        """The same once the shim has written who runs it: a warm worker can be at half before that."""
        found = super().hold(launcher, tmp_path, **more)
        wait_for(found[1].state.exists, "the shim to say who runs")
        return found

    def test_its_process_is_a_fork_that_names_its_folder(
        self, launcher: Callable[..., Launcher], tmp_path: Path, shared: tuple[Path, dict[str, str], Warm]
    ) -> None:
        """In a session of its own, with its own working directory, environment and arguments in /proc."""
        one, paths, handle = self.hold(launcher, tmp_path)
        worker = read_object(paths.state)["worker"]["pid"]
        parent = parent_of(shared[2]).process.pid
        assert os.getsid(worker) == handle.shim == os.getsid(handle.shim) != parent
        assert os.getpgid(worker) == worker
        assert Path(f"/proc/{handle.shim}/stat").read_text().rpartition(")")[2].split()[1] == str(parent)
        assert {worker, handle.shim} <= {*process.naming(FOLDER_VARIABLE, str(paths.folder))}
        proc = Path(f"/proc/{worker}")
        assert str(paths.folder) in proc.joinpath("cmdline").read_text().split("\0")
        assert paths.folder == (proc / "cwd").readlink()
        assert {paths.log} == {(proc / "fd" / name).readlink() for name in "12"}
        one.stop(paths, handle)
        assert self.finished(one, paths, handle) == "stopped"

    def test_a_dead_parent_costs_nothing(self, tmp_path: Path) -> None:
        """Attempts that it has forked keep running; the next one starts cold while a new parent loads."""
        environ, found = environment(tmp_path), Warm(MODULE)
        first = ready(found, environ)
        one, paths, handle = self.hold(lambda **_: LocalLauncher(environ=environ, warm=found), tmp_path)
        behave(tmp_path)
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        assert found.start(tmp_path, 5, worker_environment(environ, CPU, tmp_path), 0) is None
        assert one.alive(paths, handle)
        one.stop(paths, handle)
        assert self.finished(one, paths, handle) in ("complete", "stopped")
        second = ready(found, environ)
        found.close()
        assert second.process.pid != first.process.pid


def test_an_attempt_without_a_loaded_parent_starts_cold(tmp_path: Path) -> None:
    """It does not wait for one, which begins to load for those that follow."""
    found = Warm(MODULE)
    environ = environment(tmp_path) | {"PYTHONSTARTUP": ""}
    assert found.start(tmp_path, 5, environ, 0) is None
    found.expect(environ)
    assert parent_of(found).process.poll() is None
    found.close()


def test_a_launcher_that_stopped_waiting_has_no_second_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child that was never told to go leaves without touching the folder."""
    environ, found = environment(tmp_path), Warm(MODULE)
    parent = ready(found, environ)
    paths = attempt(tmp_path / "a")
    before = {*paths.folder.iterdir()}
    monkeypatch.setattr(warm.forking, "HERE", b"another word")  # as if no answer had come
    lock = process.try_lock(paths.lock)
    assert lock is not None
    assert found.start(paths.folder, 5, worker_environment(environ, CPU, paths.folder), lock) is None
    os.close(lock)
    wait_for(lambda: not process.held(paths.lock), "the child to leave")
    assert {*paths.folder.iterdir()} - before == {paths.lock, paths.log}
    assert parent.process.poll() is not None


def test_changed_code_gets_a_new_parent(tmp_path: Path) -> None:
    """The attempt that notices it starts cold, with the new code."""
    copy = tmp_path / "copied_worker.py"
    copy.write_text(Path(__file__).with_name("warm_worker.py").read_text())
    environ = environment(tmp_path) | {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    found = Warm(copy.stem)
    ready(found, environ)
    copy.write_text(copy.read_text() + "\n")
    os.utime(copy, ns=(1, 1))
    paths = attempt(tmp_path / "a")
    assert found.start(paths.folder, 5, worker_environment(environ, CPU, paths.folder), os.open(copy, 0)) is None
    assert not found._parents
    assert found._failures == 0


@pytest.mark.parametrize(
    ("how", "said"), [("error", "no such library"), ("thread", "started a thread"), ("gpu", "uses the GPU")]
)
def test_a_parent_that_cannot_serve_is_reported_and_given_up(
    tmp_path: Path, how: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After the third one nobody tries again, and everything starts cold."""
    found = Warm(MODULE)
    environ = environment(tmp_path) | {"BERTDISTILL_PRELOAD": how}
    with caplog.at_level(logging.WARNING, "bertdistill.runner"):
        for _ in range(1 if how != "error" else warm.MOST_FAILURES):
            found.expect(environ)
            parent_of(found).process.wait(DEADLINE)
            assert found.start(tmp_path, 5, environ, 0) is None
    assert said in caplog.text
    assert ("off for this runner" in caplog.text) == (how == "error")
    found.expect(environ)
    assert len(found._parents) == (how != "error")
    found.close()


def test_a_single_attempt_does_not_load_twice() -> None:
    """A rerun; a preparation announces trials, as does a second attempt."""
    assert not Warm(MODULE).worthwhile(prepares=False)
    assert Warm(MODULE).worthwhile(prepares=True)
    found = Warm(MODULE)
    assert [False, True] == [found.worthwhile(prepares=False) for _ in range(2)]


def test_trials_are_expected_on_their_share_of_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The preparation runs alone, on all of them."""
    expected: list[str] = []
    monkeypatch.setattr(Warm, "expect", lambda self, environment: expected.append(environment["OMP_NUM_THREADS"]))
    one = LocalLauncher(environ=environment(tmp_path), warm=Warm(MODULE))
    [slot, *_] = one.slots(wanted=2)
    assert one._forked(attempt(tmp_path / "a"), Device("cpu", slot.device.threads + 7), 5, {}, 0) is None
    assert expected == [str(slot.device.threads)]


def test_programs_and_foreign_commands_are_never_forked(tmp_path: Path) -> None:
    """The parent has loaded our worker and no other."""
    environ, found = environment(tmp_path), Warm(MODULE)
    paths = attempt(tmp_path / "a")
    for one in (
        LocalLauncher(command=("true",), environ=environ, warm=found),
        LocalLauncher(environ=environ | {COMMAND_VARIABLE: "true"}, warm=found),
    ):
        assert one._forked(paths, CPU, 5, environ, 0) is None
    RunPaths(paths.folder).spec.write_text('{"kind": "program"}')
    assert LocalLauncher(environ=environ, warm=found)._forked(paths, CPU, 5, environ, 0) is None
    assert not found._parents
