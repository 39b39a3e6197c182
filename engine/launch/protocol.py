"""The protocol that the runner requires of a launcher, and the values that it uses. It starts nothing.

A new launcher is a module that implements this protocol and a row in `launchers.LAUNCHERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    killed_by_signal_<n>, stop_timeout, lost (no process of it runs and its end was not recorded), machine_restarted
    or never_started (the same, and neither the worker nor its parameters are to blame)."""

    kind: str
    code: int | None = None
    signal: int | None = None
    max_rss_mb: float | None = None
    log_tail: str = ""
    ended_at: float = 0.0
    seconds: float | None = None
    """How long it ran by a monotonic clock that stops during suspend; None if it was not measured."""


class Launcher(Protocol):
    """What the runner requires of a launcher. A handle is JSON by which an attempt is found again."""

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        """Room for workers: `wanted` at most, 0 for as many as is usual here; `per_gpu` may share one GPU."""
        ...

    def whole(self, slot: Slot) -> Slot:
        """The slot with every core of the machine that it is on, for work beside which nothing else runs."""
        ...

    def busy(self, slot: Slot) -> str:
        """Why this slot must be skipped just now; empty when it may be used."""
        ...

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> dict[str, Any]:
        """Start the attempt whose spec is in the folder; LaunchError when that is impossible."""
        ...

    def alive(self, paths: RunPaths, handle: Mapping[str, Any]) -> bool:
        """Whether any process of the attempt still runs."""
        ...

    def ended(self, paths: RunPaths, handle: Mapping[str, Any]) -> Exit | None:
        """How the attempt ended; None while a process of it lives."""
        ...

    def stop(self, paths: RunPaths, handle: Mapping[str, Any]) -> None:
        """Ask it to leave: SIGTERM to the worker's main process, SIGKILL after the grace time."""
        ...

    def kill(self, paths: RunPaths, handle: Mapping[str, Any]) -> None:
        """End every process of the attempt now."""
        ...
