"""A study starts from the best of its screened sub-networks, then searches as ever."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, study_spec

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.families.supernet import architecture
from bertdistill.engine.search.past import Proposal
from bertdistill.engine.search.proposals import Record
from bertdistill.engine.search.starts import frontier, narrowed, screened_students, spread, starts
from bertdistill.engine.steering import actions
from bertdistill.engine.study.config import changed
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.rows import Screened, TrialState

SHAPE = bert_shape(vocab_size=100, positions=32, hidden_size=16, ffn_size=64, layers=4, head_size=4)
FACTS = Prepared(labels=("a", "b"), mean_length=9.0, init_shape=SHAPE.to_dict(), teacher_shape=SHAPE.to_dict())
SEARCH: dict[str, Any] = {
    "layers": {"low": 1, "high": 4},
    "heads": {"choices": [2, 4]},
    "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
}
SCORES = {
    (1, 2): 60.0,
    (1, 4): 58.0,
    (2, 2): 70.0,
    (2, 4): 75.0,
    (3, 2): 76.0,
    (3, 4): 74.0,
    (4, 2): 80.0,
    (4, 4): 79.0,
}
"""Accuracy by layers and heads. On the frontier are 1x2, 2x2, 2x4, 3x2 and 4x2."""


def rows(**changes: Any) -> list[Screened]:
    found = []
    for (layers, heads), score in SCORES.items():
        settings = architecture(Settings(layers=layers, heads=heads))
        known = {"params": 1000.0 * layers + 10 * heads}
        found.append(
            Screened(study_id=1, name="", settings=settings, score=score, metrics={"accuracy": score}, known=known)
        )
    return [dataclasses.replace(one, **changes) for one in found]


def spec_of(folder: Path, **sections: Any) -> StudySpec:
    base: dict[str, Any] = {
        "teacher": {"model": "some/bert", "fine_tune": None},
        "student": {"init": "supernet"},
        "search": SEARCH,
        "sampler": {"kind": "auto", "startup_trials": 3},
    }
    return study_spec(folder, **base | sections)


def test_the_starts_are_the_frontier_spread_over_the_size(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    front = [(one.settings["layers"], one.settings["heads"]) for one in frontier(rows(), spec)]
    assert front == [(1, 2), (2, 2), (2, 4), (3, 2), (4, 2)]
    assert starts(rows(), spec) == [
        {"layers": 1, "heads": 2},
        {"layers": 2, "heads": 2},
        {"layers": 4, "heads": 2},
    ]
    assert len(starts(rows(), changed(spec, "sampler.startup_trials", 20))) == 5
    assert [one.settings["layers"] for one in spread(rows(), 2)] == [1, 4]


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        (rows(ruined=True), "sampler.startup_trials", 3),
        (rows(metrics={}), "sampler.startup_trials", 3),
        (rows(), "sampler.kind", "random"),
        ([], "sampler.startup_trials", 3),
    ],
)
def test_nothing_starts_it_where_nothing_is_known(tmp_path: Path, given: list[Screened], key: str, value: Any) -> None:
    """Of ruined ones, of scores that the objectives do not ask for, and where a person chose another start."""
    assert starts(given, changed(spec_of(tmp_path), key, value)) == []


def test_rows_above_a_limit_of_size_are_left_out(tmp_path: Path) -> None:
    spec = spec_of(
        tmp_path, objectives=[{"metric": "accuracy", "threshold": 99.0}, {"metric": "params", "threshold": 2030.0}]
    )
    assert [one["layers"] for one in starts(rows(), spec)] == [1, 2]


def test_a_start_outside_a_narrowed_range_is_left_out(tmp_path: Path) -> None:
    spec = changed(spec_of(tmp_path), "ranges", {"layers": {"low": 2, "high": 4}})
    assert narrowed(spec.proposable, {"layers": 1, "heads": 2}) is None
    found = narrowed(spec.proposable, {"layers": 2, "heads": 4})
    assert found is not None
    assert (found[0].low, found[0].high, found[1].choices) == (2, 2, (4,))


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> Iterator[Workbench]:
    made = Workbench(tmp_path, spec_of(tmp_path)).start()
    yield made
    made.close()


def add(bench: Workbench, proposal: Proposal, accuracy: float) -> None:
    """The proposal as a complete trial."""
    settings = dict(vars(bench.spec.settings)) | proposal.params
    with bench.db.write() as session:
        trial = writes.create_trial(
            session,
            study_id=bench.study().id,
            origin="sampler",
            state=TrialState.RUNNING,
            params=proposal.params,
            settings=settings,
            known={"params": 1000.0 * proposal.params["layers"]},
            now=1.0,
        )
        writes.set_trial_metrics(session, trial.id, {"accuracy": accuracy})
        writes.set_trial_state(session, trial.id, TrialState.COMPLETE, now=2.0)


def test_the_first_trials_are_these_and_then_it_searches_as_ever(bench: Workbench) -> None:
    """What is searched beside the architecture is drawn for each; the trials say where they come from."""
    with bench.db.write() as session:
        fields = ("settings", "score", "metrics", "known", "examples", "seconds", "ruined")
        writes.add_screened(
            session, bench.study().id, [{name: getattr(one, name) for name in fields} for one in rows()]
        )
    record, found = Record(bench.study().id, bench.spec), []
    for number in range(5):
        with bench.db.read() as session:
            record.refresh(session)
        found.append(record.next_proposal(FACTS))
        add(bench, found[-1], 50.0 + number)
    assert [one.sampler for one in found] == ["screened"] * 3 + ["gp"] * 2
    assert [(one.params["layers"], one.params["heads"]) for one in found[:3]] == [(1, 2), (2, 2), (4, 2)]
    assert len({one.params["learning_rate"] for one in found}) == 5
    assert json.loads(json.dumps(found[0].params)) == found[0].params


def test_the_screening_is_read_once(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no trial starts from it."""
    asked = list[int]()

    def screened(_: object, study_id: int) -> list[Screened]:
        asked.append(study_id)
        return []

    monkeypatch.setattr(reads, "screened", screened)
    record = Record(bench.study().id, bench.spec)
    for _ in range(3):
        with bench.db.read() as session:
            record.refresh(session)
    assert asked == [bench.study().id]


def test_the_model_is_told_of_all_that_sharing_has_not_ruined(tmp_path: Path) -> None:
    """By their parameters, in the objective that was measured; not of what is no longer searched."""
    spec = spec_of(tmp_path)
    told = screened_students([*rows()[1:], *rows(ruined=True)[:1]], spec)
    assert [(one.params["layers"], one.params["heads"]) for one in told] == list(SCORES)[1:]
    assert (told[0].metric, told[0].score) == ("accuracy", 58.0)
    assert screened_students(rows(metrics={"f1": 1.0}), spec) == []
    assert screened_students([], spec) == []


def test_a_rerun_with_one_change_is_of_the_same_supernet(bench: Workbench) -> None:
    """It keeps what its parent has, and the search learns from it; an architecture that was not shared may be asked for
    as well, and starts from the teacher."""
    with bench.db.write() as session:
        writes.set_prepared(session, bench.study().id, FACTS.to_dict())
    record = Record(bench.study().id, bench.spec)
    with bench.db.read() as session:
        record.refresh(session)
    first = record.next_proposal(FACTS)
    add(bench, first, 50.0)
    layers = 5 - int(first.params["layers"])
    again = actions.rerun(bench.workspace, bench.spec.name, 0, "layers", layers, who="test")
    assert again.params == first.params | {"layers": layers}
    other = actions.rerun(bench.workspace, bench.spec.name, 0, "ffn_size", 32, who="test")
    assert other.settings["ffn_size"] == 32
    with bench.db.read() as session:
        record.refresh(session)
    assert [one.params for one in record._history()] == [first.params, again.params]
