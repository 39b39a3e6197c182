"""An open database in a fresh workspace, with a study and a trial to hang rows on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bertdistill.store import writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.models import Study, Trial


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A new database, closed afterwards."""
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
            session, study_id=study.id or 0, origin="baseline", params={}, settings={}, known={"params": 9}, now=2.0
        )
