"""Commands that change a study while it runs: set, queue, tag, note, archive, unarchive, history, undo.

They parse, call an action and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.session import (
    CsvOption,
    JsonOption,
    StudyOption,
    TrialName,
    WorkspaceOption,
    find_trial,
    page_of_output,
    workspace,
)
from bertdistill.app.commands.stored import find_study, reading
from bertdistill.app.commands.studies import AnyStudy, StudyName
from bertdistill.app.commands.trials import TrialArgument
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import say, show, show_rows, who
from bertdistill.app.text.command_line import command_line, unicode_only

if TYPE_CHECKING:
    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.engine.steering.actions import Entry
    from bertdistill.store.db import Database
    from bertdistill.store.rows import Request

Target = Annotated[str, typer.Argument(metavar="TARGET", help="A study, or a trial as STUDY/NUMBER.")]


def set_settings(
    study: StudyName,
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE",
            help="threshold.METRIC, range.PARAMETER, budget.trials, budget.hours, runner.slots, data.report, note, or "
            "another key of [runner] or [stopping]. An empty value removes a threshold or resets a range.",
        ),
    ],
    where: WorkspaceOption = None,
    stop_newest: Annotated[
        bool, typer.Option("--stop-newest", help="Also stop the newest workers above runner.slots, after a checkpoint.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Change a study while it runs: all changes at once, or none.

    A range is LOW..HIGH, one value, or choices with commas, always inside the range of the study file, as in
    range.layers=2..4, range.alpha=0.5 or range.layer_choice=even,first. It applies to later proposals; earlier trials
    are kept. `undo` reverts a change.
    """
    from bertdistill.engine.steering import actions

    ws = workspace(where)
    with reading(ws) as db:
        before = find_study(db, study).state
    made = actions.change_study(ws, study, read_changes(changes), stop_newest=stop_newest, who=who())
    _print(ws, _entries(ws, made), as_json, otherwise="nothing to change: these values are already in force")
    _runner_if_reopened(ws, study, before)


def read_changes(words: Sequence[str]) -> dict[str, Any]:
    """`key=value` words as a study file would hold them; a note stays as it was typed."""
    from bertdistill.engine.study.config import parse_override

    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UsageError(f"{word!r} is not KEY=VALUE", hint="For example threshold.exact=60 or range.layers=2..4.")
        if key in found:
            raise UsageError(f"{key} is given twice", hint="Give it once.")
        found[key] = unicode_only(text) if key == "note" else parse_override(word).value
    return found


def queue(
    study: StudyName,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the trial; may be repeated.")
    ] = None,
    where: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Queue a trial with given parameters; it runs before proposed trials and counts against the budget.

    Other parameters come from the baseline, or from the middle of their range. Refused when that trial already ran.
    """
    from bertdistill.engine.steering import actions

    ws = workspace(where)
    with reading(ws) as db:
        before = find_study(db, study).state
    made = actions.queue_trial(ws, study, _texts(changes or ()), who=who())
    if before in ("running", "complete"):
        actions.ensure_runner(ws)
    else:
        say(f"it waits: study {study} is {before.value}; resume with: {command_line('resume', study, ws=ws)}")
    _print_trial(ws, study, made.number, as_json)


def _texts(words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    if wrong := [key + equals for key, equals, value in pairs if not (key.strip() and equals and value.strip())]:
        raise UsageError(f"--set {wrong[0]!r} is not KEY=VALUE", hint="For example --set layers=3.")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _print_trial(ws: Workspace, study: str, number: int, as_json: bool) -> None:
    from bertdistill.app.report.records import trial_row
    from bertdistill.app.text.tables import json_text
    from bertdistill.app.views.view import read_view

    if not as_json:
        say(f"show it with: {command_line('show', f'{study}/{number}', ws=ws)}")
        show(f"{study}/{number}")
        return
    with reading(ws) as db:
        view = read_view(db, study)
    show(json_text(trial_row(view, next(t for t in view.trials if t.number == number))))


def tag(
    trial: TrialArgument,
    add: Annotated[list[str] | None, typer.Argument(metavar="TAG", help="Tags to add.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="A tag to remove; may be repeated.")
    ] = None,
    study: StudyOption = "",
    where: WorkspaceOption = None,
) -> None:
    """Add tags to a trial, or remove them."""
    from bertdistill.engine.steering import actions

    if not add and not remove:
        raise UsageError("no tag is given", hint="Write: tag STUDY/NUMBER keep, or --remove keep.")
    ws = workspace(where)
    name = _trial(ws, trial, study)
    made = actions.tag_trial(ws, name.study, name.number, add=add or (), remove=remove or (), who=who())
    show(f"{name.study}/{name.number} {' '.join(made.tags)}".rstrip())


def note(
    target: Target,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The note; an empty text removes it.")],
    where: WorkspaceOption = None,
) -> None:
    """Set the note of a study or a trial, replacing the previous one."""
    from bertdistill.engine.steering import actions

    ws = workspace(where)
    text = unicode_only(text)
    found = _target(ws, target)
    if isinstance(found, TrialName):
        actions.annotate(ws, found.study, found.number, note=text, who=who())
    else:
        actions.set_note(ws, found, text, who=who())
    say(f"the note of {target} is {'saved' if text else 'removed'}")


def archive(target: Target, where: WorkspaceOption = None) -> None:
    """Archive a trial or a study: hide it from lists. Nothing is removed, and the optimiser still learns from it."""
    _archive(target, where, archived=True)
    say(f"{target} is archived; restore with: {command_line('unarchive', target, ws=workspace(where))}")


def unarchive(target: Target, where: WorkspaceOption = None) -> None:
    """Restore an archived trial or study to the lists."""
    _archive(target, where, archived=False)
    say(f"{target} is restored")


def _archive(target: str, where: Any, *, archived: bool) -> None:
    from bertdistill.engine.steering import actions

    ws = workspace(where)
    found = _target(ws, target)
    if isinstance(found, TrialName):
        actions.archive_trial(ws, found.study, found.number, archived=archived, who=who())
    else:
        actions.archive_study(ws, found, archived=archived, who=who())


def _target(ws: Workspace, text: str) -> TrialName | str:
    """The trial when the text holds a slash or a hash, else the study of that name."""
    with reading(ws) as db:
        return find_trial(db, text, "") if "/" in text or "#" in text else find_study(db, text).name


def _trial(ws: Workspace, text: str, study: str) -> TrialName:
    with reading(ws) as db:
        return find_trial(db, text, study)


def history(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study; default: all.")] = "",
    where: WorkspaceOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """History of changes: who, when, what, old and new values, and what was undone."""
    from bertdistill.app.report.history import requests_text
    from bertdistill.app.report.records import request_row
    from bertdistill.engine.steering import actions

    with reading(workspace(where)) as db:
        found = actions.history(db, study)
    rows = [request_row(entry) for entry in found]
    show_rows(rows, requests_text(rows, page_of_output()), json=as_json, csv=as_csv)


def undo(
    study: AnyStudy = "",
    request: Annotated[str, typer.Argument(metavar="ID", help="Number in the history; default: the newest.")] = "",
    where: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Undo the newest change that can be undone, or the one with this number in the history.

    Thresholds, budget, slots, ranges, notes, tags, archiving, aliases, pauses, waiting trials, and
    anything deleted or pruned that is still in the bin can be undone.
    Undoing an undo, by its number, restores the change.
    """
    from bertdistill.engine.steering import actions
    from bertdistill.store import reads

    ws = workspace(where)
    with reading(ws) as db:
        with db.read() as session:
            known = {one.name: one.state for one in reads.studies(session)}
        if study and not request and study not in known and study.removeprefix("#").isdecimal():
            study, request = "", study  # `undo 12`: numbers are the workspace's, so the study need not be named
        request = request or ("" if study else _newest_in_bin(db))
        named = study if study or request else find_study(db, "").name
    if request and not request.removeprefix("#").isdecimal():
        raise UsageError(f"{request!r} is not a number in the history", hint=f"See: {command_line('history', ws=ws)}")
    number = int(request.removeprefix("#")) if request else None
    entry = actions.undo(ws, named or None, number, who=who())
    _print(ws, [entry], as_json, otherwise="")
    if entry.study in known:
        _runner_if_reopened(ws, entry.study, known[entry.study])


def _newest_in_bin(db: Database) -> str:
    """The number of the newest change of the workspace when it deleted something: its study may be gone."""
    from bertdistill.engine.steering import actions
    from bertdistill.engine.steering.history import BINS, UNDO

    newest = next((one for one in reversed(actions.history(db)) if one.verb != UNDO and not one.obstacle), None)
    return str(newest.id) if newest is not None and newest.verb in BINS else ""


def _entries(ws: Workspace, made: Sequence[Request]) -> list[Entry]:
    from bertdistill.engine.steering import actions

    ids = {one.id for one in made}
    with reading(ws) as db:
        return [entry for entry in actions.history(db) if entry.id in ids]


def _print(ws: Workspace, entries: Sequence[Entry], as_json: bool, *, otherwise: str) -> None:
    from bertdistill.app.report.records import request_row
    from bertdistill.app.text.safe import safe_line
    from bertdistill.app.text.tables import json_text

    if as_json:
        show(json_text([request_row(entry) for entry in entries]))
        return
    show("\n".join(f"#{entry.id} {safe_line(entry.words, 500)}" for entry in entries))
    if entries and not entries[-1].obstacle:
        say(f"undo with: {command_line('undo', entries[-1].study, str(entries[-1].id), ws=ws)}")
    elif otherwise and not entries:
        say(otherwise)


def _runner_if_reopened(ws: Workspace, study: str, before: Any) -> None:
    """A change may let a complete or paused study continue; then it needs a runner."""
    from bertdistill.engine.steering import actions

    with reading(ws) as db:
        now = find_study(db, study).state
    if now == "running" and before != "running":
        status = actions.ensure_runner(ws)
        say(f"study {study} is resumed; runner: pid {status.pid}")


COMMANDS: dict[str, Any] = {
    "set": set_settings,
    "queue": queue,
    "tag": tag,
    "note": note,
    "archive": archive,
    "unarchive": unarchive,
    "history": history,
    "undo": undo,
}
