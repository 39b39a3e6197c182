"""Machines of a workspace as the runner last saw them, for `machines list`, `workers` and the workers screen.

It connects to none of them and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.app.report.records import node_of
from bertdistill.app.report.summary import Page
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import text_table
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.launch.machines import Machine, read_machines
from bertdistill.engine.launch.remote import busy_on, slots_on
from bertdistill.engine.launch.sighting import Sighting
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.errors import StoreError


@dataclass(frozen=True)
class MachineNow:
    """One machine. `age` is the seconds since it last answered; None if it never did."""

    machine: Machine
    seen: Sighting
    slots: int
    age: float | None

    @property
    def problem(self) -> str:
        """Why nothing is started there; empty if it may be."""
        if self.seen.problem:
            return self.seen.problem
        return next((why for slot in slots_on(self.machine, self.seen) if (why := busy_on(slot, self.seen))), "")


def machines_now(workspace: Path, now: float) -> list[MachineNow]:
    """All machines of workspace.toml; none if it cannot be read, which the commands that change it report."""
    try:
        machines = read_machines(workspace).machines
    except ConfigError:
        return []
    found = []
    for machine in machines:
        seen = Sighting.read(workspace, machine.name)
        age = max(0.0, now - seen.answered_at) if seen.hello else None
        found.append(MachineNow(machine, seen, len(slots_on(machine, seen)), age))
    return found


def attempts_on(workspace: Path, name: str) -> list[str]:
    """Folders of the attempts that run on that machine."""
    try:
        db = open_db(workspace, read_only=True)
    except StoreError:
        return []
    try:
        with db.read() as session:
            return [one.folder for one in reads.live_attempts(session) if node_of(one) == name]
    finally:
        db.close()


def where_words(machine: Machine) -> str:
    """`ssh gpu1`, `ray head:6379, node b`, or a folder of this machine."""
    if machine.ray:
        return safe_line(f"ray {machine.ray}" + (f", node {machine.node}" if machine.node else ""), 60)
    return safe_line(f"ssh {machine.ssh}" if machine.ssh else f"here, {machine.folder}", 60)


def answer_words(now: MachineNow) -> str:
    """`2s ago`, `never`."""
    return "never" if now.age is None else f"{fmt.duration(now.age)} ago"


def load_words(now: MachineNow) -> str:
    """Processor, GPUs, free disk: what is known."""
    load = now.seen.load
    if load is None:
        return ""
    parts = [f"CPU {load.cpu_percent:.0f}% of {load.cores}"]
    parts += [f"GPU{gpu.index} {fmt.NONE if gpu.percent is None else f'{gpu.percent:.0f}%'}" for gpu in load.gpus]
    return ", ".join((*parts, f"{fmt.size(int(now.seen.look.get('free', 0)))} free"))


def sending_words(now: MachineNow) -> str:
    """`receives 12 MB of 40 MB for runs/demo/0003-1`; empty if nothing is being sent."""
    parts = [
        f"receives {fmt.size(int(done))} of {fmt.size(int(whole))} for {safe_line(name, 80)}"
        for name, (done, whole) in now.seen.sending.items()
        if whole
    ]
    return "; ".join(parts)


def machine_line(now: MachineNow) -> str:
    """One machine in one line, under the load of this one."""
    answered = "never answered" if now.age is None else f"answered {answer_words(now)}"
    parts = [f"{now.machine.name}: {now.slots} slot{'s' * (now.slots != 1)}", answered]
    parts += [load_words(now), sending_words(now), safe_line(now.problem, 200)]
    return ", ".join(filter(None, parts))


def machines_text(found: Sequence[MachineNow], page: Page) -> str:
    """The table of `machines list`."""
    rows = [
        [
            one.machine.name,
            where_words(one.machine),
            str(one.slots),
            answer_words(one),
            load_words(one),
            safe_line("; ".join(filter(None, (one.problem, sending_words(one)))), 300),
        ]
        for one in found
    ]
    titles = ["machine", "where", "slots", "answered", "load", "state"]
    return text_table(titles, rows, right=["slots"], width=page.width) or "no machines besides this one"


def machine_row(now: MachineNow) -> dict[str, Any]:
    """What `machines list --json` prints of one."""
    return {
        "machine": now.machine.name,
        "ssh": now.machine.ssh,
        "ray": now.machine.ray,
        "node": now.machine.node,
        "folder": now.machine.folder,
        "slots": now.slots,
        "answered_at": now.seen.answered_at or None,
        "problem": now.problem,
        "host": now.seen.hello.get("host"),
        "version": now.seen.hello.get("version"),
        "gpus": now.seen.gpus,
        "cores": now.seen.cores or None,
        "free_bytes": now.seen.look.get("free"),
        "cpu_percent": now.seen.load.cpu_percent if now.seen.load else None,
        "sending": {name: list(sizes) for name, sizes in now.seen.sending.items()},
    }
