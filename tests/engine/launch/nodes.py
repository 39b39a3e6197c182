"""Machines that are folders of this one: an agent as a child process, the link that can be cut, and a workspace."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bertdistill.engine.launch.agent import Agent, serve
from bertdistill.engine.launch.frames import BrokenFrame, pack, unpack
from bertdistill.engine.launch.link import GREETING, Link, ProcessLink, Refused, Unreachable, agent_command
from bertdistill.engine.launch.machines import Machine, Machines
from bertdistill.engine.launch.remote import RemoteLauncher


def child_link(root: Path, environ: Mapping[str, str]) -> ProcessLink:
    """An agent in that folder, whose workers inherit that environment."""
    root.parent.mkdir(parents=True, exist_ok=True)
    return ProcessLink(agent_command(sys.executable, str(root)), environ)


def node(
    workspace: Path,
    place: Path,
    environ: Mapping[str, str] | None = None,
    *,
    connect: Callable[[], Link] | None = None,
    name: str = "b",
    **settings: Any,
) -> RemoteLauncher:
    """A machine in the folder `place`."""
    machine = Machine(name, folder=str(place), **settings)
    machines = Machines("0" * 12, (machine,))
    root = Path(machines.root(machine))
    given = dict(os.environ) if environ is None else environ
    return RemoteLauncher.to(machine, machines, workspace, connect or (lambda: child_link(root, given)))


def over_frames(
    passed: Callable[[bytes], bytes],
    verb: str,
    args: tuple[Any, ...],
    blob: bytes,
    cut: Callable[[str, bytes], bytes] = lambda verb, data: data,
) -> tuple[Any, list[bytes]]:
    """One call as a link makes it: `passed` takes the bytes of a message to whoever serves it, and brings its bytes."""
    answer = passed(pack({"verb": verb, "args": args}, [blob] if blob else []))
    try:
        found = unpack(io.BytesIO(cut(verb, answer.removeprefix(GREETING))))
    except BrokenFrame as error:
        raise Unreachable(str(error)) from error
    if found is None:
        raise Unreachable("closed")
    head, blobs = found
    if "error" in head:
        raise Refused(head["error"])
    return head["value"], blobs


class DirectLink:
    """An agent in this process, over the bytes of its frames. `cut` may shorten an answer or refuse a call."""

    def __init__(self, agent: Agent, cut: Callable[[str, bytes], bytes] = lambda verb, data: data) -> None:
        self.agent, self.cut = agent, cut
        self.calls: list[str] = []

    def call(self, verb: str, *args: Any, blob: bytes = b"") -> tuple[Any, list[bytes]]:
        self.calls.append(verb)

        def passed(asked: bytes) -> bytes:
            answer = io.BytesIO()
            serve(self.agent, io.BytesIO(asked), answer)
            return answer.getvalue()

        return over_frames(passed, verb, args, blob, self.cut)

    def abort(self) -> None:
        """No call waits."""

    def close(self) -> None:
        """Nothing to close."""
