"""What takes long to make and is the same for many tests: made once a process, then copied. It tests nothing.

An empty database costs a migration, a finished study some ten processes.
"""

from __future__ import annotations

import functools
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store.db import DATABASE_NAME, Database, open_db

_FOLDER = tempfile.TemporaryDirectory(prefix="kept-", ignore_cleanup_errors=True)
_WITH_PATHS = {".json", ".jsonl"}
"""Files of a run folder that name others by absolute paths."""


def new_db(workspace: Path) -> Database:
    """As `open_db` opens a workspace that is not there yet."""
    workspace.mkdir(parents=True, mode=0o700, exist_ok=True)
    workspace.chmod(0o700)
    path = workspace / DATABASE_NAME
    assert not path.exists(), f"{path} is there already"
    path.touch(mode=0o600)
    path.write_bytes(_empty_database())
    return open_db(workspace)


@functools.cache
def _empty_database() -> bytes:
    folder = Path(_FOLDER.name, "empty")
    open_db(folder).close()
    return (folder / DATABASE_NAME).read_bytes()


class Kept:
    """A copy of a workspace whose files are named by paths below `root`."""

    def __init__(self, workspace: Workspace, db: Database, root: Path) -> None:
        self.root = root
        self.folder = Path(tempfile.mkdtemp(dir=_FOLDER.name))
        shutil.copytree(workspace.path, self.folder, ignore=_databases, dirs_exist_ok=True)
        db.backup(self.folder / DATABASE_NAME)

    def restore(self, workspace: Workspace, root: Path) -> None:
        """Put the copy in the place of a closed workspace, if there is one; its paths are now below `root`."""
        shutil.rmtree(workspace.path, ignore_errors=True)
        shutil.copytree(self.folder, workspace.path)
        old, new = str(self.root), str(root)
        for path in workspace.path.rglob("*"):
            if path.suffix in _WITH_PATHS:
                path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
        with closing(sqlite3.connect(workspace.database)) as db, db:
            db.execute("UPDATE study SET spec = replace(spec, ?, ?)", (old, new))
            db.execute("UPDATE study SET prepared = replace(prepared, ?, ?)", (old, new))


def _databases(_: object, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(DATABASE_NAME)]
