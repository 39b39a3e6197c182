"""All SELECTs of the program, each short and backed by an index. It changes nothing.

Hand-written SQL and plain values (see `rows`), because the app and the commands start with reading: an ORM would cost
0.4 s. Curves are read in `metrics` and re-exported here, so that callers need only one module.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from bertdistill.store.db import Reading
from bertdistill.store.errors import NotFound
from bertdistill.store.metrics import CurvePoint, curve, points_after
from bertdistill.store.rows import (
    Attempt,
    AttemptState,
    Checkpoint,
    Lease,
    ModelAlias,
    ModelVersion,
    Notice,
    Request,
    Series,
    Study,
    StudyState,
    Trial,
    TrialState,
)

__all__ = [
    "CurvePoint",
    "aliases",
    "archived_studies",
    "attempt_by_id",
    "attempt_for_prepare",
    "attempts",
    "best_checkpoint",
    "checkpoints",
    "counts",
    "curve",
    "has_notice",
    "last_values",
    "lease",
    "live_attempts",
    "model_version",
    "model_version_by_id",
    "model_versions",
    "newest_request",
    "next_attempt_number",
    "notices",
    "pending_requests",
    "points_after",
    "requests",
    "series",
    "series_names",
    "studies",
    "study",
    "study_by_id",
    "trial",
    "trial_by_id",
    "trials",
]

Row = TypeVar("Row")


# ------------------------------------------------------------------------------------------------------ rows to values

_decode = json.JSONDecoder().raw_decode


def _json(text: str) -> Any:
    """Like `json.loads` for text written by `json.dumps`, without scanning for surrounding space: twice as fast."""
    return _decode(text)[0]


_READ: Mapping[str, Callable[[Any], Any]] = {
    "dict[str, Any]": _json,
    "dict[str, Any] | None": lambda text: None if text is None else _json(text),
    "list[str]": _json,
    "bool": bool,
    "StudyState": StudyState.__members__.__getitem__,
    "TrialState": TrialState.__members__.__getitem__,
    "AttemptState": AttemptState.__members__.__getitem__,
}
"""Converters from SQLite values, by the annotation of the field; all other types are native to SQLite."""


@dataclass(frozen=True)
class _Table:
    select: str
    names: tuple[str, ...]
    converted: tuple[tuple[str, Callable[[Any], Any]], ...]


def _table(kind: type[Any], name: str) -> _Table:
    names = tuple(field.name for field in fields(kind))
    converted = tuple((field.name, _READ[str(field.type)]) for field in fields(kind) if field.type in _READ)
    return _Table(f"SELECT {', '.join(names)} FROM {name} ", names, converted)


_TABLES: dict[type[Any], _Table] = {
    kind: _table(kind, name)
    for kind, name in (
        (Study, "study"),
        (Trial, "trial"),
        (Attempt, "attempt"),
        (Series, "series"),
        (Checkpoint, "checkpoint"),
        (Request, "request"),
        (Notice, "notice"),
        (ModelVersion, "model_version"),
        (ModelAlias, "model_alias"),
        (Lease, "lease"),
    )
}


def _all(session: Reading, kind: type[Row], rest: str, *values: Any) -> list[Row]:
    """Values of the rows of `kind` that `rest`, the end of a SELECT, selects and orders."""
    table = _TABLES[kind]
    return [_value(kind, table, row) for row in session.rows(table.select + rest, *values)]


def _first(session: Reading, kind: type[Row], rest: str, *values: Any) -> Row | None:
    found = _all(session, kind, f"{rest} LIMIT 1", *values)
    return found[0] if found else None


def _value(kind: type[Row], table: _Table, row: tuple[Any, ...]) -> Row:
    held = dict(zip(table.names, row, strict=True))
    for name, convert in table.converted:
        held[name] = convert(held[name])
    # The constructor of a frozen dataclass sets each field separately, which is 5 times slower.
    value = object.__new__(kind)
    value.__dict__.update(held)
    return value


def _one(session: Reading, query: str, *values: Any) -> Any:
    """The only column of the first row; None without a row."""
    found = session.rows(query, *values)
    return found[0][0] if found else None


def _where(asked: Mapping[str, Any], *conditions: str) -> tuple[str, list[Any]]:
    """The WHERE clause for columns (or conditions with a question mark) that must have a value, omitting those with
    None, and for conditions without a value; and the values."""
    given = {name if "?" in name else f"{name} = ?": value for name, value in asked.items() if value is not None}
    parts = [*given, *conditions]
    return f"WHERE {' AND '.join(parts)}" if parts else "", list(given.values())


def _marks(values: Collection[Any]) -> str:
    return ", ".join("?" * len(values))


# -------------------------------------------------------------------------------------------------- studies and trials


def studies(session: Reading) -> list[Study]:
    """All studies, oldest first."""
    return _all(session, Study, "ORDER BY id")


def study(session: Reading, name: str) -> Study:
    """The study of that name; NotFound suggests the closest name."""
    found = _first(session, Study, "WHERE name = ?", name)
    if found is None:
        raise _missing(f"study {name!r}", name, [known for (known,) in session.rows("SELECT name FROM study")])
    return found


def study_by_id(session: Reading, study_id: int) -> Study:
    """The study with that row id; NotFound if there is none."""
    return _got(_first(session, Study, "WHERE id = ?", study_id), f"study with id {study_id}")


def trials(session: Reading, study_id: int, *, states: Collection[TrialState] = ()) -> list[Trial]:
    """All trials of a study by number, including archived ones; only those in `states` if given."""
    if not states:
        return _all(session, Trial, "WHERE study_id = ? ORDER BY number", study_id)
    rest = f"WHERE study_id = ? AND state IN ({_marks(states)}) ORDER BY number"
    return _all(session, Trial, rest, study_id, *(state.name for state in states))


def trial(session: Reading, study_id: int, number: int) -> Trial:
    """One trial by its number in the study; NotFound lists the existing numbers."""
    found = _first(session, Trial, "WHERE study_id = ? AND number = ?", study_id, number)
    if found is None:
        last = _one(session, "SELECT max(number) FROM trial WHERE study_id = ?", study_id)
        raise NotFound(
            f"trial {number} does not exist",
            hint="The study has no trials yet." if last is None else f"Trials are numbered 0 to {last}.",
        )
    return found


def trial_by_id(session: Reading, trial_id: int) -> Trial:
    """One trial by its row id; NotFound if there is none."""
    return _got(_first(session, Trial, "WHERE id = ?", trial_id), f"trial with id {trial_id}")


def counts(session: Reading, study_id: int) -> dict[str, int]:
    """Number of trials in each occurring state, by the state's value."""
    found = session.rows("SELECT state, count(*) FROM trial WHERE study_id = ? GROUP BY state", study_id)
    return {TrialState[state].value: number for state, number in found}


# ----------------------------------------------------------------------------------------------------------- attempts


def attempt_by_id(session: Reading, attempt_id: int) -> Attempt:
    """One attempt by its row id; NotFound if there is none."""
    return _got(_first(session, Attempt, "WHERE id = ?", attempt_id), f"attempt with id {attempt_id}")


def attempts(session: Reading, *, study_id: int | None = None, trial_id: int | None = None) -> list[Attempt]:
    """Attempts, oldest first; of a study (including its preparation) or of one trial if given."""
    where, values = _where({"study_id": study_id, "trial_id": trial_id})
    return _all(session, Attempt, f"{where} ORDER BY id", *values)


def live_attempts(session: Reading) -> list[Attempt]:
    """Unsettled attempts of all studies, oldest first."""
    return _all(session, Attempt, "WHERE state = ? ORDER BY id", AttemptState.RUNNING.name)


def attempt_for_prepare(session: Reading, study_id: int) -> Attempt | None:
    """The newest prepare attempt of a study."""
    return _first(session, Attempt, "WHERE study_id = ? AND kind = 'prepare' ORDER BY id DESC", study_id)


def next_attempt_number(session: Reading, *, study_id: int, trial_id: int | None, kind: str) -> int:
    """Number of the next attempt of that kind for a trial, or for the study (None); counts from 1.

    Call it in the writing transaction that also creates the attempt, whose folder contains the number.
    """
    query = "SELECT max(number) FROM attempt WHERE study_id = ? AND kind = ? AND trial_id IS ?"
    return (_one(session, query, study_id, kind, trial_id) or 0) + 1


# ---------------------------------------------------------------------------------------------- series and checkpoints


def series(session: Reading, study_id: int, trial_id: int | None = None) -> list[Series]:
    """Series of a study, or of one trial (0: the preparation), by trial and name."""
    where, values = _where({"study_id": study_id, "trial_id": trial_id})
    return _all(session, Series, f"{where} ORDER BY trial_id, name", *values)


def last_values(session: Reading, study_id: int, name: str, trial_ids: Collection[int]) -> dict[int, float]:
    """Newest finite value of one series by trial id, for the given trials; those without one are omitted."""
    query = (
        "SELECT trial_id, last_value FROM series WHERE study_id = ? AND name = ? AND last_value IS NOT NULL"
        f" AND trial_id IN ({_marks(trial_ids)})"
    )
    return dict(session.rows(query, study_id, name, *trial_ids))


def series_names(session: Reading, study_id: int, trial_id: int) -> set[str]:
    """Names of the series of a trial (0: the preparation)."""
    found = session.rows("SELECT name FROM series WHERE study_id = ? AND trial_id = ?", study_id, trial_id)
    return {name for (name,) in found}


def checkpoints(
    session: Reading, trial_id: int | None = None, study_id: int | None = None, dropped: bool = False
) -> list[Checkpoint]:
    """Checkpoints of a trial or of a whole study, oldest first; removed ones only if `dropped`."""
    where, values = _where(
        {"trial_id": trial_id, "trial_id IN (SELECT id FROM trial WHERE study_id = ?)": study_id},
        *(() if dropped else ("dropped_at IS NULL",)),
    )
    return _all(session, Checkpoint, f"{where} ORDER BY id", *values)


def best_checkpoint(session: Reading, trial_id: int) -> Checkpoint | None:
    """The newest best checkpoint of a trial that is still on disk."""
    rest = "WHERE trial_id = ? AND role = 'best' AND dropped_at IS NULL ORDER BY id DESC"
    return _first(session, Checkpoint, rest, trial_id)


# ---------------------------------------------------------------------------------------------------- people and runner


def pending_requests(session: Reading) -> list[Request]:
    """Requests that the runner has not handled yet, oldest first."""
    return _all(session, Request, "WHERE handled_at IS NULL ORDER BY id")


def requests(session: Reading, study_id: int | None = None) -> list[Request]:
    """All user requests, oldest first; of one study if given."""
    where, values = _where({"study_id": study_id})
    return _all(session, Request, f"{where} ORDER BY id", *values)


def archived_studies(session: Reading) -> set[int]:
    """Row ids of the archived studies. The newest request of a study decides, as there is no column for it."""
    query = (
        "SELECT study_id, arguments FROM request WHERE study_id IN (SELECT id FROM study)"
        " AND verb IN ('archive', 'undo') AND trial_id IS NULL ORDER BY id"
    )
    found = [(study_id, json.loads(arguments)) for study_id, arguments in session.rows(query)]
    newest = {study_id: given["archived"] for study_id, given in found if "archived" in given}
    return {study_id for study_id, archived in newest.items() if archived}


def newest_request(session: Reading, study_id: int | None = None) -> int:
    """Row id of the newest request (about a study if given), 0 without any: it changes whenever a user changes
    something."""
    where, values = _where({"study_id": study_id})
    return _one(session, f"SELECT max(id) FROM request {where}", *values) or 0


def notices(session: Reading, *, after_id: int = 0, study_id: int | None = None, limit: int = 200) -> list[Notice]:
    """The newest notices after `after_id`, at most `limit`, oldest first."""
    where, values = _where({"id > ?": after_id, "study_id": study_id})
    return _all(session, Notice, f"{where} ORDER BY id DESC LIMIT ?", *values, limit)[::-1]


def has_notice(session: Reading, study_id: int, trial_id: int | None, text: str, *, at: float | None = None) -> bool:
    """Whether that trial (None: no trial) has a notice with that text, at that time if given."""
    query = "SELECT id FROM notice WHERE study_id = ? AND text = ? AND trial_id IS ? AND at = coalesce(?, at) LIMIT 1"
    return _one(session, query, study_id, text, trial_id, at) is not None


def lease(session: Reading) -> Lease | None:
    """The current or last runner of this workspace."""
    return _first(session, Lease, "WHERE id = 1")


# ------------------------------------------------------------------------------------------------------------- models


def model_versions(session: Reading, name: str | None = None) -> list[ModelVersion]:
    """Model versions by name and version; of one model if given."""
    where, values = _where({"name": name})
    return _all(session, ModelVersion, f"{where} ORDER BY name, version", *values)


def model_version(session: Reading, reference: str) -> ModelVersion:
    """The version that `name:3`, `name@alias` or `name` (its newest verified version) refers to; else NotFound."""
    name, at, alias = reference.partition("@")
    name, colon, version = name.partition(":")
    known = model_versions(session, name)
    if not known:
        names = [known for (known,) in session.rows("SELECT DISTINCT name FROM model_version")]
        raise _missing(f"model {name!r}", name, names)
    if at:
        found = _first(session, ModelAlias, "WHERE name = ? AND alias = ?", name, alias)
        if found is None:
            raise _missing(f"alias {alias!r} of model {name!r}", alias, [one.alias for one in aliases(session, name)])
        return model_version_by_id(session, found.version_id)
    chosen = [one for one in known if (str(one.version) == version if colon else one.state == "verified")]
    if not chosen:
        listed = ", ".join(f"{one.version} ({one.state})" for one in known)
        wanted = f"version {version!r}" if colon else "verified version"
        raise NotFound(f"model {name!r} has no {wanted}", hint=f"Existing versions: {listed}.")
    return chosen[-1]


def model_version_by_id(session: Reading, version_id: int) -> ModelVersion:
    """The version with that row id; NotFound if there is none."""
    return _got(_first(session, ModelVersion, "WHERE id = ?", version_id), f"model version with id {version_id}")


def aliases(session: Reading, name: str | None = None) -> list[ModelAlias]:
    """Aliases by model and alias; of one model if given."""
    where, values = _where({"name": name})
    return _all(session, ModelAlias, f"{where} ORDER BY name, alias", *values)


def _got(row: Row | None, what: str) -> Row:
    if row is None:
        raise NotFound(f"{what} does not exist")
    return row


def _missing(what: str, name: str, known: Iterable[str]) -> NotFound:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return NotFound(f"{what} does not exist", hint=f"Did you mean {near[0]!r}?")
    listed = ", ".join(sorted(names)[:10])
    return NotFound(f"{what} does not exist", hint=f"There are: {listed}." if listed else "There are none yet.")
