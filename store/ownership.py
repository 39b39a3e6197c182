"""Who else can write to a workspace: they could replace a log with a link, or change the database.

It changes nothing.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from bertdistill.store.errors import StoreError


def refuse_exposed(folder: Path, database: Path) -> None:
    """StoreError if every user of this machine can write to the folder or the database."""
    for path, status in _there(folder, database):
        if status.st_mode & stat.S_IWOTH:
            raise StoreError(
                f"{path}: writable by every user of this machine, so it is not used",
                hint=f"Remove that permission (chmod o-w {path}), or choose a workspace inside it or elsewhere.",
            )


def others(folder: Path, database: Path) -> str:
    """Who else can write to the folder or the database, as a sentence; empty if no one can."""
    for path, status in _there(folder, database):
        if status.st_mode & stat.S_IWOTH:
            return f"{path} can be written by every user of this machine"
        if status.st_uid != os.geteuid():
            return f"{path} belongs to {_name(status.st_uid)}"
        if status.st_mode & stat.S_IWGRP and status.st_gid != os.getegid():
            return f"{path} can be written by the group {status.st_gid}"
    return ""


def _there(*paths: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in paths:
        try:
            yield path, path.stat()
        except OSError:
            continue  # it does not exist yet


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run under a uid without a name
        return f"user {uid}"
