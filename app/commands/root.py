"""The words before a command: the app's options, the study file, and the group of `engine`. It does no work of its own.

Without a command it starts the terminal app; where that is plain from the words, `start` does so before this module is
even imported. Each command imports what it needs inside its function, so that `--help` loads nothing heavy.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from bertdistill.app.commands.plain_values import spare_checks
from bertdistill.app.commands.session import WorkspaceOption, set_workspace
from bertdistill.app.commands.start import start_app
from bertdistill.app.errors import UsageError
from bertdistill.app.preferences import FASTEST, SLOWEST, Marker, Theme, Wishes
from bertdistill.app.text.command_line import PROGRAM


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
        raise typer.Exit(start_app(wishes, where, study_file, study, demo=demo))
    if study or demo or wishes != Wishes():
        names = "--study, --demo, --theme, --marker, --mouse and --refresh"
        raise UsageError(
            f"{names} are options of the app, not of {context.invoked_subcommand}",
            hint=f"Leave them out; see {PROGRAM} {context.invoked_subcommand} --help.",
        )
    set_workspace(where)


def command_line(words: Sequence[str]) -> Any:
    """The parser of these words: that of the app alone, unless they may be a command of `engine` or ask for help."""
    if {"engine", "--help"} & set(words) and not app.registered_groups:
        from bertdistill.app.commands.engine import engine

        app.add_typer(engine)
    command = get_command(app)
    spare_checks(command)
    return command
