"""What every action needs: open the database briefly, record a request, leave a request to the runner.

It decides nothing about studies and trials.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.errors import InvalidRequest
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.engine.runner import requests
from bertdistill.engine.runner.lease import ensure_runner, runner_status
from bertdistill.engine.runner.rules import launched
from bertdistill.engine.study.outline import LOG, PROGRAM, outline
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading, open_db
from bertdistill.store.rows import Request, Study

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing


@contextmanager
def writing(workspace: Workspace) -> Iterator[Database]:
    """The database, open for writing inside the block."""
    db = open_db(workspace.path)
    try:
        yield db
    finally:
        db.close()


def study_and_spec(session: Reading, name: str) -> tuple[Study, StudySpec]:
    """A study by name and its spec in force; ConfigError if it has none, as logged runs."""
    study = reads.study(session, name)
    return study, outline(study).whole


def refuse_logged(study: Study) -> None:
    """InvalidRequest for logged runs: no runner started them, so none can stop, start or repeat one."""
    if study.kind == LOG:
        hint = "Its trainings belong to the programs that log them; only a search is controlled from here."
        raise InvalidRequest(f"study {study.name} is a collection of logged runs, not a search", hint=hint)


def refuse_program(study: Study) -> None:
    """InvalidRequest for a study of a program: what its trials save is the program's, and unknown here."""
    if study.kind == PROGRAM:
        hint = "Its checkpoints are folders in the run folder of a trial; copy what you need from there."
        raise InvalidRequest(f"study {study.name} searches a program, which has no models to promote", hint=hint)


def record(
    session: Writing,
    who: str,
    verb: str,
    study_id: int | None = None,
    trial_id: int | None = None,
    *,
    arguments: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
) -> Request:
    """Record a request that takes effect in this transaction."""
    return writes.add_request(
        session,
        who=who,
        verb=verb,
        now=time.time(),
        study_id=study_id,
        trial_id=trial_id,
        arguments=arguments,
        before=before,
        handled=True,
        outcome="done",
    )


def ask(
    workspace: Workspace,
    db: Database,
    verb: str,
    who: str,
    *,
    study_id: int | None = None,
    trial_id: int | None = None,
    arguments: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
) -> str:
    """Leave a request to the runner. Without one it is processed here, or a runner is started if workers are running.

    Returns a sentence if the runner does not respond, so that the request is not reported as done; otherwise nothing.
    """
    with db.write() as session:
        writes.add_request(
            session,
            who=who,
            verb=verb,
            now=time.time(),
            study_id=study_id,
            trial_id=trial_id,
            arguments=arguments,
            before=before,
        )
    waits = True
    while waits:
        lock = process.try_lock(workspace.runner_lock)
        if lock is None:
            return runner_status(workspace, db).unanswered
        try:
            with db.read() as session:
                live = bool(launched(reads.live_attempts(session)))
            if not live:
                requests.honour_all(db, now=time.time())
        finally:
            os.close(lock)
        if live:
            ensure_runner(workspace)
            return ""
        with db.read() as session:  # another command left one meanwhile because it took us for the runner
            waits = bool(reads.pending_requests(session))
    return ""
