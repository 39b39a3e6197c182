"""The writing side of an open database: SQLModel transactions that hold the write lock from their start.

Only this module maps values (`rows`) to tables (`models`). It holds no queries. Readers do not import it, because
SQLAlchemy costs 0.4 s.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, SQLModel

from bertdistill.store import models
from bertdistill.store.disk import explained, explanation
from bertdistill.store.errors import NotFound

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value", bound="DataclassInstance")


class Writing(Session):
    """One writing transaction, for the functions of `writes`; those of `reads` also accept it and see what it wrote."""

    _own: sqlite3.Connection | None = None

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """See `Reading`."""
        self.flush()
        return self._driver().execute(query, values).fetchall()

    def insert(self, value: Value) -> Value:
        """Insert a value as a new row immediately; returned with its id."""
        row = _table(type(value))(**{name: held for name, held in vars(value).items() if name != "id" or held})
        self.add(row)
        self.flush()
        return _value(type(value), row)

    def change(self, kind: type[Value], key: Any, **changes: Any) -> Value:
        """Set columns of the row with that primary key; NotFound if it does not exist. Returns the updated row."""
        row = self.get(_table(kind), key)
        if row is None:
            raise NotFound(f"{kind.__name__.lower()} with id {key} does not exist")
        for name, held in changes.items():
            if name not in row.__class__.model_fields:
                raise TypeError(f"{kind.__name__} has no field {name}")
            setattr(row, name, held)
        return _value(kind, row)

    def delete_row(self, kind: type[Any], key: Any) -> None:
        """Delete the row with that primary key immediately, if it exists."""
        row = self.get(_table(kind), key)
        if row is not None:
            self.delete(row)
            self.flush()

    def run(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute one statement for many rows of values."""
        self.flush()
        self._driver().executemany(statement, rows)

    def _driver(self) -> sqlite3.Connection:
        """SQLite's own connection, inside this transaction: without SQLAlchemy a statement takes a fifth of that."""
        if self._own is None:
            self._own = cast(sqlite3.Connection, self.connection().connection.driver_connection)
        return self._own


def _table(kind: type[Any]) -> type[SQLModel]:
    """The table class of a value class: it has the same name in `models`."""
    table: type[SQLModel] = getattr(models, kind.__name__)
    return table


def _value(kind: type[Value], row: SQLModel) -> Value:
    """A row as a value."""
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})


class Writer:
    """The connections of one process that write to one database."""

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection]) -> None:
        self._path = path
        self._engine = writing_engine(connect)

    @contextmanager
    def transaction(self) -> Iterator[Writing]:
        """Committed at the end, rolled back on any exception."""
        try:
            with explained(self._path), Writing(self._engine, expire_on_commit=False) as session:
                try:
                    session.connection()
                    yield session
                    session.commit()
                except BaseException:
                    session.rollback()
                    raise
        except DBAPIError as error:
            original = error.orig if isinstance(error.orig, sqlite3.Error) else None
            raise (explanation(self._path, original) if original else None) or error from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def writing_engine(connect: Callable[[], sqlite3.Connection]) -> Engine:
    """An engine whose transactions acquire the write lock when they begin."""
    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, json_serializer=_to_json)

    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", begin_transaction)
    return engine


def _to_json(value: Any) -> str:
    """JSON text; non-finite numbers become null, since JSON has none and SQLite's functions refuse them."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value
