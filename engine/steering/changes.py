"""Changes to a study while it runs: threshold, budget, slots, ranges, note. Each is recorded with the old values.

A change is a verb and values; applying the record's `before` values reverts it, which is how `history` undoes it.
What defines a trial never changes here: data, teacher, student, settings and search space stay as in the study file.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.errors import ActionRefused, ConfigError, InvalidRequest
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner import requests, retention
from bertdistill.engine.runner.budget import used
from bertdistill.engine.runner.rules import out_of_hours
from bertdistill.engine.steering.recording import ask, record, study_and_spec, writing
from bertdistill.engine.study.config import changed, dump, nearest, study_from_dict
from bertdistill.engine.study.file_paths import absolute_path
from bertdistill.engine.study.outline import LOG
from bertdistill.engine.study.ranges import dump_range, typed
from bertdistill.engine.study.sections import amount, did_you_mean, shown
from bertdistill.engine.study.study_spec import SECTIONS as STUDY_SECTIONS
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.rows import Request, Study, StudyState

if TYPE_CHECKING:
    from bertdistill.store.db import Reading
    from bertdistill.store.writing import Writing

REPORT = ("report", "report_split", "max_report_examples")
"""Keys of `[data]` that only promotions read: they may change until a trial has been promoted."""
SECTIONS = ("budget", "runner", "stopping")
"""Sections of the study file whose keys may change at any time: they do not define a trial."""
KEYS = ("threshold.METRIC", "range.PARAMETER", "budget.trials", "budget.hours", "runner.slots", "data.report", "note")
"""The keys that are changed most often, as `change_study` spells them."""
ZERO_MEANS = {"budget.hours": "no limit"}
"""What 0 means for keys where it is not a quantity."""
SPEC_VERBS = frozenset({"threshold", "budget", "data", "runner", "stopping", "slots", "range", "note"})


@dataclass(frozen=True)
class Change:
    """One change of a spec. `arguments` are the new values, in the form of the record."""

    verb: str
    arguments: dict[str, Any]


# ---------------------------------------------------------------------------------------------------------- the actions


def change_study(
    workspace: Workspace, study: str, changes: Mapping[str, Any], *, stop_newest: bool = False, who: str
) -> list[Request]:
    """Change several settings at once, all or none: `{"threshold.exact": 60, "range.layers": "2..4"}`.

    Keys are `threshold.METRIC`, `range.PARAMETER`, `note`, and any key of `[budget]`, `[runner]` and `[stopping]`. None
    removes a threshold and widens a range. What is in force already is left out. `stop_newest`: see `set_slots`. Raises
    InvalidRequest or ConfigError.
    """
    wanted = [read_change(key, value) for key, value in changes.items()]
    return _change(workspace, study, wanted, who, stop_newest)[1]


def set_threshold(workspace: Workspace, study: str, metric: str, value: float | None, *, who: str) -> Study:
    """Set (None: remove) the threshold of an objective; which trials are feasible follows at once."""
    return _change_one(workspace, study, Change("threshold", {"metric": metric, "threshold": value}), who)


def set_budget(
    workspace: Workspace, study: str, *, trials: int | None = None, hours: float | None = None, who: str
) -> Study:
    """Change the budget; a complete study continues if its budget allows more trials."""
    given = {name: value for name, value in (("trials", trials), ("hours", hours)) if value is not None}
    return _change_one(workspace, study, Change("budget", given), who)


def set_slots(workspace: Workspace, study: str, slots: int, *, stop_newest: bool = False, who: str) -> Study:
    """Change how many workers the study may have at once (0: one per GPU). Running workers continue.

    `stop_newest` asks the surplus workers, newest first, to write a checkpoint and exit; their trials wait and resume
    from there.
    """
    return _change(workspace, study, [Change("slots", {"slots": slots})], who, stop_newest)[0]


def set_range(workspace: Workspace, study: str, parameter: str, value: Any, *, who: str) -> Study:
    """Restrict later proposals to a part of a parameter's range: `"2..4"`, `0.5`, `["even"]`; None restores all of it.

    Always within the range of the study file. The sampler still learns from earlier trials; reruns and queued trials
    may use the whole range.
    """
    return _change_one(workspace, study, Change("range", {"parameter": parameter, "range": value}), who)


def set_note(workspace: Workspace, study: str, note: str, *, who: str) -> Study:
    """Set the note of the study; an empty text removes it."""
    return _change_one(workspace, study, Change("note", {"note": note}), who)


def archive_study(workspace: Workspace, study: str, *, archived: bool = True, who: str) -> Study:
    """Archive a study, which hides it from the list of studies, or restore it. Refused while it is running."""
    with writing(workspace) as db, db.write() as session:
        found = reads.study(session, study)
        if archived and found.state == StudyState.RUNNING:
            raise ActionRefused(f"study {study!r} is running", hint="Stop it first, or wait until it has ended.")
        before = found.id in reads.archived_studies(session)
        if before == archived:
            raise ActionRefused(f"study {study!r} is already {'archived' if archived else 'in the list'}")
        record(session, who, "archive", found.id, arguments={"archived": archived}, before={"archived": before})
        return found


def _change_one(workspace: Workspace, study: str, change: Change, who: str) -> Study:
    return _change(workspace, study, [change], who)[0]


def _change(
    workspace: Workspace, study: str, changes: Sequence[Change], who: str, stop_newest: bool = False
) -> tuple[Study, list[Request]]:
    made: list[Request] = []
    with writing(workspace) as db:
        with db.write() as session:
            if [change.verb for change in changes] == ["note"] and reads.study(session, study).kind == LOG:
                return _note_logged(session, reads.study(session, study), changes[0], who)
            found, spec = study_and_spec(session, study)
            if any(change.verb == "data" for change in changes):
                refuse_promoted(session, found)
            for change in changes:
                values, spec, before = settled(spec, change)
                if values != before:
                    made.append(record(session, who, change.verb, found.id, arguments=values, before=before))
            slots = spec.runner.slots
            if stop_newest and slots < 1:
                raise InvalidRequest(
                    "runner.slots = 0 does not give a number of workers",
                    hint="Give the number of workers that may continue.",
                )
            if made:
                writes.set_study_spec(session, found.id, dump(spec))
                reopen(session, found, spec)
                _follow_limit(session, workspace, found, spec)
                found = reads.study_by_id(session, found.id)
        if stop_newest:
            ask(workspace, db, requests.STOP_NEWEST, who, study_id=found.id, arguments={"slots": slots})
    return found, made


def _follow_limit(session: Writing, workspace: Workspace, study: Study, spec: StudySpec) -> None:
    """The diagnosis of a study that waits for room says the limit that is now in force, and the room that there is."""
    if study.state == StudyState.PAUSED and study.diagnosis.startswith(retention.SHORT):
        free = retention.free_bytes(workspace.path)
        words = retention.short_words(free, spec.runner.min_free_gb, workspace.path, study.name)
        writes.set_study_state(session, study.id, StudyState.PAUSED, now=time.time(), diagnosis=words)


def _note_logged(session: Writing, study: Study, change: Change, who: str) -> tuple[Study, list[Request]]:
    """Logged runs have no study file, only a note."""
    before = {"note": study.spec.get("note", "")}
    if before == change.arguments:
        return study, []
    writes.set_study_spec(session, study.id, {**study.spec, **change.arguments})
    made = record(session, who, "note", study.id, arguments=dict(change.arguments), before=before)
    return reads.study_by_id(session, study.id), [made]


# ------------------------------------------------------------------------------------------------------ keys and values


def in_words(key: str, value: Any) -> str:
    """A value as shown to users: `no limit` where 0 means that, `none` for None."""
    if value == 0 and key in ZERO_MEANS:
        return ZERO_MEANS[key]
    return "none" if value is None or value in ("", []) else shown(value)


def read_change(key: str, value: Any) -> Change:
    """The change behind a dotted key; InvalidRequest lists the valid keys."""
    section, dot, name = key.strip().partition(".")
    if key.strip() == "note":
        return Change("note", {"note": "" if value is None else str(value)})
    if dot and section == "threshold":
        return Change("threshold", {"metric": name, "threshold": _threshold(name, value)})
    if dot and section == "range":
        return Change("range", {"parameter": name, "range": value})
    if (section, name) == ("runner", "slots"):
        return Change("slots", {"slots": value})
    if section == "data" and name in REPORT:
        return Change("data", {name: _report_file(value) if name == "report" else value})
    if dot and section in SECTIONS:
        return Change(section, {name: value})
    inside = {field.name: f"{name}.{field.name}" for name in SECTIONS for field in fields(STUDY_SECTIONS[name])}
    near = nearest(key, [*inside, "note", "threshold", "range", *SECTIONS]) or ""
    near = inside.get(near, near)
    hint = f"Keys: {', '.join(KEYS)} and the other keys of [runner] and [stopping]."
    raise InvalidRequest(f"{key!r} cannot be changed{f'; did you mean {near}?' if near else ''}", hint=hint)


def _report_file(value: Any) -> str:
    path = absolute_path(str(value or ""), Path())
    if not Path(path).is_file():
        raise InvalidRequest(f"data.report = {shown(value)} is not a file", hint="Correct the path.")
    return path


def _threshold(metric: str, value: Any) -> Any:
    """Typed text as a number, such as `60M`; InvalidRequest if it is not one. Other types are checked as in a file."""
    if not isinstance(value, str):
        return value
    found = amount(value.strip())
    if found is None:
        hint = f"For example threshold.{metric}={'60M' if metric.endswith('params') else 60}."
        raise InvalidRequest(f"threshold.{metric} = {value!r} is not a number", hint=hint)
    return found


def settled(spec: StudySpec, change: Change) -> tuple[dict[str, Any], StudySpec, dict[str, Any]]:
    """The values in force after the change, the spec with them, and the values before."""
    after = put(spec, change.verb, change.arguments)
    return current(after, change.verb, change.arguments), after, current(spec, change.verb, change.arguments)


def put(spec: StudySpec, verb: str, values: Mapping[str, Any]) -> StudySpec:
    """The spec with such a change applied; InvalidRequest or ConfigError if it cannot be."""
    match verb:
        case "threshold":
            return changed(spec, f"objectives.{_place(spec, values['metric'])}.threshold", values["threshold"])
        case "range":
            if values["parameter"] not in {parameter.name for parameter in spec.search}:
                raise _not_searched(spec, str(values["parameter"]))
            return changed(spec, f"ranges.{values['parameter']}", typed(values["range"]))
        case "slots":
            return changed(spec, "runner.slots", values["slots"])
        case "note":
            return changed(spec, "note", values["note"])
    for key, value in values.items():
        if not hasattr(getattr(spec, verb), key):
            known = list(vars(getattr(spec, verb)))
            raise ConfigError(f"[{verb}] has no key {key!r}{did_you_mean(key, known)}")
        spec = changed(spec, f"{verb}.{key}", value)
    return spec


def current(spec: StudySpec, verb: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The current values of the keys in `values`, in the same form."""
    match verb:
        case "threshold":
            return {**values, "threshold": spec.objectives[_place(spec, values["metric"])].threshold}
        case "range":
            kept = next((one for one in spec.ranges if one.name == values["parameter"]), None)
            return {**values, "range": None if kept is None else dump_range(kept)}
        case "slots":
            return {"slots": spec.runner.slots}
        case "note":
            return {"note": spec.note}
    return {key: getattr(getattr(spec, verb), key, None) for key in values}


def as_filed(spec: StudySpec, requests: Sequence[Request]) -> StudySpec:
    """The spec of the study file as it was last run: later changes are reverted, newest first."""
    by_id = {one.id: one for one in requests}
    settled_by_file: dict[str, Any] = {}
    for request in reversed(requests):
        if request.verb == "settings":
            settled_by_file = {**request.arguments, **settled_by_file}
            continue
        first = request
        while first.verb == "undo" and int(first.arguments["undoes"]) in by_id:
            first = by_id[int(first.arguments["undoes"])]
        if first.verb in SPEC_VERBS and first.trial_id is None and _section(first.verb) not in settled_by_file:
            values = {key: value for key, value in request.before.items() if key != "undoes"}
            spec = put(spec, first.verb, values)
    raw = {**dump(spec), **settled_by_file}
    return study_from_dict({name: part for name, part in raw.items() if part is not None}, where=spec.name)


def refuse_promoted(session: Reading, study: Study) -> None:
    """ActionRefused if a trial of the study was promoted: later promotions would be scored on other data."""
    trials = {trial.id for trial in reads.trials(session, study.id)}
    models = [f"{one.name}:{one.version}" for one in reads.model_versions(session) if one.trial_id in trials]
    if models:
        raise ActionRefused(
            f"the report data of study {study.name!r} cannot change: {models[0]} was scored on it",
            hint="To report on other data, run the study file under another name.",
        )


def _section(verb: str) -> str:
    """The part of the study file that a change belongs to."""
    return {"threshold": "objectives", "range": "ranges", "slots": "runner"}.get(verb, verb)


def _place(spec: StudySpec, metric: str) -> int:
    names = [objective.metric for objective in spec.objectives]
    if metric not in names:
        hint = f"The objectives are {', '.join(names)}."
        raise InvalidRequest(f"{metric!r} is not an objective of study {spec.name!r}", hint=hint)
    return names.index(metric)


def _not_searched(spec: StudySpec, name: str) -> InvalidRequest:
    names = [parameter.name for parameter in spec.search]
    near = nearest(name, names)
    hint = f"Did you mean {near!r}?" if near else f"It searches {', '.join(names) or 'nothing'}."
    return InvalidRequest(f"{name!r} is not searched in study {spec.name!r}", hint=hint)


def reopen(session: Writing, study: Study, spec: StudySpec) -> None:
    """Set a complete study running if its budget allows more trials: it ended early, or the budget was raised."""
    if study.state != StudyState.COMPLETE or out_of_hours(study, spec):
        return
    if used(reads.trials(session, study.id)) < spec.budget.trials:
        writes.set_study_state(session, study.id, StudyState.RUNNING, now=time.time())
