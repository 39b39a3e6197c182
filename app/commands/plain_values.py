"""Values on the command line that are obviously valid skip typer's checks, which load pydantic (0.1 s).

Every other value, and every message about an invalid one, is left to typer. It uses private parts of typer, so typer is
pinned to a minor version, and tests compare both ways.
"""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import typer
from typer._click.core import Context
from typer._coercion import build_runtime_param


def spare_checks(command: Any) -> None:
    """Let the parameters of a command, and of all commands below it, check their values here first."""
    for parameter in command.get_params(Context(command)):  # --help is made by it, once
        parameter._runtime_param = _Plain()
    for below in getattr(command, "commands", {}).values():
        spare_checks(below)


class _Plain:
    """Replaces typer's RuntimeParam."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value for the function behind the command."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if isinstance(value, str) and (made := _made(value, param.type_descriptor)) is not None:
            return made
        return build_runtime_param(param.type_descriptor).coerce(value, param=param, ctx=ctx)


def _made(text: str, descriptor: Any) -> Any:
    """What a text stands for; None when only typer can decide, or report what is wrong with it."""
    kind, info = descriptor.annotation, descriptor.parameter_info
    if info.parser is not None:
        try:
            return info.parser(text)
        except (typer.BadParameter, ValueError):
            return None
    return text if kind is str or (get_origin(kind) is Literal and text in get_args(kind)) else None
