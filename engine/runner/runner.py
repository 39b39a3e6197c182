"""The main loop for a workspace's studies: store what workers report, settle what ended, propose, launch. Headless.

`python -P -m bertdistill.engine.runner.runner WORKSPACE`. It trains nothing and may be killed at any instant: all that
it knows is in the database and in the run folders, and the workers do not need it. It listens through `collector`,
decides what a study needs in `advance` and launches through `scheduler`.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from bertdistill.engine.contract.folder import open_to_append
from bertdistill.engine.contract.imported import IMPORTED
from bertdistill.engine.contract.workspace import Workspace, resolve_workspace
from bertdistill.engine.launch.fleet import Fleet
from bertdistill.engine.launch.launchers import runner_launcher
from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.runner import lease, requests, retention
from bertdistill.engine.runner.advance import Advancer
from bertdistill.engine.runner.clock import Clock
from bertdistill.engine.runner.collector import Collector
from bertdistill.engine.runner.logged import LoggedRuns
from bertdistill.engine.runner.lookups import Lookups
from bertdistill.engine.runner.notifier import Notifier
from bertdistill.engine.runner.plain_log import PlainFormatter
from bertdistill.engine.runner.rules import launched
from bertdistill.engine.runner.scheduler import Scheduler
from bertdistill.engine.search.proposals import Proposer
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.errors import BertDistillError, StoreError, StoreUnavailable
from bertdistill.store.rows import Study, StudyState

POLL_SECONDS = 0.25
QUIET_SECONDS = 2.0
"""Seconds between two full ticks at most, even if nothing changes."""
GUARD_SECONDS = 30.0
LONGEST_TICK = 60.0
"""The most seconds that one round counts against the hours of a study: more means that the machine was suspended."""
TICK_FAILURES = 3
"""Failing ticks in a row after which the study at hand is paused."""

ANOTHER_RUNS = 75
"""Exit code when the workspace has a runner already."""

log = logging.getLogger("bertdistill.runner")


@dataclass
class Runner:
    """One runner. `tick` does one round; everything it remembers between rounds can be lost."""

    workspace: Workspace
    db: Database
    launcher: Launcher
    clock: Clock = field(default_factory=Clock)
    wake: threading.Event = field(default_factory=threading.Event)
    held: lease.Held | None = None
    """The lock of the workspace; None if the caller manages it."""
    leaving: bool = False
    draining: bool = False
    """It was asked to stop workers and exit: nothing new is started."""
    current: int | None = None
    """The study being worked on, so that a failing tick counts against the right one."""
    _proposer: Proposer = field(init=False)
    _lookups: Lookups = field(init=False)
    _collector: Collector = field(init=False)
    _logged: LoggedRuns = field(init=False)
    _scheduler: Scheduler = field(init=False)
    _advancer: Advancer = field(init=False)
    _notifier: Notifier = field(init=False)
    _benched: set[int] = field(default_factory=set)
    """Studies on which ticks failed again and again; left alone until someone resumes them."""
    _spent: dict[int, float] = field(default_factory=dict)
    _seen_version: int = -1
    _tidied: bool = False
    _last_tick: float | None = None
    _last_beat: float = float("-inf")
    _last_guard: float = float("-inf")
    _said_unavailable: float = float("-inf")

    def __post_init__(self) -> None:
        given = (self.workspace, self.db, self.launcher)
        self._proposer = Proposer(self.db, on_done=self.wake.set)
        self._lookups = Lookups(self.db)
        shared = (self._lookups, self._at_study, self.clock.steady)
        self._collector = Collector(*given, *shared)
        self._logged = LoggedRuns(self.workspace)
        self._notifier = Notifier(self.workspace, self.db, self._lookups.spec)
        failed = self._collector.failed
        self._scheduler = Scheduler(*given, *shared, self._pause, failed)
        self._advancer = Advancer(self.db, self._lookups, self._proposer, self._scheduler, self._pause, failed)

    # ------------------------------------------------------------------------------------------------------- a round

    def tick(self) -> bool:
        """One round; False when nothing is left to do."""
        now, self.current = self.clock.now(), None
        self._tidy(now)
        self._seen_version = self.db.data_version()
        self._honour(now)
        live = self._collector.collect(now, without=self._benched)
        self._collector.pass_on_stops(live)
        self._store_logged(now)
        studies = self._lookups.running()
        self._account(studies)
        self._proposer.keep({study.id for study in studies})
        for study in studies:
            with self._at_study(study.id):
                self._advancer.advance(study, live, now, draining=self.draining)
        if not self.draining:
            self._scheduler.launch(now)
        self._keep_house(now)
        self._notifier.look(now)
        if self.draining and not live:
            self.leaving = True
        return not self.leaving and self.has_work()

    def has_work(self) -> bool:
        """Whether a search runs, an attempt is not settled or a request is open."""
        with self.db.read() as session:
            if reads.pending_requests(session):
                return True
            followed = [one.study_id for one in launched(reads.live_attempts(session))]
        running = [study.id for study in self._lookups.running()]
        return any(study_id not in self._benched for study_id in [*running, *followed])

    def wait(self, poll_s: float = POLL_SECONDS, quiet_s: float = QUIET_SECONDS) -> None:
        """Sleep until something changes: a worker's file, a lock, the database, an answer. It costs a few stats."""
        deadline = time.monotonic() + quiet_s
        while not self.wake.wait(poll_s) and time.monotonic() < deadline:
            if self.lost() or self.db.data_version() != self._seen_version or self._stirs():
                break
        self.wake.clear()

    def _stirs(self) -> bool:
        return self._collector.stirs() or self._logged.stirs()

    def _store_logged(self, now: float) -> None:
        """What is wrong with logged runs must not pause a search."""
        try:
            self._logged.store(self.db, now)
        except StoreUnavailable:
            raise
        except (BertDistillError, OSError) as error:
            log.warning("logged runs cannot be stored: %s", error)

    def _honour(self, now: float) -> None:
        for request in requests.honour_all(self.db, now=now):
            self.draining |= request.verb == requests.STOP_RUNNER and request.outcome != requests.LEFT_BEFORE
            if request.verb == "resume" and request.study_id is not None:
                self._benched.discard(request.study_id)

    def lost(self) -> str:
        """Why this process is no longer the runner of the workspace; empty while it is."""
        return self.held.lost() if self.held is not None else ""

    def unavailable(self, error: StoreError) -> None:
        """The database is locked or its disk is full: workers keep writing and nothing is lost, so wait. Logged once a
        minute, because the log may be on the same disk."""
        if self.clock.steady() - self._said_unavailable >= LONGEST_TICK:
            self._said_unavailable = self.clock.steady()
            log.warning("waiting: %s", error)

    def close(self) -> None:
        """Leave the workers running and stop asking; messages that are being sent get a few seconds."""
        self._proposer.close()
        self._notifier.close()

    def give_up(self, error: BaseException) -> None:
        """After ticks failed again and again: pause the study at hand (all running ones when none was), saying why,
        and leave it alone, so that the others continue."""
        now = self.clock.now()
        for study in self._lookups.running():
            if self.current is None or study.id == self.current:
                text = f"The runner failed {TICK_FAILURES} times in a row: {type(error).__name__}: {error}"
                hint = f"Details: {self.workspace.runner_log}. Then: bertdistill-tui engine resume {study.name}"
                self._pause(study, f"{text} {hint}", now)
        if self.current is not None:
            self._benched.add(self.current)

    def _pause(self, study: Study, diagnosis: str, now: float) -> None:
        log.warning("study %s is paused: %s", study.name, diagnosis)
        with self.db.write() as session:
            writes.set_study_state(session, study.id, StudyState.PAUSED, now=now, diagnosis=diagnosis)
            writes.add_notice(session, level="error", text=diagnosis, now=now, study_id=study.id)

    # ----------------------------------------------------------------------------------------------------- housekeeping

    def _keep_house(self, now: float) -> None:
        """Every few seconds: the heartbeat, the time that studies have run, the disk."""
        steady = self.clock.steady()
        if steady - self._last_beat >= lease.BEAT_SECONDS:
            with self.db.write() as session:
                writes.beat_lease(session, now=self.clock.wall())
                for study_id, seconds in self._spent.items():
                    writes.add_study_seconds(session, study_id, seconds)
            self._last_beat = steady
            self._spent.clear()
        if steady - self._last_guard >= GUARD_SECONDS:
            self._last_guard = steady
            for study in self._lookups.running():
                with self._at_study(study.id):
                    self._scheduler.has_room(study, self._lookups.spec(study), now)

    def _tidy(self, now: float) -> None:
        """Once: what an earlier runner left unfinished, and where its record of times ends."""
        if not self._tidied:
            with self.db.read() as session:
                self.clock.not_before(reads.newest_end(session, without=IMPORTED))
            retention.finish_all(self.db, self.workspace, now=now)
            self._notifier.look(now)  # before anything happens: what is from earlier is told apart from what comes
            self._tidied = True

    def _account(self, studies: Sequence[Study]) -> None:
        """Count the time for budget.hours; written with the heartbeat. A machine that slept has not worked."""
        steady = self.clock.steady()
        passed = min(steady - self._last_tick, LONGEST_TICK) if self._last_tick is not None else 0.0
        self._last_tick = steady
        for study in studies:
            self._spent[study.id] = self._spent.get(study.id, 0.0) + passed

    @contextmanager
    def _at_study(self, study_id: int) -> Iterator[None]:
        """While the block runs, failures are this study's; after it, whose they were before."""
        before, self.current = self.current, study_id
        yield
        self.current = before


# ------------------------------------------------------------------------------------------------------------- process


def serve(runner: Runner) -> None:
    """Tick until nothing is left to do, it is asked to leave or the workspace is no longer its own.

    The one place that survives any error of a tick.
    """
    failures = 0
    while not runner.leaving and not (why := runner.lost()):
        try:
            if not runner.tick():
                return
            failures = 0
            runner.wait()
        except StoreUnavailable as error:
            runner.unavailable(error)
            runner.wake.wait(QUIET_SECONDS)
        except Exception as error:  # the runner's edge: the traceback is logged, the studies continue
            if runner.lost():
                continue
            failures += 1
            log.exception("tick failed (%d in a row)", failures)
            if failures >= TICK_FAILURES:
                _give_up(runner, error)
            runner.wake.wait(min(float(failures), 10.0))
    if not runner.leaving:
        runner.leaving = True
        log.warning("the runner exits and its workers continue: %s", why)


def _give_up(runner: Runner, error: Exception) -> None:
    try:
        runner.give_up(error)
    except BertDistillError as second:
        log.error("the study cannot be paused either: %s", second)


def run(workspace: Workspace, launcher: Launcher) -> int:
    """Be the runner of a workspace until its work is done; the exit code of the process."""
    while True:
        db = open_db(workspace.path)
        runner = Runner(workspace, db, launcher)
        try:
            with lease.hold(workspace, db, runner.clock.wall) as held:
                if held is None:
                    log.info("another runner is running here; exiting")
                    return ANOTHER_RUNS
                runner.held = held
                _leave_on_signal(runner)
                log.info("runner started")
                serve(runner)
                log.info("runner exits")
            # Work that was added after the last look, by a process that still saw the lock held, must not be lost.
            if runner.leaving or not runner.has_work():
                _fold(db)
                return 0
        finally:
            runner.close()
            db.close()


def _fold(db: Database) -> None:
    """Leave a database that is whole without its companions: people copy the one file. Others may be using it; then
    the last of them folds it."""
    try:
        if not db.replaced():
            db.checkpoint()
    except BertDistillError as error:
        log.warning("the write-ahead log stays next to the database: %s", error)


def _leave_on_signal(runner: Runner) -> None:
    def leave(number: int, frame: FrameType | None) -> None:
        runner.leaving = True
        runner.wake.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def main(argv: Sequence[str]) -> int:
    """`WORKSPACE` is the only argument; logs go to its runner.log."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -P -m bertdistill.engine.runner.runner WORKSPACE\n")
        return 2
    gc.freeze()  # modules live as long as the runner; looking through them took a quarter of a first proposal
    workspace = resolve_workspace(Path(argv[0]), {})
    workspace.make()
    to_file = logging.StreamHandler(os.fdopen(open_to_append(workspace.runner_log), "a", encoding="utf-8"))
    to_file.setFormatter(PlainFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[to_file])
    logging.raiseExceptions = False  # on a full disk its own tracebacks would fill stderr, which is the same file
    try:
        fleet = Fleet(workspace.path.resolve(), runner_launcher(workspace.path))
        try:
            return run(workspace, fleet)
        finally:
            fleet.close()
    except BertDistillError as error:
        log.error("%s %s", error, error.hint)
        sys.stderr.write(f"{error}\n{error.hint}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
