"""`bertdistill-tui` and its `engine` commands: the words a person types. It does no work of its own.

Each command lives in `commands` and imports what it needs inside its function, so that `--help` loads nothing heavy.
Exit status, an interface: 0 done, 1 failed, 2 misuse (also a wrong study file), 130 interrupted.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bertdistill.app.commands import machine, models, studies, trials
from bertdistill.app.session import PROGRAM, ReaderGone, UsageError, say
from bertdistill.store.errors import BertDistillError

DONE, FAILED, MISUSE, INTERRUPTED = 0, 1, 2, 130
DEBUG = "BERTDISTILL_DEBUG"

app = typer.Typer(
    name=PROGRAM,
    help="Search, watch and promote distilled BERT-like models.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
engine = typer.Typer(
    name="engine",
    help="Run and inspect studies from the command line. Data goes to stdout, speech to stderr.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(engine)

PANELS = (studies.COMMANDS, trials.COMMANDS, models.COMMANDS, machine.COMMANDS)
for commands in PANELS:
    for name, function in commands.items():
        engine.command(name)(function)


@app.callback()
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Search, watch and promote distilled BERT-like models."""
    if version:
        from importlib.metadata import version as installed

        sys.stdout.write(f"{PROGRAM} {installed(PROGRAM)}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(f"The commands are under `{PROGRAM} engine`; see `{PROGRAM} engine --help`.")
        raise typer.Exit(MISUSE)


@engine.callback()
def start_engine(
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", metavar="DIR", help="The same as after a command.")
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (or BERTDISTILL_DEBUG=1).")
    ] = False,
) -> None:
    """Run and inspect studies from the command line. Data goes to stdout, speech to stderr."""
    if workspace is not None:
        from bertdistill.engine.workspace import VARIABLE

        os.environ[VARIABLE] = str(workspace.expanduser().resolve())
    if debug:
        os.environ[DEBUG] = "1"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and leave the process with its exit status."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a Latin-1 or ASCII terminal gets `?` for what it cannot show
    try:
        status = _run(arguments)
    except ReaderGone:
        status = DONE
        for descriptor in (1, 2):  # Python would complain once more while it closes a broken pipe
            if _reader_gone(descriptor):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    sys.exit(status)


def _open_streams() -> None:
    """Streams that the caller closed (`>&-`) lead to nowhere; Python has None in their place."""
    nowhere = Path(os.devnull)
    sys.stdin = sys.stdin or nowhere.open(encoding="utf-8")
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")


def _reader_gone(descriptor: int) -> bool:
    """Whether this is a pipe that nobody reads."""
    watch = select.poll()
    watch.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in watch.poll(0))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(arguments, prog_name=PROGRAM)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE if end.code is None else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BertDistillError as error:
        return _tell(str(error), error.hint, MISUSE if _is_misuse(error) else FAILED)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _tell(f"{name}{error.strerror or error}", "", FAILED)
    return DONE


def _is_misuse(error: BertDistillError) -> bool:
    from bertdistill.engine.errors import ConfigError

    return isinstance(error, (UsageError, ConfigError))


def _tell(message: str, hint: str, status: int) -> int:
    if os.environ.get(DEBUG):
        raise  # the error that is being handled, with its traceback
    say(f"error: {message}")
    if hint:
        say(f"hint: {hint}")
    return status
