"""A copy of the database while the runner works. It copies no checkpoint and no model."""

from __future__ import annotations

from pathlib import Path

from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store.db import open_db
from bertdistill.store.disk import is_ours


def back_up(workspace: Workspace, target: Path) -> int:
    """Write the database of a workspace to `target`, rows of its write-ahead log included; its size in bytes.

    An older backup there is replaced at the end, in one step. ActionRefused when something else is there.
    """
    target = target.expanduser().absolute()
    database = workspace.database
    if target.is_dir():
        raise ActionRefused(f"{target} is a folder", hint=f"Name a file in it: {target / database.name}")
    if (target.exists() and target.samefile(database)) or target.resolve().name.startswith(f"{database.name}-"):
        raise ActionRefused(f"{target} is the database itself, or a part of it", hint="Choose another file.")
    if target.exists() and not is_ours(target):
        raise ActionRefused(
            f"{target} exists and is not a backup of this program; it was left untouched", hint="Choose another file."
        )
    if not target.parent.is_dir():
        raise ActionRefused(f"{target.parent} is not a folder", hint="Make it first, or choose another file.")
    db = open_db(workspace.path, read_only=True)
    try:
        db.backup(target)
    finally:
        db.close()
    return target.stat().st_size
