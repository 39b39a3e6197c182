"""One command line from its words to its exit status, and the start of the app. It parses only the plainest words.

It imports next to nothing: what a command needs is loaded when its words are known. Anything but a few options of the
app, each written once with a valid value, is left to typer, and so is every message about a wrong one.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from bertdistill.app.commands.stored import find_study, reading, store_logged
from bertdistill.app.errors import UsageError
from bertdistill.app.preferences import Marker, Theme, Wishes
from bertdistill.app.terminal.streams import ReaderGone, say, who
from bertdistill.app.text.command_line import PROGRAM
from bertdistill.store.errors import BertDistillError

if TYPE_CHECKING:
    from bertdistill.engine.contract.workspace import Workspace

DONE, FAILED, MISUSE = 0, 1, 2
DEBUG = "BERTDISTILL_DEBUG"
"""Environment variable: show the traceback of an error."""
_NAMES = {"--workspace": "where", "-w": "where", "--study": "study", "--theme": "theme", "--marker": "marker"}
_CHOICES = {"theme": get_args(Theme), "marker": get_args(Marker)}


@dataclass(frozen=True)
class Plain:
    """The words of a command line that only opens the app."""

    where: Path | None
    study: str
    wishes: Wishes


def plain_words(words: Sequence[str]) -> Plain | None:
    """What these words ask for; None when only typer can tell."""
    found: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if word in ("--mouse", "--no-mouse") and "mouse" not in found:
            found["mouse"] = word == "--mouse"
            continue
        name, value = _NAMES.get(word, ""), next(rest, "")
        valid = value.strip() and not value.startswith("-") and value in _CHOICES.get(name, (value,))
        if not name or name in found or not valid:
            return None
        found[name] = value
    where, study = found.pop("where", None), found.pop("study", "")
    return Plain(None if where is None else Path(where), study, Wishes(**found))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit status."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a Latin-1 or ASCII terminal gets `?` for what it cannot show
    try:
        return _run(arguments)
    except ReaderGone:
        for descriptor in (1, 2):  # Python would complain once more while it closes a broken pipe
            if _reader_gone(descriptor):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        return DONE


def _open_streams() -> None:
    """Streams that the caller closed (`>&-`) go to the null device; Python sets them to None."""
    nowhere = Path(os.devnull)
    sys.stdin = sys.stdin or nowhere.open(encoding="utf-8")
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")


def _reader_gone(descriptor: int) -> bool:
    """Whether this is a pipe without a reader."""
    watch = select.poll()
    watch.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in watch.poll(0))


def _run(words: Sequence[str]) -> int:
    try:
        if (plain := plain_words(words)) is not None:
            return start_app(plain.wishes, plain.where, None, plain.study, demo=False)
        from bertdistill.app.commands.root import command_line  # typer takes 25 ms, which the app need not wait for

        command_line(words)(list(words), prog_name=PROGRAM)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE if end.code is None else FAILED
    except BertDistillError as error:
        return _tell(str(error), error.hint, MISUSE if _is_misuse(error) else FAILED)
    except (
        UnicodeEncodeError
    ) as error:  # bytes on the command line that are not text; no name of ours contains such bytes
        return _tell(f"{error.object.encode(errors='replace').decode()}: not UTF-8 text", "Type it in UTF-8.", MISUSE)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _tell(f"{name}{error.strerror or error}", "", FAILED)
    return DONE


def _is_misuse(error: BertDistillError) -> bool:
    from bertdistill.engine.contract.errors import ConfigError, InvalidRequest

    return isinstance(error, (UsageError, ConfigError, InvalidRequest))


def _tell(message: str, hint: str, status: int) -> int:
    if os.environ.get(DEBUG):
        raise  # the error that is being handled, with its traceback
    say(f"error: {message}")
    if hint:
        say(f"hint: {hint}")
    return status


def start_app(typed: Wishes, where: Path | None, study_file: Path | None, study: str, *, demo: bool) -> int:
    """The exit status of the app. Errors are reported before the terminal is touched."""
    from bertdistill.app.terminal import terminal

    streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    if study_file is not None:
        _check_study_file(study_file)
    if demo and (study or study_file is not None):
        raise UsageError("--demo opens only the demo study", hint="Leave out --demo or the study.")
    if problem := terminal.unfit(os.environ, {k: s.isatty() for k, s in streams.items()}, sys.stderr.encoding):
        say(f"error: {problem}")
        return MISUSE
    gc.disable()  # until the first screen is painted, see `cli`
    from bertdistill.app.keymap import ids
    from bertdistill.app.memory import THEME, Memory
    from bertdistill.app.preferences import options
    from bertdistill.engine.contract.workspace import resolve_workspace

    ws = resolve_workspace(where, os.environ)
    if study:
        _check_study(ws, study)
    found = options(ws.path, typed, os.environ, ids(), study_file=study_file, open_study=study)
    if demo:
        from bertdistill.engine.steering.demo_study import start_demo

        say(f"the demo study starts in {found.workspace}; quitting the app does not stop it")
        found = dataclasses.replace(found, open_study=start_demo(ws, who()))
    terminal.tame(os.environ)
    remembered = Memory(found.workspace).recall(THEME, "")
    if found.theme == "auto" and not remembered and not os.environ.get("NO_COLOR"):
        background = terminal.ask_background(os.environ)
        if background is not None:  # else the app keeps the question open: see `driver`
            found = dataclasses.replace(found, theme=background)
    terminal.say_at_once("Opening …")
    from bertdistill.app.ui import run  # not before `tame`: textual reads the environment while it is imported

    return run(found)


def _check_study(ws: Workspace, name: str) -> None:
    """A missing study is reported before the terminal is touched."""
    store_logged(ws)
    with reading(ws) as db:
        find_study(db, name)


def _check_study_file(path: Path) -> None:
    """A word that is neither a file nor a command is a typo, whatever the terminal can do."""
    if path.is_file():
        return
    from bertdistill.app.commands.engine import GROUPS, PANELS

    word = str(path)
    if any(word in commands for commands in (*PANELS, GROUPS)):
        raise UsageError(f"{word} is a command of `engine`", hint=f"Type {PROGRAM} engine {word}.")
    what = "is a folder" if path.is_dir() else "not a file and not a command"
    raise UsageError(f"{word}: {what}", hint=f"Give a study file (TOML), or see {PROGRAM} --help.")
