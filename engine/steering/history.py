"""The requests of users: who, when and what each replaced; and undoing them.

An undo restores the values in the record's `before` and is itself a record, so it can be undone as well. Nothing else
is changed: an undo is refused if a later change affects the same thing, and what cannot be undone says why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner import bin
from bertdistill.engine.runner.budget import UNDONE, used
from bertdistill.engine.runner.settle import row
from bertdistill.engine.steering.changes import SPEC_VERBS, current, in_words, put, refuse_promoted, reopen
from bertdistill.engine.steering.deletion import DELETE, bring_back
from bertdistill.engine.steering.pruning import PRUNE
from bertdistill.engine.steering.recording import record, writing
from bertdistill.engine.study.config import dump
from bertdistill.engine.study.outline import LOG, outline
from bertdistill.engine.study.ranges import range_text
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import BinState, Request, StudyState, Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

UNDO = "undo"
BINS = (DELETE, PRUNE)
"""Verbs whose undo restores folders from the bin."""
NOTES = ("note", "tag", "archive")
ALIASES = ("alias", "undo_alias")
MADE = ("queue", "rerun")
FINAL = {
    "start": "Archive or delete the study: bertdistill-tui engine archive, or delete",
    "settings": "The change came from a study file; run the earlier file again.",
    "stop_trial": "Run it again with: bertdistill-tui engine resume --retry-failed",
    "stop_study": "Resume it with: bertdistill-tui engine resume",
    "stop_newest": "Raise runner.slots; the trials wait and resume from their checkpoints.",
    "stop_runner": "Start a runner with: bertdistill-tui engine resume",
    "resume": "Pause or stop the study.",
    "retry": "Stop the trials that are running again.",
    "promote": "Point its alias elsewhere, or delete the version: bertdistill-tui engine models --set-alias, or delete",
}
"""What cannot be undone, with what to do instead."""


@dataclass(frozen=True)
class Entry:
    """One request. `before` and `after` hold what it changed, by the same names."""

    id: int
    at: float
    who: str
    verb: str
    study: str
    """Empty when it concerns the whole workspace."""
    trial: int | None
    after: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = ""
    """Empty until the runner has processed it."""
    undoes: int | None = None
    """The request that this one undid."""
    undone_by: int | None = None
    obstacle: str = ""
    """Why it cannot be undone now; empty when it can."""
    instead: str = ""
    """What to do instead, as a sentence."""
    about: str = ""
    """The verb of the change that an undo reverts; otherwise its own."""

    @property
    def words(self) -> str:
        """What was changed, from what to what: `range.layers whole range -> 2..4`."""
        said = _words(self.about, self.after, self.before)
        return said if self.undoes is None else f"undo #{self.undoes}: {said}"


# ------------------------------------------------------------------------------------------------------------- reading


def history(db: Database, study: str | None = None) -> list[Entry]:
    """All requests for a study, or (no name) for the workspace, oldest first. NotFound if the study does not exist."""
    with db.read() as session:
        names: dict[int | None, str] = {one.id: one.name for one in reads.studies(session, deleted=True)}
        study_id = reads.newest_study(session, study).id if study else None
        log = _Log(session)
        chosen = [one for one in log.requests if study_id is None or one.study_id == study_id]
        trials: dict[int | None, Trial] = {
            one.trial_id: reads.trial_by_id(session, one.trial_id) for one in chosen if one.trial_id is not None
        }
    return [_entry(log, one, names.get(one.study_id, ""), trials.get(one.trial_id)) for one in chosen]


def _entry(log: _Log, request: Request, study: str, trial: Trial | None) -> Entry:
    obstacle = log.obstacle(request)
    instead = _hint(log, request) if obstacle else ""
    if not obstacle and trial is not None and log.root(request).verb in MADE and trial.reason != UNDONE:
        obstacle, instead = _begun(trial)
    undoes = request.arguments.get("undoes") if request.verb == UNDO else None
    return Entry(
        id=request.id,
        at=request.at,
        who=request.who,
        verb=request.verb,
        study=study,
        trial=trial.number if trial is not None else None,
        after={key: value for key, value in request.arguments.items() if key != "undoes"},
        before=request.before,
        outcome=request.outcome,
        undoes=undoes,
        undone_by=log.undone_by.get(request.id),
        obstacle=obstacle,
        instead=instead,
        about=log.root(request).verb,
    )


def _words(verb: str, after: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    match verb:
        case "threshold":
            return _from_to(f"threshold.{after.get('metric')}", before.get("threshold"), after.get("threshold"))
        case "range":
            old, new = range_text(before.get("range")), range_text(after.get("range"))
            return f"range.{after.get('parameter')} {old} -> {new}"
        case "budget" | "runner" | "stopping" | "data":
            return ", ".join(_from_to(f"{verb}.{key}", before.get(key), after[key]) for key in after)
        case "slots" if "slots" in before:
            return _from_to("runner.slots", before["slots"], after["slots"])
        case "note" | "tag" | "archive":
            return ", ".join(_from_to(key, before.get(key), after[key]) for key in after)
        case "rerun" if "parent" in after:
            changed = [_from_to(key, before.get(key), after[key]) for key in after if key != "parent"]
            return f"rerun of #{after['parent']}: {', '.join(changed)}"
        case "delete":
            return f"delete {after.get('what')} {after.get('name')}"
        case "prune":
            return f"prune {', '.join(after.get('parts', ()))}"
        case "pause":
            return f"state {before.get('state', 'running')} -> {after.get('state', 'paused')}"
    return " ".join([verb, *(f"{key}={in_words(key, value)}" for key, value in after.items())])


def _from_to(key: str, before: Any, after: Any) -> str:
    return f"{key} {in_words(key, before)} -> {in_words(key, after)}"


class _Log:
    """Requests in order, and which of them are still in effect. Undo depends only on these and the current state."""

    def __init__(self, session: Reading) -> None:
        """All requests: an alias may have been moved by a trial of another study."""
        self.requests = reads.requests(session)
        left = reads.binned(session, states=(BinState.LEAVING, BinState.GONE))
        self.left_the_bin = {one.request_id for one in left}
        self.by_id = {one.id: one for one in self.requests}
        self.undone_by: dict[int, int] = {}
        for one in self.requests:  # in order, so that undoing an undo puts the original change in effect again
            if one.verb == UNDO:
                target = int(one.arguments["undoes"])
                self.undone_by[target] = one.id
                if target in self.by_id and self.by_id[target].verb == UNDO:
                    self.undone_by.pop(int(self.by_id[target].arguments["undoes"]), None)

    def root(self, request: Request) -> Request:
        """The change at the start of a chain of undos; it defines what the values mean."""
        while request.verb == UNDO:
            request = self.by_id[int(request.arguments["undoes"])]
        return request

    def obstacle(self, request: Request) -> str:
        """Why a request cannot be undone, empty when it can."""
        first = self.root(request)
        if first.verb in FINAL or first.verb not in {*SPEC_VERBS, *NOTES, *ALIASES, *MADE, *BINS, "pause"}:
            return f"{first.verb} cannot be undone"
        if first.verb in BINS and request.verb == UNDO:
            return "an undo does not delete what was restored"
        if request.id in self.left_the_bin:
            return "it was removed from the bin"
        if request.id in self.undone_by:
            return f"it was undone by #{self.undone_by[request.id]}"
        if request.handled_at is None:
            return "the runner has not processed it yet"
        if _idle(request):
            return "it changed nothing"
        later = [one for one in self.requests if one.id > request.id and self.stands(one, request)]
        over = [one for one in later if _deletes(one, first) or _overlap(self.touches(one), self.touches(request))]
        return f"a later change overrides it: #{over[-1].id} ({over[-1].verb})" if over else ""

    def stands(self, later: Request, earlier: Request) -> bool:
        """Whether `later` still has an effect: it was not undone, and is not the undo of an equally late change."""
        if later.id in self.undone_by or _idle(later):
            return False
        return later.verb != UNDO or int(later.arguments["undoes"]) < earlier.id

    def touches(self, request: Request) -> set[str]:
        """What a request changes, as dotted paths; a path covers all paths below it."""
        first = self.root(request)
        values, place = first.arguments, f"study {first.study_id}"
        if first.trial_id is not None and first.verb in NOTES:
            return {f"trial {first.trial_id}.{name}" for name in values}
        match first.verb:
            case "threshold":
                return {f"{place}.objectives.{values['metric']}"}
            case "range":
                return {f"{place}.ranges.{values['parameter']}"}
            case "budget" | "runner" | "stopping" | "data":
                return {f"{place}.{first.verb}.{name}" for name in values}
            case "slots":
                return {f"{place}.runner.slots"}
            case "note" | "archive" | "settings":
                return {f"{place}.{name}" for name in values}
            case "pause" | "resume" | "stop_study":
                return {f"{place}.state"}
            case "queue" | "rerun":
                return {f"trial {first.trial_id}.state"}
            case "alias" | "undo_alias" | "promote":
                return {f"model {values['name']}@{values['alias']}"} if values.get("alias") else set()
        return {f"trial {first.trial_id}.state"} if first.verb == "stop_trial" else set()


def _deletes(later: Request, first: Request) -> bool:
    """Whether `later` deleted the study or trial that was changed."""
    if later.verb != DELETE or "version" in later.arguments or later.study_id != first.study_id:
        return False
    return later.trial_id in (None, first.trial_id)


def _idle(request: Request) -> bool:
    """Whether the runner found nothing to do for it."""
    return request.outcome.startswith(("nothing to do", "refused"))


def _overlap(some: set[str], others: set[str]) -> bool:
    return any(f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.") for a in some for b in others)


# ---------------------------------------------------------------------------------------------------------------- undo


def undo(workspace: Workspace, study: str | None = None, request_id: int | None = None, *, who: str) -> Entry:
    """Undo the newest change that can be undone (of the study, else of the workspace), or the one with that id.

    An id may name an undo, which is then itself undone. Refused if a later change affects the same thing, or if the
    request cannot be undone; the message says which and why.
    """
    with writing(workspace) as db:
        with db.read() as session:
            log, chosen = _choose(session, study, request_id)
        if log.root(chosen).verb in BINS and not log.obstacle(chosen):
            bin.loosen(db, chosen.id)
        with db.write() as session:
            log, chosen = _choose(session, study, request_id)
            if obstacle := log.obstacle(chosen):
                raise ActionRefused(f"request #{chosen.id}: {obstacle}", hint=_hint(log, chosen))
            made = _take_back(session, workspace, log, chosen, who)
        return next(one for one in reversed(history(db)) if one.id == made.id)


def _choose(session: Reading, study: str | None, request_id: int | None) -> tuple[_Log, Request]:
    study_id = reads.newest_study(session, study).id if study else None
    log = _Log(session)
    return log, _named(log, request_id, study, study_id) if request_id is not None else _newest(log, study_id)


def _named(log: _Log, request_id: int, study: str | None, study_id: int | None) -> Request:
    found = log.by_id.get(request_id)
    if found is None or (study_id is not None and found.study_id != study_id):
        where = f"of study {study!r}" if study else "in this workspace"
        raise ActionRefused(f"there is no request #{request_id} {where}", hint="See: bertdistill-tui engine history")
    return found


def _newest(log: _Log, study_id: int | None) -> Request:
    for one in reversed(log.requests):
        if one.verb != UNDO and (study_id is None or one.study_id == study_id) and not log.obstacle(one):
            return one
    raise ActionRefused(
        "there is nothing to undo", hint="To redo an undone change, undo the undo by its id; see history."
    )


def _hint(log: _Log, chosen: Request) -> str:
    verb = log.root(chosen).verb
    if chosen.id in log.left_the_bin:
        return "It cannot be restored."
    if verb in BINS and chosen.verb == UNDO:
        return "Delete it or prune again."
    if chosen.id in log.undone_by:
        return f"To redo it, undo #{log.undone_by[chosen.id]}."
    return FINAL.get(verb, "Undo the later one first.")


def _take_back(session: Writing, workspace: Workspace, log: _Log, chosen: Request, who: str) -> Request:
    """Restore the values before a request, and record that."""
    first = log.root(chosen)
    values = {key: value for key, value in chosen.before.items() if key != "undoes"}
    if first.verb in BINS:
        bring_back(session, workspace, first)
        values = {key: first.arguments[key] for key in ("what", "name", "parts") if key in first.arguments}
        return record(session, who, UNDO, first.study_id, first.trial_id, arguments={"undoes": chosen.id, **values})
    if first.verb in SPEC_VERBS and first.trial_id is None:
        before = _put_spec(session, first, values)
    elif first.verb in NOTES and first.trial_id is not None:
        trial = reads.trial_by_id(session, first.trial_id)
        before = {name: getattr(trial, name) for name in values}
        writes.edit_trial(session, first.trial_id, **values)
    elif first.verb == "archive":
        before = {"archived": first.study_id in reads.archived_studies(session)}
    elif first.verb in ALIASES:
        before = _put_alias(session, first, values)
    elif first.verb == "pause":
        before = _put_study_state(session, first, values)
    else:
        values = {"state": "waiting" if values.get("state") == "waiting" else UNDONE}
        before = _put_trial_state(session, first, values["state"])
    given = {"undoes": chosen.id, **values}
    return record(session, who, UNDO, first.study_id, first.trial_id, arguments=given, before=before)


def _put_spec(session: Writing, first: Request, values: Mapping[str, Any]) -> dict[str, Any]:
    study = reads.study_by_id(session, row(first.study_id))
    if study.kind == LOG:  # only its note can be changed
        writes.set_study_spec(session, study.id, {**study.spec, **values})
        return {name: study.spec.get(name, "") for name in values}
    spec = outline(study).whole
    if first.verb == "data":
        refuse_promoted(session, study)
    new = put(spec, first.verb, values)
    writes.set_study_spec(session, study.id, dump(new))
    reopen(session, study, new)
    return current(spec, first.verb, values)


def _put_alias(session: Writing, first: Request, values: Mapping[str, Any]) -> dict[str, Any]:
    name, alias = str(first.arguments["name"]), str(first.arguments["alias"])
    before = [one.version_id for one in reads.aliases(session, name) if one.alias == alias]
    wanted = values["version_id"]
    if wanted is not None and reads.model_version_by_id(session, int(wanted)).deleted_at is not None:
        raise ActionRefused(f"the version that {name}@{alias} pointed to was deleted", hint="Undo that first.")
    writes.put_alias(session, name=name, alias=alias, version_id=values["version_id"], now=time.time())
    return {"version_id": before[0] if before else None}


def _put_study_state(session: Writing, first: Request, values: Mapping[str, Any]) -> dict[str, Any]:
    study, wanted = reads.study_by_id(session, row(first.study_id)), StudyState(values.get("state", "running"))
    before = study.state
    if before == wanted or before not in (StudyState.RUNNING, StudyState.PAUSED):
        raise ActionRefused(f"study {study.name!r} is {before}", hint="There is nothing to undo.")
    writes.set_study_state(session, study.id, wanted, now=time.time())
    return {"state": before.value}


def _begun(trial: Trial) -> tuple[str, str]:
    """Why a trial can no longer be removed from the queue, and what to do instead; empty while it can."""
    number = trial.number
    if trial.state == TrialState.WAITING and trial.started_at is None:
        return "", ""
    if trial.state in (TrialState.WAITING, TrialState.RUNNING):
        goes_on = " and waits to be resumed" if trial.state == TrialState.WAITING else ""
        stop = f"bertdistill-tui engine stop STUDY --trial {number}"
        return f"trial {number} has started{goes_on}", f"Stop it: x on the trial, or {stop}."
    words = f"trial {number} has run since it was requested and is {trial.state}; its results are kept"
    return words, f"Archive it: A on the trial, or bertdistill-tui engine archive STUDY/{number}."


def _put_trial_state(session: Writing, first: Request, wanted: str) -> dict[str, Any]:
    """Remove a trial that has not started from the queue (`undone`), or put it back (`waiting`)."""
    trial = reads.trial_by_id(session, row(first.trial_id))
    if wanted == UNDONE:
        words, instead = _begun(trial)
        if words:
            older = "Undo older changes one by one, by their id in history."
            raise ActionRefused(words, hint=f"{instead} {older}")
        writes.set_trial_state(session, trial.id, TrialState.STOPPED, now=time.time(), reason=UNDONE)
        return {"state": "waiting"}
    study = reads.study_by_id(session, trial.study_id)
    others = [one for one in reads.trials(session, trial.study_id) if one.id != trial.id]
    if twin := next((one for one in others if one.settings == trial.settings and one.reason != UNDONE), None):
        raise ActionRefused(f"trial {twin.number} has exactly these settings", hint=f"Look at trial {twin.number}.")
    budget = outline(study).whole.budget.trials
    if first.verb == "queue" and used(others) >= budget:
        raise ActionRefused(f"the budget of {budget} trials is used up", hint="Raise budget.trials.")
    writes.set_trial_state(session, trial.id, TrialState.WAITING, now=time.time())
    if study.state == StudyState.COMPLETE:
        writes.set_study_state(session, study.id, StudyState.RUNNING, now=time.time())
    return {"state": UNDONE}
