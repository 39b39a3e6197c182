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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.workspace import Workspace, resolve_workspace
from bertdistill.engine.launch.launchers import Launcher, LocalLauncher
from bertdistill.engine.runner import lease, requests, retention, settle
from bertdistill.engine.runner.collector import Collector
from bertdistill.engine.runner.lookups import Lookups
from bertdistill.engine.runner.plain_log import PlainFormatter
from bertdistill.engine.runner.rules import out_of_hours, over_limit, used
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
from bertdistill.store.errors import BertDistillError
from bertdistill.store.rows import Attempt, Study, StudyState, Trial, TrialState

POLL_SECONDS = 0.25
QUIET_SECONDS = 2.0
"""A full tick at least this often, even when nothing stirs."""
BEAT_SECONDS = 5.0
GUARD_SECONDS = 30.0
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
    clock: Callable[[], float] = time.time
    wake: threading.Event = field(default_factory=threading.Event)
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
    _last_tick: float | None = None
    _last_beat: float = 0.0
    _last_guard: float = 0.0

    def __post_init__(self) -> None:
        place = (self.workspace, self.db, self.launcher)
        self._proposer = Proposer(on_done=self.wake.set)
        self._lookups = Lookups(self.db)
        self._collector = Collector(*place, self._lookups, self._at_study)
        self._scheduler = Scheduler(*place, self._lookups, self._at_study, self._pause, self._collector.failed)

    # ------------------------------------------------------------------------------------------------------- a round

    def tick(self) -> bool:
        """One round; False when nothing is left to do."""
        now, self.current = self.clock(), None
        self._seen_version = self.db.data_version()
        self._honour(now)
        live = self._collector.collect(now, without=self._benched)
        self._collector.pass_on_stops(live, now)
        studies = self._lookups.running()
        self._account(studies, now)
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
            if self.db.data_version() != self._seen_version or self._collector.stirs():
                break
        self.wake.clear()

    def _honour(self, now: float) -> None:
        for request in requests.honour_all(self.db, now=now):
            self.draining |= request.verb == requests.STOP_RUNNER
            if request.verb == "resume" and request.study_id is not None:
                self._benched.discard(request.study_id)

    def close(self) -> None:
        """Leave the workers running and stop asking."""
        self._proposer.close()

    def give_up(self, error: BaseException) -> None:
        """After ticks failed again and again: pause the study at hand (all running ones when none was), saying why,
        and leave it alone, so that the others go on."""
        now = self.clock()
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
        trials = self._lookups.trials(study)
        without = spec.baseline is not None and all(trial.origin != "baseline" for trial in trials)
        if without and used(trials) < spec.budget.trials:
            self._create(study, spec, "baseline", plan_baseline(spec, Prepared.from_dict(study.prepared)), now)
            return
        self._take_answer(study, spec, now)
        trials = self._lookups.trials(study)
        spent = self._budget_spent(study, spec, trials)
        if not spent and not self.draining and self._wants_proposal(study, spec, trials, live):
            self._proposer.ask(study.id, trials, spec, Prepared.from_dict(study.prepared))
        if spent and not self._proposer.asked_for(study.id):
            self._complete(study, spec, trials, live, now)

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
            attempts = reads.attempts(session, study_id=study.id)
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
            self._exhausted[study.id] = (len(self._lookups.trials(study)), spec)
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
            if used(reads.trials(session, study.id)) >= spec.budget.trials or fresh.state != StudyState.RUNNING:
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
        self._lookups.forget(study.id)

    def _budget_spent(self, study: Study, spec: StudySpec, trials: Sequence[Trial]) -> bool:
        """Whether no new trial may be created: trials or hours are used up, or the space holds nothing new."""
        if used(trials) >= spec.budget.trials or out_of_hours(study, spec):
            return True
        count, asked_of = self._exhausted.get(study.id, (-1, spec))
        return count == len(trials) and asked_of is spec

    def _wants_proposal(self, study: Study, spec: StudySpec, trials: Sequence[Trial], live: Sequence[Attempt]) -> bool:
        fresh = any(trial.state == TrialState.WAITING and not trial.failures for trial in trials)
        if not self._proposer.free or fresh:  # another trial than one that failed shows whether the machine is at fault
            return False
        return bool(self._scheduler.free_slots(spec, study, live))

    def _complete(
        self, study: Study, spec: StudySpec, trials: Sequence[Trial], live: Sequence[Attempt], now: float
    ) -> None:
        """End the study when its budget is spent and nothing of it runs or waits to go on."""
        if any(attempt.study_id == study.id for attempt in live):
            return
        waiting = [trial for trial in trials if trial.state == TrialState.WAITING]
        late = [trial for trial in waiting if trial.started_at is None] if out_of_hours(study, spec) else []
        if len(late) < len(waiting):
            return
        if self._pause_failing(study, spec, len(trials), now):
            return  # a small space holds no further trial that could be asked
        early = used(trials) < spec.budget.trials
        with self.db.write() as session:
            if reads.study_by_id(session, study.id).spec != study.spec:
                return  # a person has just changed it, perhaps the budget
            for trial in late:
                detail = f"the study's {spec.budget.hours:g} hours were used up"
                state = TrialState.STOPPED
                writes.set_trial_state(session, trial.id, state, now=now, reason="budget", detail=detail)
            if early:
                cause = "its hours are used up" if out_of_hours(study, spec) else "the search space holds nothing new"
                text = f"The study is complete after {used(trials)} of {spec.budget.trials} trials: {cause}."
                writes.add_notice(session, level="info", text=text, now=now, study_id=study.id)
            if not any(one.state == TrialState.WAITING for one in reads.trials(session, study.id)):
                writes.set_study_state(session, study.id, StudyState.COMPLETE, now=now)
        self._lookups.forget(study.id)

    def _pause(self, study: Study, diagnosis: str, now: float) -> None:
        log.warning("study %s is paused: %s", study.name, diagnosis)
        with self.db.write() as session:
            writes.set_study_state(session, study.id, StudyState.PAUSED, now=now, diagnosis=diagnosis)
            writes.add_notice(session, level="error", text=diagnosis, now=now, study_id=study.id)

    # ----------------------------------------------------------------------------------------------------- housekeeping

    def _keep_house(self, now: float) -> None:
        """Every few seconds: the heartbeat, the time that studies have run, the disk."""
        if now - self._last_beat >= BEAT_SECONDS:
            self._last_beat = now
            with self.db.write() as session:
                writes.beat_lease(session, now=now)
                for study_id, seconds in self._spent.items():
                    writes.add_study_seconds(session, study_id, seconds)
            self._spent.clear()
        if now - self._last_guard >= GUARD_SECONDS:
            self._last_guard = now
            for study in self._lookups.running():
                with self._at_study(study.id):
                    self._scheduler.has_room(study, self._lookups.spec(study), now)

    def _account(self, studies: Sequence[Study], now: float) -> None:
        """Count the time for budget.hours; written with the heartbeat."""
        passed = max(0.0, now - self._last_tick) if self._last_tick is not None else 0.0
        self._last_tick = now
        for study in studies:
            self._spent[study.id] = self._spent.get(study.id, 0.0) + passed

    @contextmanager
    def _at_study(self, study_id: int) -> Iterator[None]:
        """While the block runs, failures are this study's; after it, nobody's."""
        self.current = study_id
        yield
        self.current = None


# ------------------------------------------------------------------------------------------------------------- process


def serve(runner: Runner) -> None:
    """Tick until nothing is left to do or it is asked to leave. The one place that survives any error of a tick."""
    failures = 0
    while not runner.leaving:
        try:
            if not runner.tick():
                return
            failures = 0
        except Exception as error:  # the runner's edge: the traceback is logged, the studies go on
            failures += 1
            log.exception("tick failed (%d in a row)", failures)
            if failures >= TICK_FAILURES:
                _give_up(runner, error)
            runner.wake.wait(min(float(failures), 10.0))
            continue
        runner.wait()


def _give_up(runner: Runner, error: Exception) -> None:
    try:
        runner.give_up(error)
    except BertDistillError as second:
        log.error("and the study cannot be paused: %s", second)


def run(workspace: Workspace, launcher: Launcher, *, clock: Callable[[], float] = time.time) -> int:
    """Be the runner of a workspace until its work is done; the exit code of the process."""
    while True:
        db = open_db(workspace.path)
        runner = Runner(workspace, db, launcher, clock)
        try:
            with lease.hold(workspace, db, clock) as ours:
                if not ours:
                    log.info("another runner works here; leaving")
                    return ANOTHER_RUNS
                _leave_on_signal(runner)
                log.info("runner started")
                retention.finish_all(db, workspace, now=clock())
                serve(runner)
                log.info("runner leaves")
            # Work that was added after the last look, by someone who still saw the lock held, must not be left lying.
            if runner.leaving or not runner.has_work():
                return 0
        finally:
            runner.close()
            db.close()


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
    to_file = logging.FileHandler(workspace.runner_log)
    to_file.setFormatter(PlainFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[to_file])
    try:
        return run(workspace, LocalLauncher())
    except BertDistillError as error:
        log.error("%s %s", error, error.hint)
        sys.stderr.write(f"{error}\n{error.hint}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
