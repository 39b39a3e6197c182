"""A study as an optuna storage: SQLite, or a journal where the file is called `.log` or `.journal`.

Written through optuna's own API, so that optuna, its dashboard and its analyses open it. It is a copy for others: our
record stays the only one (decision 003), and nothing here reads a storage.
"""

from __future__ import annotations

import datetime
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.interchange.out.distributions import Scalar, distributions, scalar
from bertdistill.engine.interchange.out.outgoing import PREPARATION, Losses, Outgoing, all_metrics, study_file
from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.tasks.table import usual_direction
from bertdistill.store.foreign import foreign_errors, hurry
from bertdistill.store.rows import Trial, TrialState

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

JOURNALS = (".log", ".journal")
OURS = "bertdistill."
"""Prefix of the attributes that are not metrics."""
_SAME = {
    TrialState.COMPLETE: "COMPLETE",
    TrialState.PRUNED: "PRUNED",
    TrialState.RUNNING: "RUNNING",
    TrialState.WAITING: "WAITING",
}
"""States that optuna has, too; any other one is its FAIL."""


def write(out: Outgoing, file: Path, losses: Losses) -> None:
    """Write the study to a new file."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    objectives = _objectives(out, losses)
    params = [{name: scalar(value) for name, value in trial.params.items()} for trial in out.trials]
    trials = _Trials(out, objectives, _score(out, objectives), distributions(out.outline.search, params))
    with foreign_errors(file, optuna.exceptions.StorageInternalError), _storage(file) as storage:
        study = optuna.create_study(
            storage=storage, study_name=out.study.name, directions=[one.direction for one in objectives]
        )
        with warnings.catch_warnings(category=optuna.exceptions.ExperimentalWarning, action="ignore"):
            study.set_metric_names([one.metric for one in objectives])
        for name, value in _study_attributes(out, trials.score).items():
            study.set_user_attr(name, value)
        for trial, values in zip(out.trials, params, strict=True):
            study.add_trial(trials.frozen(trial, values, losses))
    _count_curves(out, trials.score, losses)


@contextmanager
def _storage(file: Path) -> Iterator[BaseStorage]:
    """The storage of a new file, closed at the end."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if file.suffix in JOURNALS:
        yield JournalStorage(JournalFileBackend(str(file)))
        return
    found = RDBStorage(f"sqlite:///{file}")
    hurry(found.engine)
    try:
        yield found
    finally:
        found.remove_session()
        found.engine.dispose()


def _objectives(out: Outgoing, losses: Losses) -> list[Objective]:
    """What optuna optimises: it needs something, and logged runs may have named nothing."""
    if found := optimised(out.outline.objectives):
        return found
    counts = Counter(name for trial in out.trials for name in trial.metrics)
    [(name, _)] = counts.most_common(1) or [("value", 0)]
    losses.add(f"studies without an objective; {name} is written as one")
    return [Objective(name, usual_direction(name))]


def _score(out: Outgoing, objectives: Sequence[Objective]) -> str:
    """The series of intermediate values, of which optuna has one; empty without any."""
    names = {one.name for found in out.series.values() for one in found}
    wanted = [name for one in objectives for name in (f"search/{one.metric}", one.metric)]
    return next((name for name in [*wanted, "reported"] if name in names), "")


@dataclass(frozen=True)
class _Trials:
    """Trials as optuna's."""

    out: Outgoing
    objectives: Sequence[Objective]
    score: str
    distributions: Mapping[str, BaseDistribution]

    def frozen(self, trial: Trial, params: Mapping[str, Scalar], losses: Losses) -> FrozenTrial:
        """One trial; its times are those of this machine's time zone, as optuna's own are."""
        from optuna.trial import TrialState as State
        from optuna.trial import create_trial

        metrics = all_metrics(trial)
        values = [value for one in self.objectives if (value := metrics.get(one.metric)) is not None]
        state = State[_SAME.get(trial.state, "FAIL")]
        if state == State.COMPLETE and len(values) < len(self.objectives):
            state = State.FAIL
        violations = _violations(self.out.outline.objectives, metrics)
        found = create_trial(
            state=state,
            values=values if state == State.COMPLETE else None,
            params=dict(params),
            distributions={name: self.distributions[name] for name in params},
            user_attrs={**metrics, **self._attributes(trial)},
            intermediate_values=self._curve(trial),
            # Twice: named for optuna 5, and as the list of earlier versions, which is what its dashboard reads.
            constraints=violations,
            system_attrs={"constraints": list(violations.values())} if violations else None,
        )
        if state != State.WAITING:
            found.datetime_start = datetime.datetime.fromtimestamp(trial.started_at or trial.created_at)
        if state.is_finished():
            ended = trial.finished_at or trial.started_at or trial.created_at
            found.datetime_complete = datetime.datetime.fromtimestamp(ended)
        _count_trial(trial, state.name, params, losses)
        return found

    def _curve(self, trial: Trial) -> dict[int, float]:
        """The values of the score by step; NaN is what optuna has for a value that is not finite."""
        found = [one for one in self.out.series.get(trial.id, ()) if one.name == self.score]
        return {
            step: float("nan") if value is None else value
            for one in found
            for piece in self.out.curve(one)
            for step, value in zip(piece.steps, piece.values, strict=True)
        }

    def _attributes(self, trial: Trial) -> dict[str, Any]:
        """What optuna has no field for; without what is empty."""
        standing = self.out.ranked.get(trial.number)
        found = {
            "trial": trial.number,
            "state": trial.state.value,
            "origin": trial.origin,
            "parent": self.out.parents.get(trial.number),
            "seed": trial.settings.get("seed"),
            "proposal_seed": trial.proposal_seed,
            "sampler": trial.sampler,
            "reason": trial.reason,
            "detail": trial.detail,
            "tags": list(trial.tags),
            "note": trial.note,
            "archived": trial.archived or None,
            "frontier": standing.on_frontier if standing else None,
        }
        return {OURS + name: value for name, value in found.items() if value not in (None, "", [])}


def _violations(objectives: Sequence[Objective], metrics: Mapping[str, float | None]) -> dict[str, float]:
    """By how much each threshold is missed; 0 or less where it is reached."""
    return {
        one.metric: one.threshold - value if one.direction == "maximize" else value - one.threshold
        for one in objectives
        if one.threshold is not None and (value := metrics.get(one.metric)) is not None
    }


def _study_attributes(out: Outgoing, score: str) -> dict[str, Any]:
    spec = out.outline.spec
    found = {
        "study_file": study_file(spec) if spec is not None else "",
        "task": out.study.task,
        "kind": out.study.kind,
        "state": out.study.state.value,
        "note": out.outline.note,
        "curve": score,
    }
    return {OURS + name: value for name, value in found.items() if value}


def _count_trial(trial: Trial, state: str, params: Mapping[str, Scalar], losses: Losses) -> None:
    if state == "FAIL" and trial.state == TrialState.COMPLETE:
        losses.add("complete trials without a value for every objective, written as FAIL")
    elif state == "FAIL" and trial.state != TrialState.FAILED:
        losses.add(f"{trial.state.value} trials, written as FAIL with {OURS}state")
    elif state in ("RUNNING", "WAITING"):
        losses.add(f"{trial.state.value} trials, which stay so in the copy")
    changed = sum(params[name] is not value for name, value in trial.params.items())
    losses.add("parameter values that optuna cannot hold, written as text", changed)


def _count_curves(out: Outgoing, score: str, losses: Losses) -> None:
    series = [(trial_id, one) for trial_id, found in out.series.items() for one in found]
    left = [one for trial_id, one in series if one.name != score or trial_id == PREPARATION]
    kept = f"; optuna has one for a trial, and {score} is kept" if score else ""
    losses.add(f"curves with {sum(one.points for one in left):,} points{kept}", len(left))
    if any(trial.number != place for place, trial in enumerate(out.trials)):
        losses.add(f"trials, renumbered because others were deleted; see {OURS}trial", len(out.trials))
