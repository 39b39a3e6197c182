"""The process that has loaded what a worker imports, and forks one for each attempt.

Started by `launch.warm` as `python -P -m bertdistill.engine.launch.forking MODULE SOCKET PLACE`: the worker's module,
the number of a socket to the launcher, and room for the name of a folder. It must not start a thread, use a GPU or
compute anything, because a fork copies none of that. Linux only.

An attempt comes as one message: folder, grace and environment as JSON, with two descriptors, the lock of the folder and
a socket. The child that becomes the shim says there that it exists, and does nothing before it is told to go: a
launcher that has stopped waiting closes the socket and starts the attempt itself, so no attempt starts twice.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from bertdistill.engine.launch import shim

IDLE_SECONDS = 1800.0
"""Seconds without an attempt after which it ends."""
PLACE = "waiting for an attempt".ljust(4096)
"""In the arguments and in FOLDER_VARIABLE, to be replaced in memory by the folder of an attempt; the longest path."""
LARGEST = 1 << 20
"""Bytes of a message."""
READY, STALE, HERE, GO = b"ready", b"stale", b"here ", b"go"
"""Loaded; the code has changed; the shim, with its pid behind; the launcher's answer to that."""
_STOPS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def main(arguments: list[str]) -> int:
    """Load, then serve until the launcher is gone; in a worker, its exit code."""
    name, number, _ = arguments
    launcher = socket.socket(fileno=int(number))
    try:
        module = import_module(name)
        module.preload()
        seen = _stamps()
        if threading.active_count() != 1:
            raise RuntimeError("a module that was loaded has started a thread")
        if not _forks_well(module):
            raise RuntimeError("a module that was loaded uses the GPU")
    except Exception as error:  # noqa: BLE001 - whatever it was, the launcher reports it and starts workers without us
        launcher.send(f"{type(error).__name__}: {error}".encode()[:LARGEST])
        return 1
    signal.signal(signal.SIGCHLD, _reap)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page that it looks at
    launcher.send(READY)
    return _serve(launcher, module, seen)


def _serve(launcher: socket.socket, module: ModuleType, seen: Mapping[str, int]) -> int:
    while select.select([launcher], [], [], IDLE_SECONDS)[0]:
        message, descriptors, _, _ = socket.recv_fds(launcher, LARGEST, 2)
        if len(descriptors) != 2:
            break  # the launcher has closed its end
        lock, answers = descriptors[0], socket.socket(fileno=descriptors[1])
        if _stamps(seen) != seen:
            answers.send(STALE)
            break
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # as the launcher does it: a stop waits for the shim
        if os.fork() == 0:
            launcher.close()
            return _attempt(json.loads(message), lock, answers, module)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        os.close(lock)
        answers.close()
    return 0


def _reap(*_: object) -> None:
    """Collect shims that have ended, whose times then count among ours."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _attempt(order: Mapping[str, Any], lock: int, answers: socket.socket, module: ModuleType) -> int:
    """In the child: be the shim. It returns only in the worker, with its exit code."""
    folder = str(order["folder"])
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(order["environment"])
        os.environ[shim.LOCK_VARIABLE] = str(lock)
        _show(folder)
        shim.write_to_log()
        answers.send(HERE + str(os.getpid()).encode())
        if answers.recv(len(GO)) != GO:
            os._exit(shim.BUSY)
        answers.close()
        os._exit(shim.main([folder, str(order["grace"]), "--", module.__name__], _fork))
    except _InWorker:
        pass
    except BaseException:  # noqa: BLE001 - nothing of it may run on as a second parent
        os._exit(1)
    sys.argv = [str(module.__file__), folder]
    code: int = module.main([folder])
    return code


class _InWorker(BaseException):
    """Raised in the worker, to leave the functions of the shim."""


def _fork(command: list[str]) -> int:
    shim_pid = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        shim.become_worker(shim_pid)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # these two as every Python begins
        signal.signal(signal.SIGINT, signal.default_int_handler)
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error}\n".encode())
        os._exit(127)
    raise _InWorker


def _show(folder: str) -> None:
    """Write the folder over the placeholders in our arguments and environment, where /proc shows it; OSError if there
    is no room.

    By FOLDER_VARIABLE the launcher finds what an attempt has left behind, and its memory on a GPU.
    """
    words = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    wanted = os.fsencode(folder)
    for begin, end in ((int(words[45]), int(words[46])), (int(words[47]), int(words[48]))):
        place = ctypes.string_at(begin, end - begin).find(PLACE.encode())
        if place < 0 or len(wanted) > len(PLACE):
            raise OSError("no room for the name of a folder")
        ctypes.memmove(begin + place, wanted.ljust(len(PLACE), b"\0"), len(PLACE))


def _stamps(paths: Mapping[str, int] | None = None) -> dict[str, int]:
    """When the files of all loaded modules, and of this project's, were changed; 0 for one that is gone."""
    if paths is None:
        ours = Path(__file__).parent.parent.parent
        loaded = {str(getattr(module, "__file__", None) or "") for module in [*sys.modules.values()]}
        rooms = [path for room in ("engine", "store") for path in (ours / room).rglob("*.py")]
        paths = dict.fromkeys(sorted({*filter(None, loaded), *map(str, rooms)}), 0)
    return {path: _changed(path) for path in paths}


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - of three thousand files before each fork
    except OSError:
        return 0


def _forks_well(module: ModuleType) -> bool:
    """Whether a child can still use a GPU, asked of one."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if module.may_use_gpu() else 1)
    return os.waitpid(pid, 0)[1] == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
