"""The person's own editor on a text: which it is, and running it on a private copy. It knows no screen."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bertdistill.store.errors import BertDistillError

USUAL = ("nano", "vi")
"""Tried in this order where neither $VISUAL nor $EDITOR says which."""


class NoEditor(BertDistillError):
    """There is none, or it failed."""


def editor(environ: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """The words that start it; NoEditor says what to set."""
    for name in ("VISUAL", "EDITOR"):
        try:
            words = shlex.split(environ.get(name, ""))
        except ValueError as error:
            raise NoEditor(
                f"${name} cannot be read: {error}", hint=f"Set it to a command, as in {name}=nano."
            ) from None
        if words and which(words[0]) is None:
            raise NoEditor(f"${name} is {words[0]}, which is not installed", hint=f"Set {name} to another editor.")
        if words:
            return words
    found = next(filter(None, map(which, USUAL)), None)
    if found is None:
        raise NoEditor("no editor was found", hint="Set EDITOR to the command of one, as in EDITOR=nano.")
    return [found]


def edited(text: str, name: str, words: list[str]) -> str:
    """What the text is after the editor was left; `name` ends the file's name, so that it is coloured rightly."""
    try:
        with tempfile.TemporaryDirectory(prefix="bertdistill-") as folder:
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            status = subprocess.run([*words, str(path)], check=False).returncode
            if status == 0:
                return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:  # it cannot be started, or has removed the file, or the disk is full
        raise NoEditor(f"{words[0]} cannot be used: {error}; nothing was changed") from error
    raise NoEditor(f"{words[0]} ended with status {status}; nothing was changed")
