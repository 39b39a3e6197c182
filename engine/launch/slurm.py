"""Workers as jobs of a Slurm cluster: `sbatch` starts the shim as the batch step, `squeue` says whether it lives.

The workspace is on a disk of this machine that the nodes see under the same path (an exported home, say); locks do not
count there, and the database must not be on a network disk. Retries are the runner's: jobs are never requeued.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.folder import RunPaths, write_json
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch import shim
from bertdistill.engine.launch.attempts import read_exit
from bertdistill.engine.launch.local import words_of, worker_command, worker_environment, worker_module
from bertdistill.engine.launch.protocol import Exit, Handle, Slot
from bertdistill.store.disk import network_filesystem

OPTIONS = "BERTDISTILL_SBATCH"
"""Options for every `sbatch`, such as `--partition=gpu --gres=gpu:1 --cpus-per-task=4 --time=8:00:00`."""
ASK_SECONDS = 5.0
"""Between two `squeue` for all jobs."""
LEFT_SECONDS = 30.0
"""How long after a job left the queue its exit.json may still be on its way through a network disk."""
SBATCH_SECONDS = 15.0
_OF_THE_WORK = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE", "REVOKED"})
_OF_THE_CLUSTER = frozenset({"NODE_FAIL", "PREEMPTED", "BOOT_FAIL"})
_OVER = _OF_THE_WORK | _OF_THE_CLUSTER


@dataclass
class Queue:
    """The states of this user's jobs by name. It asks in a thread: a controller that is down answers after seconds."""

    environ: Mapping[str, str]
    states: Mapping[str, str] | None = None
    """None before the first answer."""
    began: float = float("-inf")
    """When the last good answer was asked for: it knows nothing of jobs that were submitted later."""
    problem: str = ""
    _asked: float = float("-inf")
    _thread: threading.Thread | None = None

    def ask(self) -> None:
        """Ask if that was long enough ago; returns at once."""
        if time.monotonic() - self._asked < ASK_SECONDS or (self._thread is not None and self._thread.is_alive()):
            return
        self._asked = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="squeue", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        began = time.monotonic()
        command = ["squeue", "-h", "-u", getpass.getuser(), "-t", "all", "-o", "%j %T"]
        try:
            done = subprocess.run(
                command, env=self.environ, capture_output=True, text=True, timeout=SBATCH_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.problem = f"squeue does not answer: {error}"
            return
        rows = (line.split() for line in done.stdout.splitlines())
        self.states = {row[0]: row[1] for row in rows if len(row) == 2}
        self.began, self.problem = began, ""  # in this order: `knows` is asked before `states`

    def knows(self, since: float) -> bool:
        """Whether a job that was submitted then and is not in `states` has left the queue."""
        return not self.problem and self.began > since


@dataclass(frozen=True)
class SlurmLauncher:
    """Each slot is one job at a time."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    queue: Queue = field(init=False)
    _left: dict[str, float] = field(default_factory=dict, init=False)
    """Since when jobs are not in the queue any more."""
    _submitting: dict[str, threading.Thread] = field(default_factory=dict, init=False)
    _submitted: dict[str, float] = field(default_factory=dict, init=False)
    _refused: set[str] = field(default_factory=set, init=False)
    """Jobs that `sbatch` did not take."""
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "queue", Queue(self.environ))
        self._options()  # an error in them is reported at once

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        """`wanted` jobs, or one. What a job gets is up to the options for `sbatch`."""
        options = self._options()
        gpu = any(word.startswith(("--gres=gpu", "--gpus", "-G")) for word in options)
        cpus = [word.partition("=")[2] for word in options if word.startswith("--cpus-per-task=")]
        threads = int(cpus[-1]) if cpus and cpus[-1].isdecimal() else 1
        return [
            Slot(f"slurm{n}", Device("cuda" if gpu else "cpu", threads, f"slurm{n}" if gpu else ""))
            for n in range(wanted or 1)
        ]

    def among(self, machines: Sequence[str]) -> SlurmLauncher:
        return self

    def whole(self, slot: Slot) -> Slot:
        return slot

    def busy(self, slot: Slot) -> str:
        self.queue.ask()
        return self.queue.problem

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> Handle:
        """Submit the job, in a thread: a busy controller answers after seconds. The handle has the job's name, which
        is known before; what `sbatch` refuses becomes the end of the attempt.
        """
        if paths.exit.exists() or paths.lock.exists():
            raise LaunchError(f"{paths.folder}: this attempt runs or has ended", hint="Start a new attempt instead.")
        if kind := network_filesystem(_database_of(paths.folder)):
            hint = "Keep the workspace on a disk of the machine that the runner is on, and export it to the nodes."
            raise LaunchError(f"the database is on a network disk ({kind})", hint=hint)
        options = self._options()
        paths.lock.touch(mode=0o600)  # a second start is refused; the shim locks it on its node
        name = _name(paths)
        self._submitting[name] = threading.Thread(
            target=self._submit, args=(name, paths, options, device, grace), name="sbatch", daemon=True
        )
        self._submitting[name].start()
        return Handle(host="slurm", job=name)

    def _submit(self, name: str, paths: RunPaths, options: Sequence[str], device: Device, grace: float) -> None:
        worker = [*worker_command(self.environ, worker_module(paths)), str(paths.folder)]
        command = [sys.executable, "-I", "-S", shim.__file__, str(paths.folder), str(grace), "--", *worker]
        submit = ["sbatch", *options, "--no-requeue", "--open-mode=append", "--export=ALL"]
        submit += [f"--output={paths.log}", f"--chdir={paths.folder}", f"--job-name={name}"]
        environment = {
            key: value
            for key, value in worker_environment(self.environ, device, paths.folder).items()
            if key not in ("CUDA_VISIBLE_DEVICES", shim.LOCK_VARIABLE)  # Slurm says which GPU it is
        }
        script = f"#!/bin/sh\nexec {shlex.join(command)}\n"
        try:
            problem = self._sbatch(submit, script, environment)
            if problem:
                self._refused.add(name)
                write_json(paths.exit, asdict(Exit("launch_failed", log_tail=problem, ended_at=time.time())))
        finally:
            self._submitted[name] = time.monotonic()
            del self._submitting[name]  # last: from now on the queue is believed

    def _sbatch(self, command: Sequence[str], script: str, environment: Mapping[str, str]) -> str:
        """Why it was refused; empty if it was not."""
        try:
            with self._one_at_a_time:
                done = subprocess.run(
                    command,
                    input=script,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=SBATCH_SECONDS,
                    check=False,
                )
        except (OSError, subprocess.SubprocessError) as error:
            if isinstance(error, subprocess.TimeoutExpired):  # the job may be in the queue all the same
                self._cancel(next(f"--name={word[11:]}" for word in command if word.startswith("--job-name=")))
            return f"sbatch: {error}; check that Slurm works: sinfo"
        said = done.stderr.strip() or done.stdout.strip()
        return f"sbatch: {said}; correct {OPTIONS}" if done.returncode else ""

    def alive(self, paths: RunPaths, handle: Handle) -> bool:
        """Whether the job is in the queue, or has left it so recently that its exit.json may still come."""
        if not handle.job:
            if paths.lock.exists() and not paths.exit.exists():  # the runner died before it stored the handle
                self._cancel(f"--name={_name(paths)}")
            return False
        if handle.job in self._submitting:
            return True
        if handle.job in self._refused:
            return False
        self.queue.ask()
        knows = self.queue.knows(self._submitted.get(handle.job, float("-inf")))
        state = (self.queue.states or {}).get(handle.job)
        if state not in _OVER if state else not knows:
            self._left.pop(handle.job, None)
            return True
        since = self._left.setdefault(handle.job, time.monotonic())
        return not paths.exit.exists() and time.monotonic() - since < LEFT_SECONDS

    def ended(self, paths: RunPaths, handle: Handle) -> Exit | None:
        """As exit.json says; if there is none, as the queue does."""
        if self.alive(paths, handle):
            return None
        found = read_exit(paths, handle)
        state = (self.queue.states or {}).get(handle.job, "")
        if found.kind == "lost" and state in _OF_THE_CLUSTER:
            return Exit("node_lost", log_tail=f"Slurm: {state}", ended_at=found.ended_at)
        return found

    def stop(self, paths: RunPaths, handle: Handle) -> None:
        """SIGTERM to the shim, whose grace time it is; a job that waits is removed."""
        if (self.queue.states or {}).get(handle.job) == "PENDING":
            self.kill(paths, handle)
        elif handle.job:
            self._cancel("--batch", "--signal=TERM", f"--name={handle.job}")

    def kill(self, paths: RunPaths, handle: Handle) -> None:
        if handle.job:
            self._cancel(f"--name={handle.job}")

    def _cancel(self, *words: str) -> None:
        if not any(thread.name == " ".join(words) for thread in threading.enumerate()):  # a stop is repeated
            quiet = subprocess.DEVNULL
            run = threading.Thread(
                target=subprocess.run,
                args=(["scancel", *words],),
                kwargs={"env": self.environ, "stdout": quiet, "stderr": quiet, "timeout": SBATCH_SECONDS},
                name=" ".join(words),
                daemon=True,
            )
            run.start()

    def _options(self) -> list[str]:
        return words_of(self.environ, OPTIONS)


def _name(paths: RunPaths) -> str:
    """Of a job: the only one of its attempt."""
    return f"bertdistill-{hashlib.sha256(os.fsencode(paths.folder)).hexdigest()[:16]}"


def _database_of(folder: Path) -> Path:
    """The closest folder above that is a workspace; the folder itself if none is."""
    return next((place for place in folder.parents if (place / "tracker.db").exists()), folder)
