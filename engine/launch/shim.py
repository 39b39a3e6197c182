"""Stand between the launcher and one worker: hold the run folder's lock, pass on SIGTERM, record how the worker ended.

Started as ``python -I -S shim.py RUN_FOLDER GRACE_SECONDS -- COMMAND ...`` in a session of its own. Standard library
only, and little of it: one of these lives beside every worker (about 10 MB). It must not import from this project,
start a thread (the worker's parent-death signal would follow that thread) or read the events.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import stat
import sys
import time
from collections.abc import Callable

BUSY = 75
"""Exit code when another process holds the lock or the attempt has already ended: an attempt runs once."""

LOCK_VARIABLE = "BERTDISTILL_LOCK_FD"
"""Number of an inherited descriptor that already holds the lock: a new attempt never looks dead, not for an instant."""

_BY_CODE = {0: "complete", 75: "stopped", 76: "diverged", 78: "refused"}  # contract.EXIT_*, a test compares them
_OUT_OF_MEMORY = 77
_CUDA_MEMORY = ("CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
_HOST_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "Cannot allocate memory")
_DISK = ("No space left on device", "ENOSPC", "Disk quota exceeded", "database or disk is full")

_WAKE_SECONDS = 10.0
_LOG_LIMIT = 64 * 2**20
TAIL_BYTES = 4096
_RESERVE = 16384
_STRAY_SECONDS = 5.0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def classify(
    code: int | None, number: int | None, tail: str, *, asked: bool, timed_out: bool, oom_killed: bool, cuda: bool
) -> str:
    """The class of an end, from the exit code or signal, the last exception in the log and what the kernel counted.

    `asked`: a stop was passed on; `timed_out`: it was ignored and the worker was killed; `cuda`: it ran on a GPU. Only
    the message of the fatal exception counts: the one that ended Python, or that aborted C++.
    """
    if timed_out and code != 0:
        return "stop_timeout"
    if code in _BY_CODE:
        return _BY_CODE[code]
    last = last_exception(tail) if number in (None, signal.SIGABRT) else ""
    if cuda and any(words in last for words in _CUDA_MEMORY):
        return "cuda_oom"
    if code == _OUT_OF_MEMORY:
        return "cuda_oom" if cuda else "host_oom"
    if last.partition(":")[0].endswith("MemoryError") and "OutOfMemory" not in last.partition(":")[0]:
        return "host_oom"
    if any(words in last for words in _HOST_MEMORY) or (number == signal.SIGKILL and oom_killed):
        return "host_oom"
    if any(words in last for words in _DISK):
        return "disk_full"
    if number is None:
        return "crashed"
    return "stopped" if asked and number == signal.SIGTERM else f"killed_by_signal_{number}"


def last_exception(tail: str) -> str:
    """The line that names the last exception of a log; for a C++ exception, its message. Empty without either.

    Ignored exceptions are skipped: a finaliser that fails at exit says nothing about the work.
    """
    found, inside, ignored = "", False, False
    for line in tail.split("\n"):
        if line.startswith("Exception ignored"):
            ignored = True
        elif line.startswith(("Traceback (most recent call last)", "  File ")):  # of a long one the header is cut off
            inside = True
        elif line.startswith("  what():"):
            found = line.partition(":")[2].lstrip(": ")
        elif inside and line and not line.startswith(" "):
            found, inside, ignored = found if ignored else line, False, False
    return found


def log_tail(path: str, size: int = TAIL_BYTES) -> str:
    """The last `size` bytes of a log as text; of lines redrawn with a carriage return only the last state."""
    try:
        with open(_open_regular(path), "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            text = file.read(size).decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


def _open_regular(path: str) -> int:
    """A descriptor to read `path`; OSError for a FIFO (it would block), a device (it never ends) and a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(f"{path} is not a regular file")


def start_ticks(pid: int) -> int:
    """When process `pid` began, in clock ticks since boot; 0 where the system does not report it."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
            return int(file.read().rsplit(b")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def boot_id() -> str:
    """Name of this boot of the machine; empty where the system does not report it."""
    return _text("/proc/sys/kernel/random/boot_id").strip()


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return ""


def _oom_kills() -> int:
    """Number of OOM kills: in our control group if it counts them, else on the machine."""
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            files = [f"/sys/fs/cgroup{path}/memory.events", "/sys/fs/cgroup/memory.events"]
        elif "memory" in controllers.split(","):
            files = [f"/sys/fs/cgroup/memory{path}/memory.oom_control", "/sys/fs/cgroup/memory/memory.oom_control"]
        else:
            continue
        for file in files:
            count = _counter(_text(file))
            if count is not None:
                return count
    return _counter(_text("/proc/vmstat")) or 0


def _counter(text: str) -> int | None:
    for line in text.splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return None


def _write(name: str, value: object, reserved: str = "") -> None:
    """Write JSON under `name`, complete or not at all. `reserved` is a file whose blocks are reused on a full disk."""
    temporary = reserved or f".{name}.tmp"
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    data = json.dumps(value).encode()
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
    os.fsync(descriptor)
    os.close(descriptor)
    os.replace(temporary, name)  # noqa: PTH105 - as above
    folder = os.open(".", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _lock() -> int | None:
    """Hold the lock of the folder that we are in, by an inherited descriptor or a new one; None when it is taken."""
    inherited = os.environ.pop(LOCK_VARIABLE, "")
    descriptor = int(inherited) if inherited else os.open("lock", os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(20):  # a process that probes the lock holds it for some microseconds
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.005)
        else:
            os.set_inheritable(descriptor, True)  # the worker and its children hold it too: free means a free device
            return descriptor
    return None


def _prctl(option: int, value: int) -> None:
    import ctypes  # not at the top: the app imports this module, and ctypes takes 5 ms of its first paint

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def become_worker(shim_pid: int) -> None:
    """In the child: a process group of its own, preferred by the OOM killer, killed when the shim dies."""
    os.setpgid(0, 0)
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        try:
            with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123 - as above
                file.write("500")
        except OSError:
            pass  # some containers forbid it; the worker runs all the same
    if os.getppid() != shim_pid:
        os._exit(BUSY)
    for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    write_to_log()


def write_to_log() -> None:
    """Let standard output and error be the end of the log of the folder that we are in, and nothing be read."""
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _spawn(command: list[str]) -> int:
    shim_pid = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        become_worker(shim_pid)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def _trim_log() -> None:
    """Keep the log below its limit: the worker appends, so it continues at the new end."""
    try:
        found = os.lstat("log.txt")
        if stat.S_ISREG(found.st_mode) and found.st_size > _LOG_LIMIT:
            tail = log_tail("log.txt", 2**20)
            os.truncate("log.txt", 0)
            with open("log.txt", "a", encoding="utf-8") as file:  # noqa: PTH123 - as above
                file.write(f"[the log passed {_LOG_LIMIT} bytes; all but its end was dropped]\n{tail}\n")
    except OSError:
        pass  # a full disk must not end the supervision


def _supervise(worker: int, grace: float, signals: set[signal.Signals]) -> tuple[bool, bool]:
    """Wait until the worker has ended (without reaping it). Returns whether a stop was requested, and whether it was
    ignored.
    """
    deadline: float | None = None
    timed_out = False
    while os.waitid(os.P_PID, worker, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        wait = _WAKE_SECONDS if deadline is None or timed_out else max(0.0, deadline - time.monotonic())
        caught = signal.sigtimedwait(signals, min(wait, _WAKE_SECONDS))
        if caught is not None and caught.si_signo == signal.SIGTERM and deadline is None:
            os.kill(worker, signal.SIGTERM)  # the main process alone: its loader processes must outlive the checkpoint
            deadline = time.monotonic() + grace
        if deadline is not None and not timed_out and time.monotonic() >= deadline:
            timed_out = True
            _kill_group(worker)
        _reap(worker)
        _trim_log()
    return deadline is not None, timed_out


def _kill_group(worker: int) -> None:
    try:  # noqa: SIM105 - contextlib costs memory, as above
        os.killpg(worker, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # the group is empty


def _reap(worker: int) -> None:
    """Reap ended orphans of the worker; the worker itself is reaped by `main`."""
    while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid != worker:
        os.waitpid(found.si_pid, 0)


def _end_strays() -> None:
    """Kill what an ended worker left behind, in any session: its orphans are children of this process. One that does
    not die in time keeps the lock if it has it; the launcher takes care of it.
    """
    deadline = time.monotonic() + _STRAY_SECONDS
    while time.monotonic() < deadline:
        for pid in _children():
            try:  # noqa: SIM105 - as above
                os.kill(pid, signal.SIGKILL)  # our child, not reaped: the pid is still its own
            except PermissionError:
                pass  # it runs as another user
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


def _children() -> list[int]:
    """Pids of the children of this process. Linux only."""
    mine = str(os.getpid()).encode()
    found = []
    for name in os.listdir("/proc") if sys.platform == "linux" else []:  # noqa: PTH208 - as above
        if name.isdecimal():
            fields = _bytes(f"/proc/{name}/stat").rpartition(b")")[2].split()
            if len(fields) > 1 and fields[1] == mine:
                found.append(int(name))
    return found


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return b""


def _identity(pid: int) -> dict[str, int]:
    return {"pid": pid, "start": start_ticks(pid)}


def _on_gpu() -> bool:
    try:
        return json.loads(_text("spec.json"))["device"]["kind"] == "cuda"  # type: ignore[no-any-return]  # JSON is Any
    except (ValueError, KeyError, TypeError):
        return False


def main(argv: list[str], spawn: Callable[[list[str]], int] = _spawn) -> int:
    """Run one attempt to its end; returns the shim's own exit code (the worker's end is in exit.json).

    `spawn` starts the command as a child, in which it does not return.
    """
    if len(argv) < 4 or argv[2] != "--":
        sys.stderr.write("usage: shim.py RUN_FOLDER GRACE_SECONDS -- COMMAND ...\n")
        return 2
    folder, grace, command = argv[0], float(argv[1]), argv[3:]
    os.umask(0o077)
    os.chdir(folder)
    if _lock() is None or os.path.exists("exit.json"):  # noqa: PTH110 - as above
        sys.stderr.write(f"{folder}: this attempt runs or has ended; start a new attempt instead\n")
        return BUSY
    with open(".exit.json.tmp", "wb") as reserve:  # noqa: PTH123 - as above
        reserve.write(b" " * _RESERVE)
    signals = {signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    kills_before, started, began = _oom_kills(), time.time(), time.monotonic()
    worker = spawn(command)
    state = {"host": os.uname().nodename, "boot_id": boot_id(), "started_at": started}
    _write("state.json", {**state, "shim": _identity(os.getpid()), "worker": _identity(worker)})
    asked, timed_out = _supervise(worker, grace, signals)
    _kill_group(worker)  # whatever it left behind would keep the lock and the device; strays follow
    _, status, usage = os.wait4(worker, 0)
    seconds = round(time.monotonic() - began, 3)
    _end_strays()
    code, number = (os.waitstatus_to_exitcode(status), None) if os.WIFEXITED(status) else (None, os.WTERMSIG(status))
    tail = log_tail("log.txt")
    kind = classify(
        code,
        number,
        tail,
        asked=asked,
        timed_out=timed_out,
        oom_killed=_oom_kills() > kills_before,
        cuda=_on_gpu(),
    )
    _write(
        "exit.json",
        {
            "kind": kind,
            "code": code,
            "signal": number,
            "max_rss_mb": _megabytes(usage),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
            "log_tail": tail,
            "ended_at": time.time(),
            "seconds": seconds,
        },
        reserved=".exit.json.tmp",
    )
    return 0


def _megabytes(usage: resource.struct_rusage) -> float:
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB
    return round(usage.ru_maxrss * unit / 1e6, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
