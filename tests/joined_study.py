"""A finished study of three trials with stored outputs, as workers leave it; no worker runs and nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.fakes import study_spec
from tests.stored import best_checkpoint

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import CLASS_LOGITS
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.study.config import dump
from bertdistill.store import writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import TrialState

COUNT = 400
SKILLS = {0: 0.6, 1: 1.1, 2: 1.6}
"""Of the trials: how far the right logit stands out."""
COSTS = {0: 0.5, 1: 2.0, 2: 5.0}
TEACHER_SKILL, TEACHER_COST = 2.4, 20.0


def logits(truth: Any, skill: float) -> Any:
    """Logits of a model of this skill, float32."""
    noise = np.random.default_rng(int(1000 * skill)).normal(size=(len(truth), 2))
    return (skill * np.eye(2)[truth] + noise).astype(np.float32)


@dataclass(frozen=True)
class JoinedStudy:
    """The study `toy` in its workspace."""

    workspace: Workspace
    truth: Any

    def folder(self, number: int) -> Path:
        """The best checkpoint of a trial."""
        return self.workspace.path / f"runs/toy/{number:04d}-1/checkpoints/best-00000003"


def make(
    root: Path, families: Mapping[int, str] | None = None, own: Mapping[str, Any] | None = None, **facts: Any
) -> JoinedStudy:
    """Write the workspace; `facts` replace some of the preparation; `families` and `own` those of trials."""
    spec = study_spec(root, objectives=[{"metric": "accuracy"}, {"metric": "latency_cpu_ms"}], baseline={})
    workspace = Workspace((root / "ws").resolve())
    workspace.make()
    truth = np.random.default_rng(7).integers(2, size=COUNT)
    made = JoinedStudy(workspace, truth)
    split, outputs = workspace.caches / "features" / "s", workspace.caches / "outputs" / "t"
    for folder in (split, outputs):
        folder.mkdir(parents=True)
    np.save(split / "targets.npy", truth.astype(np.int32))
    np.save(outputs / CLASS_LOGITS, logits(truth, TEACHER_SKILL))
    prepared = (
        Prepared(
            search_examples=COUNT,
            labels=("no", "yes"),
            features={"search": str(split)},
            search_outputs=str(outputs),
            teacher_metrics={"accuracy": _accuracy(truth, TEACHER_SKILL)},
            teacher_costs={"latency_cpu_ms": TEACHER_COST},
            tokenizer_ms={"": 0.1},
        ).to_dict()
        | facts
    )
    db = open_db(workspace.path)
    with db.write() as session:
        study = writes.create_study(session, name="toy", task=spec.task, spec=dump(spec), now=0.0)
        writes.set_prepared(session, study.id, prepared)
        for number, skill in SKILLS.items():
            settings = {"family": families[number], **(own or {})} if families and number in families else {}
            _add_trial(session, made, study.id, number, skill, settings)
    db.close()
    return made


def _add_trial(
    session: Any, made: JoinedStudy, study_id: int, number: int, skill: float, settings: dict[str, Any]
) -> None:
    metrics = {"accuracy": _accuracy(made.truth, skill), "latency_cpu_ms": COSTS[number]}
    params = {"layers": number + 1}
    trial = writes.create_trial(
        session, study_id=study_id, origin="sampler", params=params, settings=settings, known={}, now=0.0
    )
    writes.set_trial_state(session, trial.id, TrialState.RUNNING, now=1.0)
    folder = made.folder(number)
    folder.mkdir(parents=True)
    np.save(folder / CLASS_LOGITS, logits(made.truth, skill))
    run = f"runs/toy/{number:04d}-1"
    best_checkpoint(session, trial, run, made.workspace.relative(folder), step=3, metrics=metrics)
    writes.set_trial_metrics(session, trial.id, metrics)
    writes.set_trial_state(session, trial.id, TrialState.COMPLETE, now=3.0)


def _accuracy(truth: Any, skill: float) -> float:
    return 100 * float((logits(truth, skill).argmax(1) == truth).mean())
