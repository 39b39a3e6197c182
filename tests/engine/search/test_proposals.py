"""The record that proposals are made from: read in parts, equal to one that is read whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import House, study_spec

from bertdistill.engine.search.proposals import Record, history, tried
from bertdistill.store import writes
from bertdistill.store.rows import TrialState


@pytest.fixture
def house(tmp_path: Path) -> Any:
    made = House(tmp_path, study_spec(tmp_path)).start()
    yield made
    made.close()


def add(house: House, layers: int, state: TrialState, origin: str = "sampler") -> int:
    """A trial in that state; its row id."""
    params = {"layers": layers, "learning_rate": 1e-4}
    settings = dict(vars(house.spec.settings)) | params
    with house.db.write() as session:
        given = {"params": params, "settings": settings, "known": {"params": 1.0}, "now": 1.0}
        trial = writes.create_trial(
            session, study_id=house.study().id, origin=origin, state=TrialState.RUNNING, **given
        )
        if state != TrialState.RUNNING:
            writes.set_trial_metrics(session, trial.id, {"accuracy": 10.0 * layers})
            writes.set_trial_state(session, trial.id, state, now=2.0)
    return trial.id


def refreshed(house: House, record: Record) -> Record:
    with house.db.read() as session:
        record.refresh(session)
    return record


def matches(house: House, record: Record) -> bool:
    """Whether the record holds what the trials in the database say."""
    found = refreshed(house, record)
    whole = house.trials()
    told = [found._told[trial_id] for trial_id in sorted(found._told)]
    return (told, list(found._tried.values()), found._sampled) == (
        history(whole, house.spec),
        tried(whole, house.spec),
        sum(trial.origin == "sampler" for trial in whole),
    )


def test_a_record_follows_the_database(house: House) -> None:
    """New trials, those that ended, and what a person moved back by a retry."""
    record = Record(house.study().id, house.spec)
    first, failed = add(house, 1, TrialState.RUNNING), add(house, 2, TrialState.FAILED)
    assert matches(house, record)
    with house.db.write() as session:
        writes.set_trial_metrics(session, first, {"accuracy": 70.0})
        writes.set_trial_state(session, first, TrialState.COMPLETE, now=3.0)
    add(house, 3, TrialState.INFEASIBLE, "queued")
    assert matches(house, record)
    with house.db.write() as session:
        writes.set_trial_state(session, failed, TrialState.WAITING, now=4.0)
        writes.add_request(session, who="ada", verb="retry", now=4.0, study_id=house.study().id, handled=True)
    assert matches(house, record)


def test_what_has_ended_is_not_read_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 20,000 trials that took five seconds a proposal."""
    record = Record(house.study().id, house.spec)
    running = [add(house, 1, TrialState.COMPLETE), add(house, 2, TrialState.RUNNING)][-1]
    refreshed(house, record)
    taken: list[int] = []
    monkeypatch.setattr(Record, "_take", lambda self, trial: taken.append(trial.id))
    refreshed(house, record)
    newest = add(house, 3, TrialState.COMPLETE)
    refreshed(house, record)
    assert [running, running, newest] == taken
