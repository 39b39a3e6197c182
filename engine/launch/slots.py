"""Which slots a machine has, which worker is in each, and which of them others use. It starts and stops nothing.

It asks what the scheduler asks before it starts a worker, for display.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch.protocol import Handle, Launcher, Slot
from bertdistill.store.rows import Attempt, ModelVersion


class SlotSettings(NamedTuple):
    """`runner.slots`, `runner.slots_per_gpu` and `runner.machines` of a study."""

    slots: int = 0
    per_gpu: int = 1
    machines: tuple[str, ...] = ()


DEFAULT = SlotSettings()


@dataclass(frozen=True)
class SlotState:
    """One slot as it is now."""

    slot: Slot
    attempt: int | None = None
    """Row id of the attempt that works in it."""
    reason: str = ""
    """Why it cannot be used although no worker of ours has it; empty when it is free."""

    @property
    def free(self) -> bool:
        return self.attempt is None and not self.reason


@dataclass(frozen=True)
class Capacity:
    """What a machine has for workers. `own` is how many workers a study with those settings may have at once."""

    slots: tuple[SlotState, ...]
    own: Mapping[SlotSettings, int] = field(default_factory=dict)
    most: int = 1
    """Workers of all studies together."""
    elsewhere: str = ""
    """Name of the other machine that the slots are on; then only slots with a worker are known here."""


def look(launcher: Launcher, settings: Iterable[SlotSettings], live: Sequence[Attempt]) -> Capacity:
    """Every slot that these studies could use, and those that their attempts have. Asks NVML where there are GPUs."""
    found = {one: usable(launcher, one) for one in dict.fromkeys(settings) or [DEFAULT]}
    by_name = {slot.name: slot for _, named in found.values() for slot in named}
    holders = {attempt.slot: attempt for attempt in live}
    for name, attempt in holders.items():
        by_name[name] = Slot(name, _device(attempt) or (by_name[name].device if name in by_name else Device()))
    loads = gpu_loads(by_name[name].device for name in holders)
    slots = tuple(_state(launcher, slot, holders, loads) for slot in by_name.values())
    most = max(len(named) for _, named in found.values())
    return Capacity(slots, {one: own for one, (own, _) in found.items()}, most)


def on_other_host(host: str, live: Sequence[Attempt]) -> Capacity:
    """What is known of the slots of another machine: those that our attempts have."""
    slots = tuple(SlotState(Slot(one.slot, _device(one) or Device()), one.id) for one in live)
    return Capacity(slots, most=len(slots), elsewhere=host)


def usable(launcher: Launcher, wanted: SlotSettings) -> tuple[int, list[Slot]]:
    """How many of these slots the study may have at once, and the slots: of GPUs all there are."""
    chosen = launcher.among(wanted.machines)
    slots = chosen.slots(wanted.slots, wanted.per_gpu)
    own = len(slots)
    if any(slot.device.kind == "cuda" for slot in slots):
        names = {slot.name for slot in slots}
        slots = slots + [one for one in chosen.slots(0, wanted.per_gpu) if one.name not in names and one.device.uuid]
    return own, slots


def devices_of(holders: Iterable[Attempt | ModelVersion]) -> list[Device]:
    """The devices that these attempts and verifications were given."""
    found = (Handle.from_dict(one.handle).device for one in holders)
    return [device for device in found if device is not None]


def _device(attempt: Attempt) -> Device | None:
    return Handle.from_dict(attempt.handle).device


def _state(launcher: Launcher, slot: Slot, holders: Mapping[str, Attempt], loads: Mapping[str, float]) -> SlotState:
    if slot.name in holders:
        return SlotState(slot, holders[slot.name].id)
    if not fits(slot.device, loads):
        return SlotState(slot, reason="other slots use all of this GPU")
    return SlotState(slot, reason=launcher.busy(slot))


def gpu_loads(devices: Iterable[Device]) -> dict[str, float]:
    """Share of the memory of each GPU that is allocated."""
    loads: dict[str, float] = {}
    for device in devices:
        if device.kind == "cuda":
            loads[device.uuid] = loads.get(device.uuid, 0.0) + device.memory_fraction
    return loads


def fits(device: Device, loads: Mapping[str, float]) -> bool:
    """Whether the GPU has that share left; a CPU slot always fits."""
    return device.kind == "cpu" or loads.get(device.uuid, 0.0) + device.memory_fraction <= 1.0
