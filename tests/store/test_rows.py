"""Every table but those of points has a value of the same name, with the same fields and defaults."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import SQLModel

from bertdistill.store import models, reads, rows, writes
from bertdistill.store.db import Database, Reading

VALUES = [table for table in vars(models).values() if hasattr(table, "__table__") and hasattr(rows, table.__name__)]


def defaults_of(table: type[SQLModel]) -> dict[str, Any]:
    found = {name: field.get_default(call_default_factory=True) for name, field in table.model_fields.items()}
    return {name: value for name, value in found.items() if name != "id"}


def defaults(value: Any) -> dict[str, Any]:
    """Default by field; a factory's product stands for the factory."""
    return {
        field.name: field.default_factory() if callable(field.default_factory) else field.default
        for field in dataclasses.fields(value)
        if field.name != "id"
    }


def test_only_points_have_no_value() -> None:
    """They are read as columns of a curve."""
    assert {"metric", "metric_rollup"} == SQLModel.metadata.tables.keys() - {table.__tablename__ for table in VALUES}


@pytest.mark.parametrize("table", VALUES, ids=lambda table: table.__name__)
def test_a_value_has_the_fields_and_defaults_of_its_table(table: type[SQLModel]) -> None:
    """Names, order, defaults; what has none in one has none in the other."""
    wanted, found = defaults_of(table), defaults(getattr(rows, table.__name__))
    required = [name for name, value in found.items() if value is dataclasses.MISSING]
    assert list(wanted) == list(found)
    assert [name for name, field in table.model_fields.items() if field.is_required()] == required
    assert {n: v for n, v in wanted.items() if n not in required} == {
        n: v for n, v in found.items() if n not in required
    }


def test_what_is_written_is_read_the_same(db: Database) -> None:
    """Dictionaries, lists, flags and states come back as what they were."""
    with db.write() as session:
        study = writes.create_study(session, name="squad", task="t", spec={"a": [1, None, "ü"]}, now=1.5)
        trial = writes.create_trial(
            session, study_id=study.id, origin="queued", params={"x": 1}, settings={}, known={"params": 2.5}, now=2.0
        )
        writes.edit_trial(session, trial.id, tags=["keep", "b"], archived=True)
        inside = reads.trial(session, study.id, 0)
    with db.read() as session:
        assert study == reads.study(session, "squad")
        assert inside == reads.trial(session, study.id, 0)
    assert dataclasses.replace(trial, tags=["keep", "b"], archived=True) == inside


SAMPLES: dict[str, Any] = {
    "int": 1,
    "float": 1.5,
    "str": "ü",
    "bool": True,
    "dict[str, Any]": {"a": [1, None, "ü"]},
    "list[str]": ["keep", "b"],
    "StudyState": rows.StudyState.PAUSED,
    "TrialState": rows.TrialState.PRUNED,
    "AttemptState": rows.AttemptState.ENDED,
    "BinState": rows.BinState.LEAVING,
}
"""A value for every type of a field."""
READS: dict[type[Any], Callable[[Reading], Any]] = {
    rows.Study: lambda s: reads.studies(s, deleted=True),
    rows.Trial: lambda s: [reads.trial_by_id(s, 1)],
    rows.Attempt: reads.attempts,
    rows.Series: lambda s: reads.series(s, 1),
    rows.Checkpoint: lambda s: reads.checkpoints(s, dropped=True),
    rows.Request: reads.requests,
    rows.Notice: reads.notices,
    rows.ModelVersion: lambda s: reads.model_versions(s, deleted=True),
    rows.ModelAlias: reads.aliases,
    rows.Binned: reads.binned,
    rows.Screened: lambda s: reads.screened(s, 1),
    rows.Lease: lambda s: [reads.lease(s)],
}
"""In an order in which each row finds those that it points to."""


def test_every_column_is_read_as_it_was_written(db: Database) -> None:
    """A field of a new type needs a way back from what SQLite holds."""
    assert {table.__name__ for table in VALUES} == {kind.__name__ for kind in READS}
    for kind, read in READS.items():
        types = {field.name: str(field.type).removesuffix(" | None") for field in dataclasses.fields(kind)}
        value = kind(**{name: SAMPLES[word] for name, word in types.items()})
        with db.write() as session:
            assert value == session.insert(value)
        with db.read() as session:
            (found,) = read(session)
        assert value == found
        assert [type(held) for held in vars(value).values()] == [type(held) for held in vars(found).values()]


def test_reading_needs_no_sqlalchemy(db: Database) -> None:
    """The app and the commands start with reading: SQLAlchemy would cost them 0.4 s."""
    program = (
        "import sys; from pathlib import Path; from bertdistill.store import reads; "
        "from bertdistill.store.db import open_db; db = open_db(Path(sys.argv[1]))\n"
        "with db.read() as session: reads.studies(session), reads.lease(session)\n"
        "sys.exit('sqlalchemy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(db.path.parent)], check=True, timeout=60)
