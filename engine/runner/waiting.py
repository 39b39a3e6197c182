"""Why each trial, preparation and next proposal waits, in the order in which the runner takes them. Pure.

It decides nothing: the runner's rules are in `rules` and `scheduler`; here they are explained to users.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bertdistill.engine.launch.slots import Capacity
from bertdistill.engine.runner.budget import used
from bertdistill.engine.runner.rules import out_of_hours, place_in_queue, preparation_slots, runs_alone, slot_settings
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.rows import Attempt, Study, StudyState, Trial, TrialState

Item = Literal["trial", "preparation", "proposal"]
Reason = Literal[
    "paused",
    "stopped",
    "failed",
    "no runner",
    "leaving",
    "preparing",
    "hours",
    "ending",
    "alone",
    "slots",
    "busy",
    "queue",
    "next",
]


@dataclass(frozen=True)
class StudyNow:
    """A study with all of its trials."""

    study: Study
    spec: StudySpec
    trials: Sequence[Trial]


@dataclass(frozen=True)
class Waiting:
    """One thing that has not started. `position` counts from 1 in its study."""

    study: str
    item: Item
    trial: int | None
    position: int
    reason: Reason
    why: str
    """A sentence for users, without its full stop."""
    note: str = ""
    """What it continues from: a retry, a checkpoint to resume from."""


@dataclass(frozen=True)
class Shared:
    """What all studies of a workspace share."""

    live: Sequence[Attempt]
    capacity: Capacity
    runner_alive: bool
    leaving: bool = False
    """Whether the runner was asked to leave."""
    prepares_alone: frozenset[int] = frozenset()
    """Ids of the studies whose preparation must run alone."""


_ALONE: tuple[Reason, str] = "alone", "it ran out of main memory, so it waits until nothing else runs"


def waiting(studies: Sequence[StudyNow], shared: Shared) -> list[Waiting]:
    """Everything that waits, study by study."""
    return [item for now in studies for item in _of_study(now, shared)]


def own_slots(now: StudyNow, capacity: Capacity) -> int:
    """Workers that this study may have at once, on all of its machines."""
    key = slot_settings(now.spec) if now.study.prepared is not None else preparation_slots(now.spec)
    return capacity.own.get(key, now.spec.runner.slots or 1)


def workers_of(now: StudyNow, live: Sequence[Attempt]) -> list[Attempt]:
    """Attempts of a study that run, its preparation among them."""
    return [attempt for attempt in live if attempt.study_id == now.study.id]


def _of_study(now: StudyNow, shared: Shared) -> Iterator[Waiting]:
    name, state = now.study.name, now.study.state
    if state == StudyState.COMPLETE:
        return
    mine = workers_of(now, shared.live)
    if now.study.prepared is None and not mine:
        alone = _ALONE if now.study.id in shared.prepares_alone and shared.live else None
        yield Waiting(name, "preparation", None, 1, *(_blocked(now, shared) or alone or _for_a_slot(now, shared, 0)))
    trials = sorted((one for one in now.trials if one.state == TrialState.WAITING), key=place_in_queue)
    for index, trial in enumerate(trials):
        reason, why = _blocked(now, shared) or _held_back(now, shared, trial, mine) or _for_a_slot(now, shared, index)
        yield Waiting(name, "trial", trial.number, index + 1, reason, why, _behind(trial, now.spec))
    wants_more = used(now.trials) < now.spec.budget.trials and not out_of_hours(now.study, now.spec)
    begun = now.study.prepared is not None or mine  # while it is prepared, the first proposal waits for that
    open_ = state in (StudyState.RUNNING, StudyState.PAUSED) and begun
    if open_ and not trials and wants_more:
        reason, why = _blocked(now, shared) or _for_a_slot(now, shared, 0)
        if reason == "next":
            why = "the optimiser is choosing parameters"
        yield Waiting(name, "proposal", None, 1, reason, why)


def _blocked(now: StudyNow, shared: Shared) -> tuple[Reason, str] | None:
    """What blocks the whole study."""
    study = now.study
    if study.state == StudyState.PAUSED:
        return "paused", "the study is paused" + (f": {study.diagnosis}" if study.diagnosis else "")
    if study.state == StudyState.STOPPED:
        return "stopped", "the study is stopped"
    if study.state == StudyState.FAILED:
        return "failed", f"the study failed: {study.diagnosis}"
    if not shared.runner_alive:
        return "no runner", "no runner is running"
    if shared.leaving:
        return "leaving", "the runner was asked to exit and starts nothing new"
    return None


def _held_back(now: StudyNow, shared: Shared, trial: Trial, mine: Sequence[Attempt]) -> tuple[Reason, str] | None:
    """What blocks this trial while others of its study may start."""
    if any(attempt.trial_id == trial.id for attempt in mine):
        return "ending", "its last attempt is still stopping"
    if now.study.prepared is None:
        return "preparing", "the preparation of the study comes first"
    if out_of_hours(now.study, now.spec) and trial.started_at is None:
        return "hours", f"the study's {now.spec.budget.hours:g} hours are used up"
    if runs_alone(trial) and shared.live:
        return _ALONE
    return None


def _for_a_slot(now: StudyNow, shared: Shared, before: int) -> tuple[Reason, str]:
    """Which slot something waits for that nothing else holds up; `before` others of its study go first."""
    mine, own = workers_of(now, shared.live), own_slots(now, shared.capacity)
    if now.study.prepared is None and mine:
        return "preparing", "the preparation of the study comes first"
    if shared.capacity.elsewhere:
        return "slots", f"waits for a slot on {shared.capacity.elsewhere}"
    if len(mine) >= own:
        return "slots", f"no free slot: the study has {len(mine)} of {own} {_workers(own)}"
    if len(shared.live) >= shared.capacity.most:
        return "slots", f"no free slot: {len(shared.live)} {_workers(len(shared.live))} of all studies run"
    free = [one for one in shared.capacity.slots if one.free]
    if not free:
        reasons = [f"{one.slot.name}: {one.reason}" for one in shared.capacity.slots if one.reason]
        return "busy", f"no free slot: {'; '.join(reasons)}" if reasons else "no free slot"
    if before >= min(len(free), own - len(mine), shared.capacity.most - len(shared.live)):
        return "queue", f"{before} before it in the queue"
    return "next", "starts at the runner's next check"


def _workers(number: int) -> str:
    return "worker" if number == 1 else "workers"


def _behind(trial: Trial, spec: StudySpec) -> str:
    if trial.failures:
        cause = f" after {trial.reason}" if trial.reason else ""
        return f"retry {trial.failures} of {spec.runner.retries}{cause}"
    return "resumes from its checkpoint" if trial.started_at is not None else ""


def leaving(live: Sequence[Attempt], pending: Sequence[str]) -> bool:
    """Whether the runner was asked to leave: by a request that is still open, or one that it passed on to workers."""
    return "stop_runner" in pending or any(attempt.stop_reason == "runner" for attempt in live)


def newest_worker(now: StudyNow, live: Sequence[Attempt]) -> Attempt | None:
    """The worker that leaves first when the study may have fewer."""
    trials = [one for one in workers_of(now, live) if one.trial_id is not None and not one.stop_reason]
    return max(trials, key=lambda one: one.id, default=None)
