"""What every command shares: its options, its workspace, the names of trials. It decides nothing.

It imports nothing heavy, because `--help` imports it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertdistill.app.commands.stored import reading, store_logged
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import colour_ok, columns, say, unicode_ok

if TYPE_CHECKING:
    from bertdistill.app.report.summary import Page
    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.store.db import Database


def folder(text: str) -> Path:
    """A folder that was typed. An empty word is an unset variable in a script, not the current folder."""
    if not text.strip():
        raise typer.BadParameter("the folder is empty; give its path, or `.` for this one")
    return Path(text)


def set_workspace(option: Path | None) -> None:
    """A workspace named before a command is that of the command."""
    if option is not None:
        from bertdistill.engine.contract.workspace import VARIABLE

        os.environ[VARIABLE] = str(option.expanduser().resolve())


WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        "-w",
        metavar="DIR",
        parser=folder,
        help="Workspace folder. Default: $BERTDISTILL_WORKSPACE, else ./bertdistill-runs.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV to stdout.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a dotted key of the study file; may be repeated."),
]
DetachOption = Annotated[bool, typer.Option("--detach", help="Start it and return immediately.")]
RetryOption = Annotated[bool, typer.Option("--retry-failed", help="Also run failed and stopped trials again.")]
PlainOption = Annotated[bool, typer.Option("--plain", help="Progress as lines, even on a terminal.")]
StudyOption = Annotated[str, typer.Option("--study", metavar="STUDY", help="Study of a trial given by number.")]
SvgOption = Annotated[
    Path | None,
    typer.Option("--svg", metavar="FILE", help="Write the chart as SVG instead; as PNG if FILE ends in .png."),
]
SvgForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing file of --svg.")]


@dataclass(frozen=True)
class TrialName:
    """A trial as a person names it."""

    study: str
    number: int


def workspace(option: Path | None) -> Workspace:
    """The workspace that the command means."""
    from bertdistill.engine.contract.workspace import resolve_workspace
    from bertdistill.store.ownership import others

    found = resolve_workspace(option, os.environ)
    if words := others(found.path, found.database):
        say(f"warning: {words}; its contents may have been tampered with")
    store_logged(found)
    return found


def parse_trial(text: str, study: str, known: Sequence[str]) -> TrialName:
    """`demo/7`, `demo#7`, or with `study` (or one study in all) `7` or `#7`; raises UsageError otherwise."""
    match = re.fullmatch(r"(?:(?P<study>[^/#]+)[/#]|#)?(?P<number>[0-9]{1,9})", text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a trial", hint="Write STUDY/NUMBER, for example demo/7.")
    named = match["study"] or study or (known[0] if len(known) == 1 else "")
    if not named:
        choices = ", ".join(known) or "none yet"
        raise UsageError(f"trial {text} of which study?", hint=f"Write STUDY/{match['number']}. Studies: {choices}.")
    if study and match["study"] and match["study"] != study:
        raise UsageError(f"{text} and --study {study} name two studies", hint="Leave out --study.")
    return TrialName(named, int(match["number"]))


def find_trial(db: Database, text: str, study: str) -> TrialName:
    """The trial that the text names; its study need not be written when the workspace has only one."""
    from bertdistill.store import reads

    with db.read() as session:
        known = [s.name for s in reads.studies(session)]
    return parse_trial(text, study, known)


def is_there(ws: Workspace, name: str) -> bool:
    """Whether the workspace has a study of that name."""
    from bertdistill.store import reads

    if not ws.database.is_file():
        return False
    with reading(ws) as db, db.read() as session:
        return any(one.name == name for one in reads.studies(session))


def page_of_output() -> Page:
    """What stdout can show."""
    from bertdistill.app.report.summary import Page

    return Page(columns(), not unicode_ok(), colour_ok())
