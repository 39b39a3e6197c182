"""Every SELECT of the program, each short and backed by an index. It changes nothing.

Curves are read in `metrics`; they are offered here as well, so that callers need one module.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import TypeVar

from sqlalchemy import func
from sqlmodel import Session, col, select

from bertdistill.store.errors import NotFound
from bertdistill.store.metrics import CurvePoint, curve, points_after
from bertdistill.store.models import (
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


# -------------------------------------------------------------------------------------------------- studies and trials


def studies(session: Session) -> list[Study]:
    """All studies, oldest first."""
    return list(session.exec(select(Study).order_by(col(Study.id))))


def study(session: Session, name: str) -> Study:
    """The study of that name; NotFound names the nearest."""
    found = session.exec(select(Study).where(Study.name == name)).first()
    if found is None:
        raise _missing(f"study {name!r}", name, session.exec(select(Study.name)))
    return found


def study_by_id(session: Session, study_id: int) -> Study:
    """The study with that row id; NotFound when there is none."""
    return _got(session.get(Study, study_id), f"study with id {study_id}")


def trials(session: Session, study_id: int, *, states: Collection[TrialState] = ()) -> list[Trial]:
    """All trials of a study by number, archived ones included; only those in `states` when some are named."""
    query = select(Trial).where(Trial.study_id == study_id).order_by(col(Trial.number))
    return list(session.exec(query.where(col(Trial.state).in_(states)) if states else query))


def trial(session: Session, study_id: int, number: int) -> Trial:
    """One trial by the number that people know; NotFound says which numbers there are."""
    found = session.exec(select(Trial).where(Trial.study_id == study_id, Trial.number == number)).first()
    if found is None:
        last = session.exec(select(func.max(Trial.number)).where(Trial.study_id == study_id)).one()
        raise NotFound(
            f"trial {number} does not exist",
            hint="The study has no trials yet." if last is None else f"Trials go from 0 to {last}.",
        )
    return found


def trial_by_id(session: Session, trial_id: int) -> Trial:
    """One trial by its row id; NotFound when there is none."""
    return _got(session.get(Trial, trial_id), f"trial with id {trial_id}")


def counts(session: Session, study_id: int) -> dict[str, int]:
    """How many trials are in each state that occurs; keys are the states' words."""
    query = select(Trial.state, func.count()).where(Trial.study_id == study_id).group_by(col(Trial.state))
    return {TrialState(state).value: number for state, number in session.exec(query)}


# ----------------------------------------------------------------------------------------------------------- attempts


def attempt_by_id(session: Session, attempt_id: int) -> Attempt:
    """One attempt by its row id; NotFound when there is none."""
    return _got(session.get(Attempt, attempt_id), f"attempt with id {attempt_id}")


def attempts(session: Session, *, study_id: int | None = None, trial_id: int | None = None) -> list[Attempt]:
    """Attempts, oldest first; of a study (preparation included) or of one trial when named."""
    query = select(Attempt).order_by(col(Attempt.id))
    if study_id is not None:
        query = query.where(Attempt.study_id == study_id)
    if trial_id is not None:
        query = query.where(Attempt.trial_id == trial_id)
    return list(session.exec(query))


def live_attempts(session: Session) -> list[Attempt]:
    """Attempts of all studies that have not been settled, oldest first."""
    return list(session.exec(select(Attempt).where(Attempt.state == AttemptState.RUNNING).order_by(col(Attempt.id))))


def attempt_for_prepare(session: Session, study_id: int) -> Attempt | None:
    """The newest prepare attempt of a study."""
    query = select(Attempt).where(Attempt.study_id == study_id, Attempt.kind == "prepare")
    return session.exec(query.order_by(col(Attempt.id).desc()).limit(1)).first()


def next_attempt_number(session: Session, *, study_id: int, trial_id: int | None, kind: str) -> int:
    """Number of the next attempt of that kind for a trial, or (None) for the study; counts from 1.

    Ask inside the writing transaction that also creates the attempt, for its folder carries the number.
    """
    query = select(func.max(Attempt.number)).where(Attempt.study_id == study_id, Attempt.kind == kind)
    return (session.exec(query.where(col(Attempt.trial_id).is_not_distinct_from(trial_id))).one() or 0) + 1


# ---------------------------------------------------------------------------------------------- series and checkpoints


def series(session: Session, study_id: int, trial_id: int | None = None) -> list[Series]:
    """Series of a study, or of one trial (0: of the preparation), by trial and name."""
    query = select(Series).where(Series.study_id == study_id)
    if trial_id is not None:
        query = query.where(Series.trial_id == trial_id)
    return list(session.exec(query.order_by(col(Series.trial_id), col(Series.name))))


def last_values(session: Session, study_id: int, name: str, trial_ids: Collection[int]) -> dict[int, float]:
    """Newest finite value of one series by trial id, of the trials named; those without one are left out."""
    query = select(Series.trial_id, Series.last_value).where(Series.study_id == study_id, Series.name == name)
    rows = session.exec(query.where(col(Series.trial_id).in_(trial_ids), col(Series.last_value).is_not(None)))
    return {trial_id: value for trial_id, value in rows if value is not None}


def series_names(session: Session, study_id: int, trial_id: int) -> set[str]:
    """Names of the series of a trial (0: of the preparation)."""
    return set(session.exec(select(Series.name).where(Series.study_id == study_id, Series.trial_id == trial_id)))


def checkpoints(
    session: Session, trial_id: int | None = None, study_id: int | None = None, dropped: bool = False
) -> list[Checkpoint]:
    """Checkpoints of a trial or of a whole study, oldest first; those already removed only when `dropped`."""
    query = select(Checkpoint).order_by(col(Checkpoint.id))
    if trial_id is not None:
        query = query.where(Checkpoint.trial_id == trial_id)
    if study_id is not None:
        query = query.where(col(Checkpoint.trial_id).in_(select(Trial.id).where(Trial.study_id == study_id)))
    if not dropped:
        query = query.where(col(Checkpoint.dropped_at).is_(None))
    return list(session.exec(query))


def best_checkpoint(session: Session, trial_id: int) -> Checkpoint | None:
    """The newest best checkpoint of a trial that is still on disk."""
    query = select(Checkpoint).where(Checkpoint.trial_id == trial_id, Checkpoint.role == "best")
    return session.exec(
        query.where(col(Checkpoint.dropped_at).is_(None)).order_by(col(Checkpoint.id).desc()).limit(1)
    ).first()


# ---------------------------------------------------------------------------------------------------- people and runner


def pending_requests(session: Session) -> list[Request]:
    """What the runner has still to honour, oldest first."""
    return list(session.exec(select(Request).where(col(Request.handled_at).is_(None)).order_by(col(Request.id))))


def requests(session: Session, study_id: int | None = None) -> list[Request]:
    """Everything that people asked, oldest first; of one study when named."""
    query = select(Request).order_by(col(Request.id))
    return list(session.exec(query if study_id is None else query.where(Request.study_id == study_id)))


def archived_studies(session: Session) -> set[int]:
    """Row ids of the studies that were put away. The newest request about it decides: it has no column of its own."""
    asked = select(Request.study_id, Request.arguments).where(col(Request.study_id).in_(select(Study.id)))
    about = asked.where(col(Request.verb).in_(("archive", "undo")), col(Request.trial_id).is_(None))
    found = session.exec(about.order_by(col(Request.id)))
    newest = {study_id: given["archived"] for study_id, given in found if study_id and "archived" in given}
    return {study_id for study_id, archived in newest.items() if archived}


def newest_request(session: Session, study_id: int | None = None) -> int:
    """Row id of the newest request (about a study when named), 0 without any: it moves whenever a person changed
    something."""
    query = select(func.max(Request.id))
    return session.exec(query if study_id is None else query.where(Request.study_id == study_id)).one() or 0


def notices(session: Session, *, after_id: int = 0, study_id: int | None = None, limit: int = 200) -> list[Notice]:
    """The newest notices behind `after_id`, at most `limit`, oldest of them first."""
    query = select(Notice).where(col(Notice.id) > after_id)
    if study_id is not None:
        query = query.where(Notice.study_id == study_id)
    return list(reversed(session.exec(query.order_by(col(Notice.id).desc()).limit(limit)).all()))


def has_notice(session: Session, study_id: int, trial_id: int | None, text: str, *, at: float | None = None) -> bool:
    """Whether that text stands in the notices of that trial (None: of none), at that time if given."""
    query = select(Notice.id).where(Notice.study_id == study_id, Notice.text == text)
    query = query.where(col(Notice.trial_id).is_not_distinct_from(trial_id))
    return session.exec(query if at is None else query.where(Notice.at == at)).first() is not None


def lease(session: Session) -> Lease | None:
    """Who is, or last was, the runner of this workspace."""
    return session.get(Lease, 1)


# ------------------------------------------------------------------------------------------------------------- models


def model_versions(session: Session, name: str | None = None) -> list[ModelVersion]:
    """Model versions by name and version; of one model when named."""
    query = select(ModelVersion).order_by(col(ModelVersion.name), col(ModelVersion.version))
    return list(session.exec(query if name is None else query.where(ModelVersion.name == name)))


def model_version(session: Session, reference: str) -> ModelVersion:
    """The version that `name:3`, `name@alias` or `name` (its newest verified one) stands for; else NotFound."""
    name, at, alias = reference.partition("@")
    name, colon, version = name.partition(":")
    known = model_versions(session, name)
    if not known:
        raise _missing(f"model {name!r}", name, session.exec(select(ModelVersion.name).distinct()))
    if at:
        found = session.get(ModelAlias, (name, alias))
        if found is None:
            raise _missing(f"alias {alias!r} of model {name!r}", alias, [one.alias for one in aliases(session, name)])
        return _got(session.get(ModelVersion, found.version_id), f"version of alias {reference!r}")
    chosen = [one for one in known if (str(one.version) == version if colon else one.state == "verified")]
    if not chosen:
        listed = ", ".join(f"{one.version} ({one.state})" for one in known)
        wanted = f"version {version!r}" if colon else "verified version"
        raise NotFound(f"model {name!r} has no {wanted}", hint=f"Its versions: {listed}.")
    return chosen[-1]


def aliases(session: Session, name: str | None = None) -> list[ModelAlias]:
    """Aliases by model and alias; of one model when named."""
    query = select(ModelAlias).order_by(col(ModelAlias.name), col(ModelAlias.alias))
    return list(session.exec(query if name is None else query.where(ModelAlias.name == name)))


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
