"""User actions for the command line and the screens: each is a short transaction, recorded as a Request.

It trains nothing and writes no metric. What needs the runner (stopping, pausing) is left to it as an open request; what
cannot be done is refused with a remedy (`ActionRefused`). Changes to a running study, undo, reruns and promotions have
modules of their own and are re-exported here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.errors import ActionRefused, ConfigError, InvalidRequest
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.machines import AUTO, LOCAL, read_machines
from bertdistill.engine.runner import requests
from bertdistill.engine.runner.budget import UNDONE
from bertdistill.engine.runner.lease import RunnerStatus, ensure_runner, runner_status
from bertdistill.engine.runner.rules import launched
from bertdistill.engine.steering.changes import (
    REPORT,
    archive_study,
    as_filed,
    change_study,
    refuse_promoted,
    reopen,
    set_budget,
    set_note,
    set_range,
    set_slots,
    set_threshold,
)
from bertdistill.engine.steering.deletion import Deletion, delete, plan_delete
from bertdistill.engine.steering.history import Entry, history, undo
from bertdistill.engine.steering.promotions import promote, set_alias, settle_promotion, undo_alias
from bertdistill.engine.steering.pruning import Pruning, plan_prune, prune
from bertdistill.engine.steering.recording import ask, record, refuse_logged, writing
from bertdistill.engine.steering.reruns import Forecast, forecast_rerun, queue_trial, rerun
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.engine.study.outline import outline
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database
from bertdistill.store.rows import Study, StudyState, Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

__all__ = [
    "Deletion",
    "Entry",
    "Forecast",
    "Pruning",
    "RunnerStatus",
    "annotate",
    "archive_study",
    "archive_trial",
    "change_study",
    "delete",
    "ensure_runner",
    "forecast_rerun",
    "history",
    "pause_study",
    "plan_delete",
    "plan_prune",
    "promote",
    "prune",
    "queue_trial",
    "rerun",
    "resume_study",
    "runner_status",
    "set_alias",
    "set_budget",
    "set_note",
    "set_range",
    "set_slots",
    "set_threshold",
    "settle_promotion",
    "start_study",
    "stop_runner",
    "stop_study",
    "stop_trial",
    "tag_trial",
    "undo",
    "undo_alias",
]

# -------------------------------------------------------------------------------------------------------------- runner
#
# Actions that need the runner return a sentence if the runner does not respond (`recording.ask`), otherwise nothing.


def stop_runner(workspace: Workspace, *, who: str) -> str:
    """Ask the workers to write a checkpoint and exit, then the runner to exit; a later runner resumes from there."""
    with writing(workspace) as db:
        with db.read() as session:
            live = bool(launched(reads.live_attempts(session)))
        runner = runner_status(workspace, db)
        if not live and not runner.alive:
            raise ActionRefused("no runner and no workers are running", hint="There is nothing to stop.")
        meant = {"since": runner.since} if runner.alive and runner.pid else None
        return ask(workspace, db, requests.STOP_RUNNER, who, arguments=meant)


# ------------------------------------------------------------------------------------------------------------- studies


def start_study(workspace: Workspace, spec: StudySpec, *, who: str, retry_failed: bool = False) -> Study:
    """Create a study, or continue the one with that name.

    Once a study has started, only the `ADJUSTABLE` sections of its file may change; those changes are applied. A study
    that failed or was stopped before it was prepared accepts any change. Other differences are refused.
    """
    workspace.make()
    refuse_unknown_machines(workspace, spec)
    with writing(workspace) as db:
        with db.write() as session:
            found = [one for one in reads.studies(session) if one.name == spec.name]
            if not found:
                return _create(session, spec, who)
            _take_over(session, found[0], spec, who)
            study = reads.study_by_id(session, found[0].id)  # a larger budget may have reopened it
        return _resume(workspace, db, study, who, retry_failed)


def _create(session: Writing, spec: StudySpec, who: str) -> Study:
    study = writes.create_study(
        session, name=spec.name, kind=spec.kind, task=spec.task, spec=dump(spec), now=time.time()
    )
    record(session, who, "start", study.id)
    if spec.program is not None:  # it has nothing to prepare
        writes.set_prepared(session, study.id, {})
    return reads.study_by_id(session, study.id)


def refuse_unknown_machines(workspace: Workspace, spec: StudySpec) -> None:
    """ConfigError if the study names a machine that the workspace does not have."""
    known = [LOCAL, *(one.name for one in read_machines(workspace.path).machines)]
    for key, names in (("machines", spec.runner.machines), ("prepare_on", [spec.runner.prepare_on])):
        for name in names:
            if name not in known and (key, name) != ("prepare_on", AUTO):
                hint = f"Machines: {', '.join(known)}. Add it: bertdistill-tui engine machines add {name} --ssh HOST"
                raise ConfigError(f"runner.{key}: {name!r} is not a machine of this workspace", hint=hint)


ADJUSTABLE = ("note", "budget", "runner", "stopping", "references", "ranges")
"""Sections that do not define a trial: earlier trials stay valid when they change."""


def fixed_part(name: str, raw: Mapping[str, Any]) -> Any:
    """The part of a section that defines trials: all of it, except keys of `[data]` that only the report uses."""
    section = raw.get(name)
    if name != "data" or not isinstance(section, Mapping):
        return section
    return {key: value for key, value in section.items() if key not in REPORT}


def _take_over(session: Writing, study: Study, filed: StudySpec, who: str) -> None:
    """Apply what changed in the study file since it was last run, unless that would invalidate earlier trials.

    Changes made while the study ran are kept: running the same file again only attaches. ActionRefused otherwise.
    """
    refuse_logged(study)
    in_force = outline(study).whole
    before, new = dump(in_force), dump(filed)
    old = dump(as_filed(in_force, reads.requests(session, study.id)))
    names = [name for name in {**old, **new} if new.get(name) not in (old.get(name), before.get(name))]
    fresh = study.state in (StudyState.FAILED, StudyState.STOPPED) and study.prepared is None
    kept, wanted = ({name: fixed_part(name, one) for name in names if name not in ADJUSTABLE} for one in (old, new))
    if not fresh and "data" in names and kept["data"] == wanted["data"]:
        refuse_promoted(session, study)
    if not fresh and (differences := _differences(kept, wanted)):
        raise ActionRefused(
            f"study {study.name!r} was started with other settings: {'; '.join(differences[:5])}",
            hint=f"Give the study another name, or continue it with: bertdistill-tui engine resume {study.name}",
        )
    if not names:
        return
    after = {name: part for name, part in before.items() if name not in names}
    spec = study_from_dict(after | {name: new[name] for name in names if name in new}, where=study.name)
    arguments, replaced = ({name: one.get(name) for name in names} for one in (new, before))
    writes.set_study_spec(session, study.id, dump(spec))
    record(session, who, "settings", study.id, arguments=arguments, before=replaced)
    reopen(session, study, spec)


def resume_study(workspace: Workspace, study: str, *, who: str, retry_failed: bool = False) -> Study:
    """Resume a paused, stopped or failed study; `retry_failed` queues failed and stopped trials again."""
    with writing(workspace) as db:
        with db.read() as session:
            found = reads.study(session, study)
        refuse_logged(found)
        if found.state == StudyState.COMPLETE and not retry_failed:
            raise ActionRefused(
                f"study {study!r} is complete",
                hint="Run its file again with a larger --set budget.trials=N, rerun a trial, or add --retry-failed.",
            )
        return _resume(workspace, db, found, who, retry_failed)


def _resume(workspace: Workspace, db: Database, study: Study, who: str, retry_failed: bool) -> Study:
    revived = 0
    if retry_failed:
        with db.write() as session:
            lost = (TrialState.FAILED, TrialState.STOPPED)
            trials = reads.trials(session, study.id)
            again = [one for one in trials if one.state in lost and one.reason != UNDONE]
            for trial in again:
                revived += writes.set_trial_state(session, trial.id, TrialState.WAITING, now=time.time())
            record(session, who, "retry", study.id, arguments={"trials": [trial.number for trial in again]})
    if study.state != StudyState.RUNNING and (study.state != StudyState.COMPLETE or revived):
        ask(workspace, db, "resume", who, study_id=study.id)
    with db.read() as session:
        return reads.study_by_id(session, study.id)


def stop_study(workspace: Workspace, study: str, *, who: str) -> str:
    """Workers write a checkpoint and exit, and their trials wait; nothing starts until the study is resumed."""
    return _change_running(workspace, study, "stop_study", who, (StudyState.RUNNING, StudyState.PAUSED))


def pause_study(workspace: Workspace, study: str, *, who: str) -> str:
    """Launch nothing new; running trials continue to their end."""
    return _change_running(workspace, study, "pause", who, (StudyState.RUNNING,))


def _change_running(workspace: Workspace, study: str, verb: str, who: str, states: Sequence[StudyState]) -> str:
    with writing(workspace) as db:
        with db.read() as session:
            found = reads.study(session, study)
        refuse_logged(found)
        if found.state not in states:
            raise ActionRefused(f"study {study!r} is {found.state}", hint=f"There is nothing to {verb.split('_')[0]}.")
        before = {"state": found.state.value} if verb == "pause" else None
        return ask(workspace, db, verb, who, study_id=found.id, before=before)


# -------------------------------------------------------------------------------------------------------------- trials


def stop_trial(workspace: Workspace, study: str, number: int, *, at_once: bool = False, who: str) -> str:
    """Stop one trial for good, after a checkpoint; its metrics so far are kept.

    `at_once` kills its worker without a checkpoint: for a worker that does not respond to a normal stop, or that must
    not use its grace time.
    """
    with writing(workspace) as db:
        with db.read() as session:
            found = reads.study(session, study)
            trial = reads.trial(session, found.id, number)
        refuse_logged(found)
        if trial.state not in (TrialState.WAITING, TrialState.RUNNING):
            raise ActionRefused(
                f"trial {number} is {trial.state}", hint="Only waiting and running trials can be stopped."
            )
        given = {"now": True} if at_once else None
        return ask(workspace, db, "stop_trial", who, study_id=trial.study_id, trial_id=trial.id, arguments=given)


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
    """Set the note, tags and archived flag of a trial; None leaves a field as it is."""
    with writing(workspace) as db, db.write() as session:
        trial = reads.trial(session, reads.study(session, study).id, number)
        given = {"note": note, "tags": None if tags is None else list(tags), "archived": archived}
        given = {name: value for name, value in given.items() if value is not None}
        before = {name: getattr(trial, name) for name in given}
        writes.edit_trial(session, trial.id, note=note, tags=tags, archived=archived)
        record(session, who, "note", trial.study_id, trial.id, arguments=given, before=before)
        return reads.trial_by_id(session, trial.id)


TAG = re.compile(r"\w[\w.-]{0,31}")


def tag_trial(
    workspace: Workspace, study: str, number: int, *, add: Sequence[str] = (), remove: Sequence[str] = (), who: str
) -> Trial:
    """Add and remove tags of a trial. A tag is one word of letters, digits, dots, dashes and underscores."""
    for tag in add:
        if not TAG.fullmatch(tag):
            hint = "Use up to 32 letters, digits, dots, dashes and underscores, starting with a letter or digit."
            raise InvalidRequest(f"{tag!r} is not a valid tag", hint=hint)
    with writing(workspace) as db, db.write() as session:
        trial = reads.trial(session, reads.study(session, study).id, number)
        before = list(trial.tags)
        if absent := [tag for tag in remove if tag not in before]:
            raise ActionRefused(
                f"trial {number} has no tag {absent[0]!r}", hint=f"It has {', '.join(before) or 'none'}."
            )
        after = [tag for tag in dict.fromkeys([*before, *add]) if tag not in remove]
        if after != before:
            writes.edit_trial(session, trial.id, tags=after)
            record(session, who, "tag", trial.study_id, trial.id, arguments={"tags": after}, before={"tags": before})
        return reads.trial_by_id(session, trial.id)


def archive_trial(workspace: Workspace, study: str, number: int, *, archived: bool = True, who: str) -> Trial:
    """Archive a trial, which hides it from the ranked list, or restore it. The optimiser still learns from it."""
    with writing(workspace) as db, db.write() as session:
        trial = reads.trial(session, reads.study(session, study).id, number)
        if trial.archived == archived:
            raise ActionRefused(f"trial {number} is already {'archived' if archived else 'in the list'}")
        writes.edit_trial(session, trial.id, archived=archived)
        values, before = {"archived": archived}, {"archived": not archived}
        record(session, who, "archive", trial.study_id, trial.id, arguments=values, before=before)
        return reads.trial_by_id(session, trial.id)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[str]:
    """The differences between two specs, one sentence each."""
    found: list[str] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _differences(before, after, f"{path}{key}.")
        elif before != after:
            found.append(f"{path}{key} is {before!r} in the study and {after!r} in the file")
    return found
