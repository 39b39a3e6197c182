"""Workers on this machine and on those of workspace.toml, as one launcher. An attempt stays on its machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bertdistill.engine.contract.errors import ConfigError, LaunchError
from bertdistill.engine.contract.folder import RunPaths, read_object
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch.attempts import read_exit
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.launch.machines import FILE, LOCAL, Machine, Machines, read_machines
from bertdistill.engine.launch.protocol import Exit, Handle, Launcher, Slot
from bertdistill.engine.launch.remote import RemoteLauncher, busy_on, slots_on, whole_of
from bertdistill.engine.launch.sighting import Sighting

log = logging.getLogger("bertdistill.runner")

HERE_SECONDS = 60.0
"""Seconds for which the slots of this machine are cached: NVML is slow."""

Connect = Callable[[Machine, Machines, Path], Launcher]


@dataclass
class Fleet:
    """One launcher over several. The one that runs here has the name `local`, and the empty one on devices."""

    workspace: Path
    local: Launcher
    connect: Connect = RemoteLauncher.to
    chosen: tuple[str, ...] = (LOCAL,)
    """Machines whose slots are used."""
    _machines: dict[str, tuple[Machine, Launcher]] = field(default_factory=dict)
    _here: dict[tuple[int, int], tuple[float, list[Slot]]] = field(default_factory=dict)
    _read_at: list[float] = field(default_factory=list)
    """When the file was changed that was read last. Shared, as the machines are, by all that `among` returns."""

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        """Those of this machine come first, `wanted` of them at most; the others have as many as they were added
        with.
        """
        self._refresh()
        found: list[Slot] = []
        for name in self.chosen:
            if name == LOCAL:
                found += self._slots_here(wanted, per_gpu)
            elif name in self._machines:
                found += self._machines[name][1].slots()
        return found

    def _slots_here(self, wanted: int, per_gpu: int) -> list[Slot]:
        at, slots = self._here.get((wanted, per_gpu), (float("-inf"), []))
        if not slots or time.monotonic() - at > HERE_SECONDS:
            at, slots = time.monotonic(), self.local.slots(wanted, per_gpu)
            self._here[wanted, per_gpu] = at, slots
        return slots

    def among(self, machines: Sequence[str]) -> Fleet:
        return replace(self, chosen=tuple(machines) or (LOCAL,))

    def whole(self, slot: Slot) -> Slot:
        return self._of(slot.device.node).whole(slot)

    def busy(self, slot: Slot) -> str:
        return self._of(slot.device.node).busy(slot)

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> Handle:
        return self._of(device.node).start(paths, device, grace=grace)

    def alive(self, paths: RunPaths, handle: Handle) -> bool:
        return self._with(paths, handle).alive(paths, handle)

    def ended(self, paths: RunPaths, handle: Handle) -> Exit | None:
        return self._with(paths, handle).ended(paths, handle)

    def stop(self, paths: RunPaths, handle: Handle) -> None:
        self._with(paths, handle).stop(paths, handle)

    def kill(self, paths: RunPaths, handle: Handle) -> None:
        self._with(paths, handle).kill(paths, handle)

    def close(self) -> None:
        """Disconnect: what runs elsewhere continues, and so do workers here."""
        if isinstance(self.local, LocalLauncher):
            self.local.close()
        for _, launcher in self._machines.values():
            if isinstance(launcher, RemoteLauncher):
                launcher.close()

    def _with(self, paths: RunPaths, handle: Handle) -> Launcher:
        """Whose attempt it is: as its handle says or, if the runner died before it had one, as its spec does."""
        if handle.device is not None:
            return self._of(handle.device.node)
        device = read_object(paths.spec).get("device")
        return self._of(str(device.get("node", "")) if isinstance(device, Mapping) else "")

    def _of(self, node: str) -> Launcher:
        if not node:
            return self.local
        if node not in self._machines:
            self._refresh()
        if node not in self._machines:
            return _Gone(node)
        return self._machines[node][1]

    def _refresh(self) -> None:
        """Follow the file: machines are added and removed while the runner runs."""
        try:
            at = (self.workspace / FILE).stat().st_mtime
        except OSError:
            at = 0.0
        if self._read_at == [at]:
            return
        self._read_at[:] = [at]
        try:
            found = read_machines(self.workspace)
        except ConfigError as error:
            log.warning("%s %s", error, error.hint)
            return
        for machine in found.machines:
            known = self._machines.get(machine.name)
            if known is None or known[0] != machine:
                if known is not None and isinstance(known[1], RemoteLauncher):
                    known[1].close()
                self._machines[machine.name] = (machine, self.connect(machine, found, self.workspace))
                self._machines[machine.name][1].slots()  # it begins to connect
        # One that was removed is still asked for what runs there; it offers no slots, as studies cannot name it.


@dataclass(frozen=True)
class _Gone:
    """A machine that is not in the file any more: what ran there is lost, and resumes elsewhere."""

    name: str

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        return []

    def among(self, machines: Sequence[str]) -> _Gone:
        return self

    def whole(self, slot: Slot) -> Slot:
        return slot

    def busy(self, slot: Slot) -> str:
        return f"{self.name} is not a machine of this workspace any more"

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> Handle:
        raise LaunchError(f"{self.name} is not a machine of this workspace any more", hint="Add it again.")

    def alive(self, paths: RunPaths, handle: Handle) -> bool:
        return False

    def ended(self, paths: RunPaths, handle: Handle) -> Exit | None:
        if paths.exit.exists():
            return read_exit(paths, handle)
        return Exit("node_lost", log_tail=f"{self.name} is not a machine of this workspace any more")

    def stop(self, paths: RunPaths, handle: Handle) -> None:
        """Nothing: it cannot be reached."""

    def kill(self, paths: RunPaths, handle: Handle) -> None:
        """Nothing, as above."""


@dataclass(frozen=True)
class SeenMachine(_Gone):
    """A machine for those who only look: by what the runner has last seen of it."""

    machine: Machine
    workspace: Path

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        return slots_on(self.machine, self._seen())

    def whole(self, slot: Slot) -> Slot:
        return whole_of(slot, self._seen())

    def busy(self, slot: Slot) -> str:
        seen = self._seen()
        return f"{self.name}: {seen.problem}" if seen.problem else busy_on(slot, seen)

    def _seen(self) -> Sighting:
        return Sighting.read(self.workspace, self.name)


def onlooker(workspace: Path, local: Launcher) -> Fleet:
    """The same for those who only look: it connects to nothing."""
    return Fleet(workspace, local, lambda machine, _, where: SeenMachine(machine.name, machine, where))
