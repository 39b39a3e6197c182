"""Another family and another task go through a whole study: one module and one row a table, and nothing else."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests import two_layers
from tests.fakes import Workbench, study_dict, study_spec
from tests.foreign import make_foreign
from tests.paper_family import PaperFamily

from bertdistill.engine.analysis.outcomes import teacher_sizes
from bertdistill.engine.contract.events import STARTED, parse_event
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.metrics import Metric
from bertdistill.engine.distill.families.table import BUILDERS, load_model
from bertdistill.engine.distill.tasks import SCORERS, Scored, score_classes
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.launch.launchers import InlineLauncher
from bertdistill.engine.search.proposals import history
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.scopes import split
from bertdistill.engine.tasks.table import METRICS, TASKS
from bertdistill.engine.tasks.task import Task
from bertdistill.store import reads
from bertdistill.store.rows import StudyState, TrialState

Make = Callable[..., Workbench]
LINES = "".join(
    f"a {word} film of {n} minutes;{label}\n" for n in range(20) for word, label in (("good", "yes"), ("bad", "no"))
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Make]:
    """A study of tiny models whose workers, the real ones, run in this process."""
    made: list[Workbench] = []
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()

    def make(whole: dict[str, Any] | None = None, **sections: Any) -> Workbench:
        """The study with sections changed, and others replaced as a `whole`."""
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
        raw = study_dict(tmp_path, **{**defaults, **sections}) | (whole or {})
        spec = study_from_dict(raw, where="test")
        for path in (spec.data.train, spec.data.report):
            Path(path).write_text(LINES)
        one = Workbench(tmp_path, spec)
        one.launcher = InlineLauncher()  # type: ignore[assignment]  # whatever launches
        one.renew()
        made.append(one.start())
        return one

    yield make
    for one in made:
        one.close()
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


def test_a_second_family_is_searched_beside_the_first(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes known before training are those of what is built; each checkpoint is loaded by its own family."""
    monkeypatch.setitem(FAMILIES, two_layers.NAME, two_layers.TwoLayers())
    monkeypatch.setitem(BUILDERS, two_layers.NAME, two_layers.Builder())
    search = {"family": {"choices": ["transformer", two_layers.NAME]}, "hidden_size": {"choices": [8, 16]}}
    done = bench(search=search, sampler={"kind": "grid"}).run()
    assert (StudyState.COMPLETE, 4) == (done.study().state, len(done.trials()))
    assert {"transformer", two_layers.NAME} == {trial.settings["family"] for trial in done.trials()}
    assert all(trial.known["params"] == trial.metrics["params"] > 0 for trial in done.trials())
    for trial in done.trials():
        with done.db.read() as session:
            [best] = [one for one in reads.checkpoints(session, trial_id=trial.id) if one.role == "best"]
        model = load_model(done.workspace.absolute(best.folder))
        assert trial.metrics["params"] == sum(weight.numel() for weight in model.net.parameters())


def test_keys_of_one_family_in_a_mixed_study(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each family is trained with its own values, fixed or searched, and records its own parameters alone."""
    monkeypatch.setitem(FAMILIES, two_layers.NAME, two_layers.TwoLayers())
    monkeypatch.setitem(BUILDERS, two_layers.NAME, two_layers.Builder())
    search = {
        "family": {"choices": ["transformer", two_layers.NAME]},
        "layers": {"low": 1, "high": 2},
        "alpha": {"low": 0, "high": 1},
        "transformer": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
        two_layers.NAME: {"hidden_size": {"choices": [8, 16]}, "learning_rate": {"choices": [0.01, 0.1]}},
    }
    settings = {"head_size": 8, "epochs": 1.0, "evaluations": 1, "precision": "fp32", two_layers.NAME: {"epochs": 2.0}}
    done = bench(search=search, settings=settings, sampler={"kind": "tpe", "startup_trials": 2}, budget={"trials": 8})
    trials = done.run().trials()
    assert (StudyState.COMPLETE, [TrialState.COMPLETE] * 8) == (done.study().state, [trial.state for trial in trials])
    own = {f"{two_layers.NAME}.hidden_size", f"{two_layers.NAME}.learning_rate"}
    keys = {"transformer": {"layers", "transformer.learning_rate"}, two_layers.NAME: own}
    assert keys.keys() == {trial.params["family"] for trial in trials}
    for trial in trials:
        family = trial.params["family"]
        assert {"family", "alpha"} | keys[family] == trial.params.keys()
        values = {split(name)[1]: value for name, value in trial.params.items()}
        assert values == {key: trial.settings[key] for key in values}
        assert (2.0 if family == two_layers.NAME else 1.0) == trial.settings["epochs"]
        assert trial.known["params"] == trial.metrics["params"] > 0


@pytest.mark.parametrize("kind", ["tpe", "gp", "nsga2", "grid"])
def test_a_mixed_study_ends_with_every_sampler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The trials of both families, the baseline included, are learned from, and none has a key of the other."""
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())
    search = {
        "family": {"choices": ["transformer", "paper"]},
        "layers": {"low": 1, "high": 4},
        "alpha": {"choices": [0.0, 0.5, 1.0]},
        "paper": {"hidden_size": {"choices": [8, 16, 32]}, "batch_size": {"choices": [8, 16, 32, 64]}},
    }
    spec = study_spec(
        tmp_path,
        search=search,
        settings={"paper": {"alpha": 0.9}},
        baseline={"family": "paper", "hidden_size": 8, "layers": None, "learning_rate": None},
        budget={"trials": 9},
        sampler={"kind": kind, "startup_trials": 4},
    )
    one = Workbench(tmp_path, spec)
    try:
        trials = one.start().run().trials()
        assert (StudyState.COMPLETE, 9) == (one.study().state, len(trials))
        assert all(trial.state == TrialState.COMPLETE for trial in trials)
        keys = {"transformer": {"layers", "alpha"}, "paper": {"paper.hidden_size", "paper.batch_size"}}
        assert all({"family", *keys[trial.settings["family"]]} == trial.params.keys() for trial in trials)
        assert {0.9} == {trial.settings["alpha"] for trial in trials if trial.settings["family"] == "paper"}
        assert 9 == len(history(trials, spec))
    finally:
        one.close()


def test_tiny_families_are_searched_beside_transformers(bench: Make) -> None:
    """In the teacher's units and in words: sizes are known before training, and each trial reads its own units."""
    search = {"family": {"choices": ["transformer", "mlp", "bilstm"]}, "units": {"choices": ["teacher", "words"]}}
    settings = {
        "layers": 1,
        "hidden_size": 8,
        "head_size": 8,
        "epochs": 2.0,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "evaluations": 1,
        "precision": "fp32",
        "mlp": {"vocab_size": 30},
        "bilstm": {"vocab_size": 30},
    }
    metrics, grid, budget = {"stored": ["latency_ratio"]}, {"kind": "grid"}, {"trials": 6}
    done = bench(search=search, settings=settings, baseline={}, sampler=grid, metrics=metrics, budget=budget).run()
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


def test_a_fitted_family_is_searched_like_any_other(bench: Make) -> None:
    """With labels and with the teacher, over words and over its pieces: known sizes, scores, losses and checkpoints."""
    search = {"alpha": {"choices": [0.0, 0.5]}, "units": {"choices": ["auto", "teacher"]}}
    settings = {"family": "linear", "ngrams": 2, "min_count": 2, "C": 100.0}
    metrics, grid = {"stored": ["latency_ratio"]}, {"kind": "grid"}
    done = bench(
        search=search,
        settings=settings,
        baseline={"layers": None, "learning_rate": None},
        sampler=grid,
        metrics=metrics,
    ).run()
    assert (StudyState.COMPLETE, 4) == (done.study().state, len(done.trials()))
    prepared = Prepared.from_dict(done.study().prepared)
    assert all(2 == len(units.ngrams.at_least) for units in prepared.units.values())
    for trial in done.trials():
        assert trial.known["params"] == trial.metrics["params"] > 20
        with done.db.read() as session:
            [best] = [one for one in reads.checkpoints(session, trial_id=trial.id) if one.role == "best"]
            names = {*reads.series_ids(session, trial.study_id, trial.id)}
        assert 100.0 == best.metrics["accuracy"] == trial.metrics["accuracy"]
        assert load_model(done.workspace.absolute(best.folder)).units == (
            "words" if trial.settings["units"] == "auto" else ""
        )
        assert {"train/loss", "train/hard_loss", "search/accuracy"} <= names
        assert ("train/soft_loss" in names) == bool(trial.settings["alpha"])


def test_a_fitted_family_with_and_without_a_transfer_set(bench: Make) -> None:
    """Without it, the teacher's outputs for its texts are left alone; with it, its n-grams count too."""
    done = bench(
        {"baseline": None},
        transfer=[{"kind": "ngrams", "rows": 30}],
        search={"transfer_share": {"choices": [0.0, 0.5]}},
        settings={"family": "linear", "alpha": 0.5, "min_count": 1},
        sampler={"kind": "grid"},
    ).run()
    assert [TrialState.COMPLETE] * 2 == [trial.state for trial in done.trials()]
    without, with_set = sorted(done.trials(), key=lambda trial: trial.settings["transfer_share"])
    assert with_set.metrics["params"] >= without.metrics["params"] > 0


def test_a_third_task_is_scored_by_its_own_metric(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
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
    done = bench(
        task="topics", objectives=objectives, search=search, settings=settings, baseline={}, budget={"trials": 2}
    ).run()
    assert (StudyState.COMPLETE, 2) == (done.study().state, len(done.trials()))
    assert all(0 <= trial.metrics["hits"] <= 100 for trial in done.trials())
    assert "hits" in (done.study().prepared or {})["teacher_metrics"]


def test_students_with_and_without_a_transfer_set(bench: Make) -> None:
    """The teacher labels more texts; a share of 0 trains on the labelled ones alone."""
    done = bench(
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


TINY = {"family": "mlp", "epochs": 1.0, "evaluations": 1, "precision": "fp32", "learning_rate": 1e-2, "batch_size": 8}


def test_tiny_students_of_a_teacher_of_another_architecture(bench: Make, tmp_path: Path) -> None:
    """With another tokenizer, and fine-tuned here; its size is known for the chart."""
    folder = make_foreign(tmp_path / "teacher", "deberta-v2", LINES.splitlines(), ("no", "yes"))
    done = bench(
        {"settings": TINY},
        teacher={"model": str(folder)},
        search={"units": {"choices": ["teacher", "words"]}},
        student={"init": "teacher"},
        baseline={"layers": None, "learning_rate": None},
        sampler={"kind": "grid"},
        metrics={"stored": ["latency_ratio"]},
    ).run()
    assert (StudyState.COMPLETE, 2) == (done.study().state, len(done.trials()))
    assert all(trial.metrics["latency_ratio"] > 0 for trial in done.trials())
    facts = Prepared.from_dict(done.study().prepared)
    assert teacher_sizes(facts, done.spec.task)["params"] == facts.teacher_params > 0


def test_students_of_a_file(bench: Make, tmp_path: Path) -> None:
    """No model labels anything, and none is needed: neither for tiny students nor for encoders from scratch."""
    rows = [line.rsplit(";", 1) for line in LINES.splitlines()]
    lines = [{"text": text, "probabilities": [0.9, 0.1] if label == "no" else [0.1, 0.9]} for text, label in rows]
    (tmp_path / "llm.jsonl").write_text("\n".join(map(json.dumps, lines)))
    teacher = {"outputs": str(tmp_path / "llm.jsonl"), "hidden_size": 16, "head_size": 8, "layers": 1, "ffn_size": 16}
    settings = {key: value for key, value in TINY.items() if key != "family"} | {"head_size": 8, "layers": 1}
    done = bench(
        {"teacher": teacher, "settings": settings},
        search={"family": {"choices": ["mlp", "transformer"]}},
        baseline={"layers": 1, "learning_rate": 1e-2},
        sampler={"kind": "grid"},
    ).run()
    assert (StudyState.COMPLETE, 2) == (done.study().state, len(done.trials()))
    assert 100.0 == (done.study().prepared or {})["teacher_metrics"]["accuracy"]
