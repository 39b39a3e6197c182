"""Follow running attempts: store what workers report, settle those that ended, pass stops on to the others.

It starts nothing and changes no study; what an end means is decided in `settle`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from bertdistill.engine.contract.folder import RunPaths, size_of
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.protocol import Handle, Launcher
from bertdistill.engine.runner import retention, settle
from bertdistill.engine.runner.ingest import ingest_all
from bertdistill.engine.runner.lookups import Lookups
from bertdistill.engine.runner.requests import AT_ONCE
from bertdistill.engine.runner.rules import launched
from bertdistill.engine.runner.stopping_inputs import Overtaking
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.errors import StoreUnavailable
from bertdistill.store.rows import Attempt

KILL_AFTER_GRACE = 5.0
"""Seconds beyond the grace time that a shim has to end its worker; after them everything is killed."""

log = logging.getLogger("bertdistill.runner")


@dataclass
class Collector:
    """Follows every attempt that is not settled."""

    workspace: Workspace
    db: Database
    launcher: Launcher
    lookups: Lookups
    at_study: Callable[[int], AbstractContextManager[None]]
    """Records which study is being worked on, so that a failure counts against the right one."""
    steady: Callable[[], float]
    failed: set[int] = field(default_factory=set)
    """Studies with a failure that has not been diagnosed yet."""
    _overtaking: Overtaking = field(init=False)
    _paths: dict[int, RunPaths] = field(default_factory=dict)
    _watched: list[tuple[Attempt, int]] = field(default_factory=list)
    _leaving: dict[int, float] = field(default_factory=dict)
    _killed: set[int] = field(default_factory=set)
    """Attempts that were to end at once."""

    def __post_init__(self) -> None:
        self._overtaking = Overtaking(self.db)

    def collect(self, now: float, *, without: Container[int] = ()) -> list[Attempt]:
        """Store new events of every attempt and settle those that have ended; returns the others.

        Attempts of the studies `without` are left as they are.
        """
        with self.db.read() as session:
            attempts = [one for one in launched(reads.live_attempts(session)) if one.study_id not in without]
        live: list[Attempt] = []
        for attempt in attempts:
            with self.at_study(attempt.study_id):
                if self.launcher.alive(self.paths(attempt), Handle.from_dict(attempt.handle)):
                    live.append(attempt)
                else:
                    self._settle(attempt, now)
        self._listen([one for one in live if self._size(one) != one.ingest_offset], now)
        self._watched = [(attempt, self._size(attempt)) for attempt in live]
        return live

    def pass_on_stops(self, live: Sequence[Attempt]) -> None:
        """Signal attempts that carry a stop reason; when the grace time is over, kill them.

        Also kill what outlives a worker that has ended: it would hold lock and device forever.
        """
        with self.db.read() as session:
            steady, fresh = self.steady(), {one.id: one for one in reads.live_attempts(session)} if live else {}
        for attempt in live:
            if (current := fresh.get(attempt.id)) is not None:
                with self.at_study(attempt.study_id):
                    self._pass_on_stop(current, steady)

    def _pass_on_stop(self, attempt: Attempt, steady: float) -> None:
        paths, key = self.paths(attempt), attempt.id
        if not (attempt.stop_reason or paths.exit.exists()):
            return
        handle = Handle.from_dict(attempt.handle)
        if attempt.stop_reason == AT_ONCE and key not in self._killed:
            self._killed.add(key)
            self._leaving[key] = steady  # its shim has the grace time to write down how it ended
            self.launcher.kill(paths, handle)
        elif key not in self._leaving:
            self._leaving[key] = steady
            self.launcher.stop(paths, handle)
        elif steady - self._leaving[key] > self._grace(attempt) + KILL_AFTER_GRACE:
            self.launcher.kill(paths, handle)

    def stirs(self) -> bool:
        """Whether a worker has written or ended since the last round: a stat and a lock probe each."""
        return any(
            self._size(attempt) != size
            or not self.launcher.alive(self.paths(attempt), Handle.from_dict(attempt.handle))
            for attempt, size in self._watched
        )

    def paths(self, attempt: Attempt) -> RunPaths:
        """The attempt's folder."""
        if attempt.id not in self._paths:  # asked several times a second
            self._paths[attempt.id] = RunPaths(self.workspace.run_folder(attempt.folder))
        return self._paths[attempt.id]

    def _grace(self, attempt: Attempt) -> float:
        return self.lookups.spec_by_id(attempt.study_id).runner.grace_seconds

    def _listen(self, attempts: Sequence[Attempt], now: float) -> None:
        """Store all complete lines that are there. One attempt that cannot be stored must not hold up the others."""
        try:
            self._store(attempts, now)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - which attempt is to blame shows when each is tried by itself
            for attempt in attempts:
                with self.at_study(attempt.study_id):
                    self._store([attempt], now)

    def _store(self, attempts: Sequence[Attempt], now: float) -> None:
        while attempts:
            stored = ingest_all(self.db, self.workspace.path, attempts)
            for attempt in attempts:
                if stored[attempt.id].points and not attempt.stop_reason:
                    with self.at_study(attempt.study_id):
                        self._overtaking.judge(attempt, self.lookups.spec_by_id(attempt.study_id), now=now)
            more = [attempt.id for attempt in attempts if stored[attempt.id].more]
            with self.db.read() as session:
                attempts = reads.attempts_by_id(session, more)

    def _settle(self, attempt: Attempt, now: float) -> None:
        """File an attempt whose lock is free. It was free before this reads, so all events are in the file."""
        paths, handle = self.paths(attempt), Handle.from_dict(attempt.handle)
        ended = self.launcher.ended(paths, handle)
        if ended is None:
            return  # a probe of someone else held the lock just now
        if ended.kind == "lost":
            self.launcher.kill(paths, handle)  # its shim is gone, which would have ended its stray children
        self._listen([attempt], now)
        spec = self.lookups.spec_by_id(attempt.study_id)
        found = settle.settle(
            self.db,
            attempt.id,
            ended,
            wanted=[objective.metric for objective in spec.objectives],
            retries=spec.runner.retries,
            now=now,
            distils=spec.program is None,
        )
        self._leaving.pop(attempt.id, None)
        self._paths.pop(attempt.id, None)
        self._killed.discard(attempt.id)
        if found is None:
            return
        log.info("%s ended: %s %s", attempt.folder, found.state, found.reason)
        if found.failure:
            self.failed.add(attempt.study_id)
        if attempt.trial_id is not None:
            retention.finish(self.db, self.workspace, attempt.trial_id, now=now)

    def _size(self, attempt: Attempt) -> int:
        return size_of(self.paths(attempt).events)
