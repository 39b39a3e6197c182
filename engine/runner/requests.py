"""Process the requests of users: each becomes changed rows, in one transaction with its outcome.

It signals no process: a stop is a reason written to the attempt, which the runner passes on until the attempt is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertdistill.engine.runner.rules import launched
from bertdistill.engine.runner.settle import row
from bertdistill.store import reads, writes
from bertdistill.store.db import Database
from bertdistill.store.rows import Attempt, AttemptState, Request, StudyState, TrialState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

STOP_RUNNER = "stop_runner"
LEFT_BEFORE = "nothing to do: that runner has already exited"
STOP_NEWEST = "stop_newest"
AT_ONCE = "trial: without a checkpoint, as requested"
"""Stop reason of a worker that is killed instead of being asked to stop."""
_RESUMABLE = (StudyState.PAUSED, StudyState.STOPPED, StudyState.FAILED, StudyState.COMPLETE)


def honour_all(db: Database, *, now: float) -> list[Request]:
    """Process every pending request; returns them with their outcomes."""
    with db.read() as session:
        if not reads.pending_requests(session):
            return []
    with db.write() as session:
        return [
            writes.finish_request(session, request.id, outcome=_honour(session, request, now), now=now)
            for request in reads.pending_requests(session)
        ]


def _honour(session: Writing, request: Request, now: float) -> str:
    if request.study_id is not None and reads.study_by_id(session, request.study_id).deleted_at is not None:
        return "nothing to do: the study was deleted"
    match request.verb:
        case "stop_trial":
            return _stop_trial(session, request, now)
        case "stop_study":
            return _stop_study(session, request, now)
        case "pause":
            return _move_study(session, request, (StudyState.RUNNING,), StudyState.PAUSED, now)
        case "resume":
            return _move_study(session, request, _RESUMABLE, StudyState.RUNNING, now)
        case "stop_runner":
            if not _is_meant(session, request):
                return LEFT_BEFORE
            asked = _ask_to_stop(session, launched(reads.live_attempts(session)), "runner")
            return f"{asked} workers were asked to write a checkpoint and exit; then the runner exits"
        case "stop_newest":
            return _stop_newest(session, request)
    return f"refused: this runner does not know {request.verb!r}; restart it with the newer version of the program"


def _is_meant(session: Writing, request: Request) -> bool:
    """Whether a runner that was asked to leave is the one that works here now: it may have died before it read this."""
    lease, since = reads.lease(session), request.arguments.get("since")
    return since is None or lease is None or since == lease.acquired_at


def _stop_trial(session: Writing, request: Request, now: float) -> str:
    trial = reads.trial_by_id(session, row(request.trial_id))
    if trial.state == TrialState.WAITING:
        writes.set_trial_state(session, trial.id, TrialState.STOPPED, now=now, reason="trial")
        return "stopped before it ran"
    at_once = bool(request.arguments.get("now"))
    asked = _ask_to_stop(session, reads.attempts(session, trial_id=trial.id), AT_ONCE if at_once else "trial")
    said = "its worker is killed" if at_once else "its worker was asked to stop"
    return said if asked else f"nothing to do: the trial is {trial.state}"


def _stop_study(session: Writing, request: Request, now: float) -> str:
    study = reads.study_by_id(session, row(request.study_id))
    if study.state not in (StudyState.RUNNING, StudyState.PAUSED):
        return f"nothing to do: the study is {study.state}"
    asked = _ask_to_stop(session, reads.attempts(session, study_id=study.id), "study")
    writes.set_study_state(session, study.id, StudyState.STOPPED, now=now)
    return f"stopped; {asked} workers were asked to write a checkpoint and exit"


def _stop_newest(session: Writing, request: Request) -> str:
    """Trials above the number that the request names leave, the newest first; they wait and are resumed from there."""
    live = [one for one in reads.live_attempts(session) if one.study_id == request.study_id and one.trial_id]
    staying = sorted(live, key=lambda one: (bool(one.stop_reason), one.id))
    asked = _ask_to_stop(session, staying[int(request.arguments["slots"]) :], "slots")
    return f"{asked} workers were asked to write a checkpoint and exit"


def _move_study(
    session: Writing, request: Request, states: tuple[StudyState, ...], target: StudyState, now: float
) -> str:
    study = reads.study_by_id(session, row(request.study_id))
    if study.state not in states:
        return f"nothing to do: the study is {study.state}"
    writes.set_study_state(session, study.id, target, now=now)
    return f"the study is {target}"


def _ask_to_stop(session: Writing, attempts: list[Attempt], reason: str) -> int:
    """Write the reason to those that run and were not asked before; how many these are.

    A trial that is stopped for good while its worker leaves for another reason must not wait to be resumed.
    """
    before = {"trial": ("", "study", "runner", "slots"), AT_ONCE: ("", "study", "runner", "slots", "trial")}
    chosen = [
        one for one in attempts if one.state == AttemptState.RUNNING and one.stop_reason in before.get(reason, ("",))
    ]
    for attempt in chosen:
        writes.set_attempt_stop_reason(session, attempt.id, reason)
    return len(chosen)
