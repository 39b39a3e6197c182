"""The loop that owns a workspace's studies: store what workers report, settle what ended, ask, launch. Headless.

`python -P -m bertdistill.engine.runner WORKSPACE`. It trains nothing and may be killed at any instant: all that it
knows is in the database and in the run folders, and the workers do not need it. What an end means is decided in
`settle`, what is started how in `dispatch`, what stays on disk in `retention`.
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
from typing import Any

from bertdistill.engine import dispatch, lease, requests, retention, settle
from bertdistill.engine.config import StudySpec, study_from_dict
from bertdistill.engine.contract import Device, RunPaths
from bertdistill.engine.errors import ConfigError, LaunchError
from bertdistill.engine.ingest import ingest
from bertdistill.engine.launch import Exit, Launcher, LocalLauncher, Slot, machine_restarted, read_exit, started
from bertdistill.engine.overtaking import Overtaking
from bertdistill.engine.proposals import Proposer
from bertdistill.engine.rules import fits, gpu_loads, out_of_hours, over_limit, place_in_queue, used
from bertdistill.engine.search import Proposal, SpaceExhausted
from bertdistill.engine.settle import row
from bertdistill.engine.workspace import Workspace, resolve_workspace
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.errors import BertDistillError
from bertdistill.store.models import Attempt, Study, StudyState, Trial, TrialState

POLL_SECONDS = 0.25
QUIET_SECONDS = 2.0
"""A full tick at least this often, even when nothing stirs."""
BEAT_SECONDS = 5.0
GUARD_SECONDS = 30.0
SLOTS_SECONDS = 60.0
BUSY_NOTICE_SECONDS = 600.0
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
    _overtaking: Overtaking = field(init=False)
    _specs: dict[int, tuple[dict[str, Any], StudySpec]] = field(default_factory=dict)
    _trials: dict[int, tuple[dict[str, int], list[Trial]]] = field(default_factory=dict)
    _watched: list[tuple[Attempt, int]] = field(default_factory=list)
    _signalled: dict[int, float] = field(default_factory=dict)
    _slots: dict[tuple[int, int], tuple[float, list[Slot]]] = field(default_factory=dict)
    _busy_said: dict[str, float] = field(default_factory=dict)
    _exhausted: dict[int, tuple[int, StudySpec]] = field(default_factory=dict)
    _launched: dict[int, float] = field(default_factory=dict)
    _spent: dict[int, float] = field(default_factory=dict)
    _seen_version: int = -1
    _last_tick: float | None = None
    _last_beat: float = 0.0
    _last_guard: float = 0.0

    def __post_init__(self) -> None:
        self._proposer = Proposer(on_done=self.wake.set)
        self._overtaking = Overtaking(self.db)

    # ------------------------------------------------------------------------------------------------------- a round

    def tick(self) -> bool:
        """One round; False when nothing is left to do."""
        now, self.current = self.clock(), None
        self._seen_version = self.db.data_version()
        if any(request.verb == requests.STOP_RUNNER for request in requests.honour_all(self.db, now=now)):
            self.draining = True
        live = self._collect(now)
        self._pass_on_stops(live, now)
        studies = self._running()
        self._account(studies, now)
        for study in studies:
            with self._at(study):
                self._advance(study, live, now)
        if not self.draining:
            self._launch(now)
        self._keep_house(now)
        if self.draining and not live:
            self.leaving = True
        return not self.leaving and self.has_work()

    def has_work(self) -> bool:
        """Whether a study runs, an attempt is not settled or a request is open."""
        with self.db.read() as session:
            running = any(study.state == StudyState.RUNNING for study in reads.studies(session))
            return running or bool(reads.live_attempts(session)) or bool(reads.pending_requests(session))

    def wait(self) -> None:
        """Sleep until something stirs: a worker's file, a lock, the database, an answer. A look is a few stat calls."""
        deadline = time.monotonic() + QUIET_SECONDS
        while not self.wake.wait(POLL_SECONDS) and not self._stirs() and time.monotonic() < deadline:
            pass
        self.wake.clear()

    def close(self) -> None:
        """Leave the workers running and stop asking."""
        self._proposer.close()

    def give_up(self, error: BaseException) -> None:
        """After ticks failed again and again: pause the study at hand (all running ones when none was), saying why."""
        now = self.clock()
        for study in self._running():
            if self.current is None or study.id == self.current:
                text = f"The runner failed {TICK_FAILURES} times in a row: {type(error).__name__}: {error}"
                hint = f"Details: {self.workspace.runner_log}. Then: bertdistill-tui engine resume {study.name}"
                self._pause(study, f"{text} {hint}", now)

    # --------------------------------------------------------------------------------------- what workers have to say

    def _collect(self, now: float) -> list[Attempt]:
        """Store new events of every attempt and settle those that have ended; returns the others."""
        with self.db.read() as session:
            attempts = reads.live_attempts(session)
        live: list[Attempt] = []
        for attempt in attempts:
            with self._at_id(attempt.study_id):
                if self.launcher.alive(self._paths(attempt), attempt.handle):
                    self._ingest(attempt)
                    live.append(attempt)
                else:
                    self._settle(attempt, now)
        self._watched = [(attempt, self._size(attempt)) for attempt in live]
        return live

    def _ingest(self, attempt: Attempt) -> None:
        """Store all complete lines that are there."""
        while True:
            batch = ingest(self.db, self.workspace.path, attempt)
            attempt.ingest_offset = batch.offset
            if batch.result is not None or batch.checkpoints:
                self._trials.pop(attempt.study_id, None)
            if batch.points and not attempt.stop_reason:
                self._overtaking.judge(attempt, self._spec_by_id(attempt.study_id), now=self.clock())
            if not batch.more:
                return

    def _settle(self, attempt: Attempt, now: float) -> None:
        """File an attempt whose lock is free. Its lock is free before this reads, so the events are all there."""
        paths = self._paths(attempt)
        ended = read_exit(paths)
        if ended is None:
            return  # a probe of someone else held the lock just now
        self._ingest(attempt)
        spec = self._spec_by_id(attempt.study_id)
        found = settle.settle(
            self.db,
            row(attempt.id),
            self._explained(attempt, ended),
            wanted=[objective.metric for objective in spec.objectives],
            retries=spec.runner.retries,
            now=now,
        )
        self._trials.pop(attempt.study_id, None)
        self._signalled.pop(row(attempt.id), None)
        if found is None:
            return
        verdict, trial = found
        log.info("%s ended: %s %s", attempt.folder, verdict.state, verdict.reason)
        if trial is not None:
            retention.finish(self.db, self.workspace, row(trial.id), now=now)

    def _explained(self, attempt: Attempt, ended: Exit) -> Exit:
        """A lost attempt that nobody can be blamed for gets a class of its own."""
        paths = self._paths(attempt)
        if ended.kind != "lost":
            return ended
        if machine_restarted(paths):
            return Exit("machine_restarted", log_tail=ended.log_tail, ended_at=ended.ended_at)
        if not attempt.handle and not started(paths):
            return Exit("never_started", log_tail=ended.log_tail, ended_at=ended.ended_at)
        return ended

    def _pass_on_stops(self, live: Sequence[Attempt], now: float) -> None:
        """Signal attempts that carry a stop reason: once, and when the grace time is over, finally."""
        with self.db.read() as session:
            fresh = {one.id: one for one in reads.live_attempts(session)} if live else {}
        for attempt in live:
            current = fresh.get(attempt.id)
            if current is None or not current.stop_reason:
                continue
            paths, key = self._paths(attempt), row(attempt.id)
            if key not in self._signalled:
                self.launcher.stop(paths, current.handle)
                self._signalled[key] = now
            elif now - self._signalled[key] > self._spec_by_id(attempt.study_id).runner.grace_seconds + BEAT_SECONDS:
                self.launcher.kill(paths, current.handle)  # the shim should have: it is stuck or gone

    # ---------------------------------------------------------------------------------------------- what a study needs

    def _advance(self, study: Study, live: Sequence[Attempt], now: float) -> None:
        """Diagnose, create the baseline, take an answer, ask, complete."""
        spec = self._spec(study)
        if self._diagnose(study, spec, now) or study.prepared is None:
            return
        trials = self._trials_of(study)
        if not trials and spec.baseline is not None:
            self._create(study, spec, "baseline", dispatch.plan_baseline(spec, study.prepared), now)
            return
        self._take_answer(study, spec, now)
        trials = self._trials_of(study)
        spent = self._budget_spent(study, spec, trials)
        if not spent and not self.draining and self._wants_proposal(study, spec, trials, live):
            self._proposer.ask(row(study.id), trials, spec, study.prepared)
        if spent and not self._proposer.asked_for(row(study.id)):
            self._complete(study, spec, trials, live, now)

    def _diagnose(self, study: Study, spec: StudySpec, now: float) -> bool:
        """Pause a study whose attempts fail one after another in the same way."""
        if study.prepared is None:
            return False
        with self.db.read() as session:
            name, rows = settle.failures_in_a_row(
                reads.attempts(session, study_id=study.id), settle.since(session, study)
            )
            if len(rows) < spec.runner.pause_after_failures:
                return False
            number = reads.trial_by_id(session, row(rows[0].trial_id)).number
        self._pause(study, settle.diagnosis(study.name, name, rows, number), now)
        return True

    def _take_answer(self, study: Study, spec: StudySpec, now: float) -> None:
        try:
            proposal = self._proposer.take(row(study.id))
        except SpaceExhausted:
            self._exhausted[row(study.id)] = (len(self._trials_of(study)), spec)
            return
        if proposal is None:
            return
        refused: tuple[str, str] | None
        try:
            planned = dispatch.plan(spec, study.prepared or {}, proposal.params)
        except ConfigError as error:
            planned, refused = dispatch.Planned(dict(proposal.params), spec.settings, {}), ("impossible", str(error))
        else:
            refused = over_limit(spec, planned.known)
        self._create(study, spec, "sampler", planned, now, proposal, refused)

    def _create(
        self,
        study: Study,
        spec: StudySpec,
        origin: str,
        planned: dispatch.Planned,
        now: float,
        proposal: Proposal | None = None,
        refused: tuple[str, str] | None = None,
    ) -> None:
        """A new trial, unless the budget was used up meanwhile. `refused` makes it infeasible without a run."""
        with self.db.write() as session:
            fresh = reads.study_by_id(session, row(study.id))
            if used(reads.trials(session, row(study.id))) >= spec.budget.trials or fresh.state != StudyState.RUNNING:
                return
            trial = writes.create_trial(
                session,
                study_id=row(study.id),
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
                writes.set_trial_state(session, row(trial.id), state, now=now, reason=reason, detail=detail)
        self._trials.pop(row(study.id), None)

    def _budget_spent(self, study: Study, spec: StudySpec, trials: Sequence[Trial]) -> bool:
        """Whether no new trial may be created: trials or hours are used up, or the space holds nothing new."""
        if used(trials) >= spec.budget.trials or out_of_hours(study, spec):
            return True
        count, asked_of = self._exhausted.get(row(study.id), (-1, spec))
        return count == len(trials) and asked_of is spec

    def _wants_proposal(self, study: Study, spec: StudySpec, trials: Sequence[Trial], live: Sequence[Attempt]) -> bool:
        if not self._proposer.free or any(trial.state == TrialState.WAITING for trial in trials):
            return False
        return self._free_slot(study, spec, live) is not None

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
        early = used(trials) < spec.budget.trials
        with self.db.write() as session:
            for trial in late:
                detail = f"the study's {spec.budget.hours:g} hours were used up"
                state = TrialState.STOPPED
                writes.set_trial_state(session, row(trial.id), state, now=now, reason="budget", detail=detail)
            if early:
                cause = "its hours are used up" if out_of_hours(study, spec) else "the search space holds nothing new"
                text = f"The study is complete after {used(trials)} of {spec.budget.trials} trials: {cause}."
                writes.add_notice(session, level="info", text=text, now=now, study_id=study.id)
            if not any(one.state == TrialState.WAITING for one in reads.trials(session, row(study.id))):
                writes.set_study_state(session, row(study.id), StudyState.COMPLETE, now=now)
        self._trials.pop(row(study.id), None)

    def _pause(self, study: Study, diagnosis: str, now: float) -> None:
        log.warning("study %s is paused: %s", study.name, diagnosis)
        with self.db.write() as session:
            writes.set_study_state(session, row(study.id), StudyState.PAUSED, now=now, diagnosis=diagnosis)
            writes.add_notice(session, level="error", text=diagnosis, now=now, study_id=study.id)

    # -------------------------------------------------------------------------------------------------------- launching

    def _launch(self, now: float) -> None:
        """Fill the free slots, one attempt a study in turn: the study with the fewest workers first."""
        refused: set[int] = set()
        while True:
            with self.db.read() as session:
                live = reads.live_attempts(session)
            studies = [study for study in self._running() if row(study.id) not in refused]
            studies.sort(key=lambda one: (_count(live, one), self._launched.get(row(one.id), 0.0)))
            if not any(self._start_one(study, live, now, refused) for study in studies):
                return

    def _start_one(self, study: Study, live: Sequence[Attempt], now: float, refused: set[int]) -> bool:
        """Start what is next in a study; False when there is nothing, or no room."""
        with self._at(study):
            spec = self._spec(study)
            slot = self._free_slot(study, spec, live)
            ready, trial = self._next(study, spec, live)
            if slot is None or not ready:
                return False
            if not self._has_room(study, spec, now) or self._is_busy(slot, study, now):
                refused.add(row(study.id))
                return False
            self._trials.pop(row(study.id), None)
            try:
                attempt = dispatch.begin(
                    self.db, self.workspace, self.launcher, study=study, spec=spec, trial=trial, slot=slot, now=now
                )
            except LaunchError as error:
                refused.add(row(study.id))
                self._launch_failed(study, trial, spec, error, now)
                return False
            self._launched[row(study.id)] = now
            if attempt is not None:
                log.info("%s started on %s", attempt.folder, slot.name)
            return attempt is not None

    def _next(self, study: Study, spec: StudySpec, live: Sequence[Attempt]) -> tuple[bool, Trial | None]:
        """What to start next: (True, None) is the preparation, (False, None) nothing."""
        if study.prepared is None:
            return not any(one.study_id == study.id for one in live), None
        waiting = [trial for trial in self._trials_of(study) if trial.state == TrialState.WAITING]
        running = {attempt.trial_id for attempt in live}
        late = out_of_hours(study, spec)
        ready = [one for one in waiting if one.id not in running and not (late and one.started_at is None)]
        return bool(ready), min(ready, key=place_in_queue, default=None)

    def _launch_failed(
        self, study: Study, trial: Trial | None, spec: StudySpec, error: LaunchError, now: float
    ) -> None:
        """The row of the attempt is there; it ends here, as a failure of the machine."""
        with self.db.read() as session:
            attempts = reads.attempts(session, study_id=study.id)
        attempt = next(one for one in reversed(attempts) if one.trial_id == (trial.id if trial else None))
        ended = Exit("launch_failed", log_tail=str(error), ended_at=now)
        settle.settle(self.db, row(attempt.id), ended, wanted=(), retries=spec.runner.retries, now=now)
        self._trials.pop(row(study.id), None)

    def _free_slot(self, study: Study, spec: StudySpec, live: Sequence[Attempt]) -> Slot | None:
        """A slot for one more worker of this study, if it and the machine have one left."""
        slots = self._slots_for(spec)
        if _count(live, study) >= len(slots) or len(live) >= max(len(slots), self._most_slots()):
            return None
        names = {attempt.slot for attempt in live}
        loads = gpu_loads(self._device(attempt) for attempt in live)
        return next((slot for slot in slots if slot.name not in names and fits(slot.device, loads)), None)

    def _slots_for(self, spec: StudySpec) -> list[Slot]:
        """The slots that a study may use; asked of the machine once a minute, for NVML takes its time."""
        key = (spec.runner.slots, spec.runner.slots_per_gpu)
        at, slots = self._slots.get(key, (0.0, []))
        if not slots or time.monotonic() - at > SLOTS_SECONDS:
            slots = self.launcher.slots(*key)
            self._slots[key] = (time.monotonic(), slots)
        return slots

    def _most_slots(self) -> int:
        return max((len(slots) for _, slots in self._slots.values()), default=1)

    def _is_busy(self, slot: Slot, study: Study, now: float) -> bool:
        """Whether other people use this slot just now; said once in ten minutes."""
        reason = self.launcher.busy(slot)
        if reason and now - self._busy_said.get(slot.name, 0.0) > BUSY_NOTICE_SECONDS:
            self._busy_said[slot.name] = now
            with self.db.write() as session:
                text = f"Slot {slot.name} is skipped: {reason}."
                writes.add_notice(session, level="warning", text=text, now=now, study_id=study.id)
        return bool(reason)

    def _device(self, attempt: Attempt) -> Device:
        return Device(**attempt.handle["device"]) if "device" in attempt.handle else Device()

    # ----------------------------------------------------------------------------------------------------- housekeeping

    def _has_room(self, study: Study, spec: StudySpec, now: float) -> bool:
        """Whether the disk has room; removes what can be spared, and pauses the study when that is too little."""
        wanted = int(spec.runner.min_free_gb * 1e9)
        if retention.free_bytes(self.workspace.path) >= wanted:
            return True
        retention.make_room(self.db, self.workspace, wanted, now=now)
        free = retention.free_bytes(self.workspace.path)
        if free >= wanted:
            return True
        text = f"Only {free / 1e9:.2f} GB are free at {self.workspace.path}, {spec.runner.min_free_gb:g} GB are wanted"
        hint = f"Free disk space or lower runner.min_free_gb, then: bertdistill-tui engine resume {study.name}"
        self._pause(study, f"{text}, and no checkpoint is left that can be spared. {hint}", now)
        return False

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
            for study in self._running():
                with self._at(study):
                    self._has_room(study, self._spec(study), now)

    def _account(self, studies: Sequence[Study], now: float) -> None:
        """Count the time for budget.hours; written with the heartbeat."""
        passed = max(0.0, now - self._last_tick) if self._last_tick is not None else 0.0
        self._last_tick = now
        for study in studies:
            self._spent[row(study.id)] = self._spent.get(row(study.id), 0.0) + passed

    # --------------------------------------------------------------------------------------------------------- look-ups

    def _running(self) -> list[Study]:
        with self.db.read() as session:
            return [study for study in reads.studies(session) if study.state == StudyState.RUNNING]

    def _spec_by_id(self, study_id: int) -> StudySpec:
        with self.db.read() as session:
            return self._spec(reads.study_by_id(session, study_id))

    def _spec(self, study: Study) -> StudySpec:
        """The spec in force; validated once for each change of it."""
        cached = self._specs.get(row(study.id))
        if cached is None or cached[0] != study.spec:
            cached = (study.spec, study_from_dict(study.spec, where=f"study {study.name}"))
            self._specs[row(study.id)] = cached
        return cached[1]

    def _trials_of(self, study: Study) -> list[Trial]:
        """All trials of a study; read again only when their states changed."""
        with self.db.read() as session:
            counts = reads.counts(session, row(study.id))
            cached = self._trials.get(row(study.id))
            if cached is None or cached[0] != counts:
                cached = (counts, reads.trials(session, row(study.id)))
                self._trials[row(study.id)] = cached
        return cached[1]

    def _paths(self, attempt: Attempt) -> RunPaths:
        return RunPaths(self.workspace.absolute(attempt.folder))

    def _size(self, attempt: Attempt) -> int:
        try:
            return self._paths(attempt).events.stat().st_size
        except OSError:
            return 0

    def _stirs(self) -> bool:
        if self._proposer.ready or self.db.data_version() != self._seen_version:
            return True
        return any(
            self._size(attempt) != size or not self.launcher.alive(self._paths(attempt), attempt.handle)
            for attempt, size in self._watched
        )

    @contextmanager
    def _at_id(self, study_id: int) -> Iterator[None]:
        """While the block runs, failures are this study's; after it, nobody's."""
        self.current = study_id
        yield
        self.current = None

    def _at(self, study: Study) -> Any:
        return self._at_id(row(study.id))


def _count(live: Sequence[Attempt], study: Study) -> int:
    return sum(attempt.study_id == study.id for attempt in live)


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
        sys.stderr.write("usage: python -P -m bertdistill.engine.runner WORKSPACE\n")
        return 2
    workspace = resolve_workspace(Path(argv[0]), {})
    workspace.make()
    logging.basicConfig(
        filename=workspace.runner_log, level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )
    try:
        return run(workspace, LocalLauncher())
    except BertDistillError as error:
        log.error("%s %s", error, error.hint)
        sys.stderr.write(f"{error}\n{error.hint}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
