"""Who else can write to a workspace: they could put a link in the place of a log, or change the database.

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
    """StoreError when every user of this machine can write to the folder or the database."""
    for path, status in _there(folder, database):
        if status.st_mode & stat.S_IWOTH:
            raise StoreError(
                f"{path}: every user of this machine can write to it, so it is not used",
                hint=f"Take that away (chmod o-w {path}), or choose a workspace inside of it or elsewhere.",
            )


def others(folder: Path, database: Path) -> str:
    """Who else can write to the folder or the database, as a sentence; empty when nobody can."""
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
            continue  # it is not there yet


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run under a number that has no name
        return f"user {uid}"
