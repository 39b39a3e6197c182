"""Ask the optimiser for the next trial in a background thread, from the trials in the database.

It writes nothing. At most one request is pending at a time, so every proposal knows all trials before it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.search.optimiser import PastTrial, Proposal, propose
from bertdistill.engine.study import student
from bertdistill.engine.study.space import resolve
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.rows import Trial, TrialState

Told = Literal["complete", "running", "infeasible", "pruned"]
_AS: Mapping[TrialState, Told] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.INFEASIBLE: "infeasible",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
}
"""How trial states are reported; failed and stopped trials are not learned from, but not proposed again either."""


def history(trials: Sequence[Trial], spec: StudySpec) -> list[PastTrial]:
    """The trials that the optimiser may learn from.

    A rerun or baseline with other fixed settings is excluded: its score would be attributed to the searched ones.
    """
    told = [trial for trial in trials if trial.state in _AS and _comparable(trial, spec)]
    return [PastTrial(trial.params, _AS[trial.state], _values(trial, spec)) for trial in told]


def tried(trials: Sequence[Trial], spec: StudySpec) -> list[dict[str, Any]]:
    """Parameter sets that are not learned from but not proposed again: they crashed or were stopped by a user."""
    begun = [trial for trial in trials if trial.state not in _AS and trial.started_at is not None]
    return [trial.params for trial in begun if _comparable(trial, spec)]


def _comparable(trial: Trial, spec: StudySpec) -> bool:
    """Whether its settings are those that the study derives from its parameters."""
    given = vars(resolve(spec.search, trial.params, spec.settings))
    return all(given[name] == value for name, value in trial.settings.items() if name in given)


def _values(trial: Trial, spec: StudySpec) -> tuple[float | None, ...]:
    found = {**trial.known, **trial.metrics}
    return tuple(found.get(objective.metric) for objective in spec.objectives)


def next_proposal(trials: Sequence[Trial], spec: StudySpec, facts: Prepared) -> Proposal:
    """What to try next; raises SpaceExhausted if a finite space holds nothing new."""

    def known(params: dict[str, Any]) -> dict[str, float]:
        return student.plan(spec, facts, params).known

    def effect(params: Mapping[str, Any]) -> Hashable:
        return student.effect(spec, facts, resolve(spec.search, params, spec.settings))

    return propose(
        history(trials, spec),
        spec.search,
        spec.objectives,
        kind=spec.sampler.kind,
        seed=spec.sampler.seed,
        index=sum(trial.origin == "sampler" for trial in trials),
        startup_trials=spec.sampler.startup_trials,
        known=known,
        settings=spec.settings,
        within=spec.proposable,
        effect=effect,
        tried=tried(trials, spec),
    )


@dataclass
class Proposer:
    """The thread and its pending request."""

    on_done: Callable[[], None] = lambda: None
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

    def ask(self, study_id: int, trials: Sequence[Trial], spec: StudySpec, facts: Prepared) -> None:
        """Ask for the next trial of a study."""
        future = self._pool.submit(next_proposal, list(trials), spec, facts)
        self._open = (study_id, future)
        future.add_done_callback(lambda _: self.on_done())

    def keep(self, study_ids: Container[int]) -> None:
        """Drop the pending request if it is for another study: its result would be stale."""
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
