"""Start, probe and stop attempts: on this machine's GPUs or CPU cores, or in this process for debugging.

It knows run folders and devices, no study and no database. Whether an attempt lives is asked of its lock; how it
ended is read from its exit.json.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.folder import RunPaths, write_json
from bertdistill.engine.contract.spec import AttemptSpec, Device
from bertdistill.engine.launch import process, shim
from bertdistill.engine.launch.devices import FOLDER_VARIABLE, cores, gpu_busy, gpu_uuids

WORKER_MODULE = "bertdistill.engine.distill.worker"
COMMAND_VARIABLE = "BERTDISTILL_WORKER"
"""A command line to start workers with, for example in a container; the run folder is appended to it."""

# glibc gives large blocks back and faults them in again at every step: 8 % of a CPU student's time, for 3 % of memory.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(4 << 30)}
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Slot:
    """Room for one worker."""

    name: str
    device: Device


@dataclass(frozen=True)
class Exit:
    """How an attempt ended. `kind`: complete, stopped, diverged, cuda_oom, host_oom, refused, crashed, disk_full,
    killed_by_signal_<n>, stop_timeout, or lost (its lock is free and nobody wrote down how it ended)."""

    kind: str
    code: int | None = None
    signal: int | None = None
    max_rss_mb: float | None = None
    log_tail: str = ""
    ended_at: float = 0.0


class Launcher(Protocol):
    """What the runner needs of a place where workers run. A handle is JSON that finds an attempt again."""

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        """Room for workers: `wanted` at most, 0 for as many as is usual here; `per_gpu` may share one GPU."""
        ...

    def busy(self, slot: Slot) -> str:
        """Why this slot must be skipped just now; empty when it may be used."""
        ...

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> dict[str, Any]:
        """Start the attempt whose spec lies in the folder; LaunchError when that is impossible."""
        ...

    def alive(self, paths: RunPaths, handle: Mapping[str, Any]) -> bool:
        """Whether any process of the attempt still runs."""
        ...

    def stop(self, paths: RunPaths, handle: Mapping[str, Any]) -> None:
        """Ask it to leave: SIGTERM to the worker's main process, SIGKILL after the grace time."""
        ...

    def kill(self, paths: RunPaths, handle: Mapping[str, Any]) -> None:
        """End every process of the attempt now."""
        ...


def read_exit(paths: RunPaths) -> Exit | None:
    """How the attempt ended; None while a process of it lives."""
    if process.held(paths.lock):
        return None
    try:
        return Exit(**json.loads(paths.exit.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return Exit(kind="lost", log_tail=shim.log_tail(str(paths.log)), ended_at=_last_sign(paths))


def _last_sign(paths: RunPaths) -> float:
    times = [path.stat().st_mtime for path in (paths.events, paths.log, paths.state, paths.spec) if path.exists()]
    return max(times, default=time.time())


def worker_command(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The command that runs a worker, without the run folder at its end."""
    return tuple(shlex.split(environ.get(COMMAND_VARIABLE, ""))) or (sys.executable, "-P", "-m", WORKER_MODULE)


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
        # Threads that spin at barriers starve when others want the cores too: 0.9 against 3.9 steps/s at a load of 6.
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        FOLDER_VARIABLE: str(folder),
    }


@dataclass(frozen=True)
class LocalLauncher:
    """Workers on this machine, each below a shim in its own session: they outlive us, the terminal and the runner."""

    command: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        """One a GPU (`per_gpu` on request), by UUID; without a GPU `wanted` shares of the CPU cores, or one."""
        gpus = gpu_uuids(self.environ)
        count = min(wanted or len(gpus) * per_gpu, len(gpus) * per_gpu) if gpus else wanted or 1
        threads = max(1, cores() // count)
        if not gpus:
            return [Slot(f"cpu{n}", Device("cpu", threads)) for n in range(count)]
        share = 1.0 if per_gpu == 1 else round(0.95 / per_gpu, 4)
        # Spread before sharing: the second worker of a GPU comes after the first worker of every GPU.
        rooms = [(n, part) for part in range(per_gpu) for n in range(len(gpus))][:count]
        return [
            Slot(f"gpu{n}" if per_gpu == 1 else f"gpu{n}.{part}", Device("cuda", threads, gpus[n], share))
            for n, part in rooms
        ]

    def busy(self, slot: Slot) -> str:
        """Why a GPU is skipped: other people's memory on it. A CPU slot is never busy."""
        return "" if slot.device.kind == "cpu" else gpu_busy(slot.device)

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> dict[str, Any]:
        """Start the shim and return at once. The lock passes to it already held, so the attempt never looks dead."""
        lock = _claim(paths)
        worker = [*(self.command or worker_command(self.environ)), str(paths.folder)]
        command = [sys.executable, "-I", "-S", shim.__file__, str(paths.folder), str(grace), "--", *worker]
        environment = worker_environment(self.environ, device, paths.folder) | {shim.LOCK_VARIABLE: str(lock)}
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
            raise LaunchError(message, hint="Free memory or disk, or mend the worker command.") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(lock)
        _CHILDREN.append(child)
        boot, start = process.boot_id(), shim.start_ticks(child.pid)
        return {"host": process.host(), "boot_id": boot, "shim": child.pid, "start": start}

    def alive(self, paths: RunPaths, handle: Mapping[str, Any]) -> bool:
        """Whether the lock is held, by the shim or by anything that the worker left behind."""
        reap()
        return process.held(paths.lock)

    def stop(self, paths: RunPaths, handle: Mapping[str, Any]) -> None:
        """SIGTERM to the shim, which passes it to the worker's main process; to that process itself without a shim."""
        who = _who(paths, handle)
        if not process.send(who["shim"], signal.SIGTERM, boot=who["boot_id"]):
            process.send(who["worker"], signal.SIGTERM, boot=who["boot_id"])

    def kill(self, paths: RunPaths, handle: Mapping[str, Any]) -> None:
        """SIGKILL to all that hold the lock; the shim is spared while it can still write down how the worker ended."""
        spare = _who(paths, handle)["shim"].pid
        if process.kill_holders(paths.lock, spare=spare) == 0:
            process.kill_holders(paths.lock)


@dataclass(frozen=True)
class InlineLauncher:
    """The worker in this very process, for a debugger: `start` returns when it has ended. One slot; nothing to stop."""

    main: Callable[[list[str]], int | None] | None = None
    device: Device = field(default_factory=Device)

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        return [Slot("inline", self.device)]

    def busy(self, slot: Slot) -> str:
        return ""

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> dict[str, Any]:
        """Run the worker to its end and write exit.json as the shim would."""
        lock = _claim(paths)
        try:
            code = self._run(paths)
            tail = shim.log_tail(str(paths.log))
            cuda = device.kind == "cuda"
            kind = shim.classify(code, None, tail, asked=False, timed_out=False, oom_killed=False, cuda=cuda)
            result = Exit(kind, code, None, None, tail, time.time())
            write_json(paths.exit, vars(result))
        finally:
            os.close(lock)
        return {"host": process.host(), "inline": os.getpid()}

    def alive(self, paths: RunPaths, handle: Mapping[str, Any]) -> bool:
        return process.held(paths.lock)

    def stop(self, paths: RunPaths, handle: Mapping[str, Any]) -> None:
        """Nothing: an attempt has ended before anyone can ask."""

    def kill(self, paths: RunPaths, handle: Mapping[str, Any]) -> None:
        """Nothing, as above."""

    def _run(self, paths: RunPaths) -> int:
        main = self.main or importlib.import_module(WORKER_MODULE).main
        with _folder(paths.folder), paths.log.open("a", encoding="utf-8") as log:
            try:
                return int(main([str(paths.folder)]) or 0)
            except SystemExit as end:
                return end.code if isinstance(end.code, int) else int(end.code is not None)
            except Exception:  # noqa: BLE001 - the edge of the worker: what it did not handle is its crash
                log.write(traceback.format_exc())
                return 1


def _claim(paths: RunPaths) -> int:
    """The held lock of an attempt that has never run; else LaunchError."""
    try:
        lock = process.try_lock(paths.lock)
    except OSError as error:
        raise LaunchError(
            f"cannot lock {paths.lock}: {error.strerror}", hint="Mend the folder or free disk."
        ) from error
    if lock is None or paths.exit.exists():
        if lock is not None:
            os.close(lock)
        raise LaunchError(f"{paths.folder}: this attempt runs or has ended", hint="Start it as a new attempt.")
    return lock


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


_CHILDREN: list[subprocess.Popen[bytes]] = []


def reap() -> None:
    """Collect ended shims that this process started, so that none stays a zombie."""
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]


def _who(paths: RunPaths, handle: Mapping[str, Any]) -> dict[str, Any]:
    """Shim and worker of an attempt by pid and start time: from state.json, else (it just began) from the handle."""
    nobody = process.Identity(0, 0)
    try:
        state = json.loads(paths.state.read_text(encoding="utf-8"))
        names = {name: process.Identity(**state[name]) for name in ("shim", "worker")}
    except (OSError, ValueError, KeyError, TypeError):
        shim_only = process.Identity(int(handle.get("shim", 0)), int(handle.get("start", 0)))
        return {"shim": shim_only, "worker": nobody, "boot_id": handle.get("boot_id", "")}
    return {**names, "boot_id": state["boot_id"]}


def started(paths: RunPaths) -> bool:
    """Whether a shim ever got as far as starting the worker."""
    return paths.state.exists()


def machine_restarted(paths: RunPaths) -> bool:
    """Whether this machine was booted since the attempt began: its end is nobody's fault."""
    try:
        state = json.loads(paths.state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(state.get("host") == process.host() and state.get("boot_id") != process.boot_id())


def read_spec(paths: RunPaths) -> AttemptSpec:
    """The spec that the attempt was given."""
    return AttemptSpec.read(paths.spec)
