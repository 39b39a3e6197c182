"""What the next trials of a stored study are worth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import Workbench, study_spec

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.search.outlook import FEWEST, Outlook, main, read_outlook
from bertdistill.store import writes
from bertdistill.store.rows import TrialState

SHAPE = bert_shape(vocab_size=100, positions=32, hidden_size=16, ffn_size=64, layers=4, head_size=4).to_dict()
FACTS = Prepared(labels=("a", "b"), mean_length=9.0, init_shape=SHAPE, teacher_shape=SHAPE)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    made = Workbench(tmp_path, study_spec(tmp_path)).start()
    yield made
    made.close()


def add(bench: Workbench, layers: int, score: float) -> None:
    """A complete trial."""
    params = {"layers": layers, "learning_rate": 1e-4 * (1 + layers % 3)}
    settings = dict(vars(bench.spec.settings)) | params
    with bench.db.write() as session:
        trial = writes.create_trial(
            session,
            study_id=bench.study().id,
            origin="sampler",
            state=TrialState.RUNNING,
            params=params,
            settings=settings,
            known={"params": 1e5 * layers},
            now=1.0,
        )
        writes.set_trial_metrics(session, trial.id, {"accuracy": score, "params": 1e5 * layers})
        writes.set_trial_state(session, trial.id, TrialState.COMPLETE, now=2.0)


def test_it_needs_scores(bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    """None before ten trials are complete; then the same from the process that the app starts."""
    name = bench.study().name
    assert read_outlook(bench.workspace, name) is None
    with bench.db.write() as session:
        writes.set_prepared(session, bench.study().id, FACTS.to_dict())
    for number in range(FEWEST):
        assert read_outlook(bench.workspace, name) is None
        add(bench, 1 + number % 4, 60.0 + 5 * (1 + number % 4))
    found = read_outlook(bench.workspace, name)
    assert found is not None
    assert 0 <= found.low <= found.gain <= found.high
    main([str(bench.workspace.path), name])
    assert found == Outlook(**json.loads(capsys.readouterr().out))


def test_gains_are_in_percent_of_what_there_is() -> None:
    """And a study without a volume divides by none."""
    assert (10.0, 0.0, 20.0) == Outlook(10, 0.05, 0.0, 0.1, 0.5, None).percent
    assert (5.0, 0.0, 10.0) == Outlook(10, 0.05, 0.0, 0.1, 0.0, None).percent
