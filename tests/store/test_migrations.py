"""The revision files lead to the tables of `models`, from nothing and from every released revision."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel, create_engine

from bertdistill.store import db as db_module
from bertdistill.store import reads
from bertdistill.store.db import HEAD, REVISIONS, Database, open_db
from bertdistill.store.migrations.upgrade import configuration

FIRST = Path(__file__).parent / "first_revision.sql"


def test_the_constants_name_the_revision_files() -> None:
    """Opening a current database must not import alembic only to learn them."""
    script = ScriptDirectory.from_config(configuration())
    assert HEAD == script.get_current_head()
    assert list(REVISIONS) == [one.revision for one in reversed(list(script.walk_revisions()))]


@pytest.mark.parametrize("start", ["an empty file", "the first revision"])
def test_upgrading_gives_the_tables_of_the_models(tmp_path: Path, start: str) -> None:
    """Alembic itself finds no difference, and the statements that made the tables are the same."""
    if start == "the first revision":
        first_revision(tmp_path)
    with closing(open_db(tmp_path)) as db, db.write() as session:
        connection = session.connection()
        assert [] == compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
        made = dict(connection.exec_driver_sql("SELECT name, sql FROM sqlite_master").all())
    fresh = create_engine("sqlite://")
    SQLModel.metadata.create_all(fresh)
    with fresh.connect() as connection:
        wanted = dict(connection.exec_driver_sql("SELECT name, sql FROM sqlite_master").all())
    fresh.dispose()
    assert {"alembic_version", "sqlite_autoindex_alembic_version_1"} == made.keys() - wanted.keys()
    assert {name: columns(sql) for name, sql in wanted.items()} == {name: columns(made[name]) for name in wanted}


def columns(sql: str | None) -> set[str]:
    """The parts of a CREATE statement, in no order: constraints may be named in another one."""
    body = re.sub(r"\s+", " ", sql or "").partition("(")[2]
    return {part.strip(" )") for part in re.split(r",(?![^()]*\))", body)}  # ADD COLUMN writes them on one line


def test_metric_tables_are_clustered_on_their_key(db: Database) -> None:
    """WITHOUT ROWID halves the file; the dialect's option must really reach SQLite."""
    with db.read() as session:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%WITHOUT ROWID%' ORDER BY name"
        assert ["metric", "metric_rollup"] == [name for (name,) in session.rows(query)]


def first_revision(folder: Path) -> None:
    """A dump of one, rows included, is kept beside this test and never changes."""
    with closing(sqlite3.connect(folder / db_module.DATABASE_NAME)) as raw, raw:
        raw.executescript(FIRST.read_text(encoding="utf-8"))
        raw.execute(f"PRAGMA application_id = {db_module.APPLICATION_ID}")


def test_a_database_of_the_first_revision_still_opens(tmp_path: Path) -> None:
    """Its rows are read."""
    first_revision(tmp_path)
    db = open_db(tmp_path)
    with db.read() as session:
        study = reads.study(session, "squad")
        [trial] = reads.trials(session, study.id)
        [series] = reads.series(session, study.id, trial.id)
        assert [(0, 2.5), (1, 1.5)] == [(one.step, one.value_last) for one in reads.curve(session, series.id)]
        [(version,)] = session.rows("SELECT version_num FROM alembic_version")
    db.close()
    assert ({"layers": 3}, "complete", HEAD) == (trial.params, trial.state.value, version)


def test_a_half_made_database_is_finished(tmp_path: Path) -> None:
    """A process that died between making the file and filling it leaves an empty one."""
    (tmp_path / db_module.DATABASE_NAME).touch()
    db = open_db(tmp_path, read_only=True)
    with db.read() as session:
        assert [] == reads.studies(session)
    db.close()


def test_opening_a_current_database_does_not_import_alembic(db: Database) -> None:
    """It costs more than opening does."""
    program = (
        "import sys; from pathlib import Path; from bertdistill.store.db import open_db; "
        "open_db(Path(sys.argv[1])); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(db.path.parent)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "False" == done.stdout.strip()
