"""A workspace with one small study in every state that the commands must show. No worker has run; the rows are real."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.kept import Kept, new_db

from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.rows import StudyState, TrialState
from bertdistill.store.writing import Writing

NOW = 1_700_000_000.0


def spec_dict(train: Path, name: str = "demo") -> dict[str, Any]:
    """A study file as nested dicts: scratch students, two objectives, a threshold and a reference point."""
    return {
        "name": name,
        "task": "question-answering",
        "data": {
            "train": str(train),
            "report": str(train.with_name("report.json")),
            "max_length": 64,
            "doc_stride": 16,
            "max_question_length": 16,
        },
        "teacher": {
            "model": "scratch",
            "layers": 2,
            "hidden_size": 64,
            "ffn_size": 128,
            "head_size": 16,
            "vocab_size": 500,
            "fine_tune": {"epochs": 1.0},
        },
        "student": {"init": "scratch"},
        "settings": {"ffn_size": 64, "head_size": 8, "epochs": 2.0},
        "search": {
            "layers": {"low": 1, "high": 2},
            "hidden_size": {"choices": [16, 32, 64]},
            "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        },
        "objectives": [
            {"metric": "exact", "direction": "maximize", "threshold": 20.0},
            {"metric": "params", "direction": "minimize"},
        ],
        "metrics": {"stored": ["latency_ms"]},
        "baseline": {"layers": 2, "hidden_size": 64, "learning_rate": 1e-3},
        "budget": {"trials": 8},
        "references": [{"name": "published", "metrics": {"exact": 60.0, "params": 50_000}}],
    }


def squad_file(path: Path, articles: int = 4) -> Path:
    """A SQuAD 2.0 file with an answerable and an unanswerable question an article, and `report.json` beside it."""
    data = [
        {
            "title": f"t{i}",
            "paragraphs": [
                {
                    "context": f"Box {i} is red.",
                    "qas": [
                        {"id": f"a{i}", "question": "Colour?", "answers": [{"text": "red", "answer_start": 9}]}
                        | {"is_impossible": False},
                        {"id": f"b{i}", "question": "Weight?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
        for i in range(articles)
    ]
    text = json.dumps({"version": "v2.0", "data": data})
    path.write_text(text)
    path.with_name("report.json").write_text(text)
    return path


@pytest.fixture
def raw_spec(tmp_path: Path) -> dict[str, Any]:
    """The study of the sample workspace as nested dicts, to be changed by a test."""
    return spec_dict(squad_file(tmp_path / "train.json"))


@pytest.fixture
def spec(raw_spec: dict[str, Any]) -> StudySpec:
    """The study of the sample workspace."""
    return study_from_dict(raw_spec, where="test")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The sample workspace, made once, because filling it takes its time."""
    folder = tmp_path_factory.mktemp("sample")
    workspace = Workspace(folder / "runs")
    with closing(new_db(workspace.path)) as db:
        fill(db, study_from_dict(spec_dict(squad_file(folder / "train.json")), where="test"))
        return Kept(workspace, db, folder)


@pytest.fixture
def ws(tmp_path: Path, raw_spec: dict[str, Any], sample: Kept) -> Workspace:
    """The sample workspace, closed; its study is `raw_spec`."""
    found = Workspace(tmp_path / "runs")
    sample.restore(found, tmp_path)
    return found


@pytest.fixture
def db(ws: Workspace) -> Iterator[Database]:
    """Its database, read-only."""
    opened = open_db(ws.path, read_only=True)
    yield opened
    opened.close()


@pytest.fixture
def edit(ws: Workspace) -> Callable[[Callable[[Writing], Any]], Any]:
    """Change the sample workspace behind the app's back, as its runner does: one writing transaction a call."""

    def change(work: Callable[[Writing], Any]) -> Any:
        db = open_db(ws.path)
        try:
            with db.write() as session:
                return work(session)
        finally:
            db.close()

    return change


def fill(db: Database, spec: StudySpec) -> None:
    """Trials 0 to 7: baseline, two on the frontier, dominated, under the threshold, killed, running, rerun of 1."""
    with db.write() as session:
        study = writes.create_study(session, name=spec.name, task=spec.task, spec=dump(spec), now=NOW)
        study_id = study.id
        writes.set_study_state(session, study_id, StudyState.RUNNING, now=NOW)
        writes.set_prepared(session, study_id, {"teacher_metrics": {"exact": 95.0}})
        ids: list[int] = []

        def trial(params: dict[str, Any], size: int, origin: str = "sampler", parent: int | None = None) -> int:
            settings = dataclasses.asdict(dataclasses.replace(spec.settings, **params))
            made = writes.create_trial(
                session,
                study_id=study_id,
                origin=origin,
                params=params,
                settings=settings,
                known={"params": size, "size_mb": size * 4 / 1e6},
                now=NOW + len(ids),
                parent_id=parent,
                proposal_seed=7,
                sampler="tpe" if origin == "sampler" else "",
            )
            ids.append(made.id)
            writes.set_trial_state(session, ids[-1], TrialState.RUNNING, now=NOW + len(ids))
            return ids[-1]

        def done(trial_id: int, exact: float | None, state: TrialState = TrialState.COMPLETE, **more: Any) -> None:
            writes.set_trial_metrics(session, trial_id, {"exact": exact, "latency_ms": 1.5}, progress=1.0)
            writes.set_trial_state(session, trial_id, state, now=NOW + 100 + trial_id, **more)

        done(trial({"layers": 2, "hidden_size": 64, "learning_rate": 1e-3}, 120_000, "baseline"), 90.0)
        first = trial({"layers": 1, "hidden_size": 64, "learning_rate": 1e-3}, 80_000)
        done(first, 88.0)
        done(trial({"layers": 1, "hidden_size": 16, "learning_rate": 2e-3}, 15_000), 50.0)
        done(trial({"layers": 2, "hidden_size": 32, "learning_rate": 1e-4}, 90_000), 70.0)
        done(trial({"layers": 1, "hidden_size": 16, "learning_rate": 1e-4}, 14_000), 5.0)
        killed = trial({"layers": 2, "hidden_size": 64, "learning_rate": 9e-3}, 120_000)
        done(killed, None, TrialState.FAILED, reason="killed_by_signal_9", detail="\x1b]52;c;AAAA\x07[/red] gone")
        running = trial({"layers": 1, "hidden_size": 32, "learning_rate": 3e-3}, 40_000)
        writes.set_trial_metrics(session, running, {"exact": 30.0}, progress=0.5)
        done(trial({"layers": 1, "hidden_size": 64, "learning_rate": 2e-3}, 80_000, "rerun", first), 86.0)
        for trial_id, exit_class in ((killed, "killed_by_signal_9"), (running, "")):
            attempt = writes.create_attempt(
                session,
                study_id=study_id,
                trial_id=trial_id,
                kind="trial",
                folder=f"runs/demo/{trial_id}-1",
                slot="cpu0",
                now=NOW,
            )
            if exit_class:
                writes.end_attempt(
                    session,
                    attempt.id,
                    now=NOW + 30,
                    exit_class=exit_class,
                    exit_signal=9,
                    log_tail="line one\nout of \x1b[31mluck\n",
                )
            else:
                writes.set_attempt_progress(
                    session, attempt.id, phase="train", done=50, total=100, rate=12.5, unit="examples"
                )
                writes.store_points(
                    session, study_id, trial_id, [("train/loss", 1, 2.0, NOW), ("train/loss", 2, None, NOW)]
                )
        writes.add_notice(session, level="warning", text="disk is \x1b[2Jlow", now=NOW, study_id=study_id)
