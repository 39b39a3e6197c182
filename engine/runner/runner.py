"""The loop that owns a workspace's studies: store what workers report, settle what ended, ask, launch. Headless.

`python -P -m bertdistill.engine.runner.runner WORKSPACE`. It trains nothing and may be killed at any instant: all that
it knows is in the database and in the run folders, and the workers do not need it. It listens through `collector` and
launches through `scheduler`; here it decides what a study needs next.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.workspace import Workspace, resolve_workspace
from bertdistill.engine.launch.launchers import make_launcher
from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.runner import lease, requests, retention, settle
from bertdistill.engine.runner.clock import Clock
from bertdistill.engine.runner.collector import Collector
from bertdistill.engine.runner.lookups import Lookups
from bertdistill.engine.runner.rules import out_of_hours, over_limit
from bertdistill.engine.runner.scheduler import Scheduler
from bertdistill.engine.runner.settle import row
from bertdistill.engine.search.optimiser import Proposal, SpaceExhausted
from bertdistill.engine.search.proposals import Proposer
from bertdistill.engine.study.ranges import inside
from bertdistill.engine.study.space import resolve
from bertdistill.engine.study.student import Planned, plan, plan_baseline
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.errors import BertDistillError, StoreError, StoreUnavailable
from bertdistill.store.rows import Attempt, Study, StudyState, TrialState

POLL_SECONDS = 0.25
QUIET_SECONDS = 2.0
"""A full tick at least this often, even when nothing stirs."""
GUARD_SECONDS = 30.0
LONGEST_TICK = 60.0
"""Seconds that one round counts at most against the hours of a study: more means that the machine stood still."""
TICK_FAILURES = 3
"""Failing ticks in a row after which the study at hand is paused."""

LOOK_BACK = 500
"""Newest ended attempts among which failures in a row are looked for."""

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
    """The lock of the workspace; None where somebody else sees to it."""
    leaving: bool = False
    draining: bool = False
    """Asked to stop workers and leave: nothing new is started."""
    current: int | None = None
    """The study at hand, so that a failing tick is laid at the right door."""
    _proposer: Proposer = field(init=False)
    _lookups: Lookups = field(init=False)
    _collector: Collector = field(init=False)
    _scheduler: Scheduler = field(init=False)
    _exhausted: dict[int, tuple[int, StudySpec]] = field(default_factory=dict)
    _looked_into: set[int] = field(default_factory=set)
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
        place = (self.workspace, self.db, self.launcher)
        self._proposer = Proposer(self.db, on_done=self.wake.set)
        self._lookups = Lookups(self.db)
        shared = (self._lookups, self._at_study, self.clock.steady)
        self._collector = Collector(*place, *shared)
        self._scheduler = Scheduler(*place, *shared, self._pause, self._collector.failed)

    # ------------------------------------------------------------------------------------------------------- a round

    def tick(self) -> bool:
        """One round; False when nothing is left to do."""
        now, self.current = self.clock.now(), None
        self._tidy(now)
        self._seen_version = self.db.data_version()
        self._honour(now)
        live = self._collector.collect(now, without=self._benched)
        self._collector.pass_on_stops(live)
        studies = self._lookups.running()
        self._account(studies)
        self._proposer.keep({study.id for study in studies})
        for study in studies:
            with self._at_study(study.id):
                self._advance(study, live, now)
        if not self.draining:
            self._scheduler.launch(now)
        self._keep_house(now)
        if self.draining and not live:
            self.leaving = True
        return not self.leaving and self.has_work()

    def has_work(self) -> bool:
        """Whether a study runs, an attempt is not settled or a request is open."""
        with self.db.read() as session:
            if reads.pending_requests(session):
                return True
            running = [study.id for study in reads.studies(session) if study.state == StudyState.RUNNING]
            followed = [one.study_id for one in reads.live_attempts(session)]
        return any(study_id not in self._benched for study_id in [*running, *followed])

    def wait(self) -> None:
        """Sleep until something stirs: a worker's file, a lock, the database, an answer. A look is a few stat calls."""
        deadline = time.monotonic() + QUIET_SECONDS
        while not self.wake.wait(POLL_SECONDS) and time.monotonic() < deadline:
            if self.lost() or self.db.data_version() != self._seen_version or self._collector.stirs():
                break
        self.wake.clear()

    def _honour(self, now: float) -> None:
        for request in requests.honour_all(self.db, now=now):
            self.draining |= request.verb == requests.STOP_RUNNER and request.outcome != requests.LEFT_BEFORE
            if request.verb == "resume" and request.study_id is not None:
                self._benched.discard(request.study_id)

    def lost(self) -> str:
        """Why this process is no longer the runner of the workspace; empty while it is."""
        return self.held.lost() if self.held is not None else ""

    def unavailable(self, error: StoreError) -> None:
        """The database is locked or its disk full: workers write on and nothing is lost, so wait. Logged once a minute,
        for the log may be on the same disk."""
        if self.clock.steady() - self._said_unavailable >= LONGEST_TICK:
            self._said_unavailable = self.clock.steady()
            log.warning("waiting: %s", error)

    def close(self) -> None:
        """Leave the workers running and stop asking."""
        self._proposer.close()

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

    # ---------------------------------------------------------------------------------------------- what a study needs

    def _advance(self, study: Study, live: Sequence[Attempt], now: float) -> None:
        """Diagnose, create the baseline, take an answer, ask, complete."""
        spec = self._lookups.spec(study)
        if self._diagnose(study, spec, now) or study.prepared is None:
            return
        with self.db.read() as session:
            without = spec.baseline is not None and not reads.has_origin(session, study.id, "baseline")
            full = self._lookups.used(session, study.id) >= spec.budget.trials
        if without and not full:
            self._create(study, spec, "baseline", plan_baseline(spec, Prepared.from_dict(study.prepared)), now)
            return
        self._take_answer(study, spec, now)
        spent = self._budget_spent(study, spec)
        if not spent and not self.draining and self._wants_proposal(study, spec, live):
            self._proposer.ask(study.id, spec, Prepared.from_dict(study.prepared))
        if spent and not self._proposer.asked_for(study.id):
            self._complete(study, spec, live, now)

    def _diagnose(self, study: Study, spec: StudySpec, now: float) -> bool:
        """Pause a study whose trials fail one after another in the same way. Looks after a failure only."""
        study_id = study.id
        if study.prepared is None or (study_id in self._looked_into and study_id not in self._collector.failed):
            return False
        self._looked_into.add(study_id)
        self._collector.failed.discard(study_id)
        return self._pause_failing(study, spec, spec.budget.trials, now)

    def _pause_failing(self, study: Study, spec: StudySpec, trials: int, now: float) -> bool:
        """Pause a study when its failures say more than that one trial is bad; `trials` is how many it can have."""
        with self.db.read() as session:
            attempts = reads.attempts(session, study_id=study.id, kind="trial", ended=True, newest=LOOK_BACK)
            name, rows = settle.failures_in_a_row(attempts, settle.since(session, study))
            if not settle.is_evidence(rows, spec.runner.pause_after_failures, trials):
                return False
            number = reads.trial_by_id(session, row(rows[0].trial_id)).number
        self._pause(study, settle.diagnosis(study.name, name, rows, number), now)
        return True

    def _take_answer(self, study: Study, spec: StudySpec, now: float) -> None:
        try:
            proposal = self._proposer.take(study.id)
        except SpaceExhausted:
            self._exhausted[study.id] = (self._last_number(study), spec)
            return
        if proposal is None or not inside(spec.proposable, proposal.params):
            return  # a person narrowed a range while the question was open; it is asked again
        refused: tuple[str, str] | None
        try:
            planned = plan(spec, Prepared.from_dict(study.prepared), proposal.params)
        except ConfigError as error:
            settings = resolve(spec.search, proposal.params, spec.settings)
            planned, refused = Planned(dict(proposal.params), settings, {}), ("impossible", str(error))
        else:
            refused = over_limit(spec, planned.known)
        self._create(study, spec, "sampler", planned, now, proposal, refused)

    def _create(
        self,
        study: Study,
        spec: StudySpec,
        origin: str,
        planned: Planned,
        now: float,
        proposal: Proposal | None = None,
        refused: tuple[str, str] | None = None,
    ) -> None:
        """A new trial, unless the budget was used up meanwhile. `refused` makes it infeasible without a run."""
        with self.db.write() as session:
            fresh = reads.study_by_id(session, study.id)
            full = self._lookups.used(session, study.id) >= spec.budget.trials
            if full or fresh.state != StudyState.RUNNING:
                return
            trial = writes.create_trial(
                session,
                study_id=study.id,
                origin=origin,
                params=planned.params,
                settings=dict(vars(planned.settings)),
                known=planned.known,
                proposal_seed=proposal.seed if proposal else None,
                sampler=proposal.sampler if proposal else "",
                now=now,
            )
            if refused is not None:
                state, (reason, detail) = TrialState.INFEASIBLE, refused
                writes.set_trial_state(session, trial.id, state, now=now, reason=reason, detail=detail)

    def _budget_spent(self, study: Study, spec: StudySpec) -> bool:
        """Whether no new trial may be created: trials or hours are used up, or the space holds nothing new."""
        with self.db.read() as session:
            if self._lookups.used(session, study.id) >= spec.budget.trials or out_of_hours(study, spec):
                return True
        last, asked_of = self._exhausted.get(study.id, (None, spec))
        return last is not None and last == self._last_number(study) and asked_of is spec

    def _last_number(self, study: Study) -> int:
        with self.db.read() as session:
            return reads.last_number(session, study.id)

    def _wants_proposal(self, study: Study, spec: StudySpec, live: Sequence[Attempt]) -> bool:
        if not self._proposer.free or not self._scheduler.free_slots(spec, study, live):
            return False
        # Another trial than one that failed shows whether the machine is at fault, so those do not count as fresh.
        return all(trial.failures for trial in self._lookups.waiting(study))

    def _complete(self, study: Study, spec: StudySpec, live: Sequence[Attempt], now: float) -> None:
        """End the study when its budget is spent and nothing of it runs or waits to be resumed."""
        if any(attempt.study_id == study.id for attempt in live):
            return
        waiting = self._lookups.waiting(study)
        late = [trial for trial in waiting if trial.started_at is None] if out_of_hours(study, spec) else []
        if len(late) < len(waiting):
            return
        if self._pause_failing(study, spec, self._last_number(study) + 1, now):
            return  # a small space holds no further trial that could be asked
        with self.db.write() as session:
            used = self._lookups.used(session, study.id)
            if reads.study_by_id(session, study.id).spec != study.spec:
                return  # a person has just changed it, perhaps the budget
            for trial in late:
                detail = f"the study's {spec.budget.hours:g} hours were used up"
                state = TrialState.STOPPED
                writes.set_trial_state(session, trial.id, state, now=now, reason="budget", detail=detail)
            if used < spec.budget.trials:
                cause = "its hours are used up" if out_of_hours(study, spec) else "the search space holds nothing new"
                text = f"The study is complete after {used} of {spec.budget.trials} trials: {cause}."
                writes.add_notice(session, level="info", text=text, now=now, study_id=study.id)
            if not reads.trials(session, study.id, states=(TrialState.WAITING,)):
                writes.set_study_state(session, study.id, StudyState.COMPLETE, now=now)

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
                self.clock.not_before(reads.newest_end(session))
            retention.finish_all(self.db, self.workspace, now=now)
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
        log.warning("the runner leaves and its workers continue: %s", why)


def _give_up(runner: Runner, error: Exception) -> None:
    try:
        runner.give_up(error)
    except BertDistillError as second:
        log.error("and the study cannot be paused: %s", second)


def run(workspace: Workspace, launcher: Launcher) -> int:
    """Be the runner of a workspace until its work is done; the exit code of the process."""
    while True:
        db = open_db(workspace.path)
        runner = Runner(workspace, db, launcher)
        try:
            with lease.hold(workspace, db, runner.clock.wall) as held:
                if held is None:
                    log.info("another runner works here; leaving")
                    return ANOTHER_RUNS
                runner.held = held
                _leave_on_signal(runner)
                log.info("runner started")
                serve(runner)
                log.info("runner leaves")
            # Work that was added after the last look, by someone who still saw the lock held, must not be left lying.
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
        log.warning("the write-ahead log stays beside the database: %s", error)


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
    workspace = resolve_workspace(Path(argv[0]), {})
    workspace.make()
    logging.basicConfig(
        filename=workspace.runner_log, level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )
    logging.raiseExceptions = False  # on a full disk its own tracebacks would fill stderr, which is the same file
    try:
        return run(workspace, make_launcher())
    except BertDistillError as error:
        log.error("%s %s", error, error.hint)
        sys.stderr.write(f"{error}\n{error.hint}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
