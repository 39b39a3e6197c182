"""Workers on another machine, through its agent. It asks and reads what is known; it never waits for a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch.attempts import read_exit
from bertdistill.engine.launch.link import Link, link_to
from bertdistill.engine.launch.local import slots_of
from bertdistill.engine.launch.machines import Machine, Machines
from bertdistill.engine.launch.node import Node
from bertdistill.engine.launch.protocol import Exit, Handle, Slot
from bertdistill.engine.launch.sighting import Sighting

LEAST_FREE_BYTES = 1 << 30
"""With less disk there, nothing new is started on a machine."""


def slots_on(machine: Machine, seen: Sighting) -> list[Slot]:
    """The slots of a machine by what was last seen of it: none before it has answered."""
    if not seen.cores:
        return []
    found = slots_of(seen.gpus, seen.cores, machine.slots, machine.slots_per_gpu)
    return [Slot(f"{machine.name}/{one.name}", replace(one.device, node=machine.name)) for one in found]


def whole_of(slot: Slot, seen: Sighting) -> Slot:
    """On a CPU, the slot with every core of that machine."""
    if slot.device.kind == "cuda":
        return slot
    return replace(slot, device=replace(slot.device, threads=max(seen.cores, slot.device.threads)))


def busy_on(slot: Slot, seen: Sighting) -> str:
    """Why others prevent that this slot is used."""
    if seen.look and seen.look.get("free", 0) < LEAST_FREE_BYTES:
        return f"{seen.name} has only {seen.look.get('free', 0) / 1e9:.2f} GB of disk left"
    return str(seen.look.get("busy", {}).get(slot.device.uuid, ""))


@dataclass(frozen=True)
class RemoteLauncher:
    """One machine. The copies of its run folders are in the workspace, under the names that they have there."""

    node: Node

    @staticmethod
    def to(
        machine: Machine, machines: Machines, workspace: Path, connect: Callable[[], Link] | None = None
    ) -> RemoteLauncher:
        """Over the link that its entry in workspace.toml asks for."""
        root = machines.root(machine)
        return RemoteLauncher(Node(machine, root, workspace, connect or (lambda: link_to(machine, root))))

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        """As many as the machine was added with."""
        self.node.wake()
        return slots_on(self.node.machine, self.node.sighting)

    def among(self, machines: Sequence[str]) -> RemoteLauncher:
        return self

    def whole(self, slot: Slot) -> Slot:
        return whole_of(slot, self.node.sighting)

    def busy(self, slot: Slot) -> str:
        return self.node.problem() or busy_on(slot, self.node.sighting)

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> Handle:
        """Returns at once; the machine first receives what the attempt reads."""
        name = self._name(paths)
        self.node.start(name, paths, grace)
        return Handle(host=self.node.machine.name, job=name)

    def alive(self, paths: RunPaths, handle: Handle) -> bool:
        """Unknown counts as alive, until the machine was silent for too long."""
        return self.node.alive(self._name(paths), paths)

    def ended(self, paths: RunPaths, handle: Handle) -> Exit | None:
        return None if self.alive(paths, handle) else read_exit(paths, handle)

    def stop(self, paths: RunPaths, handle: Handle) -> None:
        self.node.ask(self._name(paths), "stop")

    def kill(self, paths: RunPaths, handle: Handle) -> None:
        self.node.ask(self._name(paths), "kill")

    def close(self) -> None:
        self.node.close()

    def _name(self, paths: RunPaths) -> str:
        return paths.folder.relative_to(self.node.workspace).as_posix()
