"""Process identity, lock files, and signals that cannot reach the wrong process.

It starts nothing and knows no run folders. A pid alone proves nothing (they are reused), so a process is named by pid
and start time within one boot, and is signalled through a pidfd that was checked after it was opened.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.launch.shim import boot_id, start_ticks

__all__ = [
    "Identity",
    "alive",
    "boot_id",
    "held",
    "holders",
    "host",
    "kill_all",
    "me",
    "naming",
    "send",
    "start_ticks",
    "suspended",
    "try_lock",
]


@dataclass(frozen=True)
class Identity:
    """One process: `start` in clock ticks since boot."""

    pid: int
    start: int

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Identity:
        """From state.json, where a worker may have written anything; KeyError, TypeError or ValueError otherwise."""
        pid, start = raw["pid"], raw["start"]
        if type(pid) is not int or type(start) is not int or not 0 <= pid < 2**31:
            raise ValueError("not a process")
        return Identity(pid, start)


def host() -> str:
    """Name of this machine."""
    return socket.gethostname()


def me() -> Identity:
    """This process."""
    return Identity(os.getpid(), start_ticks(os.getpid()))


def try_lock(path: Path) -> int | None:
    """Lock the file at `path`, creating it if needed: the descriptor that holds the lock, or None if it is held
    elsewhere.

    It retries for 0.1 s, because a probe by `held` also holds the lock for some microseconds.
    """
    # A FIFO of this name must not block, and a link must not be followed.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    deadline = time.monotonic() + 0.1
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(0.005)
        else:
            return descriptor


def held(path: Path) -> bool:
    """Whether a process holds the lock file at `path`; 8 µs. The probe is shared: two probes do not see each other.

    OSError if this process can open no file at all: then nothing is known, and a live attempt must not look dead.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        return False  # missing, or replaced by something that is not a lock
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def send(identity: Identity, number: signal.Signals, *, boot: str) -> bool:
    """Signal a process if it is still the one recorded during `boot`; False if it is gone."""
    if identity.pid <= 0 or boot != boot_id():
        return False
    return _send(identity.pid, number, lambda: start_ticks(identity.pid) == identity.start)


def holders(path: Path) -> Iterator[int]:
    """Pids of this user's other processes that have the lock file at `path` open. Linux only."""
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if pid != os.getpid() and _has_open(pid, path):
            yield pid


def naming(variable: str, value: str) -> Iterator[int]:
    """Pids of this user's other processes whose environment has `variable` set to `value`. Linux only."""
    wanted = f"{variable}={value}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or belongs to someone else
            if int(folder.name) != os.getpid() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def kill_all(pids: Iterable[int]) -> int:
    """SIGKILL each process that is still the one that was found; returns how many there were."""
    found = [Identity(pid, start_ticks(pid)) for pid in pids]
    return sum(send(one, signal.SIGKILL, boot=boot_id()) for one in found)


def alive(identity: Identity, *, boot: str) -> bool:
    """Whether the process recorded during `boot` is still running; a zombie is not."""
    if identity.pid <= 0 or boot != boot_id() or start_ticks(identity.pid) != identity.start:
        return False
    return _state(identity.pid) not in ("Z", "X", "")


def suspended(identity: Identity) -> bool:
    """Whether the process is stopped by a signal or a debugger, i.e. alive but doing nothing."""
    return start_ticks(identity.pid) == identity.start and _state(identity.pid) in ("T", "t")


def _state(pid: int) -> str:
    """The kernel's state letter of a process; empty if unknown."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _has_open(pid: int, path: Path) -> bool:
    target = os.path.realpath(path)
    try:
        return any(os.path.realpath(entry) == target for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False  # it ended, or belongs to someone else


def _send(pid: int, number: signal.Signals, same: Callable[[], bool]) -> bool:
    if not hasattr(os, "pidfd_open"):  # macOS: check as late as possible instead
        if same():
            os.kill(pid, number)
            return True
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not same():
            return False
        signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):  # it is gone, or was never ours, whatever a worker has recorded
        return False
    finally:
        os.close(descriptor)
    return True
