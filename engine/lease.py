"""Who is the runner of a workspace: the lock file decides, the lease row tells people who holds it.

It starts no runner and runs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bertdistill.engine import process
from bertdistill.engine.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db


@dataclass(frozen=True)
class RunnerStatus:
    """Whether a runner works here, and who it is or last was; `since` in Unix seconds, `heartbeat_age` in seconds."""

    alive: bool
    host: str = ""
    pid: int = 0
    since: float = 0.0
    heartbeat_age: float | None = None


def runner_status(workspace: Workspace, *, now: float) -> RunnerStatus:
    """Ask the lock whether a runner lives, and the lease who it is."""
    alive = process.held(workspace.runner_lock)
    if not workspace.database.exists():
        return RunnerStatus(alive)
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            lease = reads.lease(session)
    finally:
        db.close()
    if lease is None:
        return RunnerStatus(alive)
    return RunnerStatus(alive, lease.host, lease.pid, lease.acquired_at, max(0.0, now - lease.heartbeat_at))


@contextmanager
def hold(workspace: Workspace, db: Database, clock: Callable[[], float]) -> Iterator[bool]:
    """Be the runner inside the block; yields False when another one is."""
    lock = process.try_lock(workspace.runner_lock)
    if lock is None:
        yield False
        return
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
        yield True
        with db.write() as session:
            writes.release_lease(session, now=clock())
    finally:
        os.close(lock)
