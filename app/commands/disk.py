"""Commands about the disk: disk, delete, prune, backup. They parse, ask, call an action and print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.session import JsonOption, WorkspaceOption, reading, workspace
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import say, show, who
from bertdistill.app.text.command_line import command_line

if TYPE_CHECKING:
    pass

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; scripts need it.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would go and what it frees.")]
PARTS = ("checkpoints", "caches", "leftovers", "bin")


def disk(where: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Who holds what of the disk: studies, trials, caches, models, leftovers, the bin.

    Sizes are measured, and a file with several names counts once. JSON lists every folder.
    """
    from bertdistill.app.commands.studies import page_of_output
    from bertdistill.app.report.disk import disk_object, disk_text
    from bertdistill.app.text.tables import json_text
    from bertdistill.engine.steering.holdings import who_holds_what

    ws = workspace(where)
    with reading(ws) as db, db.read() as session:
        found = who_holds_what(session, ws)
    show(json_text(disk_object(found, ws)) if as_json else disk_text(found, ws, page_of_output()))


def delete(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="TARGET", help="STUDY, STUDY/NUMBER, MODEL:VERSION or MODEL."),
    ],
    where: WorkspaceOption = None,
    yes: YesOption = False,
    dry_run: DryOption = False,
    keep_days: Annotated[
        float, typer.Option("--keep-days", metavar="DAYS", min=0, help="Time in the bin; 0 removes at once, for good.")
    ] = 7.0,
    as_json: JsonOption = False,
) -> None:
    """Delete studies, trials and models; `undo` brings them back while they are in the bin.

    Refused for what runs, and for what a promoted model rests on.
    """
    from bertdistill.app.report.disk import deletion_object, deletion_text
    from bertdistill.app.text.tables import json_text
    from bertdistill.engine.steering import actions

    ws = workspace(where)
    with reading(ws) as db, db.read() as session:
        found = [one for target in dict.fromkeys(targets) for one in actions.plan_delete(session, ws, target)]
    if as_json:
        show(json_text([deletion_object(one) for one in found]))
    _say(deletion_text(found, keep_days), as_json)
    if dry_run or not _sure("Delete?", yes):
        return
    made = actions.delete(ws, targets, keep_days=keep_days, who=who())
    if keep_days > 0:
        for request in made:
            undo = command_line("undo", str(request.id), ws=ws)
            say(f"deleted: {request.arguments['name']}; bring it back with: {undo}")


def prune(
    where: WorkspaceOption = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PART", help=f"{', '.join(PARTS)}; may be repeated.")
    ] = None,
    yes: YesOption = False,
    dry_run: DryOption = False,
    keep_days: Annotated[
        float | None,
        typer.Option(
            "--keep-days",
            metavar="DAYS",
            min=0,
            help="Also empty the bin of what has been there for longer; 0 empties it and removes the rest at once.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Free what nothing needs: checkpoints of dominated trials, unused caches, leftovers, and the expired in the bin.

    It goes into the bin for a week unless --keep-days says otherwise. Scores and curves stay.
    """
    from bertdistill.app.report.disk import pruning_object, pruning_text
    from bertdistill.app.text import format as fmt
    from bertdistill.app.text.tables import json_text
    from bertdistill.engine.runner.bin import KEEP_DAYS
    from bertdistill.engine.steering import actions

    if wrong := [part for part in only or () if part not in PARTS]:
        raise UsageError(f"--only {wrong[0]!r} is not a part", hint=f"Parts: {', '.join(PARTS)}.")
    ws, parts = workspace(where), tuple(only or PARTS)
    with reading(ws) as db, db.read() as session:
        found = actions.plan_prune(session, ws, parts, keep_days=keep_days)
    if as_json:
        show(json_text(pruning_object(found)))
    _say(pruning_text(found, KEEP_DAYS if keep_days is None else keep_days), as_json)
    if dry_run or not found.anything or not _sure("Go on?", yes):
        return
    request, freed = actions.prune(ws, parts, keep_days=keep_days, who=who())
    say(f"{fmt.size(freed)} are free now")
    if request is not None and keep_days != 0:
        say(f"bring the rest back with: {command_line('undo', '', str(request.id), ws=ws)}")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; an older backup is replaced.")],
    where: WorkspaceOption = None,
) -> None:
    """Copy the database, whole and consistent, while the runner works.

    It holds every study, trial, curve and change. Checkpoints and models are folders: see docs/guide.md.
    """
    from bertdistill.app.text import format as fmt
    from bertdistill.engine.steering.backup import back_up

    ws = workspace(where)
    size = back_up(ws, file)
    say(f"wrote {file} ({fmt.size(size)}); to put it back, see docs/guide.md")


def _say(text: str, as_json: bool) -> None:
    """What goes: data for people, speech beside JSON."""
    if as_json:
        say(text)
    else:
        show(text)


def _sure(question: str, yes: bool) -> bool:
    """Ask on a terminal; scripts must say `--yes`."""
    if yes:
        return True
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError("nothing was done: there is no terminal to ask on", hint="Add --yes, or --dry-run.")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("nothing was done")
    return False


COMMANDS: dict[str, Any] = {"disk": disk, "delete": delete, "prune": prune, "backup": backup}
