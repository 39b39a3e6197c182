"""Words of the command line: a command to try next as it can be typed here, and words that were typed.

It imports nothing heavy.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bertdistill.engine.contract.workspace import Workspace

PROGRAM = "bertdistill-tui"


def unicode_only(text: str) -> str:
    """A word of the command line without what was not UTF-8; Python smuggles such bytes in as half characters."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def command_line(*words: str, ws: Workspace | None = None) -> str:
    """A command to try next, spelt so that it works from here."""
    from bertdistill.engine.contract.workspace import DEFAULT, VARIABLE

    given: list[str] = []
    if ws is not None and ws.path != DEFAULT.resolve() and os.environ.get(VARIABLE) != str(ws.path):
        given = ["--workspace", str(ws.path)]
    return " ".join([_program(), *(shlex.quote(word) for word in [*words, *given])])


def without_path(line: str) -> str:
    """A command to read, not to run: the program by its name, wherever it is."""
    path = f"{shlex.quote(sys.argv[0])} "
    return f"{PROGRAM} {line.removeprefix(path)}" if line.startswith(path) and PROGRAM in path else line


def _program() -> str:
    """The console script if it is on the path, else the way to it that was typed, else the module."""
    if shutil.which(PROGRAM):
        return f"{PROGRAM} engine"
    if Path(sys.argv[0]).name == PROGRAM:
        return f"{shlex.quote(sys.argv[0])} engine"
    return f"{shlex.quote(sys.executable)} -m bertdistill.engine"
