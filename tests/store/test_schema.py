"""The description of the tables, against the tables that a new database really has."""

from __future__ import annotations

import pytest

from bertdistill.store.db import Database
from bertdistill.store.schema import ColumnFacts, TableFacts, tables

TABLES = {table.name: table for table in tables()}


def test_every_table_is_described(db: Database) -> None:
    """Those of a new database, except alembic's own."""
    with db.read() as session:
        names = {name for (name,) in session.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names - {"alembic_version"} == TABLES.keys()
    assert all(table.about for table in TABLES.values())


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_has_the_columns_that_are_described(db: Database, table: TableFacts) -> None:
    """With what may be missing and what they refer to, as SQLite reports them; later revisions append columns."""
    with db.read() as session:
        found = session.rows(f"PRAGMA table_info({table.name})")
        keys = {
            one: f"{other}.{column}"
            for _, _, other, one, column, *_ in session.rows(f"PRAGMA foreign_key_list({table.name})")
        }
    assert {(one.name, one.required, one.refers) for one in table.columns} == {
        (name, bool(required), keys.get(name, "")) for _, name, _, required, _, _ in found
    }


def test_a_column_says_what_it_holds() -> None:
    """What `rows` documents, and the names of a state as they are stored."""
    columns = {column.name: column for column in TABLES["study"].columns}
    assert columns["prepared"].about.startswith("Facts from the preparation")
    assert columns["state"] == ColumnFacts("state", "text", True, "", "RUNNING, PAUSED, STOPPED, COMPLETE, FAILED.")
    assert TABLES["trial"].unique == ("id", "study_id, number")
    assert TABLES["study"].unique == ("id", "name (where deleted_at IS NULL)")
