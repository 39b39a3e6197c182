"""What every command shares: its workspace and database, and the two streams. It decides nothing about studies.

Data goes to stdout, speech to stderr. This module imports nothing heavy, because `--help` imports it.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.store.errors import BertDistillError

if TYPE_CHECKING:
    from bertdistill.engine.workspace import Workspace
    from bertdistill.store.db import Database
    from bertdistill.store.rows import Study

PROGRAM = "bertdistill-tui"
DEBUG = "BERTDISTILL_DEBUG"
"""Environment variable: show the traceback of an error."""


def folder(text: str) -> Path:
    """A folder that was typed. An empty word is an unset variable in a script, not the folder that we stand in."""
    if not text.strip():
        raise typer.BadParameter("the folder is empty; give its path, or `.` for this one")
    return Path(text)


def set_workspace(option: Path | None) -> None:
    """A workspace named before a command is that of the command."""
    if option is not None:
        from bertdistill.engine.workspace import VARIABLE

        os.environ[VARIABLE] = str(option.expanduser().resolve())


WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        "-w",
        metavar="DIR",
        parser=folder,
        help="Folder that holds everything; else BERTDISTILL_WORKSPACE, else ./bertdistill-runs.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV to stdout.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study file (dotted), may be repeated."),
]
StudyOption = Annotated[str, typer.Option("--study", metavar="STUDY", help="Study of a bare trial number.")]


class UsageError(BertDistillError):
    """The command line asks for something that makes no sense; exit status 2."""


@dataclass(frozen=True)
class TrialName:
    """A trial as a person names it."""

    study: str
    number: int


class ReaderGone(Exception):
    """Whoever read our output has left (`… | head`); no error of ours, so no subclass of one that somebody handles."""


def show(text: str) -> None:
    """Data: to stdout; raises ReaderGone when nobody reads it any more."""
    if not text:
        return
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGone from error


def say(text: str) -> None:
    """Speech: to stderr; raises ReaderGone when nobody reads it any more. Escape sequences are made harmless."""
    from bertdistill.app.safe import safe

    try:
        sys.stderr.write(safe(text) + "\n")
        sys.stderr.flush()
    except BrokenPipeError as error:  # `2>&1 | head`
        raise ReaderGone from error


def show_rows(rows: Sequence[Mapping[str, Any]], text: str, *, json: bool, csv: bool) -> None:
    """A list of objects in the form that was asked for; `text` is the form for people."""
    if json and csv:
        raise UsageError("--json and --csv exclude each other", hint="Give one of them.")
    from bertdistill.app.tables import csv_text, json_text

    show(json_text(list(rows)) if json else csv_text(rows) if csv else text)


def unicode_only(text: str) -> str:
    """A word of the command line without what was not UTF-8; Python smuggles such bytes in as half characters."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def unicode_ok() -> bool:
    """Whether stdout can carry more than ASCII."""
    return "utf" in (sys.stdout.encoding or "").lower() and os.environ.get("TERM") != "linux"


def colour_ok() -> bool:
    """Whether stdout is a terminal that wants colours (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns() -> int:
    """Width of the terminal on stdout; 0 in a pipe or file, where no line is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def who() -> str:
    """Who asks, for the record of requests."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return str(os.getuid())


def workspace(option: Path | None) -> Workspace:
    """The workspace that the command means."""
    from bertdistill.engine.workspace import resolve_workspace

    return resolve_workspace(option, os.environ)


@contextmanager
def reading(ws: Workspace) -> Iterator[Database]:
    """The workspace's database, read-only; StoreError when there is none yet."""
    from bertdistill.store.db import open_db

    db = open_db(ws.path, read_only=True)
    try:
        yield db
    finally:
        db.close()


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


def find_study(db: Database, name: str) -> Study:
    """The study named, or without a name the one that was made last and not put away."""
    from bertdistill.store import reads
    from bertdistill.store.errors import NotFound

    with db.read() as session:
        if name:
            return reads.study(session, name)
        studies = reads.studies(session)
        away = reads.archived_studies(session)
    studies = [s for s in studies if s.id not in away] or studies
    if not studies:
        raise NotFound("there is no study in this workspace", hint=f"Start one: {PROGRAM} engine run STUDY.toml")
    return max(studies, key=lambda s: (s.created_at, s.id))


def command_line(*words: str, ws: Workspace | None = None) -> str:
    """A command to try next, spelt so that it works from here."""
    from bertdistill.engine.workspace import DEFAULT, VARIABLE

    given: list[str] = []
    if ws is not None and ws.path != DEFAULT.resolve() and os.environ.get(VARIABLE) != str(ws.path):
        given = ["--workspace", str(ws.path)]
    return " ".join([_program(), *(shlex.quote(word) for word in [*words, *given])])


def _program() -> str:
    """The console script if it is on the path, else the way to it that was typed, else the module."""
    if shutil.which(PROGRAM):
        return f"{PROGRAM} engine"
    if Path(sys.argv[0]).name == PROGRAM:
        return f"{shlex.quote(sys.argv[0])} engine"
    return f"{shlex.quote(sys.executable)} -m bertdistill.engine"
