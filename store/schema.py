"""The tables as values for people who read the database with SQL: columns, types, references and what they hold.

Everything comes from `models` (the tables) and `rows` (what a column means); nothing is described here. Only the
generated reference uses it: it imports SQLAlchemy, and it opens no database.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

from sqlalchemy import Column, Enum, Index, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects import sqlite
from sqlmodel import SQLModel

from bertdistill.store import models, rows


@dataclass(frozen=True)
class ColumnFacts:
    """One column. `refers` is the `table.column` that it points to, or empty."""

    name: str
    type: str
    required: bool
    refers: str
    about: str


@dataclass(frozen=True)
class TableFacts:
    """One table; each of `unique` names columns whose values together occur once, the primary key first."""

    name: str
    about: str
    columns: tuple[ColumnFacts, ...]
    unique: tuple[str, ...]


def tables() -> tuple[TableFacts, ...]:
    """Every table, in the order of `models`."""
    meanings = _described(models)
    for name, described in _described(rows).items():
        meanings[name] = {**meanings.get(name, {}), **described}
    found = (kind for kind in vars(models).values() if isinstance(kind, type) and issubclass(kind, SQLModel))
    return tuple(_table(kind.__table__, meanings[kind.__name__]) for kind in found if hasattr(kind, "__table__"))


def _table(table: Table, meanings: Mapping[str, str]) -> TableFacts:
    columns = tuple(_column(column, meanings.get(column.name, "")) for column in table.columns)
    return TableFacts(table.name, meanings[""], columns, tuple(_unique(table)))


def _column(column: Column[object], about: str) -> ColumnFacts:
    refers = next((key.target_fullname for key in column.foreign_keys), "")
    if isinstance(column.type, Enum):
        about = f"{', '.join(column.type.enums)}. {about}".strip()
    kind = column.type.compile(dialect=sqlite.dialect()).lower()
    kind = "text" if kind.startswith("varchar") else kind
    return ColumnFacts(column.name, kind, not column.nullable, refers, about)


def _unique(table: Table) -> Iterator[str]:
    rules: Iterable[PrimaryKeyConstraint | UniqueConstraint | Index] = (
        table.primary_key,
        *(one for one in table.constraints if isinstance(one, UniqueConstraint)),
        *(one for one in table.indexes if one.unique),
    )
    for rule in rules:
        where = rule.dialect_options["sqlite"].get("where")
        yield ", ".join(column.name for column in rule.columns) + (f" (where {where})" if where is not None else "")


def _described(module: ModuleType) -> dict[str, dict[str, str]]:
    """Docstrings of the classes (under an empty name) and of their fields, by class and field."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            texts = {"": ast.get_docstring(node) or ""}
            for field, after in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(after, ast.Expr)
                ):
                    texts[field.target.id] = str(ast.literal_eval(after.value))
            found[node.name] = texts
    return found
