"""Back up the database while the runner is running. It copies no checkpoints and no models."""

from __future__ import annotations

from pathlib import Path

from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store.db import open_db
from bertdistill.store.disk import is_ours


def back_up(workspace: Workspace, target: Path) -> int:
    """Write the database of a workspace to `target`, including its write-ahead log; returns the size in bytes.

    An older backup is replaced atomically at the end. ActionRefused when anything else exists there.
    """
    target = target.expanduser().absolute()
    database = workspace.database
    if target.is_dir():
        raise ActionRefused(f"{target} is a folder", hint=f"Give a file name in it: {target / database.name}")
    if (target.exists() and target.samefile(database)) or target.resolve().name.startswith(f"{database.name}-"):
        raise ActionRefused(
            f"{target} is the database itself or one of its companion files", hint="Choose another file."
        )
    if target.exists() and not is_ours(target):
        raise ActionRefused(
            f"{target} exists and is not a backup made by this program; it was not changed", hint="Choose another file."
        )
    if not target.parent.is_dir():
        raise ActionRefused(f"{target.parent} is not a folder", hint="Create it first, or choose another file.")
    db = open_db(workspace.path, read_only=True)
    try:
        db.backup(target)
    finally:
        db.close()
    return target.stat().st_size
