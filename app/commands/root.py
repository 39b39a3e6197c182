"""The words before a command: the app's options, the study file, and the group of `engine`. It does no work of its own.

Without a command it starts the terminal app, and then the other modules of `commands` are not even imported. Each
command imports what it needs inside its function, so that `--help` loads nothing heavy.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from bertdistill.app.commands.plain_values import spare_checks
from bertdistill.app.commands.session import DEBUG, WorkspaceOption, find_study, reading, set_workspace, store_logged
from bertdistill.app.errors import UsageError
from bertdistill.app.preferences import FASTEST, SLOWEST, Marker, Theme, Wishes
from bertdistill.app.terminal.streams import ReaderGone, say, who
from bertdistill.app.text.command_line import PROGRAM
from bertdistill.store.errors import BertDistillError

if TYPE_CHECKING:
    from bertdistill.engine.contract.workspace import Workspace

DONE, FAILED, MISUSE = 0, 1, 2


class Root(TyperGroup):
    """A first word that is not a command is the study file to open; options of the app may also follow it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        place = self._first_word(ctx, args)
        if place is None or args[place] not in self.commands:
            ctx.allow_interspersed_args, ctx.allow_extra_args = True, False
            return super(TyperGroup, self).parse_args(ctx, args)
        super().parse_args(ctx, args[:place])
        ctx._protected_args, ctx.args = [args[place]], args[place + 1 :]  # as TyperGroup itself leaves them
        return args[place + 1 :]

    def get_params(self, ctx: Any) -> list[Any]:
        """Ours; for the usage line of a command below without the study file, which cannot stand before it."""
        found: list[Any] = super().get_params(ctx)
        return found if ctx.command is self else [p for p in found if p.param_type_name != "argument"]

    def _first_word(self, ctx: Any, args: list[str]) -> int | None:
        """Index of the first word that is no option and no value of one."""
        found, rest, _ = self.make_parser(ctx).parse_args(args=list(args))
        return len(args) - len(rest) - 1 if found.get("study_file") else None


app = typer.Typer(
    name=PROGRAM,
    cls=Root,
    help="Search, watch and promote distilled BERT-like models.",
    invoke_without_command=True,
    subcommand_metavar="| engine COMMAND [ARGS]...",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


@app.callback()
def start(
    context: typer.Context,
    study_file: Annotated[
        Path | None, typer.Argument(metavar="STUDY.toml", help="A study file to check and start.", show_default=False)
    ] = None,
    where: WorkspaceOption = None,
    study: Annotated[str, typer.Option("--study", metavar="STUDY", help="Open this study of the workspace.")] = "",
    demo: Annotated[
        bool, typer.Option("--demo", help="Start the demo study on synthetic data and open it; needs no network.")
    ] = False,
    theme: Annotated[Theme | None, typer.Option("--theme", help="Colours; auto asks the terminal.")] = None,
    marker: Annotated[
        Marker | None, typer.Option("--marker", help="Marker of charts; ascii for fonts without braille.")
    ] = None,
    mouse: Annotated[
        bool | None,
        typer.Option(
            "--mouse/--no-mouse", help="Without the mouse, the terminal's own text selection works.", show_default=False
        ),
    ] = None,
    refresh: Annotated[
        float | None,
        typer.Option(
            "--refresh",
            metavar="HZ",
            min=SLOWEST,
            max=FASTEST,
            help="Database polls per second; default 2, over SSH 1.",
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Search, watch and promote distilled BERT-like models.

    Without a command: the terminal app. Its preferences are in ~/.config/bertdistill-tui/config.toml.
    """
    if version:
        from importlib.metadata import version as installed

        sys.stdout.write(f"{PROGRAM} {installed(PROGRAM)}\n")
        raise typer.Exit
    wishes = Wishes(theme=theme, marker=marker, mouse=mouse, refresh=refresh)
    if context.invoked_subcommand is None:
        raise typer.Exit(_start_app(wishes, where, study_file, study, demo))
    if study or demo or wishes != Wishes():
        names = "--study, --demo, --theme, --marker, --mouse and --refresh"
        raise UsageError(
            f"{names} are options of the app, not of {context.invoked_subcommand}",
            hint=f"Leave them out; see {PROGRAM} {context.invoked_subcommand} --help.",
        )
    set_workspace(where)


def _start_app(typed: Wishes, where: Path | None, study_file: Path | None, study: str, demo: bool) -> int:
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


def command_line(words: Sequence[str]) -> Any:
    """The parser of these words: that of the app alone, unless they may be a command of `engine` or ask for help."""
    if {"engine", "--help"} & set(words) and not app.registered_groups:
        from bertdistill.app.commands.engine import engine

        app.add_typer(engine)
    command = get_command(app)
    spare_checks(command)
    return command


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
