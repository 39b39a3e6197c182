"""All SELECTs of the program, each short and backed by an index. It changes nothing.

Hand-written SQL and plain values (see `rows`), because the app and the commands start with reading: an ORM would cost
0.4 s. Curves are read in `metrics` and re-exported here, so that callers need only one module.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from bertdistill.store.db import Reading
from bertdistill.store.errors import NotFound
from bertdistill.store.metrics import CurvePoint, curve, points_after
from bertdistill.store.rows import (
    Attempt,
    AttemptState,
    Binned,
    BinState,
    Checkpoint,
    Lease,
    ModelAlias,
    ModelVersion,
    Notice,
    Request,
    Screened,
    Series,
    Study,
    StudyState,
    Trial,
    TrialState,
)

__all__ = [
    "CurvePoint",
    "KnownRun",
    "aliases",
    "archived_studies",
    "attempt_by_id",
    "attempt_folders",
    "attempt_for_prepare",
    "attempts",
    "attempts_by_id",
    "best_checkpoint",
    "binned",
    "binned_by_id",
    "checkpoints",
    "count_origins",
    "counts",
    "curve",
    "has_ended_as",
    "has_notice",
    "has_origin",
    "known_runs",
    "last_number",
    "last_values",
    "lease",
    "live_attempts",
    "live_with_reason",
    "model_version",
    "model_version_by_id",
    "model_versions",
    "newest_end",
    "newest_request",
    "newest_study",
    "next_attempt_number",
    "notices",
    "pending_requests",
    "points_after",
    "recent_ends",
    "request_by_id",
    "requests",
    "screened",
    "series",
    "series_ids",
    "studies",
    "study",
    "study_by_id",
    "trial",
    "trial_by_id",
    "trial_ids",
    "trials",
    "trials_after",
    "trials_by_id",
]

Row = TypeVar("Row")

_LAST_CHARACTER = "\U0010ffff"
"""After every other one: texts with a prefix lie between it and the prefix followed by this."""
_MOST_VALUES = 500
"""Maximum number of parameters in one statement; SQLite before 3.32 allows 999."""


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
    "BinState": BinState.__members__.__getitem__,
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
        (Binned, "binned"),
        (Screened, "screened"),
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


def studies(session: Reading, *, deleted: bool = False) -> list[Study]:
    """All studies, oldest first; deleted ones only on request."""
    where, _ = _where({}, *_living(deleted=deleted))
    return _all(session, Study, f"{where} ORDER BY id")


def study(session: Reading, name: str) -> Study:
    """The study of that name; NotFound suggests the closest name."""
    found = _first(session, Study, "WHERE name = ? AND deleted_at IS NULL", name)
    if found is None:
        known = session.rows("SELECT name FROM study WHERE deleted_at IS NULL")
        raise _missing(f"study {name!r}", name, [one for (one,) in known])
    return found


def newest_study(session: Reading, name: str) -> Study:
    """The same; if deleted, the last study of that name."""
    found = _first(session, Study, "WHERE name = ? ORDER BY deleted_at IS NULL DESC, id DESC", name)
    return study(session, name) if found is None else found


def study_by_id(session: Reading, study_id: int) -> Study:
    """The study with that row id; NotFound if there is none."""
    return _got(_first(session, Study, "WHERE id = ?", study_id), f"study with id {study_id}")


def trials(session: Reading, study_id: int, *, states: Collection[TrialState] = ()) -> list[Trial]:
    """All trials of a study by number, including archived ones; only those in `states` if given."""
    if not states:
        return _all(session, Trial, "WHERE study_id = ? AND deleted_at IS NULL ORDER BY number", study_id)
    # The plus: otherwise SQLite scans the whole study by number only to avoid sorting a few rows.
    rest = f"WHERE study_id = ? AND state IN ({_marks(states)}) AND deleted_at IS NULL ORDER BY +number"
    return _all(session, Trial, rest, study_id, *(state.name for state in states))


def trial_ids(session: Reading, study_id: int, state: TrialState) -> list[int]:
    """Row ids of the trials of a study in that state, oldest first."""
    query = "SELECT id FROM trial WHERE study_id = ? AND state = ? AND deleted_at IS NULL ORDER BY id"
    return [trial_id for (trial_id,) in session.rows(query, study_id, state.name)]


def trials_after(session: Reading, study_id: int, after: int) -> list[Trial]:
    """Trials of a study after row id `after`, oldest first."""
    return _all(session, Trial, "WHERE id > ? AND +study_id = ? AND deleted_at IS NULL ORDER BY id", after, study_id)


def trials_by_id(session: Reading, trial_ids: Collection[int]) -> list[Trial]:
    """Existing trials among these row ids."""
    ids = sorted(trial_ids)
    parts = [ids[start : start + _MOST_VALUES] for start in range(0, len(ids), _MOST_VALUES)]
    return [row for part in parts for row in _all(session, Trial, f"WHERE id IN ({_marks(part)}) ORDER BY id", *part)]


def trial(session: Reading, study_id: int, number: int) -> Trial:
    """One trial by its number in the study; NotFound lists the existing numbers."""
    found = _first(session, Trial, "WHERE study_id = ? AND number = ?", study_id, number)
    if found is not None and found.deleted_at is not None:
        raise NotFound(f"trial {number} was deleted", hint="See: bertdistill-tui engine history")
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
    query = "SELECT state, count(*) FROM trial WHERE study_id = ? AND deleted_at IS NULL GROUP BY state"
    found = session.rows(query, study_id)
    return {TrialState[state].value: number for state, number in found}


def count_origins(
    session: Reading, study_id: int, origins: Collection[str], *, without: str, after: int
) -> tuple[int, int]:
    """For the trials of a study after row id `after`: the last row id, and how many have one of these origins and
    a reason other than `without`."""
    query = (
        f"SELECT coalesce(max(id), ?), coalesce(sum(origin IN ({_marks(origins)}) AND reason != ?"
        " AND deleted_at IS NULL), 0) FROM trial"
        " WHERE id > ? AND +study_id = ?"  # the plus keeps SQLite from scanning the whole study by another index
    )
    [(last, count)] = session.rows(query, after, *origins, without, after, study_id)
    return last, count


def last_number(session: Reading, study_id: int) -> int:
    """Number of the newest trial of a study; -1 without one."""
    last = _one(session, "SELECT max(number) FROM trial WHERE study_id = ?", study_id)
    return -1 if last is None else last


def has_origin(session: Reading, study_id: int, origin: str) -> bool:
    """Whether a trial of the study has that origin. Fast if it is among the first ones."""
    query = "SELECT 1 FROM trial WHERE study_id = ? AND origin = ? ORDER BY number LIMIT 1"
    return bool(session.rows(query, study_id, origin))


def live_with_reason(session: Reading, reason: str) -> bool:
    """Whether an attempt is running whose trial has that reason."""
    query = "SELECT 1 FROM attempt JOIN trial ON trial.id = trial_id WHERE attempt.state = ? AND reason = ? LIMIT 1"
    return bool(session.rows(query, AttemptState.RUNNING.name, reason))


def newest_end(session: Reading, *, without: str) -> float:
    """The latest end time among the thousand newest trials, none of them of the origin `without`; 0 without one."""
    query = "SELECT max(finished_at) FROM trial WHERE id > (SELECT max(id) FROM trial) - 1000 AND origin != ?"
    return _one(session, query, without) or 0.0


def recent_ends(session: Reading, since: float, *, without: str) -> dict[int, float]:
    """When the trials ended that did after `since`, by row id; only among the two thousand newest of each study, and
    none of the origin `without`."""
    query = (
        "SELECT trial.id, trial.finished_at FROM study"
        " CROSS JOIN trial ON study_id = study.id"  # in this order: otherwise SQLite scans all trials
        " AND number > (SELECT max(number) FROM trial WHERE study_id = study.id) - 2000"
        " WHERE trial.finished_at > ? AND origin != ? AND study.deleted_at IS NULL AND trial.deleted_at IS NULL"
    )
    return dict(session.rows(query, since, without))


# ----------------------------------------------------------------------------------------------------------- attempts


def attempt_by_id(session: Reading, attempt_id: int) -> Attempt:
    """One attempt by its row id; NotFound if there is none."""
    return _got(_first(session, Attempt, "WHERE id = ?", attempt_id), f"attempt with id {attempt_id}")


def attempts(
    session: Reading,
    *,
    study_id: int | None = None,
    trial_id: int | None = None,
    kind: str | None = None,
    ended: bool = False,
    newest: int = -1,
) -> list[Attempt]:
    """Attempts, oldest first; of a study (including its preparation), of one trial or of a kind if given; only those
    that were settled if `ended`, and at most the `newest` most recent ones if that is not negative."""
    settled = ("ended_at IS NOT NULL",) if ended else ()
    where, values = _where({"study_id": study_id, "trial_id": trial_id, "kind": kind}, *settled)
    return _all(session, Attempt, f"{where} ORDER BY id DESC LIMIT ?", *values, newest)[::-1]


def attempts_by_id(session: Reading, attempt_ids: Sequence[int]) -> list[Attempt]:
    """Existing attempts among these row ids."""
    parts = [attempt_ids[start : start + _MOST_VALUES] for start in range(0, len(attempt_ids), _MOST_VALUES)]
    return [row for part in parts for row in _all(session, Attempt, f"WHERE id IN ({_marks(part)})", *part)]


def attempt_folders(session: Reading, below: str) -> dict[str, int | None]:
    """Folders of all attempts ever whose path begins with `below`, with the row id of their trial, oldest first."""
    query = "SELECT folder, trial_id FROM attempt WHERE folder >= ? AND folder < ? ORDER BY id"
    return dict(session.rows(query, below, below + _LAST_CHARACTER))


@dataclass(frozen=True)
class KnownRun:
    """The attempt of a run that was imported, by its folder, and whether its trial was deleted since."""

    folder: str
    attempt_id: int
    trial_id: int
    study_id: int
    handle: dict[str, Any]
    deleted: bool


def known_runs(session: Reading, below: str) -> list[KnownRun]:
    """The attempts of trials whose folder begins with `below`, oldest first, without those of deleted studies."""
    query = (
        "SELECT attempt.folder, attempt.id, trial.id, attempt.study_id, attempt.handle, trial.deleted_at IS NOT NULL"
        " FROM attempt JOIN trial ON trial.id = attempt.trial_id JOIN study ON study.id = attempt.study_id"
        " WHERE attempt.folder >= ? AND attempt.folder < ? AND study.deleted_at IS NULL ORDER BY attempt.id"
    )
    return [
        KnownRun(folder, attempt_id, trial_id, study_id, json.loads(handle), bool(deleted))
        for folder, attempt_id, trial_id, study_id, handle, deleted in session.rows(
            query, below, below + _LAST_CHARACTER
        )
    ]


def live_attempts(session: Reading) -> list[Attempt]:
    """Unsettled attempts of all studies, oldest first."""
    return _all(session, Attempt, "WHERE state = ? ORDER BY id", AttemptState.RUNNING.name)


def attempt_for_prepare(session: Reading, study_id: int) -> Attempt | None:
    """The newest prepare attempt of a study."""
    return _first(session, Attempt, "WHERE study_id = ? AND kind = 'prepare' ORDER BY id DESC", study_id)


def has_ended_as(session: Reading, study_id: int, kind: str, exit_class: str) -> bool:
    """Whether an attempt of that kind has ended in that way."""
    query = "SELECT 1 FROM attempt WHERE study_id = ? AND kind = ? AND exit_class = ? LIMIT 1"
    return bool(session.rows(query, study_id, kind, exit_class))


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


def series_ids(session: Reading, study_id: int, trial_id: int) -> dict[str, int]:
    """Row ids of the series of a trial (0: the preparation) by name."""
    return dict(session.rows("SELECT name, id FROM series WHERE study_id = ? AND trial_id = ?", study_id, trial_id))


def checkpoints(
    session: Reading, trial_id: int | None = None, study_id: int | None = None, dropped: bool = False
) -> list[Checkpoint]:
    """Checkpoints of a trial or of a whole study (without deleted trials), oldest first; removed ones
    only if `dropped`."""
    of_study = "trial_id IN (SELECT id FROM trial WHERE study_id = ? AND deleted_at IS NULL)"
    where, values = _where(
        {"trial_id": trial_id, of_study: study_id},
        *(() if dropped else ("dropped_at IS NULL",)),
    )
    return _all(session, Checkpoint, f"{where} ORDER BY id", *values)


def screened(session: Reading, study_id: int) -> list[Screened]:
    """The sub-networks of a study that were evaluated without training, in the order in which they were stored."""
    return _all(session, Screened, "WHERE study_id = ? ORDER BY id", study_id)


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


def request_by_id(session: Reading, request_id: int) -> Request:
    """One request by its row id; NotFound if there is none."""
    return _got(_first(session, Request, "WHERE id = ?", request_id), f"request with id {request_id}")


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


def model_versions(session: Reading, name: str | None = None, *, deleted: bool = False) -> list[ModelVersion]:
    """Model versions by name and version; of one model if given; deleted ones only on request."""
    where, values = _where({"name": name}, *_living(deleted=deleted))
    return _all(session, ModelVersion, f"{where} ORDER BY name, version", *values)


def model_version(session: Reading, reference: str) -> ModelVersion:
    """The version that `name:3`, `name@alias` or `name` (its newest verified version) refers to; else NotFound."""
    name, at, alias = reference.partition("@")
    name, colon, version = name.partition(":")
    known = model_versions(session, name)
    if not known:
        names = list(dict.fromkeys(one.name for one in model_versions(session)))
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


# ---------------------------------------------------------------------------------------------------------------- bin


def binned(session: Reading, *, request_id: int | None = None, states: Collection[BinState] = ()) -> list[Binned]:
    """Folders moved by a delete or prune, oldest first; of one request and only in `states`, if given."""
    chosen = [f"state IN ({_marks(states)})"] if states else []
    where, values = _where({"request_id": request_id}, *chosen)
    return _all(session, Binned, f"{where} ORDER BY id", *values, *(state.name for state in states))


def binned_by_id(session: Reading, binned_id: int) -> Binned:
    """One entry of the bin; NotFound if it does not exist."""
    return _got(_first(session, Binned, "WHERE id = ?", binned_id), f"entry {binned_id} of the bin")


def _living(*, deleted: bool) -> tuple[str, ...]:
    return () if deleted else ("deleted_at IS NULL",)


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
