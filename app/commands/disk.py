"""Commands about the disk: disk, delete, prune, backup. They parse, ask, call an action and print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.session import JsonOption, WorkspaceOption, workspace
from bertdistill.app.commands.stored import reading
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import say, show, who
from bertdistill.app.text.command_line import command_line

if TYPE_CHECKING:
    pass

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation; required in scripts.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed and how much that frees.")]
PARTS = ("checkpoints", "caches", "leftovers", "bin")


def disk(where: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Disk usage of studies, trials, caches, models, leftovers and the bin.

    Sizes are measured; a file with several hard links counts once. JSON lists every folder.
    """
    from bertdistill.app.commands.session import page_of_output
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
        float,
        typer.Option(
            "--keep-days", metavar="DAYS", min=0, help="Days in the bin; 0 removes them immediately and permanently."
        ),
    ] = 7.0,
    as_json: JsonOption = False,
) -> None:
    """Delete studies, trials and models; `undo` brings them back while they are in the bin.

    Refused for anything that is running or that a promoted model depends on.
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
            say(f"deleted: {request.arguments['name']}; restore with: {undo}")


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
            help="Days in the bin; anything older is removed. 0 empties the bin and removes the rest immediately.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Free disk space: checkpoints of dominated trials, unused caches, leftovers and expired items in the bin.

    Items stay in the bin for a week unless --keep-days is given. Scores and curves are kept.
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
    if dry_run or not found.anything or not _sure("Continue?", yes):
        return
    request, freed = actions.prune(ws, parts, keep_days=keep_days, who=who())
    say(f"freed {fmt.size(freed)}")
    if request is not None and keep_days != 0:
        say(f"restore the rest with: {command_line('undo', str(request.id), ws=ws)}")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Output file; an existing backup is replaced.")],
    where: WorkspaceOption = None,
) -> None:
    """Write a consistent copy of the database, also while the runner is working.

    It contains every study, trial, curve and change. Checkpoints and models are folders: see docs/guide.md.
    """
    from bertdistill.app.text import format as fmt
    from bertdistill.engine.steering.backup import back_up

    ws = workspace(where)
    size = back_up(ws, file)
    say(f"wrote {file} ({fmt.size(size)}); to restore it, see docs/guide.md")


def _say(text: str, as_json: bool) -> None:
    """What would be removed: on stdout for people, on stderr with --json."""
    if as_json:
        say(text)
    else:
        show(text)


def _sure(question: str, yes: bool) -> bool:
    """Ask on a terminal; scripts must pass `--yes`."""
    if yes:
        return True
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError("nothing was done: confirmation needs a terminal", hint="Add --yes, or --dry-run.")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("nothing was done")
    return False


COMMANDS: dict[str, Any] = {"disk": disk, "delete": delete, "prune": prune, "backup": backup}
