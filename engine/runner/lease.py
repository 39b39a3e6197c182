"""Which process is the runner of a workspace: the lock file decides, the lease row shows who holds it.

It can start a runner as a process of its own, and runs nothing itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.folder import open_to_append
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.store import reads
from bertdistill.store.db import Database, open_db

BEAT_SECONDS = 5.0
"""Seconds between two heartbeats of a runner."""
SILENT_SECONDS = 30.0
"""Seconds without a heartbeat after which this is reported: the runner hangs, or the database is locked or full."""
START_SECONDS = 30.0
"""Longest wait for a new runner to take its lock."""


@dataclass(frozen=True)
class RunnerStatus:
    """Whether a runner is running, and which process it is or was; `since` is Unix time, `heartbeat_age` in seconds."""

    alive: bool
    host: str = ""
    pid: int = 0
    since: float = 0.0
    heartbeat_age: float | None = None
    released: bool = False
    """It exited normally, because nothing was left to do or it was asked to."""

    @property
    def silence(self) -> float | None:
        """Seconds since the last heartbeat of a runner that holds its lock, if too many; otherwise None."""
        silent = self.alive and self.heartbeat_age is not None and self.heartbeat_age >= SILENT_SECONDS
        return self.heartbeat_age if silent else None

    @property
    def unanswered(self) -> str:
        """A message for a request to a runner that does not respond; empty if a response can be expected."""
        if self.silence is None:
            return ""
        return f"requested; the runner (pid {self.pid}) has not answered for {self.silence:.0f} s"


def runner_status(workspace: Workspace, db: Database | None = None) -> RunnerStatus:
    """Check the lock for a running runner, and the lease (in `db`, if already open) for its identity."""
    alive = process.held(workspace.runner_lock)
    if db is None and not workspace.database.exists():
        return RunnerStatus(alive)
    opened = db or open_db(workspace.path, read_only=True)
    try:
        with opened.read() as session:
            lease = reads.lease(session)
    finally:
        if db is None:
            opened.close()
    if lease is None:
        return RunnerStatus(alive)
    return RunnerStatus(
        alive,
        lease.host,
        lease.pid,
        lease.acquired_at,
        max(0.0, time.time() - lease.heartbeat_at),
        lease.released_at is not None,
    )


def ensure_runner(workspace: Workspace) -> RunnerStatus:
    """Start a runner that outlives this process, unless one is running; LaunchError if it does not start."""
    status = runner_status(workspace)
    if status.alive:
        return status
    earlier = (status.pid, status.since)
    workspace.make()
    command = [sys.executable, "-P", "-m", "bertdistill.engine.runner.runner", str(workspace.path)]
    with os.fdopen(open_to_append(workspace.runner_log), "ab") as log:
        child = subprocess.Popen(
            command, cwd=workspace.path, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = child.poll()
        status = runner_status(workspace)
        new = (status.pid, status.since) != earlier  # the lock is taken a moment before the lease is written
        if (status.alive and new) or ended == 0:  # a runner with little to do may be gone already
            return status
        if ended is not None and not status.alive:
            break
        time.sleep(0.02)
    else:
        raise LaunchError(f"the runner did not start within {START_SECONDS:g} s", hint=f"Read {workspace.runner_log}.")
    raise LaunchError(f"the runner exited immediately with code {ended}", hint=f"Read {workspace.runner_log}.")


class Held:
    """The lock of a workspace, held by its runner."""

    def __init__(self, workspace: Workspace, db: Database, lock: int) -> None:
        self._workspace, self._db, self._locks = workspace, db, [lock]

    def lost(self) -> str:
        """Why this process is no longer the runner of its workspace; empty while it is. Two stat calls.

        A lock file that was deleted is taken again, unless another runner was faster.
        """
        if self._db.replaced():
            return f"{self._db.path} was removed, replaced or moved"
        if self._is_ours():
            return ""
        lock = process.try_lock(self._workspace.runner_lock)
        if lock is None:
            return f"{self._workspace.runner_lock} was removed, and another runner took its place"
        self._locks.append(lock)
        return ""

    def release(self) -> None:
        for lock in self._locks:
            os.close(lock)

    def _is_ours(self) -> bool:
        try:
            there = self._workspace.runner_lock.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._locks[-1]))


@contextmanager
def hold(workspace: Workspace, db: Database, clock: Callable[[], float]) -> Iterator[Held | None]:
    """Be the runner inside the block; yields None when another one is."""
    from bertdistill.store import writes  # not at the top: the app only asks who the runner is

    lock = process.try_lock(workspace.runner_lock)
    if lock is None:
        yield None
        return
    held = Held(workspace, db, lock)
    try:
        me = process.me()
        with db.write() as session:
            writes.take_lease(
                session,
                host=process.host(),
                pid=me.pid,
                start_time=me.start,
                boot_id=process.boot_id(),
                now=clock(),
                log=workspace.runner_log.name,
            )
        yield held
        if not held.lost():
            with db.write() as session:
                writes.release_lease(session, now=clock())
    finally:
        held.release()
