"""Checks of the machine and workspace: Python, torch, devices, disk, SQLite, and a test that kills a worker.

It changes nothing in the workspace: the kill test runs in its own temporary folder next to the data.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bertdistill.engine.contract import energy
from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.folder import RunPaths, write_json
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.launch.launchers import VARIABLE, make_launcher
from bertdistill.engine.launch.local import COMMAND_VARIABLE
from bertdistill.engine.launch.protocol import Exit, Launcher
from bertdistill.engine.runner.ingest import ingest
from bertdistill.store import reads, writes
from bertdistill.store.db import DATABASE_NAME, Database, open_db
from bertdistill.store.disk import PUT_BACK, network_filesystem, sqlite_version
from bertdistill.store.errors import StoreError
from bertdistill.store.ownership import others
from bertdistill.store.rows import Attempt

LOW_DISK_BYTES = 5e9
WAL_BUG_FIXED = (3, 51, 3)
TORCH_SECONDS = 120.0
PROOF_SECONDS = 60.0
PROOF_STEPS = 200

# The test worker reports as fast as it can and, after each report, writes its step to another file.
_TOY = """
import os, sys
from pathlib import Path
from bertdistill.engine.contract.events import EventWriter
from bertdistill.engine.contract.folder import RunPaths
paths = RunPaths(Path(sys.argv[1]))
writer = EventWriter(paths.events)
noted = os.open(paths.folder / "noted", os.O_WRONLY | os.O_CREAT, 0o600)
for step in range(1, 10**9):
    writer.metrics(step, {"train/loss": 1.0 / step, "train/step": float(step)})
    os.pwrite(noted, b"%12d" % step, 0)
"""

_TORCH = """
import json, torch
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
found = {"torch": torch.__version__, "cuda": torch.version.cuda, "gpus": gpus, "threads": torch.get_num_threads()}
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    check: str
    state: Literal["ok", "warning", "problem"]
    detail: str
    hint: str = ""


def run_checks(workspace: Path) -> Iterator[Check]:
    """Yields each check as soon as it is done; takes a few seconds, mostly to load torch."""
    yield check_python()
    yield check_torch()
    yield check_disk(workspace)
    yield check_filesystem(workspace)
    yield check_owner(workspace)
    yield check_sqlite()
    yield check_database(workspace)
    yield check_kill(workspace)
    yield check_energy()


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """Python 3.11 or newer."""
    text = ".".join(str(part) for part in version)
    if version < (3, 11):
        return Check("python", "problem", text, "Install Python 3.11 or newer.")
    return Check("python", "ok", f"{text}, {sys.executable}")


def check_torch(command: tuple[str, ...] = (sys.executable, "-P", "-c", _TORCH)) -> Check:
    """The torch version and visible GPUs, queried in a child process because torch is slow to import."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TORCH_SECONDS, check=False)
        found = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        why = error if isinstance(error, (OSError, subprocess.TimeoutExpired)) else _last_line(done.stderr)
        return Check("torch", "problem", f"cannot be loaded: {why}", "Reinstall the package: pip install -e .")
    devices = ", ".join(found["gpus"]) or f"no GPU, {found['threads']} CPU threads"
    return Check("torch", "ok", f"{found['torch']}, CUDA {found['cuda'] or 'not built in'}, {devices}")


def check_energy(root: Path = energy.POWERCAP) -> Check:
    """Whether the energy of the processors can be read, which `energy_wh` is made of."""
    found, reason = energy.counters(root)
    if found:
        return Check("energy", "ok", f"energy_wh counts {len(found)} processor package{'s' * (len(found) > 1)}")
    hint = "Make energy_uj readable (it is root's) for studies that want the metric energy_wh; others need nothing."
    return Check("energy", "ok", f"trials have no energy_wh: {reason}", hint)


def check_disk(workspace: Path, free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free) -> Check:
    """Free space for checkpoints and caches."""
    left = free(_existing(workspace))
    text = f"{left / 1e9:.1f} GB free at {workspace}"
    if left < LOW_DISK_BYTES:
        return Check("disk", "warning", text, "Free space, or choose another disk with --workspace.")
    return Check("disk", "ok", text)


def check_filesystem(workspace: Path) -> Check:
    """SQLite's WAL needs shared memory between processes, which network file systems do not provide."""
    kind = network_filesystem(_existing(workspace))
    if kind is None:
        return Check("file system", "ok", "local")
    hint = "SQLite's write-ahead log does not work on network file systems: choose a local folder with --workspace."
    return Check("file system", "problem", f"{workspace} is on {kind}", hint)


def check_owner(workspace: Path) -> Check:
    """Whether other users can write to the workspace."""
    if not workspace.exists():
        return Check("owner", "ok", "no workspace yet; it will be accessible to this user only")
    words = others(workspace, workspace / DATABASE_NAME)
    if not words:
        return Check("owner", "ok", "only this user can write to the workspace")
    hint = "Choose a private workspace with --workspace, unless you trust everyone who can write to it."
    return Check("owner", "problem" if "every user" in words else "warning", words, hint)


def check_sqlite(version: tuple[int, int, int] | None = None) -> Check:
    """The SQLite version, and whether it has the WAL-reset bug (3.7.0 to 3.51.2, www.sqlite.org/wal.html)."""
    version = version or sqlite_version()
    text = ".".join(str(part) for part in version)
    if version >= WAL_BUG_FIXED:
        return Check("sqlite", "ok", text)
    detail = f"{text} has the WAL-reset bug (fixed in 3.51.3), which requires two processes writing at the same time"
    return Check(
        "sqlite", "warning", detail, "Rare, as only one runner writes here; a Python with a newer SQLite avoids it."
    )


def check_database(workspace: Path) -> Check:
    """Integrity of the workspace's database, read-only."""
    if not (workspace / DATABASE_NAME).exists():
        return Check("database", "ok", "none yet")
    try:
        db = open_db(workspace, read_only=True)
        try:
            problems = db.check()
        finally:
            db.close()
    except StoreError as error:
        return Check("database", "problem", str(error), error.hint)
    if problems:
        return Check("database", "problem", "; ".join(problems[:3]), f"Keep a copy of the folder. {PUT_BACK}")
    backup = "`bertdistill-tui engine backup FILE` copies it, even while the runner is running"
    return Check("database", "ok", f"{workspace / DATABASE_NAME} is intact; {backup}")


def check_kill(workspace: Path, environ: Mapping[str, str] = os.environ) -> Check:
    """Start a test worker with the real launcher, kill it with SIGKILL while it reports, and count what was stored."""
    parent = _existing(workspace)
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=parent) as scratch:
            launcher = make_launcher({**environ, VARIABLE: "local", COMMAND_VARIABLE: toy_command(sys.executable)})
            noted, stored, end = kill_proof(Path(scratch), launcher)
    except (OSError, StoreError, LaunchError) as error:
        return Check("kill a worker", "problem", str(error), getattr(error, "hint", ""))
    text = f"{end.kind} after {noted:,} reported steps; {stored:,} steps stored"
    if stored < noted or end.kind != "killed_by_signal_9":
        return Check("kill a worker", "problem", text, "Report this with the output of `doctor --json`.")
    return Check("kill a worker", "ok", f"{text}, none lost, none duplicated")


def toy_command(python: str) -> str:
    """The command line of a worker that reports as fast as it can."""
    return shlex.join((python, "-P", "-c", _TOY))


def kill_proof(
    workspace: Path, launcher: Launcher, meanwhile: Callable[[], None] = lambda: None
) -> tuple[int, int, Exit]:
    """(steps that the worker had reported when it died, steps stored, its end); the steps stored are 1, 2, 3 …

    Raises LaunchError if the worker never starts or never ends, StoreError if steps are missing or duplicated.
    """
    paths = RunPaths(workspace / "runs" / "toy-1")
    paths.folder.mkdir(parents=True, mode=0o700)
    write_json(paths.spec, dataclasses.asdict(_nothing(workspace)))
    handle = launcher.start(paths, Device(), grace=5.0)
    try:
        _wait(lambda: _reported(paths) >= PROOF_STEPS or not launcher.alive(paths, handle), paths, "reported nothing")
        meanwhile()
    finally:
        launcher.kill(paths, handle)
    _wait(lambda: not launcher.alive(paths, handle), paths, "did not end")
    end = launcher.ended(paths, handle)
    if end is None:
        raise LaunchError(f"{paths.folder}: the lock of a killed worker is still held")
    return _noted(paths), _stored_steps(workspace, paths), end


def _stored_steps(workspace: Path, paths: RunPaths) -> int:
    """Read the events into a separate database twice: the second pass must add nothing."""
    db = open_db(workspace)
    try:
        now = time.time()
        with db.write() as session:
            study = writes.create_study(session, name="doctor", task="question-answering", spec={}, now=now)
            trial = writes.create_trial(
                session, study_id=study.id, origin="baseline", params={}, settings={}, known={}, now=now
            )
            folder = str(paths.folder.relative_to(workspace))
            attempt = writes.create_attempt(
                session, study_id=study.id, trial_id=trial.id, kind="trial", folder=folder, slot="cpu0", now=now
            )
        for _ in range(2):
            while ingest(db, workspace, _fresh(db, attempt.id)).more:
                pass
        return _contiguous(db, study.id)
    finally:
        db.close()


def _fresh(db: Database, attempt_id: int) -> Attempt:
    with db.read() as session:
        return reads.attempt_by_id(session, attempt_id)


def _contiguous(db: Database, study_id: int) -> int:
    """The number of stored steps, after checking that they are contiguous from 1."""
    with db.read() as session:
        series = reads.series(session, study_id)
    for one in series:
        if one.points != one.last_step or one.not_finite:
            raise StoreError(f"{one.name}: {one.points} points are stored up to step {one.last_step}")
    return min((one.points for one in series), default=0)


def _nothing(workspace: Path) -> AttemptSpec:
    """What a launcher needs of a spec; the test worker does not read it."""
    parts = DataSpec(), TeacherSpec(), StudentSpec(), Settings(), Device()
    return AttemptSpec("trial", "doctor", "question-answering", *parts, caches=str(workspace / "caches"))


def _reported(paths: RunPaths) -> int:
    """Complete lines of the events."""
    return paths.events.read_bytes().count(b"\n") if paths.events.exists() else 0


def _noted(paths: RunPaths) -> int:
    try:
        return int((paths.folder / "noted").read_bytes() or 0)
    except FileNotFoundError:
        return 0


def _wait(done: Callable[[], bool], paths: RunPaths, failure: str) -> None:
    deadline = time.monotonic() + PROOF_SECONDS
    while not done():
        if time.monotonic() > deadline:
            log = paths.log.read_text(errors="replace")[-500:] if paths.log.exists() else ""
            raise LaunchError(f"the test worker {failure}: {log.strip() or 'its log is empty'}")
        time.sleep(0.01)


def _existing(path: Path) -> Path:
    """The closest existing parent folder."""
    while not path.exists():
        path = path.parent
    return path


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "no output"
