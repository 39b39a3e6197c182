"""What happened in a study, line by line: starts and ends of trials, preparation, requests of people, notices. Pure.

Nothing is kept for it: all of it follows from rows that are there anyway. It reads no store and draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING

from bertdistill.app.text import format as fmt
from bertdistill.app.views.view import StudyView
from bertdistill.store.rows import Attempt, Notice, Trial

if TYPE_CHECKING:
    from bertdistill.engine.steering.history import Entry

LONGEST = 300
"""Newest lines that are made."""
AT_ONCE = 5.0
"""Seconds between a proposal and its start that are shown in one line."""
BAD = ("failed", "infeasible")
WHAT_STANDS_HERE = (
    "No events yet. This log shows the preparation, starts and ends of trials, requests, and notices of the runner."
)


@dataclass(frozen=True)
class Event:
    """One line. `kind` is `waits`, `start`, `end`, `asked`, `study`, or the level of a notice; the words say it, too.

    `words` may hold foreign text.
    """

    key: str
    at: float
    kind: str
    words: str
    trial: int | None = None
    bad: bool = False


def study_log(
    view: StudyView, notices: Sequence[Notice], entries: Sequence[Entry], preparation: Attempt | None
) -> list[Event]:
    """The newest lines, oldest first. `preparation` is the newest one."""
    moments = [(at, kind, trial) for trial in view.trials for at, kind in _moments(trial)]
    newest = nlargest(LONGEST, moments, key=lambda moment: moment[0])  # only these are put into words
    found = [_trial_event(view, trial, at, kind) for at, kind, trial in newest]
    found += _study_events(view, preparation)
    found += [_asked(entry) for entry in entries[-LONGEST:]]
    numbers = {trial.id: trial.number for trial in view.trials}
    found += [_notice(one, numbers.get(one.trial_id or 0)) for one in notices]
    return sorted(found, key=lambda event: event.at)[-LONGEST:]


def _moments(trial: Trial) -> Iterator[tuple[float, str]]:
    started = trial.started_at
    if started is None or started - trial.created_at > AT_ONCE:
        yield trial.created_at, "waits"
    if started is not None:
        yield started, "start"
    if trial.finished_at is not None:
        yield trial.finished_at, "end"


def _trial_event(view: StudyView, trial: Trial, at: float, kind: str) -> Event:
    words = {"waits": _waits, "start": _start, "end": _end}[kind](view, trial)
    bad = kind == "end" and trial.state in BAD
    return Event(f"{kind} {trial.number}", at, kind, words, trial.number, bad)


def _origin(view: StudyView, trial: Trial) -> str:
    parent = view.parent(trial)
    match trial.origin:
        case "baseline":
            return "the baseline"
        case "sampler":
            return f"proposed by {trial.sampler}: {fmt.settings(trial.params)}"
        case "rerun" if parent is not None:
            return f"rerun of #{parent.number}: {fmt.settings(_changed(trial, parent))}"
    return f"{trial.origin}: {fmt.settings(trial.params)}"


def _changed(trial: Trial, parent: Trial) -> dict[str, object]:
    return {name: value for name, value in trial.params.items() if parent.params.get(name) != value} or trial.params


def _waits(view: StudyView, trial: Trial) -> str:
    return f"waits, {_origin(view, trial)}"


def _start(view: StudyView, trial: Trial) -> str:
    at_once = (trial.started_at or 0.0) - trial.created_at <= AT_ONCE
    return f"starts, {_origin(view, trial)}" if at_once else "starts"


def _end(view: StudyView, trial: Trial) -> str:
    """State and scores; why it ended badly; whether it stands on the frontier now."""
    values = view.values(trial)
    words = [trial.state.value]
    if trial.reason:
        words.append(f"{trial.reason}: {trial.detail}" if trial.detail else trial.reason)
    ranked = view.ranked.get(trial.number)
    if ranked is not None:
        words += [f"{o.metric} {fmt.metric(o.metric, values.get(o.metric))}" for o in view.objectives]
        if gain := view.gain.get(trial.number):
            words.append(f"gain {fmt.gain(gain)}")
        words += ["on the frontier"] if ranked.on_frontier else []
    if trial.busy_seconds:
        words.append(f"after {fmt.duration(trial.busy_seconds)}")
    return ", ".join(words)


def _study_events(view: StudyView, preparation: Attempt | None) -> Iterator[Event]:
    study, budget = view.study, view.outline.trials
    yield Event(
        "created", study.created_at, "study", f"study created, for {budget} trials" if budget else "study created"
    )
    if preparation is not None:
        words = "preparation starts: data and teacher, once for all trials"
        yield Event("prepare", preparation.started_at, "start", words)
        if preparation.ended_at is not None:
            bad = preparation.exit_class not in ("", "complete", "stopped")
            how = preparation.exit_class or "ended"
            yield Event("prepared", preparation.ended_at, "end", f"preparation: {how}", bad=bad)
    if study.finished_at is not None:
        yield Event("finished", study.finished_at, "study", f"study {study.state.value}", bad=study.state in BAD)


def _asked(entry: Entry) -> Event:
    outcome = f" ({entry.outcome})" if entry.outcome not in ("", "done") else "" if entry.outcome else " (waits)"
    return Event(f"asked {entry.id}", entry.at, "asked", f"{entry.who} asked: {entry.words}{outcome}", entry.trial)


def _notice(notice: Notice, trial: int | None) -> Event:
    words = notice.text if notice.level == "info" else f"{notice.level}: {notice.text}"
    return Event(f"notice {notice.id}", notice.at, notice.level, words, trial, notice.level == "error")
