"""The shim, as a real process over real commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import wait_for

from bertdistill.engine.contract import events
from bertdistill.engine.launch import process, shim

CHECKPOINT_ON_TERM = """
import pathlib, signal, sys, time
def leave(*_):
    pathlib.Path("saved").touch()
    sys.exit(75)
signal.signal(signal.SIGTERM, leave)
pathlib.Path("up").touch()
time.sleep(60)
"""
DEAF = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("up").touch()
time.sleep(60)
"""
LEAVES_A_CHILD = """
import os, pathlib, time
if os.fork() == 0:
    pathlib.Path("child").write_text(str(os.getpid()))
    time.sleep(60)
while not pathlib.Path("child").exists():
    time.sleep(0.01)
"""


def start(folder: Path, *command: str, grace: float = 5.0) -> subprocess.Popen[bytes]:
    """Start a shim over a command, as the launcher does."""
    line = [sys.executable, "-I", "-S", shim.__file__, str(folder), str(grace), "--", *command]
    return subprocess.Popen(line, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


def ended(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "exit.json").read_text())
    return result


@pytest.mark.parametrize(
    ("code", "kind", "exit_code", "number"),
    [
        ("", "complete", 0, None),
        ("raise RuntimeError('x')", "crashed", 1, None),
        (f"raise SystemExit({events.EXIT_STOPPED})", "stopped", 75, None),
        (f"raise SystemExit({events.EXIT_DIVERGED})", "diverged", 76, None),
        (f"raise SystemExit({events.EXIT_OUT_OF_MEMORY})", "host_oom", 77, None),
        (f"raise SystemExit({events.EXIT_REFUSED})", "refused", 78, None),
        ("raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')", "crashed", 1, None),  # on a CPU
        ("raise MemoryError", "host_oom", 1, None),
        ("raise OSError(28, 'No space left on device')", "disk_full", 1, None),
        ("import os; os.kill(os.getpid(), 9)", "killed_by_signal_9", None, 9),
        ("import os; os.abort()", "killed_by_signal_6", None, 6),
    ],
)
def test_every_end_has_its_class(
    tmp_path: Path, code: str, kind: str, exit_code: int | None, number: int | None
) -> None:
    """Exit codes, signals and the end of the log are told apart; the log holds what the worker said."""
    assert start(tmp_path, *python(code)).wait(30) == 0
    found = ended(tmp_path)
    assert (kind, exit_code, number) == (found["kind"], found["code"], found["signal"])
    assert not process.held(tmp_path / "lock")


def test_memory_on_a_gpu_is_cuda_memory(tmp_path: Path) -> None:
    """Exit code 77 means the GPU's memory when the attempt was given a GPU."""
    (tmp_path / "spec.json").write_text('{"device": {"kind": "cuda"}}')
    start(tmp_path, *python("raise SystemExit(77)")).wait(30)
    assert ended(tmp_path)["kind"] == "cuda_oom"


def test_a_kill_counts_as_memory_only_if_the_kernel_killed() -> None:
    """SIGKILL is the memory killer's only when its counter rose meanwhile."""
    given = {"asked": False, "timed_out": False, "cuda": False}
    assert shim.classify(None, 9, "", oom_killed=True, **given) == "host_oom"
    assert shim.classify(None, 9, "", oom_killed=False, **given) == "killed_by_signal_9"
    assert shim.classify(None, 11, "", oom_killed=True, **given) == "killed_by_signal_11"


def test_codes_are_those_of_the_contract() -> None:
    """The shim imports nothing from the project, so its copy of the exit codes is compared here."""
    expected = {
        events.EXIT_COMPLETE: "complete",
        events.EXIT_STOPPED: "stopped",
        events.EXIT_DIVERGED: "diverged",
        events.EXIT_REFUSED: "refused",
    }
    assert expected == shim._BY_CODE
    assert events.EXIT_OUT_OF_MEMORY == shim._OUT_OF_MEMORY


def test_a_stop_lets_the_worker_save(tmp_path: Path) -> None:
    """SIGTERM to the shim reaches the worker, which writes its checkpoint and leaves."""
    running = start(tmp_path, *python(CHECKPOINT_ON_TERM))
    wait_for((tmp_path / "up").exists, "the worker to start")
    running.send_signal(signal.SIGTERM)
    running.wait(30)
    assert ended(tmp_path)["kind"] == "stopped"
    assert (tmp_path / "saved").exists()


def test_a_stop_that_is_ignored_ends_in_a_kill(tmp_path: Path) -> None:
    """After the grace time the worker is killed, and the exit says why."""
    running = start(tmp_path, *python(DEAF), grace=0.2)
    wait_for((tmp_path / "up").exists, "the worker to start")
    running.send_signal(signal.SIGTERM)
    running.wait(30)
    assert (ended(tmp_path)["kind"], ended(tmp_path)["signal"]) == ("stop_timeout", 9)


def test_a_stop_during_start_up_is_no_crash(tmp_path: Path) -> None:
    """A worker that dies of the SIGTERM we passed on was stopped."""
    running = start(tmp_path, "sleep", "60")
    wait_for((tmp_path / "state.json").exists, "the shim to start the worker")
    running.send_signal(signal.SIGTERM)
    running.wait(30)
    assert (ended(tmp_path)["kind"], ended(tmp_path)["signal"]) == ("stopped", 15)


def test_terminal_signals_do_not_reach_it(tmp_path: Path) -> None:
    """A hang-up or an interrupt, as from a closing terminal, ends neither shim nor worker."""
    running = start(tmp_path, *python(CHECKPOINT_ON_TERM))
    wait_for((tmp_path / "up").exists, "the worker to start")
    for number in (signal.SIGHUP, signal.SIGINT):
        running.send_signal(number)
    running.send_signal(signal.SIGTERM)
    running.wait(30)
    assert ended(tmp_path)["kind"] == "stopped"


def test_an_attempt_runs_once(tmp_path: Path) -> None:
    """A second shim on the same folder leaves with 75, while the first runs and after it has ended."""
    running = start(tmp_path, *python(CHECKPOINT_ON_TERM))
    wait_for((tmp_path / "up").exists, "the worker to start")
    assert start(tmp_path, "true").wait(30) == shim.BUSY
    running.send_signal(signal.SIGTERM)
    running.wait(30)
    before = ended(tmp_path)
    assert start(tmp_path, "true").wait(30) == shim.BUSY
    assert before == ended(tmp_path)


def test_what_a_worker_leaves_behind_is_ended(tmp_path: Path) -> None:
    """A child that outlives the worker is killed, so the lock is free when exit.json is there."""
    start(tmp_path, *python(LEAVES_A_CHILD)).wait(30)
    assert ended(tmp_path)["kind"] == "complete"
    assert not process.held(tmp_path / "lock")


def test_a_killed_shim_takes_its_worker_along(tmp_path: Path) -> None:
    """kill -9 of the shim: the worker is asked to leave, saves, and the lock becomes free without an exit.json."""
    running = start(tmp_path, *python(CHECKPOINT_ON_TERM))
    wait_for((tmp_path / "up").exists, "the worker to start")
    running.kill()
    running.wait(30)
    wait_for(lambda: not process.held(tmp_path / "lock"), "the worker to leave")
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "exit.json").exists()


def test_the_lock_outlives_shim_and_worker(tmp_path: Path) -> None:
    """With both killed, a child of the worker still holds the lock: the device is not free before it ends."""
    code = LEAVES_A_CHILD + "\ntime.sleep(60)"
    running = start(tmp_path, *python(code))
    child = int(wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text(), "the child"))
    state = json.loads(
        wait_for(lambda: (tmp_path / "state.json").exists() and (tmp_path / "state.json").read_text(), "")
    )
    running.kill()
    running.wait(30)
    os.kill(state["worker"]["pid"], signal.SIGKILL)
    assert process.held(tmp_path / "lock")
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: not process.held(tmp_path / "lock"), "the child to end")


def test_a_command_that_does_not_exist_is_a_crash(tmp_path: Path) -> None:
    """The log says what could not be started."""
    start(tmp_path, "/does/not/exist").wait(30)
    assert (ended(tmp_path)["kind"], ended(tmp_path)["code"]) == ("crashed", 127)
    assert "/does/not/exist" in ended(tmp_path)["log_tail"]


def test_redrawn_lines_are_collapsed(tmp_path: Path) -> None:
    """Of a progress bar only its last state is in the tail."""
    log = tmp_path / "log.txt"
    log.write_bytes(b"start\n 1%\r 50%\r100%\nend\n")
    assert shim.log_tail(str(log)) == "start\n100%\nend\n"


def test_it_is_small(tmp_path: Path) -> None:
    """One of these lives beside every worker: at most 12 MB resident."""
    running = start(tmp_path, *python(CHECKPOINT_ON_TERM))
    wait_for((tmp_path / "up").exists, "the worker to start")
    status = Path(f"/proc/{running.pid}/status").read_text()
    running.send_signal(signal.SIGTERM)
    running.wait(30)
    resident_kb = int(status.split("VmHWM:")[1].split()[0])
    assert resident_kb <= 12 * 1024


def test_files_are_private(tmp_path: Path) -> None:
    """Whatever the shim writes is readable by this user alone."""
    start(tmp_path, "true").wait(30)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("exit.json", "lock", "log.txt", "state.json"), 0o600)


FRAMES = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n    raise MemoryError\n'


@pytest.mark.parametrize(
    ("tail", "last"),
    [
        ("", ""),
        ("a line\nanother", ""),
        (FRAMES + "MemoryError\n", "MemoryError"),
        (FRAMES + "MemoryError\nretrying\n" + FRAMES + "TypeError: x\n", "TypeError: x"),
        ('  File "x.py", line 1, in f\n    y()\nValueError: cut off\n', "ValueError: cut off"),
        (FRAMES + "KeyError: 1\nException ignored in: <x>\n" + FRAMES + "MemoryError\n", "KeyError: 1"),
        ("terminate called after throwing an instance of 'c10::Error'\n  what():  CUDA error: 2\n", "CUDA error: 2"),
    ],
)
def test_the_last_exception_of_a_log(tail: str, last: str) -> None:
    """Not an earlier one that was handled, nor one that Python ignored at its end."""
    assert last == shim.last_exception(tail)


@pytest.mark.parametrize(
    ("code", "number", "tail", "cuda", "kind"),
    [
        (1, None, "warning: CUDA out of memory, smaller batch\n" + FRAMES + "TypeError: x", True, "crashed"),
        (1, None, FRAMES + "torch.OutOfMemoryError: CUDA out of memory. Tried", True, "cuda_oom"),
        (1, None, FRAMES + "torch.OutOfMemoryError: CUDA out of memory. Tried", False, "crashed"),
        (1, None, "MemoryError was seen before\n" + FRAMES + "KeyError: 1", False, "crashed"),
        (1, None, FRAMES + "numpy._core._exceptions._ArrayMemoryError: Unable to allocate", False, "host_oom"),
        (1, None, FRAMES + "OSError: [Errno 12] Cannot allocate memory", False, "host_oom"),
        (1, None, "No space left on device, trying another\n" + FRAMES + "KeyError: 1", False, "crashed"),
        (None, 6, "terminate called\n  what():  CUDA out of memory. Tried", True, "cuda_oom"),
        (None, 11, FRAMES + "MemoryError", False, "killed_by_signal_11"),
    ],
)
def test_words_count_only_where_the_worker_died_of_them(
    code: int | None, number: int | None, tail: str, cuda: bool, kind: str
) -> None:
    """A warning of an hour ago makes no parameter set infeasible, and a CPU has no CUDA memory."""
    found = shim.classify(code, number, tail, asked=False, timed_out=False, oom_killed=False, cuda=cuda)
    assert kind == found
