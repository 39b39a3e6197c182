"""Checks of a machine before work is sent there: what `engine machines check` shows. It changes nothing there.

The attempt that it kills runs in a folder of its own on the machine, which is removed.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.versions import installed
from bertdistill.engine.doctor import LOW_DISK_BYTES, Check, kill_proof, toy_command
from bertdistill.engine.launch.agent import package_version
from bertdistill.engine.launch.link import RAY_SECONDS, Link, link_to
from bertdistill.engine.launch.local import COMMAND_VARIABLE
from bertdistill.engine.launch.machines import Machine, Machines
from bertdistill.engine.launch.node import Node
from bertdistill.engine.launch.remote import RemoteLauncher, slots_on
from bertdistill.engine.launch.sighting import Sighting
from bertdistill.store.errors import StoreError

MOST_SKEW = 2.0
"""Seconds by which a clock may differ before the times of a trial mislead."""
SCRATCH = ".check"
AWAY_SECONDS = 2.0
"""How long the connection is closed to see whether the attempt outlives it."""

_QUIET = logging.NullHandler()
"""For what the launcher logs: the connection is closed on purpose, which is no news to who reads the checks."""

Connect = Callable[[str, Mapping[str, str]], Link]
"""From a folder there and variables for the workers of its agent to a link."""


def check_machine(
    machine: Machine, machines: Machines, workspace: Path, connect: Connect | None = None
) -> Iterator[Check]:
    """Each check as soon as it is done; the first problem of the connection is the last."""
    root, connect = machines.root(machine), connect or partial(link_to, machine)
    link = connect(root, {})
    try:
        began = time.time()
        hello, _ = link.call("hello")
        first = time.time() - began
        began = time.time()
        hello, _ = link.call("hello")
        took = time.time() - began
        look, _ = link.call("look")
    except LaunchError as error:
        yield Check("connection", "problem", str(error), error.hint)
        return
    finally:
        link.close()
    where = f"{hello['host']}, {hello['root']}"
    yield Check("connection", "ok", f"{where}; first answer after {first:.1f} s, then {took * 1000:.0f} ms")
    yield _check_version(hello)
    yield _check_torch(hello)
    yield _check_devices(machine, hello, look)
    yield _check_disk(look)
    yield _check_clock(hello, began, took)
    yield _check_sessions(hello)
    yield _check_kill(machine, machines, workspace, connect, hello.get("executable", "python3"))


def _check_version(hello: Mapping[str, Any]) -> Check:
    found, own = hello["version"], package_version()
    text = f"Python {hello['python']}, this program {found}"
    if found != own:
        return Check("version", "problem", f"{text}; here is {own}", f"Install version {own} there.")
    return Check("version", "ok", text)


def _check_torch(hello: Mapping[str, Any]) -> Check:
    own = installed("torch").partition("+")[0]
    found = str(hello.get("torch", ""))
    if not found:
        return Check("torch", "problem", "torch is not installed there", "Install this package with its dependencies.")
    if found.partition("+")[0] != own:
        return Check("torch", "warning", f"{found}; here is {own}", "Install the same, or results differ slightly.")
    return Check("torch", "ok", found)


def _check_devices(machine: Machine, hello: Mapping[str, Any], look: Mapping[str, Any]) -> Check:
    seen = Sighting(machine.name, hello=hello, look=look)
    gpus = [f"{gpu.name} {gpu.uuid[:12]}" for gpu in (seen.load.gpus if seen.load else ())]
    slots = slots_on(machine, seen)
    text = f"{', '.join(gpus) or 'no GPU'}, {hello['cores']} cores: {len(slots)} slot{'s' * (len(slots) != 1)}"
    busy = [f"{uuid[:12]}: {why}" for uuid, why in look["busy"].items()]
    return Check("devices", "warning" if busy else "ok", "; ".join((text, *busy)))


def _check_disk(look: Mapping[str, Any]) -> Check:
    free = float(look["free"])
    hint = "" if free >= LOW_DISK_BYTES else "Free space there, or choose another folder with --folder."
    return Check("disk", "warning" if hint else "ok", f"{free / 1e9:.1f} GB free", hint)


def _check_clock(hello: Mapping[str, Any], began: float, took: float) -> Check:
    offset = float(hello["time"]) - (began + took / 2)
    text = f"{offset:+.2f} s against this machine, give or take {took / 2:.2f} s"
    if abs(offset) > MOST_SKEW + took / 2:
        return Check("clock", "warning", text, "Synchronise both clocks (NTP); times of trials there are off by this.")
    return Check("clock", "ok", text)


def _check_sessions(hello: Mapping[str, Any]) -> Check:
    kills = hello.get("kill_user_processes")
    hint = "Run `loginctl enable-linger` there, or set KillUserProcesses=no."
    if kills:
        return Check("sessions", "problem", "systemd there ends workers when the connection closes", hint)
    if kills is None:
        return Check("sessions", "ok", "systemd there does not set KillUserProcesses; the next check tries it")
    return Check("sessions", "ok", "workers outlive the connection")


def _check_kill(machine: Machine, machines: Machines, workspace: Path, connect: Connect, python: str) -> Check:
    """Start a test worker there, close the connection, connect again, kill the worker, and count what is here."""
    root = f"{machines.root(machine)}/{SCRATCH}"
    environ = {COMMAND_VARIABLE: toy_command(python)}
    name = "kill a worker"
    workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
    links: list[Link] = []
    logging.getLogger("bertdistill.runner").addHandler(_QUIET)

    def fresh() -> Link:
        links.append(connect(root, environ))
        return links[-1]

    def away() -> None:
        links[-1].abort()
        time.sleep(AWAY_SECONDS)

    with tempfile.TemporaryDirectory(prefix=".check-", dir=workspace) as scratch:
        place = Path(scratch).resolve()
        patient = replace(machine, lost_after=2 * RAY_SECONDS if machine.ray else 30.0)
        launcher = RemoteLauncher(Node(patient, root, place, fresh))
        try:
            noted, stored, end = kill_proof(place, launcher, away)
        except (OSError, StoreError, LaunchError) as error:
            return Check(name, "problem", str(error), getattr(error, "hint", ""))
        finally:
            launcher.close()
            _clear(connect, machines.root(machine))
    text = f"{end.kind} after {noted:,} reported steps; {stored:,} steps stored"
    if stored < noted or end.kind != "killed_by_signal_9":
        hint = "Something there ended the worker when the connection closed; see KillUserProcesses."
        return Check(name, "problem", text, hint)
    return Check(name, "ok", f"{text}, none lost, none duplicated; it outlived a closed connection")


def _clear(connect: Connect, root: str) -> None:
    link = connect(root, {})
    try:
        link.call("drop", SCRATCH)
    except LaunchError:
        return  # it was said before that the machine does not answer
    finally:
        link.close()
