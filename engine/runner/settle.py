"""What the end of an attempt means: for its trial, for its study, and in words for a person.

`verdict` and `diagnosis` are pure; `settle` writes one transaction. It starts and signals nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertdistill.engine.launch.protocol import Exit
from bertdistill.engine.runner import smaller
from bertdistill.engine.runner.rules import CUDA_OOM, HOST_OOM
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Attempt, AttemptState, Study, StudyState, Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

INFEASIBLE = frozenset({"diverged", "cuda_oom", HOST_OOM, "infeasible", "time_limit"})
"""Caused by the parameters: the optimiser learns from these and they are not repeated."""
UNBLAMED = frozenset({"complete", "stopped", "never_started", "machine_restarted", "node_lost", *INFEASIBLE})
"""Ends that say nothing bad about machine or code."""

_REMEDIES = {
    "crashed": "Read that log and fix the cause",
    "refused": "The message says what is not possible; fix the study file or the data",
    "disk_full": "Free disk space, or move the workspace",
    "lost": "The worker disappeared without a message; check whether something on this machine kills processes",
    "killed_by_signal_9": "Something on this machine killed the worker; check the system log",
    "stop_timeout": "The worker did not stop when asked; raise runner.grace_seconds",
    "launch_failed": "Fix the machine or the worker command",
    "no_result": "The worker ended without its objectives; read that log",
}
_LOG_LINES = 5


@dataclass(frozen=True)
class Verdict:
    """The state that a trial moves to, why, and whether this end counts against its retries."""

    state: TrialState
    reason: str = ""
    detail: str = ""
    failure: bool = False


def verdict(
    ended: Exit,
    outcome: Mapping[str, Any],
    stop_reason: str,
    *,
    failures: int,
    retries: int,
    alone: bool = False,
    smaller: str = "",
    missing: Sequence[str] = (),
) -> Verdict:
    """The meaning of an end. `outcome` is the worker's own ended event, or empty; `failures` those before this one.

    `alone`: nothing ran beside it, so main memory that was not enough never will be. `smaller` is what its batch can be
    in another attempt that needs less memory, in words. `stop_reason` is one word, perhaps followed by a colon and a
    sentence. A trial that was stopped for good gets no other attempt, however it ends. The worker's word counts above
    the exit: a library that crashes while Python shuts down spoils no finished trial.
    """
    status = outcome.get("status", "")
    word, _, why = stop_reason.partition(": ")
    for_good = _STOPPED.get(word, TrialState.WAITING) != TrialState.WAITING
    reason = outcome.get("reason") or ended.kind
    detail = outcome.get("detail") or last_line(ended.log_tail)
    if status == "complete" and not missing:
        return Verdict(TrialState.COMPLETE)
    if status == "pruned":
        return Verdict(TrialState.PRUNED, reason, detail)
    if status == "complete" or (ended.kind == "complete" and status in ("", "failed")):
        reason = "no_result"
        said = (
            f"no value for {', '.join(missing)}" if missing else "the worker exited without reporting that it was done"
        )
        detail = outcome.get("detail") or said
    elif HOST_OOM in (reason, ended.kind) and not alone:
        return Verdict(_STOPPED[word], word, why) if for_good else Verdict(TrialState.WAITING, HOST_OOM, detail)
    elif (
        smaller
        and not for_good
        and (found := next((one for one in (reason, ended.kind) if one in (HOST_OOM, CUDA_OOM)), ""))
    ):
        return Verdict(TrialState.WAITING, found, smaller)
    elif status == "infeasible" or ended.kind in INFEASIBLE:
        return Verdict(TrialState.INFEASIBLE, reason, detail)
    elif status == "refused" or ended.kind == "refused":
        return Verdict(TrialState.FAILED, "refused", detail, failure=True)
    elif word in _STOPPED:
        return Verdict(_STOPPED[word], word, why)
    elif ended.kind in UNBLAMED or status == "stopped":
        return Verdict(TrialState.WAITING)
    else:
        reason = ended.kind  # "failed" in the event says less than the class of the exit
    state = TrialState.WAITING if failures < retries else TrialState.FAILED
    return Verdict(state, reason, detail, failure=True)


_STOPPED = {
    "study": TrialState.WAITING,
    "runner": TrialState.WAITING,
    "slots": TrialState.WAITING,
    "trial": TrialState.STOPPED,
    "pruned": TrialState.PRUNED,
}


def exit_class(ended: Exit, found: Verdict) -> str:
    """The class under which an attempt is filed: that of its exit, unless the worker's word says otherwise."""
    if found.state == TrialState.COMPLETE:
        return "complete"
    if found.state == TrialState.INFEASIBLE or found.reason in ("no_result", "refused", HOST_OOM, CUDA_OOM):
        return found.reason
    return ended.kind


def last_line(text: str) -> str:
    """The last line of a log that is not blank."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def row(value: int | None) -> int:
    """The id in a column that may be empty, but not in this kind of row."""
    assert value is not None
    return value


def settle(
    db: Database,
    attempt_id: int,
    ended: Exit,
    *,
    wanted: Sequence[str],
    retries: int,
    now: float,
    distils: bool = True,
) -> Verdict | None:
    """File an ended attempt whose events are all stored, and move its trial (or its study, for a preparation).

    `wanted` are the metrics without which a trial is not complete; `distils`: its settings are ours. None when it was
    settled before: a runner that died right after the commit comes here again.
    """
    with db.write() as session:
        attempt = reads.attempt_by_id(session, attempt_id)
        if attempt.state != AttemptState.RUNNING:
            return None
        if attempt.trial_id is None:
            return _settle_prepare(session, attempt, ended, retries=retries, now=now)
        trial = reads.trial_by_id(session, attempt.trial_id)
        values = {**trial.known, **trial.metrics}
        found = verdict(
            ended,
            attempt.outcome,
            attempt.stop_reason,
            failures=trial.failures,
            retries=retries,
            alone=trial.reason == HOST_OOM,
            smaller=_smaller(session, trial) if distils else "",
            missing=[name for name in wanted if values.get(name) is None],
        )
        _end(session, attempt, ended, found, now)
        trial_id = trial.id
        writes.add_trial_seconds(session, trial_id, _worked(attempt, ended, now))
        if found.failure:
            writes.add_trial_failure(session, trial_id)
        writes.set_trial_metrics(session, trial_id, values)
        writes.set_trial_state(session, trial_id, found.state, now=now, reason=found.reason, detail=found.detail)
        if text := _said(f"Trial {trial.number}", found, exit_class(ended, found)):
            level = "warning" if found.state == TrialState.WAITING else "error"
            writes.add_notice(session, level=level, text=text, now=now, study_id=trial.study_id, trial_id=trial_id)
        return found


def _worked(attempt: Attempt, ended: Exit, now: float) -> float:
    """Seconds for which its worker ran: as the shim measured them, without a wait in a queue, without suspend and by
    one machine's clock; else by the clock of the record.
    """
    seconds = min(ended.ended_at, now) - attempt.started_at if ended.seconds is None else ended.seconds
    return max(0.0, min(seconds, now - attempt.started_at))


def _smaller(session: Reading, trial: Trial) -> str:
    """What the batch of another attempt can be, in words; empty if it cannot be smaller, or was before."""
    ends = [one.exit_class for one in reads.attempts(session, trial_id=trial.id)]
    if smaller.since_halved(ends) is not None or not smaller.can_halve(trial.settings):
        return ""
    return smaller.words(trial.settings)


def _settle_prepare(session: Writing, attempt: Attempt, ended: Exit, *, retries: int, now: float) -> Verdict:
    study = reads.study_by_id(session, attempt.study_id)
    missing = [] if study.prepared else ["facts"]
    earlier = reads.attempts(session, study_id=attempt.study_id, kind="prepare")
    before = prepare_failures(earlier, since(session, study))
    found = verdict(
        ended,
        attempt.outcome,
        attempt.stop_reason,
        failures=before,
        retries=retries,
        alone=reads.has_ended_as(session, study.id, "prepare", HOST_OOM),
        missing=missing,
    )
    _end(session, attempt, ended, found, now)
    text = _said("The preparation", found, exit_class(ended, found))
    if found.state in (TrialState.FAILED, TrialState.INFEASIBLE):
        text = text or f"The preparation ended with {found.reason}: {found.detail}."
        hint = (
            f"Log: {attempt.folder}/log.txt. Fix the cause; if it is in the study file, run that again, else: "
            f"bertdistill-tui engine resume {study.name}"
        )
        writes.set_study_state(session, attempt.study_id, StudyState.FAILED, now=now, diagnosis=f"{text} {hint}")
    if text:
        level = "warning" if found.state == TrialState.WAITING else "error"
        writes.add_notice(session, level=level, text=text, now=now, study_id=attempt.study_id)
    return found


def _end(session: Writing, attempt: Attempt, ended: Exit, found: Verdict, now: float) -> None:
    writes.end_attempt(
        session,
        attempt.id,
        now=min(ended.ended_at or now, now),
        exit_class=exit_class(ended, found),
        exit_code=ended.code,
        exit_signal=ended.signal,
        log_tail=ended.log_tail,
        max_rss_mb=ended.max_rss_mb,
    )


def _said(who: str, found: Verdict, filed: str) -> str:
    if found.state == TrialState.WAITING and found.detail.startswith(smaller.BATCH):
        memory = "main memory" if found.reason == HOST_OOM else "the GPU's memory"
        return f"{who} ran out of {memory}. It is started once more, from its beginning, with {found.detail}."
    if found.reason == HOST_OOM and found.state == TrialState.WAITING:
        return f"{who} ran out of main memory, perhaps because of other trials. It is started once more, alone."
    if not found.failure:
        return ""
    then = (
        "It is started again from its last checkpoint." if found.state == TrialState.WAITING else "It is not retried."
    )
    return f"{who} ended with {filed}: {(found.detail or 'no message in its log').rstrip('.')}. {then}"


# ------------------------------------------------------------------------------------------------- failures in a row


def since(session: Reading, study: Study) -> float:
    """From when on failures of a study count: a person who resumes it has seen the earlier ones."""
    resumed = [request.at for request in reads.requests(session, study.id) if request.verb == "resume"]
    return max(resumed, default=0.0)


def prepare_failures(attempts: Sequence[Attempt], start: float) -> int:
    """Failed preparations that began after `start`."""
    return sum(
        attempt.kind == "prepare" and attempt.exit_class not in UNBLAMED and attempt.started_at >= start
        for attempt in attempts
        if attempt.state == AttemptState.ENDED
    )


def failures_in_a_row(attempts: Sequence[Attempt], start: float) -> tuple[str, list[Attempt]]:
    """The class of the newest ends and the attempts, newest first, that ended so without another end between them.

    Ends without a cause that also prove nothing (stopped, never started) are skipped; success or another class breaks
    the row.
    """
    ended = [one for one in attempts if one.kind == "trial" and one.ended_at is not None and one.started_at >= start]
    rows: list[Attempt] = []
    for attempt in sorted(ended, key=lambda one: one.ended_at or 0.0, reverse=True):
        if attempt.stop_reason or attempt.exit_class in UNBLAMED - INFEASIBLE - {"complete"}:
            continue
        if attempt.exit_class in UNBLAMED or (rows and attempt.exit_class != rows[0].exit_class):
            break
        rows.append(attempt)
    return (rows[0].exit_class if rows else ""), rows


def is_evidence(rows: Sequence[Attempt], wanted: int, trials: int) -> bool:
    """Whether these failures in a row speak against the machine or the code, and not against one trial.

    So many as `wanted`, and of as many different trials: the retries of one trial repeat its own failure. A study of
    fewer `trials` has no more witnesses than these.
    """
    return len(rows) >= wanted and len({one.trial_id for one in rows}) >= min(wanted, trials)


def diagnosis(study: str, name: str, rows: Sequence[Attempt], trial_number: int) -> str:
    """Why the study was paused and what to do, for a person."""
    lines = [line for line in rows[0].log_tail.splitlines() if line.strip()][-_LOG_LINES:]
    text = "\n".join(lines)
    tail = f" The log of trial {trial_number} ends:\n{text}\n" if lines else " "
    remedy = _REMEDIES.get(name, "Read that log and fix the cause")
    several = "1 attempt" if len(rows) == 1 else f"{len(rows)} attempts in a row"
    return (
        f"{several} ended with {name}, so nothing new is started.{tail}"
        f"{remedy} ({rows[0].folder}/log.txt), then: bertdistill-tui engine resume {study}"
    )
