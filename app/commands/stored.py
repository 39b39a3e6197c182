"""A workspace that commands and the app open: its database, and the study that is meant. It starts nothing.

It imports no typer, because the app starts without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bertdistill.app.terminal.streams import say
from bertdistill.app.text.command_line import PROGRAM

if TYPE_CHECKING:
    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.store.db import Database
    from bertdistill.store.rows import Study


def store_logged(ws: Workspace) -> None:
    """Before anything is read: store what logged runs have reported. A workspace that is only read stays as it is."""
    from bertdistill.engine.contract.logged import logged_root

    if not logged_root(ws.path).is_dir():
        return
    from bertdistill.engine.runner.logged import LoggedRuns
    from bertdistill.store.errors import BertDistillError

    try:
        LoggedRuns(ws).catch_up()
    except (BertDistillError, OSError) as error:
        say(f"warning: new values of logged runs are not shown, because they cannot be stored: {error}")


@contextmanager
def reading(ws: Workspace) -> Iterator[Database]:
    """The workspace's database, read-only; StoreError when there is none yet."""
    from bertdistill.store.db import open_db

    db = open_db(ws.path, read_only=True)
    try:
        yield db
    finally:
        db.close()


def find_study(db: Database, name: str) -> Study:
    """The study named, or without a name the newest one that is not archived."""
    from bertdistill.store import reads
    from bertdistill.store.errors import NotFound

    with db.read() as session:
        if name:
            return reads.study(session, name)
        studies = reads.studies(session)
        away = reads.archived_studies(session)
    studies = [s for s in studies if s.id not in away] or studies
    if not studies:
        raise NotFound("this workspace has no studies", hint=f"Start one: {PROGRAM} engine run STUDY.toml")
    return max(studies, key=lambda s: (s.created_at, s.id))
