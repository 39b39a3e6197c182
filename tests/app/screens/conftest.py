"""What the tests of screens share beside `ws`, the workspace of all tests of the app; `driving` opens screens on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bertdistill.engine import process
from bertdistill.engine.workspace import Workspace
from bertdistill.store import reads
from bertdistill.store.db import Session, open_db
from bertdistill.store.models import Request


@pytest.fixture
def edit(ws: Workspace) -> Callable[[Callable[[Session], Any]], Any]:
    """Change the sample workspace behind the app's back, as its runner does: one writing transaction a call."""

    def change(work: Callable[[Session], Any]) -> Any:
        db = open_db(ws.path)
        try:
            with db.write() as session:
                return work(session)
        finally:
            db.close()

    return change


@pytest.fixture
def runner_here(ws: Workspace) -> Iterator[None]:
    """As if a runner worked in the workspace: requests wait for it, and none is started."""
    lock = process.try_lock(ws.runner_lock)
    assert lock is not None
    yield
    os.close(lock)


@pytest.fixture
def asked(ws: Workspace) -> Callable[[], list[Request]]:
    """Everything that people asked for so far, done or not."""

    def find() -> list[Request]:
        db = open_db(ws.path, read_only=True)
        try:
            with db.read() as session:
                return reads.requests(session)
        finally:
            db.close()

    return find
