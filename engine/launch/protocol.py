"""The protocol that the runner requires of a launcher, and the values that it uses. It starts nothing.

A new launcher is a module that implements this protocol and a row in `launchers.LAUNCHERS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device


@dataclass(frozen=True)
class Slot:
    """Room for one worker."""

    name: str
    device: Device


@dataclass(frozen=True)
class Exit:
    """How an attempt ended. `kind`: complete, stopped, diverged, cuda_oom, host_oom, refused, crashed, disk_full,
    killed_by_signal_<n>, stop_timeout, launch_failed, lost (no process of it runs and its end was not recorded),
    machine_restarted, node_lost (its machine does not answer) or never_started (the same, and neither the worker nor
    its parameters are to blame)."""

    kind: str
    code: int | None = None
    signal: int | None = None
    max_rss_mb: float | None = None
    log_tail: str = ""
    ended_at: float = 0.0
    seconds: float | None = None
    """How long it ran by a monotonic clock that stops during suspend; None if it was not measured."""


@dataclass(frozen=True)
class Handle:
    """How a launcher finds an attempt again. `Attempt.handle` and `ModelVersion.handle` hold its JSON form.

    A launcher fills in the fields that it needs; an empty handle belongs to an attempt that was never started.
    """

    host: str = ""
    boot_id: str = ""
    """Boot of that host; process ids of an earlier one mean nothing."""
    shim: int = 0
    """Process id of the shim."""
    start: int = 0
    """Start time of the shim in clock ticks since the boot."""
    job: str = ""
    """The launcher's own name of the attempt, for one that starts no shim on this machine."""
    device: Device | None = None
    """What the attempt may use; the runner adds it."""

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Handle:
        """From its JSON form; unknown keys (of an older version, say) are ignored."""
        device = raw.get("device")
        host, boot_id, job = (str(raw.get(name) or "") for name in ("host", "boot_id", "job"))
        shim, start = (raw[name] if type(raw.get(name)) is int else 0 for name in ("shim", "start"))
        return Handle(host, boot_id, shim, start, job, Device(**device) if device else None)


class Launcher(Protocol):
    """What the runner requires of a launcher."""

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        """Room for workers: `wanted` at most, 0 for as many as is usual here; `per_gpu` may share one GPU."""
        ...

    def among(self, machines: Sequence[str]) -> Launcher:
        """The launcher limited to the slots of these machines, by name; empty: of the one that the runner is on."""
        ...

    def whole(self, slot: Slot) -> Slot:
        """The slot with every core of the machine that it is on, for work beside which nothing else runs."""
        ...

    def busy(self, slot: Slot) -> str:
        """Why this slot must be skipped at present; empty if it may be used."""
        ...

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> Handle:
        """Start the attempt whose spec is in the folder; LaunchError when that is impossible."""
        ...

    def alive(self, paths: RunPaths, handle: Handle) -> bool:
        """Whether any process of the attempt still runs."""
        ...

    def ended(self, paths: RunPaths, handle: Handle) -> Exit | None:
        """How the attempt ended; None while one of its processes runs."""
        ...

    def stop(self, paths: RunPaths, handle: Handle) -> None:
        """Request a stop: SIGTERM to the worker's main process, SIGKILL after the grace period."""
        ...

    def kill(self, paths: RunPaths, handle: Handle) -> None:
        """End every process of the attempt now."""
        ...
