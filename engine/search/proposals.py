"""Ask the optimiser for the next trial in a background thread, from the trials in the database.

It writes nothing, and reads of a large study only what changed. At most one question is open at a time, so every
proposal knows all trials before it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import SUPERNET
from bertdistill.engine.search.past import Memory, PastTrial, Proposal, ScreenedStudent, SpaceExhausted
from bertdistill.engine.search.starts import SAMPLER, narrowed, pending, screened_students, starts
from bertdistill.engine.study import student
from bertdistill.engine.study.cases import Cases
from bertdistill.engine.study.space import Value, resolve
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.engine.search.model import Model

ReportedState = Literal["complete", "running", "infeasible", "pruned"]
_REPORTED_AS: Mapping[TrialState, ReportedState] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.INFEASIBLE: "infeasible",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
}
"""How trial states are reported; failed and stopped trials are not learned from, but not proposed again either."""


def history(trials: Sequence[Trial], spec: StudySpec, cases: Cases | None = None) -> list[PastTrial]:
    """The trials that the optimiser may learn from. `cases` are those of the spec, if they are known already.

    A rerun or baseline with other fixed settings is excluded: its score would be attributed to the searched ones.
    """
    cases = cases or Cases(spec.search, spec.fixed)
    comparable = [trial for trial in trials if trial.state in _REPORTED_AS and _comparable(trial, cases)]
    return [_past(trial, spec) for trial in comparable]


def _past(trial: Trial, spec: StudySpec) -> PastTrial:
    seconds = trial.busy_seconds if trial.state == TrialState.COMPLETE else None
    return PastTrial(trial.params, _REPORTED_AS[trial.state], _values(trial, spec), seconds=seconds or None)


def tried(trials: Sequence[Trial], spec: StudySpec, cases: Cases | None = None) -> list[dict[str, Any]]:
    """Parameter sets that are not learned from but not proposed again: they crashed or were stopped by a user."""
    cases = cases or Cases(spec.search, spec.fixed)
    begun = [trial for trial in trials if trial.state not in _REPORTED_AS and trial.started_at is not None]
    return [trial.params for trial in begun if _comparable(trial, cases)]


def _comparable(trial: Trial, cases: Cases) -> bool:
    """Whether its settings are those that the study derives from its parameters, perhaps with another seed: a repeat
    shows how noisy scores are."""
    given = cases.settings(trial.params)
    if given == trial.settings:
        return True
    return all(given[name] == value for name, value in trial.settings.items() if name in given and name != "seed")


def _values(trial: Trial, spec: StudySpec) -> tuple[float | None, ...]:
    found = {**trial.known, **trial.metrics}
    return tuple([found.get(objective.metric) for objective in spec.objectives])


@dataclass
class Record:
    """A cache of one study's trials under one spec, as the optimiser sees them.

    Ended trials do not change, so only new and unfinished ones are reread; all are reread after a user's request (an
    undo or a retry changes the state of ended trials).
    """

    study_id: int
    spec: StudySpec
    memory: Memory = field(default_factory=Memory)
    _mark: int = -1
    _last: int = 0
    _open: set[int] = field(default_factory=set)
    _told: dict[int, PastTrial] = field(default_factory=dict)
    _tried: dict[int, dict[str, Any]] = field(default_factory=dict)
    _sampled: int = 0
    _starts: list[dict[str, Value]] = field(default_factory=list)
    _screened: list[ScreenedStudent] | None = None
    """None until they are read, once: the preparation of a study has ended before its first proposal."""

    def refresh(self, session: Reading) -> None:
        """Update from what changed in the database."""
        mark = reads.newest_request(session, self.study_id)
        if mark != self._mark:
            fresh = Record(self.study_id, self.spec)
            self.__dict__.update(vars(fresh) | {"_mark": mark})
        if self._screened is None and self.spec.student.init == SUPERNET:
            rows = reads.screened(session, self.study_id)
            self._starts, self._screened = starts(rows, self.spec), screened_students(rows, self.spec)
        cases = Cases(self.spec.search, self.spec.fixed)
        for trial in reads.trials_by_id(session, self._open):
            self._take(trial, cases)
        for trial in reads.trials_after(session, self.study_id, self._last):
            self._take(trial, cases)
            self._sampled += trial.origin == "sampler"
            self._last = trial.id

    def _take(self, trial: Trial, cases: Cases) -> None:
        self._open.discard(trial.id)
        if trial.state in (TrialState.WAITING, TrialState.RUNNING):
            self._open.add(trial.id)
        self._told.pop(trial.id, None)
        if past := history([trial], self.spec, cases):
            self._told[trial.id] = past[0]
        elif begun := tried([trial], self.spec, cases):
            self._tried[trial.id] = begun[0]

    def next_proposal(self, facts: Prepared) -> Proposal:
        """What to try next; raises SpaceExhausted if a finite space holds nothing new."""
        from bertdistill.engine.search.optimiser import propose  # loads optuna, in the thread of the proposals

        spec = self.spec

        def effect(params: Mapping[str, Any]) -> Hashable:
            return student.effect(spec, facts, resolve(spec.search, params, spec.fixed))

        def effective(params: Mapping[str, Any]) -> frozenset[str]:
            return student.effective(spec, facts, resolve(spec.search, params, spec.fixed))

        ask = partial(
            propose,
            self._history(),
            spec.search,
            spec.objectives,
            seed=spec.sampler.seed,
            index=self._sampled,
            startup_trials=spec.sampler.startup_trials,
            known=self._known(facts),
            fixed=spec.fixed,
            effect=effect if spec.program is None else None,
            effective=effective if spec.program is None else None,
            tried=list(self._tried.values()),
            memory=self.memory,
            screened=self._screened or (),
            per_second=per_second(spec),
        )
        return self._start(ask) or ask(kind=spec.sampler.kind, within=spec.proposable)

    def _start(self, ask: Callable[..., Proposal]) -> Proposal | None:
        """The next trial of those that the screening suggests; None once all of them were begun."""
        begun = [*(one.params for one in self._told.values()), *self._tried.values()]
        for start in pending(self._starts, begun):
            within = narrowed(self.spec.proposable, start)
            try:
                if within is not None:
                    return replace(ask(kind="random", within=within, memory=None), sampler=SAMPLER)
            except SpaceExhausted:  # the baseline is like it, or a threshold excludes it
                continue
        return None

    def model(self, facts: Prepared) -> Model | None:
        """What the Gaussian process has learned, whichever sampler proposes; None if it has too few scores."""
        from bertdistill.engine.search.optimiser import gaussian_model

        return gaussian_model(
            self._history(),
            self.spec.search,
            self.spec.objectives,
            known=self._known(facts),
            fixed=self.spec.fixed,
            within=self.spec.proposable,
            screened=self._screened or (),
        )

    def _history(self) -> list[PastTrial]:
        return [self._told[trial_id] for trial_id in sorted(self._told)]

    def _known(self, facts: Prepared) -> Callable[[dict[str, Any]], Mapping[str, float]] | None:
        if self.spec.program is not None:
            return None
        return lambda params: student.plan(self.spec, facts, params).known


def per_second(spec: StudySpec) -> bool:
    """Whether worker time is what is scarce, rather than trials."""
    return spec.sampler.per == "second" or (spec.sampler.per == "auto" and spec.budget.hours > 0)


def _answer(db: Database, record: Record, facts: Prepared) -> Proposal:
    with db.read() as session:
        record.refresh(session)
    return record.next_proposal(facts)


@dataclass
class Proposer:
    """The thread and its pending request."""

    db: Database
    on_done: Callable[[], None] = lambda: None
    _records: dict[int, Record] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "proposal"))
    _open: tuple[int, Future[Proposal]] | None = None

    @property
    def free(self) -> bool:
        """Whether a new request may be made."""
        return self._open is None

    @property
    def ready(self) -> bool:
        """Whether a result is ready."""
        return self._open is not None and self._open[1].done()

    def ask(self, study_id: int, spec: StudySpec, facts: Prepared) -> None:
        """Ask for the next trial of a study."""
        record = self._records.get(study_id)
        if record is None or record.spec is not spec:
            record = self._records[study_id] = Record(study_id, spec)
        future = self._pool.submit(_answer, self.db, record, facts)
        self._open = (study_id, future)
        future.add_done_callback(lambda _: self.on_done())

    def keep(self, study_ids: Container[int]) -> None:
        """Drop the pending request if it is for another study: its result would be stale.

        The records of other studies are dropped as well.
        """
        self._records = {study_id: record for study_id, record in self._records.items() if study_id in study_ids}
        if self._open is not None and self._open[0] not in study_ids:
            self._open[1].cancel()
            self._open = None

    def asked_for(self, study_id: int) -> bool:
        """Whether the pending request is for this study."""
        return self._open is not None and self._open[0] == study_id

    def take(self, study_id: int) -> Proposal | None:
        """The result for a study once it is ready; raises what the optimiser raised."""
        if self._open is None or self._open[0] != study_id or not self._open[1].done():
            return None
        _, future = self._open
        self._open = None
        return future.result()

    def close(self) -> None:
        """Forget the pending request; a running one ends by itself."""
        self._open = None
        self._pool.shutdown(wait=False, cancel_futures=True)
