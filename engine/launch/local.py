"""Workers as processes of this machine: on its GPUs, or on shares of its CPU cores.

It knows run folders and devices, no study and no database. An attempt is alive if its lock is held or one of the
processes recorded at its start runs, as a lock file can be deleted.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.folder import RunPaths, read_object
from bertdistill.engine.contract.program import is_program
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch import process, shim
from bertdistill.engine.launch.attempts import claim, read_exit
from bertdistill.engine.launch.devices import FOLDER_VARIABLE, cores, gpu_busy, gpu_uuids
from bertdistill.engine.launch.protocol import Exit, Handle, Slot
from bertdistill.engine.launch.warm import Warm

WORKER_MODULE = "bertdistill.engine.distill.worker"
PROGRAM_MODULE = "bertdistill.engine.program.worker"
"""Runs a program of the user, as the worker of a study of kind `program`."""
COMMAND_VARIABLE = "BERTDISTILL_WORKER"
"""A command line to start workers with, for example in a container; the run folder is appended to it. A program is
always started here: its own command may say where it works."""

# glibc returns large blocks and faults them in again at every step: 8 % of a CPU student's time, for 3 % of memory.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(4 << 30)}
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def worker_command(environ: Mapping[str, str], module: str = WORKER_MODULE) -> tuple[str, ...]:
    """The command that runs a worker, without the run folder at its end."""
    chosen = words_of(environ, COMMAND_VARIABLE) if module == WORKER_MODULE else []
    return tuple(chosen) or (sys.executable, "-P", "-m", module)


def words_of(environ: Mapping[str, str], variable: str) -> list[str]:
    """The words of a command line in the environment; LaunchError if it is not one."""
    try:
        return shlex.split(environ.get(variable, ""))
    except ValueError as error:  # a quote without its end
        raise LaunchError(f"{variable} is not a command line: {error}", hint=f"Correct {variable}.") from error


def worker_module(paths: RunPaths) -> str:
    """The module that works on this attempt."""
    return PROGRAM_MODULE if is_program(paths.spec) else WORKER_MODULE


def worker_environment(environ: Mapping[str, str], device: Device, folder: Path) -> dict[str, str]:
    """The environment of a worker: ours, with its share of the machine written into it."""
    threads = {name: str(device.threads) for name in _THREADS}
    allocator = _ALLOCATOR if device.kind == "cpu" else {}
    return {
        **allocator,
        **environ,
        **threads,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": device.uuid,
        # Threads that spin at barriers starve when others use the cores: 0.9 against 3.9 steps/s at a load of 6.
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        FOLDER_VARIABLE: str(folder),
    }


def slots_of(gpus: Sequence[str], cores: int, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
    """The slots of a machine with these GPUs (UUIDs) and cores."""
    count = min(wanted or len(gpus) * per_gpu, len(gpus) * per_gpu) if gpus else wanted or 1
    threads = max(1, cores // count)
    if not gpus:
        return [Slot(f"cpu{n}", Device("cpu", threads)) for n in range(count)]
    share = 1.0 if per_gpu == 1 else round(0.95 / per_gpu, 4)
    # Spread before sharing: the second worker of a GPU comes after the first worker of every GPU.
    rooms = [(n, part) for part in range(per_gpu) for n in range(len(gpus))][:count]
    return [
        Slot(f"gpu{n}" if per_gpu == 1 else f"gpu{n}.{part}", Device("cuda", threads, gpus[n], share))
        for n, part in rooms
    ]


@dataclass(frozen=True)
class LocalLauncher:
    """Workers on this machine, each under a shim in a session of its own: they outlive the terminal and the runner."""

    command: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    warm: Warm | None = None
    """Forks workers that need not load anything; None: each is a new Python."""

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        """One per GPU, by UUID (`per_gpu` on request); without a GPU `wanted` shares of the CPU cores, or one."""
        found = slots_of(gpu_uuids(self.environ), cores(), wanted, per_gpu)
        if self.warm is not None:
            self.warm.usual = found[0].device
        return found

    def among(self, machines: Sequence[str]) -> LocalLauncher:
        """Itself: it knows no other machine."""
        return self

    def whole(self, slot: Slot) -> Slot:
        """On a CPU, the slot with every core; a GPU slot unchanged, as others rely on their share of the cores."""
        if slot.device.kind == "cuda":
            return slot
        return replace(slot, device=replace(slot.device, threads=cores()))

    def busy(self, slot: Slot) -> str:
        """Why a GPU is skipped: other processes use memory on it. A CPU slot is never busy."""
        return "" if slot.device.kind == "cpu" else gpu_busy(slot.device)

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> Handle:
        """Start the shim and return at once. The lock passes to it already held, so the attempt never looks dead."""
        worker = [*(self.command or worker_command(self.environ, worker_module(paths))), str(paths.folder)]
        lock = claim(paths)
        command = [sys.executable, "-I", "-S", shim.__file__, str(paths.folder), str(grace), "--", *worker]
        environment = worker_environment(self.environ, device, paths.folder)
        if (forked := self._forked(paths, device, grace, environment, lock)) is not None:
            os.close(lock)
            return forked
        environment |= {shim.LOCK_VARIABLE: str(lock)}
        # A stop that comes while the shim still starts must wait for it, not end it: it inherits these as blocked.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
        try:
            with paths.log.open("ab") as log:
                child = subprocess.Popen(
                    command,
                    cwd=paths.folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock,),
                    start_new_session=True,
                )
        except OSError as error:
            message = f"cannot start a worker in {paths.folder}: {error}"
            raise LaunchError(message, hint="Free memory or disk, or correct the worker command.") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(lock)
        _CHILDREN.append(child)
        boot, start = process.boot_id(), shim.start_ticks(child.pid)
        return Handle(process.host(), boot, shim=child.pid, start=start)

    def _forked(
        self, paths: RunPaths, device: Device, grace: float, environment: Mapping[str, str], lock: int
    ) -> Handle | None:
        """The attempt as a fork of a process that has loaded everything; None if there is none, and it starts cold."""
        if self.warm is None or self.command or self.environ.get(COMMAND_VARIABLE):
            return None
        if worker_module(paths) != WORKER_MODULE:
            return None
        pid = self.warm.start(paths.folder, grace, environment, lock)
        if self.warm.worthwhile(prepares=read_object(paths.spec).get("kind") == "prepare"):
            usual = device if device.kind == "cuda" or self.warm.usual is None else self.warm.usual
            self.warm.expect(worker_environment(self.environ, usual, paths.folder))
        return None if pid is None else Handle(process.host(), process.boot_id(), shim=pid, start=shim.start_ticks(pid))

    def close(self) -> None:
        """End what waits for attempts; those that run continue."""
        if self.warm is not None:
            self.warm.close()

    def alive(self, paths: RunPaths, handle: Handle) -> bool:
        """Whether the lock is held (by the shim or by anything that the worker left behind), or the shim or worker
        runs.
        """
        reap()
        if process.held(paths.lock):
            return True
        who = _recorded(paths, handle)
        return any(process.alive(one, boot=who.boot) for one in (who.shim, who.worker))

    def ended(self, paths: RunPaths, handle: Handle) -> Exit | None:
        """As exit.json records it."""
        return None if self.alive(paths, handle) else read_exit(paths, handle)

    def stop(self, paths: RunPaths, handle: Handle) -> None:
        """SIGTERM to the shim, which passes it to the worker's main process; to that process itself without a shim."""
        who = _recorded(paths, handle)
        if not process.send(who.shim, signal.SIGTERM, boot=who.boot):
            process.send(who.worker, signal.SIGTERM, boot=who.boot)

    def kill(self, paths: RunPaths, handle: Handle) -> None:
        """SIGKILL to all processes that hold the lock or were started for this folder, in any session.

        The shim is spared while it can still record how the worker ended.
        """
        mine = {*process.holders(paths.lock), *process.naming(FOLDER_VARIABLE, str(paths.folder))}
        if not process.kill_all(mine - {_recorded(paths, handle).shim.pid}):
            process.kill_all(mine)


_CHILDREN: list[subprocess.Popen[bytes]] = []


def reap() -> None:
    """Collect ended shims that this process started, so that none stays a zombie."""
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]


@dataclass(frozen=True)
class _Processes:
    """Shim and worker of an attempt, as recorded during `boot`."""

    shim: process.Identity
    worker: process.Identity
    boot: str


_NOBODY = process.Identity(0, 0)


def _recorded(paths: RunPaths, handle: Handle) -> _Processes:
    """Who runs the attempt by pid and start time: from state.json, else (it just began) from the handle."""
    state = read_object(paths.state)
    try:
        shim_, worker = (process.Identity.from_dict(state[name]) for name in ("shim", "worker"))
        return _Processes(shim_, worker, str(state["boot_id"]))
    except (KeyError, TypeError, ValueError):
        return _Processes(process.Identity(handle.shim, handle.start), _NOBODY, handle.boot_id)
