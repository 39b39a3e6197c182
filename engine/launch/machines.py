"""The machines of a workspace besides the one that the runner is on: `[machines.NAME]` in its workspace.toml.

It connects to nothing. The commands `engine machines add` and `remove` rewrite the file, with what others have in it.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.names import name_problem
from bertdistill.engine.study import workspace_file

FILE = workspace_file.FILE
LOCAL = "local"
AUTO = "auto"
"""In place of a machine: whichever fits best."""
"""Name of the machine that the runner is on."""
DEFAULT_FOLDER = "~/.cache/bertdistill-tui"
_HOST = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9._:@%\[\]-]{0,254}")
_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}:[0-9]{1,5}")


@dataclass(frozen=True)
class Machine:
    """One `[machines.NAME]`."""

    name: str
    ssh: str = ""
    """What `ssh` is called with: a host, `user@host`, or a name of ~/.ssh/config. Empty: a folder of this machine."""
    python: str = ""
    """The Python there that has this package installed. Empty: `python3` there, by ssh, or the one that runs here."""
    folder: str = DEFAULT_FOLDER
    """Folder there that everything is kept in, under the id of this workspace."""
    slots: int = 0
    """Workers there; 0 means one per GPU, or one without GPUs."""
    slots_per_gpu: int = 1
    lost_after: float = 60.0
    """Seconds without an answer after which its attempts are taken for lost, and resume elsewhere."""
    ray: str = ""
    """Instead of `ssh`: host and port of the head of a Ray cluster."""
    node: str = ""
    """Which node of that cluster: its name, host name, address or id. Empty: its only one."""


@dataclass(frozen=True)
class Machines:
    """What workspace.toml says of machines."""

    id: str = ""
    """Names this workspace on other machines; made with the first machine."""
    machines: tuple[Machine, ...] = ()

    def find(self, name: str) -> Machine:
        """The machine of that name; ConfigError lists those that exist."""
        for one in self.machines:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.machines) or "none yet"
        raise ConfigError(f"{name!r} is not a machine of this workspace", hint=f"Machines: {known}.")

    def root(self, machine: Machine) -> str:
        """The folder of this workspace on that machine."""
        return f"{machine.folder.rstrip('/')}/{self.id}"


def read_machines(workspace: Path) -> Machines:
    """What the file says; without a file there are none. ConfigError names the file and the key."""
    path, raw = workspace / FILE, workspace_file.read_workspace_file(workspace)
    tables = raw.get("machines", {})
    if not isinstance(tables, dict) or not isinstance(raw.get("id", ""), str):
        raise ConfigError(f"{path}: id must be text and machines be tables [machines.NAME]", hint="Correct the file.")
    found = Machines(raw.get("id", ""), tuple(_machine(path, name, table) for name, table in tables.items()))
    if found.machines and not re.fullmatch(r"[0-9a-f]{12}", found.id):
        raise ConfigError(f"{path}: id = {found.id!r} is not 12 hexadecimal digits", hint="Correct the file.")
    return found


def add(workspace: Path, machine: Machine) -> Machines:
    """Add a machine, or replace the one of that name."""
    found = read_machines(workspace)
    checked = _machine(workspace / FILE, machine.name, _table(machine))
    others = tuple(one for one in found.machines if one.name != machine.name)
    return _write(workspace, Machines(found.id or os.urandom(6).hex(), (*others, checked)))


def remove(workspace: Path, name: str) -> Machines:
    """Remove a machine; ConfigError if there is none of that name."""
    found = read_machines(workspace)
    gone = found.find(name)
    return _write(workspace, Machines(found.id, tuple(one for one in found.machines if one is not gone)))


def _machine(path: Path, name: str, table: Any) -> Machine:
    where = f"{path}: [machines.{name}]"
    if problem := name_problem(name):
        raise ConfigError(f"{where}: {name!r} {problem}", hint="Use another name.")
    if name == LOCAL:
        raise ConfigError(f"{where}: {LOCAL!r} is the machine that the runner is on", hint="Use another name.")
    if name == AUTO:
        raise ConfigError(f"{where}: {AUTO!r} is no machine, but lets the runner choose one", hint="Use another name.")
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is not a table", hint="Correct the file.")
    fields = {field.name: field for field in dataclasses.fields(Machine) if field.name != "name"}
    for key, value in table.items():
        if key not in fields:
            raise ConfigError(f"{where}: {key!r} is not a valid key", hint=f"Keys: {', '.join(fields)}.")
        wanted = type(fields[key].default)
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ConfigError(f"{where}: {key} = {value!r} must be of type {wanted.__name__}", hint="Correct the file.")
    machine = Machine(name, **table)
    _refuse(machine, where)
    return machine


def _refuse(machine: Machine, where: str) -> None:
    """What would end up on a command line must be what it seems."""
    if machine.ssh and not _HOST.fullmatch(machine.ssh):
        hint = "Use a host name or user@host; ports, keys and jump hosts belong into ~/.ssh/config."
        raise ConfigError(f"{where}: ssh = {machine.ssh!r} is not a valid host", hint=hint)
    if machine.ray and not _CLUSTER.fullmatch(machine.ray):
        hint = "Use host:port of the head of the cluster, as `ray start --address` does."
        raise ConfigError(f"{where}: ray = {machine.ray!r} is not a valid address", hint=hint)
    if machine.ray and (machine.ssh or machine.python):
        hint = "Use either ray or ssh; workers of a Ray node use the Python that Ray runs with there."
        raise ConfigError(f"{where}: ray excludes ssh and python", hint=hint)
    if machine.node and not (machine.ray and machine.node.isprintable()):
        hint = "It is the name, host name, address or id of a node, together with ray."
        raise ConfigError(f"{where}: node = {machine.node!r} is not the node of a Ray cluster", hint=hint)
    for key in ("python", "folder"):
        value: str = getattr(machine, key)
        if value.startswith("-") or not value.isprintable() or (key == "folder" and value[:1] not in ("/", "~")):
            raise ConfigError(f"{where}: {key} = {value!r} is not a valid path", hint="Use an absolute path.")
    if not 0 <= machine.slots <= 256 or not 1 <= machine.slots_per_gpu <= 16:
        hint = "slots: 0 to 256; slots_per_gpu: 1 to 16."
        raise ConfigError(f"{where}: slots or slots_per_gpu out of range", hint=hint)
    if not 1 <= machine.lost_after <= 86400:
        raise ConfigError(f"{where}: lost_after = {machine.lost_after!r} is out of range", hint="1 to 86400 seconds.")


def _table(machine: Machine) -> dict[str, Any]:
    """Its keys that differ from their defaults."""
    fields = [field for field in dataclasses.fields(Machine) if field.name != "name"]
    return {one.name: getattr(machine, one.name) for one in fields if getattr(machine, one.name) != one.default}


def _write(workspace: Path, found: Machines) -> Machines:
    tables = {machine.name: _table(machine) for machine in found.machines}
    workspace_file.change_workspace_file(workspace, {"id": found.id, "machines": tables})
    return found
