"""An open database in a fresh workspace, with a study and a trial to hang rows on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bertdistill.store import writes
from bertdistill.store.db import DATABASE_NAME, Database, open_db
from bertdistill.store.rows import Study, Trial


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database file, made once, because alembic takes its time."""
    folder = tmp_path_factory.mktemp("empty")
    open_db(folder).close()
    return folder / DATABASE_NAME


@pytest.fixture
def db(tmp_path: Path, empty_database: Path) -> Iterator[Database]:
    """A new database, closed afterwards."""
    (tmp_path / "workspace").mkdir(mode=0o700)
    shutil.copy(empty_database, tmp_path / "workspace")
    database = open_db(tmp_path / "workspace")
    yield database
    database.close()


@pytest.fixture
def study(db: Database) -> Study:
    """A running study."""
    with db.write() as session:
        return writes.create_study(session, name="squad", task="question-answering", spec={"name": "squad"}, now=1.0)


@pytest.fixture
def trial(db: Database, study: Study) -> Trial:
    """Its waiting trial 0."""
    with db.write() as session:
        return writes.create_trial(
            session, study_id=study.id, origin="baseline", params={}, settings={}, known={"params": 9}, now=2.0
        )
