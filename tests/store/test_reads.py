"""Every SELECT finds its rows by an index, in the promised order, and names what is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.errors import NotFound
from bertdistill.store.rows import BinState, ModelVersion, Study, Trial, TrialState


def test_a_missing_study_names_the_nearest(db: Database, study: Study) -> None:
    """Or what there is, or that there is nothing."""
    with db.read() as session:
        with pytest.raises(NotFound, match="'squda' does not exist") as near:
            reads.study(session, "squda")
        with pytest.raises(NotFound) as far:
            reads.study(session, "zzz")
        with pytest.raises(NotFound) as nothing:
            reads.model_version(session, "qa")
    assert ("Did you mean 'squad'?", "There are: squad.") == (near.value.hint, far.value.hint)
    assert "There are none yet." == nothing.value.hint


def test_a_missing_trial_says_which_numbers_there_are(db: Database, study: Study, trial: Trial) -> None:
    """People type trial numbers."""
    with db.read() as session:
        assert trial.id == reads.trial(session, study.id, 0).id
        with pytest.raises(NotFound, match="trial 7") as caught:
            reads.trial(session, study.id, 7)
        with pytest.raises(NotFound) as empty:
            reads.trial(session, 99, 0)
        with pytest.raises(NotFound):
            reads.trial_by_id(session, 99)
    assert ("Trials are numbered 0 to 0.", "The study has no trials yet.") == (caught.value.hint, empty.value.hint)


def test_trials_come_by_number_and_are_counted_by_state(db: Database, study: Study) -> None:
    """Only states that occur are counted."""
    states = [TrialState.COMPLETE, TrialState.WAITING, TrialState.COMPLETE, TrialState.RUNNING]
    with db.write() as session:
        for state in states:
            writes.create_trial(
                session,
                study_id=study.id,
                origin="sampler",
                params={},
                settings={},
                known={},
                now=1.0,
                state=state,
            )
    with db.read() as session:
        assert [(number, state) for number, state in enumerate(states)] == [
            (one.number, one.state) for one in reads.trials(session, study.id)
        ]
        assert {"complete": 2, "waiting": 1, "running": 1} == reads.counts(session, study.id)


def test_the_newest_preparation_is_found(db: Database, study: Study, trial: Trial) -> None:
    """Attempts of trials are none."""
    with db.write() as session:
        assert reads.attempt_for_prepare(session, study.id) is None
        for trial_id, kind in ((None, "prepare"), (None, "prepare"), (trial.id, "trial")):
            writes.create_attempt(
                session, study_id=study.id, trial_id=trial_id, kind=kind, folder="x", slot="", now=1.0
            )
        found = reads.attempt_for_prepare(session, study.id)
    assert found is not None
    assert ("prepare", 2) == (found.kind, found.number)


def test_the_newest_notices_come_in_their_order(db: Database, study: Study) -> None:
    """A limit cuts off the older ones; one goes on behind the last id that one has seen."""
    with db.write() as session:
        for number in range(5):
            writes.add_notice(session, level="info", text=f"n{number}", now=1.0, study_id=study.id if number else None)
    with db.read() as session:
        assert ["n3", "n4"] == [one.text for one in reads.notices(session, limit=2)]
        assert ["n4"] == [one.text for one in reads.notices(session, after_id=4)]
        assert ["n1", "n2", "n3", "n4"] == [one.text for one in reads.notices(session, study_id=study.id)]
        assert [True, False, False] == [
            reads.has_notice(session, study.id, trial_id, "n1", at=at)
            for trial_id, at in ((None, 1.0), (None, 2.0), (7, 1.0))
        ]


@pytest.fixture
def models(db: Database, study: Study, trial: Trial) -> list[ModelVersion]:
    """Versions 1 to 3 of a model: verified, verified, refused; the first is live."""
    with db.write() as session:
        attempt = writes.create_attempt(
            session, study_id=study.id, trial_id=trial.id, kind="trial", folder="x", slot="", now=1.0
        )
        checkpoint = writes.add_checkpoint(
            session,
            trial_id=trial.id,
            attempt_id=attempt.id,
            role="best",
            step=1,
            folder="x/best",
            sha256="0",
            size_bytes=1,
            metrics={},
            now=1.0,
        )
        found = []
        for state in ("verified", "verified", "refused"):
            version = writes.create_model_version(
                session, name="qa", trial_id=trial.id, checkpoint_id=checkpoint.id, who="ada", now=1.0
            )
            writes.finish_model_version(session, version.id, state=state, now=2.0)
            found.append(version)
        writes.set_alias(session, name="qa", alias="live", version_id=found[0].id, now=3.0)
    return found


@pytest.mark.parametrize(("reference", "version"), [("qa", 2), ("qa:3", 3), ("qa:1", 1), ("qa@live", 1)])
def test_a_model_is_named_by_version_alias_or_name(
    db: Database, models: list[ModelVersion], reference: str, version: int
) -> None:
    """A bare name is its newest verified version."""
    with db.read() as session:
        assert version == reads.model_version(session, reference).version


@pytest.mark.parametrize(
    ("reference", "words", "hint"),
    [
        ("qaa", "model 'qaa'", "'qa'"),
        ("qa:4", "no version '4'", "3 (refused)"),
        ("qa:", "no version ''", "1 (verified)"),
        ("qa@live2", "alias 'live2' of model 'qa'", "'live'"),
    ],
)
def test_a_missing_model_says_what_there_is(
    db: Database, models: list[ModelVersion], reference: str, words: str, hint: str
) -> None:
    """Nearest name, listed versions, nearest alias."""
    with pytest.raises(NotFound) as caught, db.read() as session:
        reads.model_version(session, reference)
    assert (words in str(caught.value), hint in caught.value.hint) == (True, True)


SMALL = ("study", "model_version", "model_alias")
"""Tables that hold one row for each thing that a person made; reading all of them is what is asked for."""
CALLS: dict[str, Callable[[Reading], Any]] = {
    "studies": reads.studies,
    "study": lambda s: reads.study(s, "squad"),
    "study_by_id": lambda s: reads.study_by_id(s, 1),
    "trials": lambda s: reads.trials(s, 1),
    "trial": lambda s: reads.trial(s, 1, 0),
    "trial_by_id": lambda s: reads.trial_by_id(s, 1),
    "counts": lambda s: reads.counts(s, 1),
    "attempt_by_id": lambda s: reads.attempt_by_id(s, 1),
    "attempt_folders": lambda s: reads.attempt_folders(s, "runs/"),
    "attempts": lambda s: (reads.attempts(s, study_id=1), reads.attempts(s, trial_id=1)),
    "live_attempts": reads.live_attempts,
    "attempt_for_prepare": lambda s: reads.attempt_for_prepare(s, 1),
    "has_ended_as": lambda s: reads.has_ended_as(s, 1, "prepare", "host_oom"),
    "next_attempt_number": lambda s: reads.next_attempt_number(s, study_id=1, trial_id=1, kind="trial"),
    "screened": lambda s: reads.screened(s, 1),
    "series": lambda s: (reads.series(s, 1), reads.series(s, 1, 1)),
    "series_ids": lambda s: reads.series_ids(s, 1, 1),
    "attempts_by_id": lambda s: reads.attempts_by_id(s, [1]),
    "trial_ids": lambda s: reads.trial_ids(s, 1, TrialState.COMPLETE),
    "newest_end": lambda s: reads.newest_end(s, without="imported"),
    "recent_ends": lambda s: reads.recent_ends(s, 1.0, without="imported"),
    "known_runs": lambda s: reads.known_runs(s, "runs/"),
    "trials_by_id": lambda s: reads.trials_by_id(s, [1]),
    "trials_after": lambda s: reads.trials_after(s, 1, 1),
    "count_origins": lambda s: reads.count_origins(s, 1, ["sampler"], without="", after=1),
    "last_number": lambda s: reads.last_number(s, 1),
    "has_origin": lambda s: reads.has_origin(s, 1, "baseline"),
    "live_with_reason": lambda s: reads.live_with_reason(s, "host_oom"),
    "curve": lambda s: (reads.curve(s, 1, columns=2), reads.curve(s, 2, columns=2)),
    "points_after": lambda s: reads.points_after(s, 1, 5, 10),
    "checkpoints": lambda s: (reads.checkpoints(s, 1), reads.checkpoints(s, study_id=1)),
    "best_checkpoint": lambda s: reads.best_checkpoint(s, 1),
    "pending_requests": reads.pending_requests,
    "requests": lambda s: reads.requests(s, 1),
    "last_values": lambda s: reads.last_values(s, 1, "a", [1]),
    "newest_request": lambda s: reads.newest_request(s, 1),
    "archived_studies": reads.archived_studies,
    "notices": lambda s: (reads.notices(s, after_id=1), reads.notices(s, study_id=1)),
    "has_notice": lambda s: reads.has_notice(s, 1, 1, "text", at=1.0),
    "lease": reads.lease,
    "model_versions": lambda s: reads.model_versions(s, "qa"),
    "model_version": lambda s: reads.model_version(s, "qa@live"),
    "model_version_by_id": lambda s: reads.model_version_by_id(s, 1),
    "aliases": lambda s: reads.aliases(s, "qa"),
    "request_by_id": lambda s: reads.request_by_id(s, 1),
    "newest_study": lambda s: reads.newest_study(s, "squad"),
    "binned_by_id": lambda s: reads.binned_by_id(s, 1),
    "binned": lambda s: (reads.binned(s, request_id=1), reads.binned(s, states=(BinState.GOING, BinState.LEAVING))),
}


def test_every_read_is_listed_below() -> None:
    """So that none escapes the next test."""
    assert sorted(CALLS) == [name for name in reads.__all__ if name[0].islower()]


@pytest.mark.parametrize("name", CALLS)
def test_no_read_scans_a_table_that_grows(db: Database, models: list[ModelVersion], name: str) -> None:
    """SQLite's own plan of each statement: it searches by an index."""
    with db.write() as session:
        asked = writes.add_request(session, who="ada", verb="note", now=1.0)
        writes.add_binned(
            session, request_id=asked.id, what="cache", path="a", folder="bin/a", size_bytes=1, expires_at=9.0
        )
        writes.store_points(session, 1, 1, [("a", step, 1.0, 0.0) for step in range(10)])
        writes.store_points(session, 1, 1, [("b", step, 1.0, 0.0) for step in range(0, 200_000, 500)])
    plans: list[str] = []

    class Explained:
        """A snapshot that asks for the plan of every statement before it runs it."""

        def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
            plans.extend(str(row[3]) for row in session.rows(f"EXPLAIN QUERY PLAN {query}", *values))
            return session.rows(query, *values)

    with db.read() as session:
        CALLS[name](Explained())
    assert plans
    small = tuple(f"SCAN {table}" for table in (*SMALL, "part", "CONSTANT ROW"))
    assert [] == [plan for plan in plans if plan.startswith("SCAN") and not plan.startswith(small)]
