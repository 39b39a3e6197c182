"""Processes with everything loaded that a worker imports, from which attempts are forked: 20 ms instead of seconds.

One for each environment that workers have had, started beside a preparation or the second attempt; an attempt that
finds none ready starts cold. Whatever goes wrong with one, the attempt starts cold. It knows no study; the process is
`launch.forking`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch import forking
from bertdistill.engine.launch.devices import FOLDER_VARIABLE

ANSWER_SECONDS = 5.0
"""Seconds to wait for a fork, which takes 20 ms."""
MOST_FAILURES = 3
_OF_ATTEMPT = (FOLDER_VARIABLE, "CUDA_VISIBLE_DEVICES")
"""Variables that are set after the fork: the others are read by libraries that are loaded before it."""

Key = tuple[tuple[str, str], ...]

log = logging.getLogger("bertdistill.runner")


def supported() -> bool:
    """Whether processes can be forked so here: it takes /proc, and a fork that libraries are prepared for."""
    return sys.platform == "linux"


@dataclass
class Parent:
    """One such process and our end of its socket."""

    process: subprocess.Popen[bytes]
    socket: socket.socket
    ready: bool = False

    @staticmethod
    def start(module: str, environment: Mapping[str, str]) -> Parent:
        """OSError if it cannot be started."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", forking.__name__, module, str(theirs.fileno()), forking.PLACE],
                env={**environment, FOLDER_VARIABLE: forking.PLACE},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        return Parent(child, ours)

    def look(self) -> str:
        """Update `ready`; why it can serve no longer, or nothing."""
        try:
            said = self.socket.recv(forking.LARGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return ""
        except OSError as error:
            return str(error)
        if said == forking.READY:
            self.ready = True
            return ""
        return said.decode("utf-8", "replace") or "it has ended"

    def fork(self, folder: Path, grace: float, environment: Mapping[str, str], lock: int) -> int | None:
        """Pid of the shim of an attempt, which has begun; None if the parent is of an older state of the code.

        OSError if there is no attempt for another reason.
        """
        order = {"folder": str(folder), "grace": grace, "environment": dict(environment)}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                socket.send_fds(self.socket, [json.dumps(order).encode()], [lock, theirs.fileno()])
            ours.settimeout(ANSWER_SECONDS)
            said = ours.recv(64)
            if said == forking.STALE:
                return None
            if not said.startswith(forking.HERE):
                raise OSError("it has ended")
            ours.send(forking.GO)
        return int(said.removeprefix(forking.HERE))

    def end(self) -> None:
        """End it; attempts that it has forked continue."""
        self.socket.close()
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()


@dataclass
class Warm:
    """The parents of a launcher, by the environment of the workers."""

    module: str
    """The worker's, which has `preload`, `may_use_gpu` and `main`."""
    usual: Device | None = None
    """What trials are given: the preparation, which runs alone, may have more."""
    _parents: dict[Key, Parent] = field(default_factory=dict)
    _failures: int = 0
    _asked: bool = False

    def start(self, folder: Path, grace: float, environment: Mapping[str, str], lock: int) -> int | None:
        """Pid of the shim of an attempt in the folder, which holds the lock; None if it must be started cold."""
        key = _key(environment)
        parent = self._parents.get(key)
        if parent is None or not self._serves(key, parent):
            return None
        try:
            shim = parent.fork(folder, grace, environment, lock)
        except OSError as error:
            self._fail(key, str(error) or type(error).__name__)
            return None
        if shim is None:  # the code has changed
            self._drop(key)
        return shim

    def worthwhile(self, *, prepares: bool) -> bool:
        """Whether attempts are to be expected: one, such as a rerun, costs less than loading twice; `prepares`: this
        one will be followed by trials.
        """
        before, self._asked = self._asked, True
        return before or prepares

    def expect(self, environment: Mapping[str, str]) -> None:
        """Begin to load for workers of this environment, unless a parent does already."""
        key = _key(environment)
        if key in self._parents or self._failures >= MOST_FAILURES:
            return
        try:
            self._parents[key] = Parent.start(self.module, environment)
        except OSError as error:
            self._fail(key, str(error))

    def close(self) -> None:
        """End all parents."""
        for key in list(self._parents):
            self._drop(key)

    def _serves(self, key: Key, parent: Parent) -> bool:
        reason = parent.look()
        if reason and parent.ready and parent.process.poll() == 0:
            self._drop(key)  # it was idle for long
        elif reason:
            self._fail(key, reason)
        return not reason and parent.ready

    def _fail(self, key: Key, reason: str) -> None:
        self._drop(key)
        self._failures += 1
        log.warning("a worker starts cold because the process that forks warm ones has failed: %s", reason)
        if self._failures == MOST_FAILURES:
            log.warning("warm workers are off for this runner after %d failures", MOST_FAILURES)

    def _drop(self, key: Key) -> None:
        if (parent := self._parents.pop(key, None)) is not None:
            parent.end()


def _key(environment: Mapping[str, str]) -> Key:
    return tuple(sorted((name, value) for name, value in environment.items() if name not in _OF_ATTEMPT))
