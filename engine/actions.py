"""What people do, for the command line and the screens alike: a short transaction each, recorded as a Request.

It trains nothing and writes no metric. What needs the runner (stopping, pausing) is left to it as an open request; what
cannot be done is refused with the remedy (`ActionRefused`). Promotions are in `promotions` and offered here as well.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from sqlmodel import Session

from bertdistill.engine import dispatch, lease, process, requests
from bertdistill.engine.config import StudySpec, changed, dump, nearest, parse_override, study_from_dict
from bertdistill.engine.contract import SEARCHABLE, Settings
from bertdistill.engine.errors import ActionRefused, LaunchError
from bertdistill.engine.lease import RunnerStatus
from bertdistill.engine.promotions import promote, set_alias, settle_promotion, undo_alias
from bertdistill.engine.rules import over_limit, used
from bertdistill.engine.settle import row
from bertdistill.engine.space import active, check, coerce
from bertdistill.engine.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.models import Study, StudyState, Trial, TrialState

__all__ = [
    "Forecast",
    "RunnerStatus",
    "annotate",
    "ensure_runner",
    "forecast_rerun",
    "pause_study",
    "promote",
    "queue_trial",
    "rerun",
    "resume_study",
    "runner_status",
    "set_alias",
    "set_budget",
    "set_slots",
    "set_threshold",
    "settle_promotion",
    "start_study",
    "stop_runner",
    "stop_study",
    "stop_trial",
    "undo_alias",
]

START_SECONDS = 30.0
"""Longest wait for a new runner to take its lock."""


# -------------------------------------------------------------------------------------------------------------- runner


def runner_status(workspace: Workspace) -> RunnerStatus:
    """Whether a runner works here, and who it is or last was."""
    return lease.runner_status(workspace, now=time.time())


def ensure_runner(workspace: Workspace) -> RunnerStatus:
    """Start a runner that outlives this process, unless one works here; LaunchError when it does not come up."""
    status = runner_status(workspace)
    if status.alive:
        return status
    workspace.make()
    command = [sys.executable, "-P", "-m", "bertdistill.engine.runner", str(workspace.path)]
    with workspace.runner_log.open("ab") as log:
        child = subprocess.Popen(
            command, cwd=workspace.path, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = child.poll()
        status = runner_status(workspace)
        if (status.alive and status.pid) or ended == 0:  # a runner with little to do may be gone already
            return status
        if ended is not None and not status.alive:
            break
        time.sleep(0.02)
    else:
        raise LaunchError(f"the runner did not start within {START_SECONDS:g} s", hint=f"Read {workspace.runner_log}.")
    raise LaunchError(f"the runner ended at once with code {ended}", hint=f"Read {workspace.runner_log}.")


def stop_runner(workspace: Workspace, *, who: str) -> None:
    """Ask workers to write a checkpoint and leave, then the runner to leave; a later runner goes on from there."""
    with _writing(workspace) as db:
        with db.read() as session:
            live = bool(reads.live_attempts(session))
        if not live and not runner_status(workspace).alive:
            raise ActionRefused("no runner works here and no worker runs", hint="There is nothing to stop.")
        _ask(workspace, db, requests.STOP_RUNNER, who)


# ------------------------------------------------------------------------------------------------------------- studies


def start_study(workspace: Workspace, spec: StudySpec, *, who: str, retry_failed: bool = False) -> Study:
    """A new study, or the one of that name with the same spec, which goes on. A different spec is refused."""
    workspace.make()
    with _writing(workspace) as db:
        with db.write() as session:
            found = [one for one in reads.studies(session) if one.name == spec.name]
            if not found:
                study = writes.create_study(session, name=spec.name, task=spec.task, spec=dump(spec), now=time.time())
                _record(session, who, "start", study.id)
                return study
            study = found[0]
            if differences := _differences(dump(study_from_dict(study.spec, where=study.name)), dump(spec)):
                raise ActionRefused(
                    f"study {spec.name!r} exists with other settings: {'; '.join(differences[:5])}",
                    hint=f"Give the file another name, or go on with: bertdistill-tui engine resume {spec.name}",
                )
        return _resume(workspace, db, study, who, retry_failed)


def resume_study(workspace: Workspace, study: str, *, who: str, retry_failed: bool = False) -> Study:
    """Go on with a paused, stopped or failed study; `retry_failed` lets failed and stopped trials wait again."""
    with _writing(workspace) as db:
        with db.read() as session:
            found = reads.study(session, study)
        if found.state == StudyState.COMPLETE and not retry_failed:
            raise ActionRefused(
                f"study {study!r} is complete", hint="Raise its budget, rerun a trial, or retry failed trials."
            )
        return _resume(workspace, db, found, who, retry_failed)


def _resume(workspace: Workspace, db: Database, study: Study, who: str, retry_failed: bool) -> Study:
    revived = 0
    if retry_failed:
        with db.write() as session:
            lost = (TrialState.FAILED, TrialState.STOPPED)
            again = [one for one in reads.trials(session, row(study.id)) if one.state in lost]
            for trial in again:
                revived += writes.set_trial_state(session, row(trial.id), TrialState.WAITING, now=time.time())
            _record(session, who, "retry", study.id, arguments={"trials": [trial.number for trial in again]})
    if study.state != StudyState.RUNNING and (study.state != StudyState.COMPLETE or revived):
        _ask(workspace, db, "resume", who, study_id=study.id)
    with db.read() as session:
        return reads.study_by_id(session, row(study.id))


def stop_study(workspace: Workspace, study: str, *, who: str) -> None:
    """Workers write a checkpoint and leave, their trials wait; nothing new starts until the study is resumed."""
    _change_running(workspace, study, "stop_study", who, (StudyState.RUNNING, StudyState.PAUSED))


def pause_study(workspace: Workspace, study: str, *, who: str) -> None:
    """Launch nothing new; what runs goes on to its end."""
    _change_running(workspace, study, "pause", who, (StudyState.RUNNING,))


def _change_running(workspace: Workspace, study: str, verb: str, who: str, states: Sequence[StudyState]) -> None:
    with _writing(workspace) as db:
        with db.read() as session:
            found = reads.study(session, study)
        if found.state not in states:
            raise ActionRefused(f"study {study!r} is {found.state}", hint=f"There is nothing to {verb.split('_')[0]}.")
        _ask(workspace, db, verb, who, study_id=found.id)


def set_threshold(workspace: Workspace, study: str, metric: str, value: float | None, *, who: str) -> Study:
    """Set (None: remove) the threshold of an objective; which trials are feasible follows at once."""
    with _writing(workspace) as db, db.write() as session:
        found, spec = _study(session, study)
        names = [objective.metric for objective in spec.objectives]
        if metric not in names:
            hint = f"The objectives are {', '.join(names)}."
            raise ActionRefused(f"{metric!r} is no objective of study {study!r}", hint=hint)
        place = names.index(metric)
        before = {"metric": metric, "threshold": spec.objectives[place].threshold}
        new = changed(spec, f"objectives.{place}.threshold", value)
        return _replace_spec(session, found, new, who, "threshold", {"metric": metric, "threshold": value}, before)


def set_budget(
    workspace: Workspace, study: str, *, trials: int | None = None, hours: float | None = None, who: str
) -> Study:
    """Change the budget; a complete study with room again goes on."""
    with _writing(workspace) as db, db.write() as session:
        found, spec = _study(session, study)
        given = {name: value for name, value in (("trials", trials), ("hours", hours)) if value is not None}
        new = spec
        for name, value in given.items():
            new = changed(new, f"budget.{name}", value)
        before = {name: getattr(spec.budget, name) for name in given}
        _replace_spec(session, found, new, who, "budget", given, before)
        if found.state == StudyState.COMPLETE and used(reads.trials(session, row(found.id))) < new.budget.trials:
            writes.set_study_state(session, row(found.id), StudyState.RUNNING, now=time.time())
        return found


def set_slots(workspace: Workspace, study: str, slots: int, *, who: str) -> Study:
    """Change how many workers the study may have at once; workers that run go on."""
    with _writing(workspace) as db, db.write() as session:
        found, spec = _study(session, study)
        new, before = changed(spec, "runner.slots", slots), {"slots": spec.runner.slots}
        return _replace_spec(session, found, new, who, "slots", {"slots": slots}, before)


def _replace_spec(
    session: Session,
    study: Study,
    spec: StudySpec,
    who: str,
    verb: str,
    arguments: dict[str, Any],
    before: dict[str, Any],
) -> Study:
    writes.set_study_spec(session, row(study.id), dump(spec))
    _record(session, who, verb, study.id, arguments=arguments, before=before)
    return study


# -------------------------------------------------------------------------------------------------------------- trials


def stop_trial(workspace: Workspace, study: str, number: int, *, who: str) -> None:
    """End one trial for good, after a checkpoint; its numbers so far stay."""
    with _writing(workspace) as db:
        with db.read() as session:
            trial = reads.trial(session, row(reads.study(session, study).id), number)
        if trial.state not in (TrialState.WAITING, TrialState.RUNNING):
            raise ActionRefused(
                f"trial {number} is {trial.state}", hint="Only waiting and running trials can be stopped."
            )
        _ask(workspace, db, "stop_trial", who, study_id=trial.study_id, trial_id=trial.id)


def queue_trial(workspace: Workspace, study: str, params: Mapping[str, Any], *, who: str) -> Trial:
    """A trial with parameters that a person chose, inside the search space; it goes before proposed ones and counts
    against the budget."""
    with _writing(workspace) as db, db.write() as session:
        found, spec = _study(session, study)
        prepared = _prepared(found)
        problems = check(spec.search, params)
        missing = [one.name for one in spec.search if one.name not in params and not one.when]
        problems += [f"{name} is missing" for name in missing]
        if problems:
            raise ActionRefused("; ".join(problems), hint="See the search space with: bertdistill-tui engine plan")
        trials = reads.trials(session, row(found.id))
        if used(trials) >= spec.budget.trials:
            hint = "Raise budget.trials, or rerun a trial, which comes on top."
            raise ActionRefused(f"the budget of {spec.budget.trials} trials is used up", hint=hint)
        planned = dispatch.plan(spec, prepared, params)
        _refuse_repeated(trials, planned.settings)
        if refused := over_limit(spec, planned.known):
            raise ActionRefused(refused[1], hint="Choose a smaller student or loosen the threshold.")
        trial = _add_trial(session, found, planned, "queued")
        _record(session, who, "queue", found.id, trial.id, arguments=dict(params))
        return trial


def rerun(workspace: Workspace, study: str, number: int, key: str, value: Any, *, who: str) -> Trial:
    """A new trial that differs from trial `number` in exactly one setting. It keeps its parent and comes on top of the
    budget; a complete study runs again. Refused when a trial with these settings exists (the message says which)."""
    with _writing(workspace) as db, db.write() as session:
        found, spec = _study(session, study)
        parent = reads.trial(session, row(found.id), number)
        planned, old = _changed_trial(found, spec, parent, key, value)
        _refuse_repeated(reads.trials(session, row(found.id)), planned.settings)
        trial = _add_trial(session, found, planned, "rerun", parent.id)
        arguments = {"parent": number, key: getattr(planned.settings, key)}
        _record(session, who, "rerun", found.id, trial.id, arguments=arguments, before={key: old})
        return trial


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a rerun would be, before it is started. `minutes` and `memory_mb` are None without a trial to judge by."""

    key: str
    before: Any
    after: Any
    known: dict[str, float]
    parent_known: dict[str, float]
    minutes: float | None
    memory_mb: float | None
    judged_by: int
    repeats: int | None
    """Number of the trial that has these settings already."""


def forecast_rerun(workspace: Workspace, study: str, number: int, key: str, value: Any) -> Forecast:
    """The change, its exact size, and time and memory judged by similar complete trials. Starts nothing."""
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            found, spec = _study(session, study)
            parent = reads.trial(session, row(found.id), number)
            trials = reads.trials(session, row(found.id))
    finally:
        db.close()
    planned, old = _changed_trial(found, spec, parent, key, value)
    done = [one for one in trials if one.state == TrialState.COMPLETE]
    return Forecast(
        key=key,
        before=old,
        after=getattr(planned.settings, key),
        known=planned.known,
        parent_known=dict(parent.known),
        minutes=_minutes(planned, done),
        memory_mb=_memory(planned, done),
        judged_by=len(done),
        repeats=_repeated(trials, planned.settings),
    )


def annotate(
    workspace: Workspace,
    study: str,
    number: int,
    *,
    note: str | None = None,
    tags: Sequence[str] | None = None,
    archived: bool | None = None,
    who: str,
) -> Trial:
    """Write what people think of a trial; None leaves a field as it is."""
    with _writing(workspace) as db, db.write() as session:
        trial = reads.trial(session, row(reads.study(session, study).id), number)
        given = {"note": note, "tags": None if tags is None else list(tags), "archived": archived}
        given = {name: value for name, value in given.items() if value is not None}
        before = {name: getattr(trial, name) for name in given}
        writes.edit_trial(session, row(trial.id), note=note, tags=tags, archived=archived)
        _record(session, who, "note", trial.study_id, trial.id, arguments=given, before=before)
        return trial


def _changed_trial(study: Study, spec: StudySpec, parent: Trial, key: str, value: Any) -> tuple[dispatch.Planned, Any]:
    """The parent with one setting changed, made whole, and the old value."""
    if key not in SEARCHABLE:
        near = nearest(key, SEARCHABLE)
        raise ActionRefused(f"{key!r} is no setting of a trial", hint=f"Did you mean {near!r}?" if near else "")
    settings = Settings(**parent.settings)
    new = _read_value(spec, key, value)
    old = getattr(settings, key)
    if new == old:
        raise ActionRefused(f"{key} is {old} already in trial {parent.number}", hint="Give another value.")
    settings = dataclasses.replace(settings, **{key: new})
    searched = {one.name: getattr(settings, one.name) for one in spec.search}
    params = dict(active(spec.search, searched, settings))
    return dispatch.Planned(params, settings, dispatch.known(spec, _prepared(study), settings)), old


def _read_value(spec: StudySpec, key: str, value: Any) -> Any:
    """A typed or given value, checked against the range of the search space or, for fixed settings, of the key."""
    parameter = next((one for one in spec.search if one.name == key), None)
    if parameter is None:
        override = parse_override(f"settings.{key}={value}")
        return getattr(changed(spec, f"settings.{key}", override.value).settings, key)
    try:
        return coerce(parameter, str(value))
    except ValueError as error:
        raise ActionRefused(str(error), hint="Give a value inside the range.") from error


def _repeated(trials: Sequence[Trial], settings: Settings) -> int | None:
    wanted = vars(settings)
    return next((trial.number for trial in trials if trial.settings == wanted), None)


def _refuse_repeated(trials: Sequence[Trial], settings: Settings) -> None:
    number = _repeated(trials, settings)
    if number is not None:
        state = next(trial.state for trial in trials if trial.number == number)
        again = "Run it again with: bertdistill-tui engine resume --retry-failed"
        hint = again if state in (TrialState.FAILED, TrialState.STOPPED) else f"Look at trial {number}."
        raise ActionRefused(f"trial {number} ({state}) has exactly these settings", hint=hint)


def _add_trial(
    session: Session, study: Study, planned: dispatch.Planned, origin: str, parent_id: int | None = None
) -> Trial:
    """Create the trial; a complete study runs again."""
    trial = writes.create_trial(
        session,
        study_id=row(study.id),
        origin=origin,
        params=planned.params,
        settings=dict(vars(planned.settings)),
        known=planned.known,
        now=time.time(),
        parent_id=parent_id,
    )
    if study.state == StudyState.COMPLETE:
        writes.set_study_state(session, row(study.id), StudyState.RUNNING, now=time.time())
    return trial


def _prepared(study: Study) -> dict[str, Any]:
    if study.prepared is None:
        hint = "Wait until its preparation is done, or resume it: sizes are not known before."
        raise ActionRefused(f"study {study.name!r} is not prepared yet", hint=hint)
    return study.prepared


def _work(settings: Mapping[str, Any], known: Mapping[str, float]) -> float:
    return float(settings["epochs"]) * max(float(known.get("gflops", 0.0)), 1e-12)


def _minutes(planned: dispatch.Planned, done: Sequence[Trial]) -> float | None:
    """Training time by the median pace (minutes for each pass and operation) of complete trials."""
    paces = [
        float(trial.metrics["train_minutes"]) / _work(trial.settings, trial.known)
        for trial in done
        if trial.metrics.get("train_minutes")
    ]
    return median(paces) * _work(vars(planned.settings), planned.known) if paces else None


def _memory(planned: dispatch.Planned, done: Sequence[Trial]) -> float | None:
    """Memory of the complete trial that is nearest in batch size, then in size."""

    def distance(trial: Trial) -> tuple[int, float]:
        batch = abs(int(trial.settings["batch_size"]) - planned.settings.batch_size)
        return batch, abs(float(trial.known.get("params", 0)) - planned.known["params"])

    measured = [trial for trial in done if trial.metrics.get("peak_memory_mb")]
    return float(min(measured, key=distance).metrics["peak_memory_mb"]) if measured else None


# -------------------------------------------------------------------------------------------------------------- shared


@contextmanager
def _writing(workspace: Workspace) -> Iterator[Database]:
    db = open_db(workspace.path)
    try:
        yield db
    finally:
        db.close()


def _study(session: Session, name: str) -> tuple[Study, StudySpec]:
    study = reads.study(session, name)
    return study, study_from_dict(study.spec, where=f"study {name}")


def _record(
    session: Session,
    who: str,
    verb: str,
    study_id: int | None = None,
    trial_id: int | None = None,
    *,
    arguments: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
) -> None:
    """A request that took effect in this very transaction."""
    writes.add_request(
        session,
        who=who,
        verb=verb,
        now=time.time(),
        study_id=study_id,
        trial_id=trial_id,
        arguments=arguments,
        before=before,
        handled=True,
        outcome="done",
    )


def _ask(
    workspace: Workspace,
    db: Database,
    verb: str,
    who: str,
    *,
    study_id: int | None = None,
    trial_id: int | None = None,
) -> None:
    """Leave a request to the runner. Without one it is honoured here, or workers that run get a runner to stop them."""
    with db.write() as session:
        writes.add_request(session, who=who, verb=verb, now=time.time(), study_id=study_id, trial_id=trial_id)
    lock = process.try_lock(workspace.runner_lock)
    if lock is None:
        return
    try:
        with db.read() as session:
            live = bool(reads.live_attempts(session))
        if not live:
            requests.honour_all(db, now=time.time())
    finally:
        os.close(lock)
    if live:
        ensure_runner(workspace)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[str]:
    """What two specs differ in, as `key: old, now new`."""
    found: list[str] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _differences(before, after, f"{path}{key}.")
        elif before != after:
            found.append(f"{path}{key} is {before!r} there and {after!r} here")
    return found
