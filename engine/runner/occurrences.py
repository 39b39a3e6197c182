"""Which events of the studies are new since the last look, and what a message about each says. Pure.

Studies are compared by state; trials that ended are told apart by when they did, so a trial that is run again and ends
again is a new event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.contract.events import finite
from bertdistill.store.rows import Study, StudyState, Trial, TrialState

SLACK_SECONDS = 3600.0
"""How far the end of a logged run may lie behind that of another one and still be noticed: clocks differ."""
_STUDY = {
    StudyState.COMPLETE: "complete",
    StudyState.FAILED: "failed",
    StudyState.PAUSED: "paused",
    StudyState.STOPPED: "stopped",
}
_TRIAL = (TrialState.COMPLETE, TrialState.FAILED, TrialState.INFEASIBLE, TrialState.PRUNED, TrialState.STOPPED)


@dataclass(frozen=True)
class Marks:
    """What has been reported, or had happened before anyone was to be notified."""

    since: float
    """Trials that ended before are not news."""
    studies: Mapping[int, str] = field(default_factory=dict)
    """State by row id."""
    trials: Mapping[int, float] = field(default_factory=dict)
    """End by row id, of those that ended lately."""

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Marks:
        """Inverse of `to_dict`; raises ValueError, TypeError, KeyError or AttributeError for anything else."""
        studies = {int(row_id): str(state) for row_id, state in raw["studies"].items()}
        return Marks(float(raw["since"]), studies, {int(row_id): float(at) for row_id, at in raw["trials"].items()})

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "since": self.since,
            "studies": {str(row_id): state for row_id, state in self.studies.items()},
            "trials": {str(row_id): at for row_id, at in self.trials.items()},
        }


@dataclass(frozen=True)
class Occurrence:
    """One event: of a study, or of one of its trials."""

    event: str
    study: Study
    trial: Trial | None = None


def first_marks(studies: Iterable[Study], now: float) -> Marks:
    """Everything up to now is old."""
    return Marks(now, {study.id: study.state.value for study in studies})


def news(
    studies: Sequence[Study], ended: Sequence[Trial], marks: Marks, log_kind: str
) -> tuple[list[Occurrence], Marks]:
    """The events since the marks, trials first, and the marks after them.

    `ended` are the trials that ended lately, among them all that did since the last look. A collection of logged runs
    (`log_kind`) has no states of its own.
    """
    by_id = {study.id: study for study in studies}
    fresh = [
        one
        for one in ended
        if one.finished_at is not None
        and one.study_id in by_id
        and one.state in _TRIAL
        and one.finished_at > marks.since
        and marks.trials.get(one.id) != one.finished_at
    ]
    fresh.sort(key=lambda one: (one.finished_at or 0.0, one.id))
    found = [Occurrence(f"trial-{one.state.value}", by_id[one.study_id], one) for one in fresh]
    for study in studies:
        before = marks.studies.get(study.id, StudyState.RUNNING.value)
        is_old = study.finished_at is not None and study.finished_at <= marks.since  # it came back from the bin
        if study.kind != log_kind and study.state in _STUDY and study.state.value != before and not is_old:
            found.append(Occurrence(f"study-{_STUDY[study.state]}", study))
    ends = {**marks.trials, **{one.id: one.finished_at for one in fresh if one.finished_at is not None}}
    newest = max(ends.values(), default=0.0)
    since = max(marks.since, newest - SLACK_SECONDS)
    kept = {row_id: at for row_id, at in ends.items() if at > since}
    return found, Marks(since, {**marks.studies, **{study.id: study.state.value for study in studies}}, kept)


def payload(one: Occurrence, counts: Mapping[str, int], *, workspace: str, host: str, at: float) -> dict[str, Any]:
    """The message, as docs/guide/notifications.md describes it."""
    trial = one.trial
    found: dict[str, Any] = {
        "event": one.event,
        "at": at,
        "host": host,
        "workspace": workspace,
        "study": one.study.name,
        "trial": None if trial is None else trial.number,
        "state": (trial or one.study).state.value,
        "reason": trial.reason if trial else "",
        "detail": trial.detail if trial else one.study.diagnosis,
        "params": {} if trial is None else finite(trial.params),
        "metrics": {} if trial is None else finite({**trial.known, **trial.metrics}),
        "trials": dict(counts),
    }
    text = sentence(one, counts)
    return {**found, "text": text, "content": text}


def sentence(one: Occurrence, counts: Mapping[str, int]) -> str:
    """The event in words."""
    if one.trial is not None:
        why = ": ".join(filter(None, [one.trial.reason, _first_line(one.trial.detail)]))
        return f"{one.study.name}/{one.trial.number} is {one.trial.state.value}" + (f" ({why})" if why else "")
    tally = ", ".join(f"{number} {state}" for state, number in counts.items())
    why = _first_line(one.study.diagnosis)
    text = f"study {one.study.name} is {one.study.state.value}" + (f" ({tally})" if tally else "")
    return text + (f": {why}" if why else "")


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
