"""What the tests of screens share beside `ws`, the workspace of all tests of the app; `driving` opens screens on it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, fake_environment, study_spec, wait_for

from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.rows import Request


@pytest.fixture
def rename_study(ws: Workspace) -> Callable[[str, str], None]:
    """Rename a study from outside, so that whatever is written to it under the old name is refused."""

    def rename(old: str, new: str) -> None:
        with closing(sqlite3.connect(ws.database, isolation_level=None)) as other:
            other.execute("UPDATE study SET name = ? WHERE name = ?", (new, old))

    return rename


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


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Workbench]]:
    """A study `toy` that was run by fake workers, which also work for runners and promotions that the app starts."""
    made: list[Workbench] = []

    def make(spec: dict[str, Any] | None = None, **behaviour: Any) -> Workbench:
        for name, value in fake_environment(tmp_path, **behaviour).items():
            monkeypatch.setenv(name, value)
        made.append(Workbench(tmp_path, study_spec(tmp_path, **(spec or {})), **behaviour).start().finish())
        return made[-1]

    yield make
    for one in made:
        wait_for(lambda: not process.held(one.workspace.runner_lock), "runners to leave")  # noqa: B023 - used at once
        one.close()
