"""Another family and another task go through a whole study: one module and one row a table, and nothing else."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests import two_layers
from tests.fakes import House, study_spec

from bertdistill.engine.contract.events import STARTED, parse_event
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.metrics import Metric
from bertdistill.engine.distill.families.table import BUILDERS, load_model
from bertdistill.engine.distill.tasks import SCORERS, Scored, score_classes
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.launch.launchers import InlineLauncher
from bertdistill.engine.tasks.table import METRICS, TASKS
from bertdistill.engine.tasks.task import Task
from bertdistill.store import reads
from bertdistill.store.rows import StudyState

Make = Callable[..., House]
LINES = "".join(
    f"a {word} film of {n} minutes;{label}\n" for n in range(20) for word, label in (("good", "yes"), ("bad", "no"))
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Make]:
    """A study of tiny models whose workers, the real ones, run in this process."""
    made: list[House] = []
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()

    def make(**sections: Any) -> House:
        defaults: dict[str, Any] = {
            "teacher": {
                "model": "scratch",
                "layers": 1,
                "hidden_size": 16,
                "ffn_size": 16,
                "head_size": 8,
                "vocab_size": 64,
                "fine_tune": {"epochs": 1.0},
            },
            "student": {"init": "scratch"},
            "settings": {"layers": 1, "head_size": 8, "epochs": 1.0, "evaluations": 1, "precision": "fp32"},
            "baseline": {"learning_rate": 1e-3},
            "budget": {"trials": 4},
        }
        spec = study_spec(tmp_path, **{**defaults, **sections})
        for path in (spec.data.train, spec.data.report):
            Path(path).write_text(LINES)
        one = House(tmp_path, spec)
        one.launcher = InlineLauncher()  # type: ignore[assignment]  # whatever launches
        one.renew()
        made.append(one.start())
        return one

    yield make
    for one in made:
        one.close()
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


def test_a_second_family_is_searched_beside_the_first(house: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes known before training are those of what is built; each checkpoint is loaded by its own family."""
    monkeypatch.setitem(FAMILIES, two_layers.NAME, two_layers.TwoLayers())
    monkeypatch.setitem(BUILDERS, two_layers.NAME, two_layers.Builder())
    search = {"family": {"choices": ["transformer", two_layers.NAME]}, "hidden_size": {"choices": [8, 16]}}
    done = house(search=search, sampler={"kind": "grid"}).run()
    assert (StudyState.COMPLETE, 4) == (done.study().state, len(done.trials()))
    assert {"transformer", two_layers.NAME} == {trial.settings["family"] for trial in done.trials()}
    assert all(trial.known["params"] == trial.metrics["params"] > 0 for trial in done.trials())
    for trial in done.trials():
        with done.db.read() as session:
            [best] = [one for one in reads.checkpoints(session, trial_id=trial.id) if one.role == "best"]
        model = load_model(done.workspace.absolute(best.folder))
        assert trial.metrics["params"] == sum(weight.numel() for weight in model.net.parameters())


def test_tiny_families_are_searched_beside_transformers(house: Make) -> None:
    """In the teacher's units and in words: sizes are known before training, and each trial reads its own units."""
    search = {"family": {"choices": ["transformer", "mlp", "bilstm"]}, "units": {"choices": ["teacher", "words"]}}
    settings = {
        "layers": 1,
        "hidden_size": 8,
        "head_size": 8,
        "vocab_size": 30,
        "epochs": 2.0,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "evaluations": 1,
        "precision": "fp32",
    }
    metrics, grid, budget = {"stored": ["latency_ratio"]}, {"kind": "grid"}, {"trials": 6}
    done = house(search=search, settings=settings, baseline={}, sampler=grid, metrics=metrics, budget=budget).run()
    assert StudyState.COMPLETE == done.study().state
    trials = {(trial.settings["family"], trial.settings["units"]): trial for trial in done.trials()}
    assert {("mlp", "teacher"), ("mlp", "words"), ("bilstm", "teacher"), ("bilstm", "words")} <= set(trials)
    for (family, units), trial in trials.items():
        assert trial.known["params"] == trial.metrics["params"] > 0
        assert trial.metrics["latency_ratio"] > 0
        with done.db.read() as session:
            [best] = [one for one in reads.checkpoints(session, trial_id=trial.id) if one.role == "best"]
        model = load_model(done.workspace.absolute(best.folder))
        assert model.units == ("words" if family != "transformer" and units == "words" else "")
    assert {"train/words", "search/words"} < set((done.study().prepared or {})["features"])


def test_a_third_task_is_scored_by_its_own_metric(house: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its score is an objective, picks the best checkpoint and is what the teacher is measured by."""
    hits = Metric("hits", "share of topics that were found", "maximize", "%")
    monkeypatch.setitem(TASKS, "topics", Task("topics", (hits,), spans=False))
    monkeypatch.setitem(METRICS, "hits", hits)

    def score(*given: Any, **more: Any) -> Scored:
        scored = score_classes(*given, **more)
        return replace(scored, metrics={"hits": scored.metrics["accuracy"]})

    monkeypatch.setitem(SCORERS, "topics", score)
    objectives = [{"metric": "hits"}, {"metric": "params"}]
    search = {"layers": {"choices": [1, 2]}}
    settings = {"hidden_size": 8, "head_size": 8, "epochs": 1.0, "evaluations": 1, "precision": "fp32"}
    done = house(
        task="topics", objectives=objectives, search=search, settings=settings, baseline={}, budget={"trials": 2}
    ).run()
    assert (StudyState.COMPLETE, 2) == (done.study().state, len(done.trials()))
    assert all(0 <= trial.metrics["hits"] <= 100 for trial in done.trials())
    assert "hits" in (done.study().prepared or {})["teacher_metrics"]


def test_students_with_and_without_a_transfer_set(house: Make) -> None:
    """The teacher labels more texts; a share of 0 trains on the labelled ones alone."""
    done = house(
        transfer=[{"kind": "words"}, {"kind": "ngrams", "rows": 30}],
        search={"transfer_share": {"choices": [0.0, 0.5]}, "soft_loss": {"choices": ["kl", "mse"]}},
        settings={
            "layers": 1,
            "hidden_size": 8,
            "head_size": 8,
            "epochs": 1.0,
            "evaluations": 1,
            "precision": "fp32",
            "learning_rate": 1e-3,
        },
        baseline={},
        sampler={"kind": "grid"},
    ).run()
    assert (StudyState.COMPLETE, 4) == (done.study().state, len(done.trials()))
    facts = Prepared.from_dict(done.study().prepared)
    with done.db.read() as session:
        for trial in done.trials():
            [attempt] = reads.attempts(session, trial_id=trial.id)
            [started] = [
                one
                for line in RunPaths(done.workspace.absolute(attempt.folder)).events.read_bytes().splitlines()
                if (one := parse_event(line)) and one["k"] == STARTED
            ]
            seen, labelled = started["examples"], facts.train_features
            assert (seen > 1.5 * labelled) if trial.settings["transfer_share"] else (seen == labelled)
