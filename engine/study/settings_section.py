"""`[settings]`, read and checked: values of every family that uses their key, and tables of single families.

Pure. Whether the study selects these families, and their keys have an effect, is checked in `family_checks`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.scopes import foreign_problem
from bertdistill.engine.study.sections import Problem, not_a_table, read_dataclass, unknown_keys

KEYS = tuple(field.name for field in dataclasses.fields(Settings))
Tables = dict[str, dict[str, Any]]


def read_settings(raw: Any) -> tuple[Settings | None, Tables, list[Problem]]:
    """The settings (None if they have a problem), the tables of families in them, and all problems."""
    if not isinstance(raw, Mapping):
        return None, {}, [not_a_table("settings")]
    problems = unknown_keys(raw, [*KEYS, *FAMILIES], "settings")
    settings, wrong = read_dataclass(Settings, {key: raw[key] for key in raw if key in KEYS}, "settings")
    problems += wrong
    tables: Tables = {}
    for family in [name for name in FAMILIES if name in raw]:
        tables[family], wrong = _read_table(family, raw[family])
        problems += wrong
    return (None if problems else settings), {family: table for family, table in tables.items() if table}, problems


def _read_table(family: str, raw: Any) -> tuple[dict[str, Any], list[Problem]]:
    table = f"settings.{family}"
    if not isinstance(raw, Mapping):
        return {}, [not_a_table(table)]
    problems = [Problem(table, str(key), text) for key in raw if (text := foreign_problem(family, str(key)))]
    if problems:
        return {}, problems
    read, problems = read_dataclass(Settings, raw, table)
    return {key: getattr(read, key) for key in raw} if read is not None else {}, problems
