"""The record that proposals are made from: read in parts, equal to one that is read whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, study_spec

from bertdistill.engine.search.proposals import Record, history, per_second, tried
from bertdistill.engine.study.study_spec import BudgetSection, SamplerSection
from bertdistill.store import writes
from bertdistill.store.rows import TrialState


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    made = Workbench(tmp_path, study_spec(tmp_path)).start()
    yield made
    made.close()


def add(bench: Workbench, layers: int, state: TrialState, origin: str = "sampler") -> int:
    """A trial in that state; its row id."""
    params = {"layers": layers, "learning_rate": 1e-4}
    settings = dict(vars(bench.spec.settings)) | params
    with bench.db.write() as session:
        given = {"params": params, "settings": settings, "known": {"params": 1.0}, "now": 1.0}
        trial = writes.create_trial(
            session, study_id=bench.study().id, origin=origin, state=TrialState.RUNNING, **given
        )
        if state != TrialState.RUNNING:
            writes.set_trial_metrics(session, trial.id, {"accuracy": 10.0 * layers})
            writes.set_trial_state(session, trial.id, state, now=2.0)
    return trial.id


def refreshed(bench: Workbench, record: Record) -> Record:
    with bench.db.read() as session:
        record.refresh(session)
    return record


def matches(bench: Workbench, record: Record) -> bool:
    """Whether the record holds what the trials in the database say."""
    found = refreshed(bench, record)
    whole = bench.trials()
    told = [found._told[trial_id] for trial_id in sorted(found._told)]
    return (told, list(found._tried.values()), found._sampled) == (
        history(whole, bench.spec),
        tried(whole, bench.spec),
        sum(trial.origin == "sampler" for trial in whole),
    )


def test_a_record_follows_the_database(bench: Workbench) -> None:
    """New trials, those that ended, and what a person moved back by a retry."""
    record = Record(bench.study().id, bench.spec)
    first, failed = add(bench, 1, TrialState.RUNNING), add(bench, 2, TrialState.FAILED)
    assert matches(bench, record)
    with bench.db.write() as session:
        writes.set_trial_metrics(session, first, {"accuracy": 70.0})
        writes.set_trial_state(session, first, TrialState.COMPLETE, now=3.0)
    add(bench, 3, TrialState.INFEASIBLE, "queued")
    assert matches(bench, record)
    with bench.db.write() as session:
        writes.set_trial_state(session, failed, TrialState.WAITING, now=4.0)
        writes.add_request(session, who="ada", verb="retry", now=4.0, study_id=bench.study().id, handled=True)
    assert matches(bench, record)


def test_what_has_ended_is_not_read_again(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 20,000 trials that took five seconds a proposal."""
    record = Record(bench.study().id, bench.spec)
    running = [add(bench, 1, TrialState.COMPLETE), add(bench, 2, TrialState.RUNNING)][-1]
    refreshed(bench, record)
    taken: list[int] = []
    monkeypatch.setattr(Record, "_take", lambda self, trial, cases: taken.append(trial.id))
    refreshed(bench, record)
    newest = add(bench, 3, TrialState.COMPLETE)
    refreshed(bench, record)
    assert [running, running, newest] == taken


def test_a_repeat_with_another_seed_is_learned_from(bench: Workbench) -> None:
    """It shows how noisy a score is; a trial with another fixed setting would be attributed to what is searched."""
    add(bench, 1, TrialState.COMPLETE)
    [trial] = bench.trials()
    repeat = dataclasses.replace(trial, id=8, settings={**trial.settings, "seed": 99})
    other = dataclasses.replace(trial, id=9, settings={**trial.settings, "epochs": 99.0})
    found = history([trial, repeat, other], bench.spec)
    assert [trial.params] * 2 == [one.params for one in found]


def test_seconds_count_if_hours_are_what_is_scarce(bench: Workbench) -> None:
    """`auto` asks what the budget is; a person may say otherwise."""
    hours = dataclasses.replace(bench.spec, budget=BudgetSection(hours=2.0))
    assert (per_second(bench.spec), per_second(hours)) == (False, True)
    assert not per_second(dataclasses.replace(hours, sampler=SamplerSection(per="trial")))
    assert per_second(dataclasses.replace(bench.spec, sampler=SamplerSection(per="second")))
