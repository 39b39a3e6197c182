"""Slots, workers, queue and load of a workspace: what the workers screen and `workers` both show. It writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertdistill.app.report.machines import MachineNow, machine_line, machine_row, machines_now
from bertdistill.app.report.records import attempt_row
from bertdistill.app.report.summary import Page
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import text_table
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process, slots
from bertdistill.engine.launch.load import Load, worker_frozen, worker_memory
from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.launch.slots import Capacity, SlotState
from bertdistill.engine.runner.rules import HOST_OOM, launched, preparation_slots, slot_settings
from bertdistill.engine.runner.waiting import Shared, StudyNow, Waiting, leaving, waiting
from bertdistill.engine.steering.actions import RunnerStatus
from bertdistill.store import reads
from bertdistill.store.db import Reading
from bertdistill.store.rows import Attempt, Study, StudyState

BAR = 10
"""Cells of a progress bar."""


@dataclass(frozen=True)
class Worker:
    """One attempt that runs. `trial` is None for a preparation, memory in bytes, or None where it is unknown."""

    attempt: Attempt
    study: str
    trial: int | None
    memory: int | None = None
    gpu_memory: int | None = None
    frozen: bool = False
    """A signal or a debugger has stopped it."""

    @property
    def name(self) -> str:
        """`demo/7`, `demo/prepare`."""
        return f"{self.study}/{'prepare' if self.trial is None else self.trial}"

    @property
    def share(self) -> float:
        """How much of its phase is done, 0 to 1."""
        return min(1.0, self.attempt.done / self.attempt.total) if self.attempt.total else 0.0


@dataclass(frozen=True)
class WorkersNow:
    """The workers of a workspace at one moment. `at` in Unix seconds."""

    at: float
    runner: RunnerStatus
    load: Load
    capacity: Capacity
    workers: tuple[Worker, ...]
    queue: tuple[Waiting, ...]
    studies: tuple[StudyNow, ...]
    leaving: bool = False
    machines: tuple[MachineNow, ...] = ()
    """Those besides the runner's own."""

    @property
    def needs_runner(self) -> bool:
        """Whether there is work for a runner."""
        return bool(self.workers) or any(one.study.state == StudyState.RUNNING for one in self.studies)

    def worker_in(self, slot_state: SlotState) -> Worker | None:
        """The worker in that slot."""
        return next((one for one in self.workers if one.attempt.id == slot_state.attempt), None)


def wanted(studies: Sequence[Study], live: Sequence[Attempt]) -> list[Study]:
    """Studies that have, or could have, workers or waiting items."""
    working = {attempt.study_id for attempt in live}
    return [study for study in studies if study.state != StudyState.COMPLETE or study.id in working]


def look_at_slots(launcher: Launcher, studies: Sequence[StudyNow], live: Sequence[Attempt], host: str) -> Capacity:
    """The slots here, or what is known of them when the runner is on another machine, `host`."""
    live = launched(live)
    if host and host != process.host():
        return slots.on_other_host(host, live)
    settings = [slot_settings(one.spec) for one in studies]
    settings += [preparation_slots(one.spec) for one in studies if one.study.prepared is None]
    return slots.look(launcher, settings, live)


def gather(
    session: Reading,
    ws: Workspace,
    studies: Sequence[StudyNow],
    *,
    runner: RunnerStatus,
    load: Load,
    capacity: Capacity,
    now: float,
) -> WorkersNow:
    """Combine what was read with the live attempts and requests as they are in this session."""
    live = launched(reads.live_attempts(session))
    going = leaving(live, [request.verb for request in reads.pending_requests(session)])
    names = {one.study.id: one.study.name for one in studies}
    numbers = {trial.id: trial.number for one in studies for trial in one.trials}
    machines = machines_now(ws.path, now)
    far = {name: sizes for one in machines for name, sizes in one.seen.look.get("running", {}).items()}
    workers = []
    for attempt in live:
        paths = RunPaths(ws.run_folder(attempt.folder))
        memory, on_gpu = far.get(attempt.folder) or worker_memory(paths, load.gpus)
        number = None if attempt.trial_id is None else numbers.get(attempt.trial_id)
        workers.append(Worker(attempt, names.get(attempt.study_id, ""), number, memory, on_gpu, worker_frozen(paths)))
    away = reads.archived_studies(session)
    listed = [one for one in studies if one.study.id not in away or one.study.state == StudyState.RUNNING]
    preparing = [one.study.id for one in listed if one.study.prepared is None]
    alone = frozenset(one for one in preparing if reads.has_ended_as(session, one, "prepare", HOST_OOM))
    queue = waiting(listed, Shared(live, capacity, runner.alive, going, alone))
    kept = {one.study.id for one in listed} | {attempt.study_id for attempt in live}
    shown = [one for one in studies if one.study.id in kept]
    return WorkersNow(now, runner, load, capacity, tuple(workers), tuple(queue), tuple(shown), going, tuple(machines))


# --------------------------------------------------------------------------------------------------------------- words


def device_words(slot_state: SlotState, load: Load) -> str:
    """`2 threads`, or name and beginning of the UUID of a GPU."""
    device = slot_state.slot.device
    if device.kind == "cpu":
        return f"{device.threads} {'thread' if device.threads == 1 else 'threads'}"
    name = next((gpu.name for gpu in load.gpus if gpu.uuid == device.uuid), "")
    return safe_line(f"{name} {device.uuid[:12]}".strip(), 60)


def state_words(slot_state: SlotState, worker: Worker | None) -> str:
    """What a slot is doing, in a word or as the reason why it is unavailable."""
    if worker is None:
        return f"busy: {safe_line(slot_state.reason)}" if slot_state.reason else "free"
    if worker.frozen:
        return "frozen"
    if not worker.attempt.stop_reason:
        return "running"
    return f"leaving ({safe_line(worker.attempt.stop_reason.partition(': ')[0], 20)})"


def phase_words(worker: Worker) -> str:
    """`train 1,200/4,000 steps`, as far as it is known."""
    attempt = worker.attempt
    words = safe_line(attempt.phase or "starting", 40)
    if attempt.total:
        words += f" {attempt.done:,.0f}/{attempt.total:,.0f} {safe_line(attempt.unit, 20)}".rstrip()
    elif attempt.done:
        words += f" {attempt.done:,.0f} {safe_line(attempt.unit, 20)}".rstrip()
    return words


def rate_words(worker: Worker) -> str:
    return f"{fmt.rate(worker.attempt.rate)}/s" if worker.attempt.rate else ""


def memory_words(worker: Worker) -> str:
    """Main memory, and GPU memory where known; empty when neither is."""
    parts = [fmt.size(worker.memory)] if worker.memory is not None else []
    parts += [f"GPU {fmt.size(worker.gpu_memory)}"] if worker.gpu_memory is not None else []
    return ", ".join(parts)


def item_name(item: Waiting) -> str:
    """`demo/7`, `demo preparation`, `demo next trial`."""
    if item.trial is not None:
        return f"{item.study}/{item.trial}"
    return f"{item.study} {'next trial' if item.item == 'proposal' else item.item}"


def why_words(item: Waiting) -> str:
    """The reason and the background of the item, in one line."""
    return safe_line("; ".join(filter(None, (item.why, item.note))), 400)


def runner_words(now: WorkersNow) -> str:
    """The runner and its uptime, or the last runner."""
    runner = now.runner
    where = f"pid {runner.pid} on {safe_line(runner.host, 40)}"
    since = fmt.duration(now.at - runner.since)
    if runner.alive and not runner.pid:
        return "a runner is starting"
    if runner.silence is not None:
        return f"runner {where} has not answered for {fmt.duration(runner.silence)}"
    if runner.alive:
        return f"runner {where} for {since}" + (", leaving" if now.leaving else "")
    if not runner.pid:
        return "no runner has run here yet"
    if not now.needs_runner:
        return f"no runner, and no work for one; the last was {where}"
    seen = "" if runner.heartbeat_age is None else f", last seen {fmt.duration(runner.heartbeat_age)} ago"
    return f"runner gone: {where}, started {since} ago{seen}"


def load_lines(load: Load) -> list[str]:
    """The processor and each GPU, a line each."""
    lines = [
        f"CPU {load.cpu_percent:.0f}% of {load.cores} cores, "
        f"memory {fmt.size(load.memory_used)} of {fmt.size(load.memory_total)}"
    ]
    for gpu in load.gpus:
        percent = fmt.NONE if gpu.percent is None else f"{gpu.percent:.0f}%"
        memory = f"memory {fmt.size(gpu.memory_used)} of {fmt.size(gpu.memory_total)}"
        lines.append(f"GPU{gpu.index} {percent}, {memory}, {safe_line(f'{gpu.name} {gpu.uuid[:12]}', 60)}")
    return lines


# ----------------------------------------------------------------------------------------------------- for the command


def workers_object(now: WorkersNow, ws: Workspace) -> dict[str, Any]:
    """What `workers --json` prints."""
    return {
        "workspace": str(ws.path),
        "runner": {
            "alive": now.runner.alive,
            "leaving": now.leaving,
            "host": now.runner.host,
            "pid": now.runner.pid,
            "since": now.runner.since,
            "heartbeat_age": now.runner.heartbeat_age,
            "silence": now.runner.silence,
            "released": now.runner.released,
        },
        "load": _load_object(now.load),
        "machines": [machine_row(one) for one in now.machines],
        "slots": [slot_row(now, slot_state) for slot_state in now.capacity.slots],
        "workers": [worker_row(now, worker) for worker in now.workers],
        "queue": [waiting_row(item) for item in now.queue],
    }


def _load_object(load: Load) -> dict[str, Any]:
    names = ("index", "uuid", "name", "percent", "memory_used", "memory_total")
    return {
        "cpu_percent": load.cpu_percent,
        "cores": load.cores,
        "memory_used": load.memory_used,
        "memory_total": load.memory_total,
        "gpus": [{name: getattr(gpu, name) for name in names} for gpu in load.gpus],
    }


def slot_row(now: WorkersNow, slot_state: SlotState) -> dict[str, Any]:
    """One slot."""
    worker = now.worker_in(slot_state)
    return {
        "slot": slot_state.slot.name,
        "device": slot_state.slot.device.kind,
        "uuid": slot_state.slot.device.uuid,
        "threads": slot_state.slot.device.threads,
        "state": "free" if slot_state.free else "busy" if worker is None else "working",
        "reason": slot_state.reason,
        "study": worker.study if worker else None,
        "trial": worker.trial if worker else None,
    }


def worker_row(now: WorkersNow, worker: Worker) -> dict[str, Any]:
    """One worker: its attempt with its study and memory."""
    found = attempt_row(worker.attempt, worker.trial, now=now.at)
    return found | {"study": worker.study, "memory_bytes": worker.memory, "gpu_memory_bytes": worker.gpu_memory}


def waiting_row(item: Waiting) -> dict[str, Any]:
    """One waiting item."""
    return {
        "study": item.study,
        "item": item.item,
        "trial": item.trial,
        "place": item.position,
        "reason": item.reason,
        "why": item.why,
        "note": item.note,
    }


def workers_text(now: WorkersNow, page: Page, remedies: Mapping[str, str]) -> str:
    """The same for people. `remedies` are commands by the reason that they resolve; each is printed once."""
    rows = []
    for slot_state in now.capacity.slots:
        worker = now.worker_in(slot_state)
        head = [slot_state.slot.name, device_words(slot_state, now.load), state_words(slot_state, worker)]
        if worker is None:
            rows.append([*head, "", "", "", "", ""])
            continue
        bar = f"{fmt.bar(worker.share, BAR, ascii_only=page.ascii_only)} {worker.share:4.0%} {phase_words(worker)}"
        seconds = fmt.duration(now.at - worker.attempt.started_at)
        rows.append([*head, worker.name, bar, rate_words(worker), memory_words(worker), seconds])
    titles = ["slot", "device", "state", "worker", "progress", "rate", "memory", "time"]
    parts = [runner_words(now), *load_lines(now.load), *map(machine_line, now.machines)]
    parts += ["", text_table(titles, rows, right=["rate", "time"], width=page.width)]
    waits = [[item_name(item), why_words(item)] for item in now.queue]
    parts += ["", text_table(["waiting", "why"], waits) or "nothing is waiting"]
    told = [remedies[reason] for reason in dict.fromkeys(item.reason for item in now.queue) if reason in remedies]
    return "\n".join([*parts, *(["", *told] if told else [])])
