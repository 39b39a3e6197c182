"""How the runner reaches an agent: a command that speaks frames on its stdin and stdout, such as OpenSSH's client.

It knows no verbs. No call waits longer than `seconds` without a byte from the other side.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.launch.frames import BrokenFrame, pack, unpack
from bertdistill.engine.launch.machines import Machine

AGENT_MODULE = "bertdistill.engine.launch.agent"
BRIDGE_MODULE = "bertdistill.engine.launch.ray_bridge"
RAY_SECONDS = 60.0
"""Instead of the usual time: a busy cluster needs long to start an actor."""
GREETING = b"bertdistill-agent 1\n"
"""First line of an agent. What a login shell prints before it is skipped."""
_MOST_CHATTER = 1 << 16
_SSH = (
    "ssh",
    "-T",
    *("-o", "BatchMode=yes"),
    *("-o", "ConnectTimeout=15"),
    *("-o", "ServerAliveInterval=5"),
    *("-o", "ServerAliveCountMax=3"),
    *("-o", "ControlMaster=no"),
    *("-o", "ControlPath=none"),
    *("-o", "ForwardAgent=no"),
    *("-o", "ForwardX11=no"),
    *("-o", "ClearAllForwardings=yes"),
)
"""Keys, users, ports and jump hosts come from the user's own configuration. It asks for no password: there is no
terminal."""


class Unreachable(LaunchError):
    """The machine does not answer; nothing is known of what runs there."""


class Refused(LaunchError):
    """The machine answered that this cannot be done."""


class Link(Protocol):
    """A connection to an agent."""

    def call(self, verb: str, *args: Any, blob: bytes = b"") -> tuple[Any, list[bytes]]:
        """Answer of the agent with its bytes. Unreachable if there is none, Refused if it cannot be done."""
        ...

    def abort(self) -> None:
        """From any thread: the call that waits fails, as does every later one. `close` is still to be called."""
        ...

    def close(self) -> None:
        """By the thread that calls."""
        ...


def agent_command(python: str, folder: str) -> list[str]:
    """What starts an agent on its own machine."""
    return [python, "-P", "-m", AGENT_MODULE, folder]


def ssh_command(host: str, python: str, folder: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """What starts an agent on another machine. The far side's shell sees quoted words only."""
    words = [_quoted(word) for word in agent_command(python, folder)]
    variables = [f"{name}={shlex.quote(value)}" for name, value in (environ or {}).items()]
    return [*_SSH, "--", host, " ".join(("exec", *(("env", *variables) if variables else ()), *words))]


def ray_command(machine: Machine, folder: str, environ: Mapping[str, str]) -> list[str]:
    """What passes frames to an agent on a node of a Ray cluster. Ray ends a process that loses its cluster, so this
    must not be ours.
    """
    gpus = 0 if environ else -(-machine.slots // machine.slots_per_gpu) or -1
    wanted = {"address": machine.ray, "node": machine.node, "folder": folder, "gpus": gpus, "environ": dict(environ)}
    return [sys.executable, "-P", "-m", BRIDGE_MODULE, json.dumps(wanted)]


def _quoted(word: str) -> str:
    """For a shell; only a leading `~/` keeps its meaning."""
    return f"~/{shlex.quote(word[2:])}" if word.startswith("~/") and len(word) > 2 else shlex.quote(word)


@dataclass
class ProcessLink:
    """A link over the pipes of a child process. It starts with the first call, once: what was closed stays closed."""

    command: Sequence[str]
    environ: Mapping[str, str] | None = None
    seconds: float = 30.0
    """The longest time without a byte from the other side."""
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _said: IO[bytes] | None = field(default=None, init=False)
    _pipe: _Pipe | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    def call(self, verb: str, *args: Any, blob: bytes = b"") -> tuple[Any, list[bytes]]:
        try:
            pipe = self._pipe or self._open()
            pipe.write(pack({"verb": verb, "args": args}, [blob] if blob else []))
            answer = unpack(pipe)
        except (OSError, BrokenFrame) as error:
            raise self._failed(str(error)) from error
        if answer is None:
            raise self._failed("the connection was closed")
        head, blobs = answer
        if "error" in head:
            raise Refused(str(head["error"])[:2000])
        return head.get("value"), blobs

    def abort(self) -> None:
        """End the child, whose pipes belong to the thread that calls."""
        self._closed = True  # first: a child that is being started sees it, or is seen here
        if (child := self._child) is not None:
            child.kill()

    def close(self) -> None:
        """End the child; an agent that is still there ends when its input does."""
        self._closed = True
        child, said, self._child, self._said, self._pipe = self._child, self._said, None, None, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        if said is not None:
            said.close()

    def _open(self) -> _Pipe:
        self._refuse_if_closed()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._child = subprocess.Popen(
            self.command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=self.environ,
            start_new_session=True,
        )
        self._refuse_if_closed()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        pipe = _Pipe(self._child.stdout.fileno(), self._child.stdin.fileno(), self.seconds)
        skipped = 0
        while (line := pipe.readline(_MOST_CHATTER)) != GREETING:
            skipped += len(line)
            if not line or skipped > _MOST_CHATTER:
                raise BrokenFrame("no agent answered")
        self._pipe = pipe
        return pipe

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise BrokenFrame("the connection was closed")

    def _failed(self, why: str) -> Unreachable:
        """With what the child said last, such as `Permission denied (publickey)`."""
        said = ""
        if self._said is not None and self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(1.0)  # its last words come with its end
            self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - 2000))
            said = self._said.read().decode("utf-8", "replace").strip()
        self.close()
        last = [line.strip() for line in said.splitlines() if line.strip()][-2:]
        return Unreachable(": ".join((why, *last)), hint="Check the machine and the connection.")


def link_to(machine: Machine, folder: str, environ: Mapping[str, str] | None = None) -> ProcessLink:
    """The link to an agent in that folder of a machine. Its workers get `environ`, too; with that it is only a test,
    which takes no GPU.
    """
    if machine.ssh:
        return ProcessLink(ssh_command(machine.ssh, machine.python or "python3", folder, environ))
    if machine.ray:
        return ProcessLink(ray_command(machine, folder, environ or {}), seconds=RAY_SECONDS)
    return ProcessLink(agent_command(machine.python or sys.executable, folder), {**os.environ, **(environ or {})})


class _Pipe:
    """Both directions of a child, with a deadline that every byte renews."""

    def __init__(self, read: int, write: int, seconds: float) -> None:
        self._read, self._write, self._seconds = read, write, seconds
        self._buffer = bytearray()
        os.set_blocking(read, False)
        os.set_blocking(write, False)

    def write(self, data: bytes) -> None:
        view, deadline = memoryview(data), time.monotonic() + self._seconds
        while view:
            self._wait(self._write, select.POLLOUT, deadline)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._write, view) :]
                deadline = time.monotonic() + self._seconds

    def readline(self, limit: int = -1, /) -> bytes:
        """Up to and with the next line feed; less at the end or the limit."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0 and len(self._buffer) < limit:
            searched = len(self._buffer)
            if not self._more():
                break
        return self._take(end + 1 if end >= 0 else min(len(self._buffer), limit))

    def read(self, size: int = -1, /) -> bytes:
        while len(self._buffer) < size and self._more():
            pass
        return self._take(min(size, len(self._buffer)))

    def _take(self, size: int) -> bytes:
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found

    def _more(self) -> bool:
        """Read what is there, waiting for it; False at the end."""
        self._wait(self._read, select.POLLIN, time.monotonic() + self._seconds)
        try:
            found = os.read(self._read, 1 << 20)
        except BlockingIOError:
            return True
        self._buffer += found
        return bool(found)

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError(f"no answer for {self._seconds:g} s")
