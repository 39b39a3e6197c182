"""What a study needs next: a diagnosis, its baseline, a proposal, a new trial, or its end. It starts no attempt.

`runner` calls it in every round; which attempt starts is decided in `scheduler`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.runner import settle
from bertdistill.engine.runner.lookups import Lookups
from bertdistill.engine.runner.rules import out_of_hours, over_limit
from bertdistill.engine.runner.scheduler import Scheduler
from bertdistill.engine.runner.settle import row
from bertdistill.engine.search.past import Proposal, SpaceExhausted
from bertdistill.engine.search.proposals import Proposer
from bertdistill.engine.study.planned import Planned
from bertdistill.engine.study.ranges import inside
from bertdistill.engine.study.space import resolve
from bertdistill.engine.study.student import plan, plan_baseline
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database
from bertdistill.store.rows import Attempt, Study, StudyState, TrialState

LOOK_BACK = 500
"""How many of the newest ended attempts are searched for consecutive failures."""


@dataclass
class Advancer:
    """Decides what a running study needs. Losing its in-memory state is harmless."""

    db: Database
    lookups: Lookups
    proposer: Proposer
    scheduler: Scheduler
    pause: Callable[[Study, str, float], None]
    failed: set[int]
    """Studies with a failure that has not been diagnosed yet; shared with the collector."""
    _exhausted: dict[int, tuple[int, StudySpec, str]] = field(default_factory=dict)
    _looked_into: set[int] = field(default_factory=set)

    def advance(self, study: Study, live: Sequence[Attempt], now: float, *, draining: bool) -> None:
        """Diagnose, create the baseline, take an answer, ask (not while `draining`), complete."""
        spec = self.lookups.spec(study)
        if self._diagnose(study, spec, now) or study.prepared is None:
            return
        with self.db.read() as session:
            without = spec.baseline is not None and not reads.has_origin(session, study.id, "baseline")
            full = self.lookups.used(session, study.id) >= spec.budget.trials
        if without and not full:
            self._create(study, spec, "baseline", plan_baseline(spec, Prepared.from_dict(study.prepared)), now)
            return
        self._take_answer(study, spec, now)
        spent = self._budget_spent(study, spec)
        if not spent and not draining and self._wants_proposal(study, spec, live):
            self.proposer.ask(study.id, spec, Prepared.from_dict(study.prepared))
        if spent and not self.proposer.asked_for(study.id):
            self.complete(study, spec, live, now)

    def _diagnose(self, study: Study, spec: StudySpec, now: float) -> bool:
        """Pause a study whose trials fail one after another in the same way. Checked only after a failure."""
        study_id = study.id
        if study.prepared is None or (study_id in self._looked_into and study_id not in self.failed):
            return False
        self._looked_into.add(study_id)
        self.failed.discard(study_id)
        return self._pause_failing(study, spec, spec.budget.trials, now)

    def _pause_failing(self, study: Study, spec: StudySpec, trials: int, now: float) -> bool:
        """Pause a study when its failures are not the fault of a single trial; `trials` is how many it can have."""
        with self.db.read() as session:
            attempts = reads.attempts(session, study_id=study.id, kind="trial", ended=True, newest=LOOK_BACK)
            name, rows = settle.failures_in_a_row(attempts, settle.since(session, study))
            if not settle.is_evidence(rows, spec.runner.pause_after_failures, trials):
                return False
            number = reads.trial_by_id(session, row(rows[0].trial_id)).number
        self.pause(study, settle.diagnosis(study.name, name, rows, number), now)
        return True

    def _take_answer(self, study: Study, spec: StudySpec, now: float) -> None:
        try:
            proposal = self.proposer.take(study.id)
        except SpaceExhausted as error:
            self._exhausted[study.id] = (self._last_number(study), spec, str(error))
            return
        if proposal is None or not inside(spec.proposable, proposal.params):
            return  # a user narrowed a range meanwhile; the sampler is asked again
        refused: tuple[str, str] | None
        try:
            planned = plan(spec, Prepared.from_dict(study.prepared), proposal.params)
        except ConfigError as error:
            settings = dict(vars(resolve(spec.search, proposal.params, spec.fixed)))
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
            full = self.lookups.used(session, study.id) >= spec.budget.trials
            if full or fresh.state != StudyState.RUNNING:
                return
            trial = writes.create_trial(
                session,
                study_id=study.id,
                origin=origin,
                params=planned.params,
                settings=planned.settings,
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
            if self.lookups.used(session, study.id) >= spec.budget.trials or out_of_hours(study, spec):
                return True
        last, asked_of, _ = self._exhausted.get(study.id, (None, spec, ""))
        return last is not None and last == self._last_number(study) and asked_of is spec

    def _last_number(self, study: Study) -> int:
        with self.db.read() as session:
            return reads.last_number(session, study.id)

    def _wants_proposal(self, study: Study, spec: StudySpec, live: Sequence[Attempt]) -> bool:
        if not self.proposer.free or not self.scheduler.free_slots(spec, study, live):
            return False
        # Another trial than one that failed shows whether the machine is at fault, so those do not count as fresh.
        return all(trial.failures for trial in self.lookups.waiting(study))

    def complete(self, study: Study, spec: StudySpec, live: Sequence[Attempt], now: float) -> None:
        """End the study when its budget is spent and nothing of it runs or waits to be resumed."""
        if any(attempt.study_id == study.id for attempt in live):
            return
        waiting = self.lookups.waiting(study)
        late = [trial for trial in waiting if trial.started_at is None] if out_of_hours(study, spec) else []
        if len(late) < len(waiting):
            return
        if self._pause_failing(study, spec, self._last_number(study) + 1, now):
            return  # a small space has no further trial to propose
        with self.db.write() as session:
            used = self.lookups.used(session, study.id)
            if reads.study_by_id(session, study.id).spec != study.spec:
                return  # a user has just changed it, perhaps the budget
            for trial in late:
                detail = f"the study's {spec.budget.hours:g} hours were used up"
                state = TrialState.STOPPED
                writes.set_trial_state(session, trial.id, state, now=now, reason="budget", detail=detail)
            if used < spec.budget.trials:
                why = self._exhausted[study.id][2] if study.id in self._exhausted else "nothing new is left"
                cause = "its hours are used up" if out_of_hours(study, spec) else why
                text = f"The study is complete after {used} of {spec.budget.trials} trials: {cause}."
                writes.add_notice(session, level="info", text=text, now=now, study_id=study.id)
            if not reads.trials(session, study.id, states=(TrialState.WAITING,)):
                writes.set_study_state(session, study.id, StudyState.COMPLETE, now=now)
