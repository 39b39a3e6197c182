"""Output: data to stdout, messages to stderr; and the name of the user. It imports nothing heavy."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.app.errors import UsageError

_COLOURS = re.compile(r"(\x1b\[[0-9;]*m)")


class ReaderGone(Exception):
    """The reader of our output has exited (`… | head`). Not an error of the app, so not a subclass of one."""


def show(text: str, *, coloured: bool = False) -> None:
    """Data: to stdout; raises ReaderGone when the reader is gone. Escape sequences are made harmless.

    `coloured` text keeps its colours and nothing else; the caller has sanitised the words in it.
    """
    from bertdistill.app.text.safe import harmless

    if not text:
        return
    parts = _COLOURS.split(text) if coloured else [text]
    parts[::2] = [harmless(part) for part in parts[::2]]
    try:
        sys.stdout.write("".join(parts) + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGone from error


def say(text: str) -> None:
    """Messages: to stderr; raises ReaderGone when the reader is gone. Escape sequences are made harmless."""
    from bertdistill.app.text.safe import safe

    try:
        sys.stderr.write(safe(text) + "\n")
        sys.stderr.flush()
    except BrokenPipeError as error:  # `2>&1 | head`
        raise ReaderGone from error


def show_rows(rows: Sequence[Mapping[str, Any]], text: str, *, json: bool, csv: bool, coloured: bool = False) -> None:
    """A list of objects in the requested format; `text` is the format for people and may contain a chart."""
    if json and csv:
        raise UsageError("--json and --csv exclude each other", hint="Give one of them.")
    from bertdistill.app.text.tables import csv_text, json_text

    if json or csv:
        show(json_text(list(rows)) if json else csv_text(rows))
    else:
        show(text, coloured=coloured)


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
    """The user, for the record of requests."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a uid without a name
        return str(os.getuid())
