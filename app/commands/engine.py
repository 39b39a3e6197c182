"""The `engine` group: all its commands, and the options before a command. It does no work of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bertdistill.app.commands import (
    analysis,
    cascade,
    difficulty,
    disk,
    glossary,
    imports,
    ladder,
    machine,
    machines,
    models,
    passages,
    report,
    search,
    settings,
    studies,
    survey,
    trials,
)
from bertdistill.app.commands.session import folder, set_workspace
from bertdistill.app.commands.start import DEBUG

engine = typer.Typer(
    name="engine",
    help="Run and inspect studies from the command line. Data goes to stdout, messages to stderr.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PANELS = (
    studies.COMMANDS,
    search.COMMANDS,
    trials.COMMANDS,
    settings.COMMANDS,
    analysis.COMMANDS,
    difficulty.COMMANDS,
    ladder.COMMANDS,
    survey.COMMANDS,
    report.COMMANDS,
    cascade.COMMANDS,
    models.COMMANDS,
    passages.COMMANDS,
    imports.COMMANDS,
    disk.COMMANDS,
    machine.COMMANDS,
    glossary.COMMANDS,
)
GROUPS = {"machines": machines.group}
"""Commands that have commands of their own."""
for name, group in GROUPS.items():
    engine.add_typer(group, name=name)
for commands in PANELS:
    for name, function in commands.items():
        engine.command(name)(function)


@engine.callback()
def start_engine(
    workspace: Annotated[
        Path | None,
        typer.Option("--workspace", "-w", metavar="DIR", parser=folder, help="Same as after the command."),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (or BERTDISTILL_DEBUG=1).")
    ] = False,
) -> None:
    """Run and inspect studies from the command line. Data goes to stdout, messages to stderr."""
    set_workspace(workspace)
    if debug:
        os.environ[DEBUG] = "1"
