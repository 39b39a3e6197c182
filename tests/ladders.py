"""A workspace whose study stands on a ladder: students of two families with stored predictions. No worker has run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tests.fakes import study_spec
from tests.stored import best_checkpoint

from bertdistill.engine.analysis.cascade_inputs import TARGETS
from bertdistill.engine.analysis.report_cache import FOLDER, SCORES, report_key
from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import CLASS_LOGITS, RunPaths
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.distill.data.examples import cut, digest, load_examples
from bertdistill.engine.study.config import dump
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import TrialState
from bertdistill.store.writing import Writing

LABELS = ("no", "yes")
ROWS = 400
"""Half of them are the validation split."""
REPORT_ROWS = 300

STUDENTS: tuple[dict[str, Any], ...] = (
    {"family": "transformer", "alpha": 0.0, "layers": 2, "params": 200_000, "wrong": 12},
    {"family": "tagger", "alpha": 0.0, "params": 9_000, "wrong": 40},
    {"family": "tagger", "alpha": 1.0, "seed": 1, "params": 9_000, "wrong": 12},
    {"family": "tagger", "alpha": 1.0, "seed": 2, "params": 9_000, "wrong": 16},
    {"family": "tagger", "alpha": 1.0, "seed": 1, "layers": 1, "params": 8_000, "wrong": 30},
)
"""Settings, size, and how many of 200 validation examples are wrong; the second family is known to no table."""


class Climbed:
    """The study `toy` with these students and a teacher with 10 errors of 200."""

    def __init__(self, folder: Path, name: str = "toy", **sections: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        references = [{"name": "published", "metrics": {"accuracy": 97.5, "params": 66e6}}]
        self.spec = study_spec(folder, name=name, data={"search_fraction": 0.5}, references=references, **sections)
        for path, count in ((self.spec.data.train, ROWS), (self.spec.data.report, REPORT_ROWS)):
            Path(path).write_text("".join(f"text {i};{LABELS[i % 2]}\n" for i in range(count)))
        _, self.search = cut(load_examples(self.spec.data, self.spec.task, "train", labels=LABELS), self.spec.data)
        self.workspace = Workspace((folder / "ws").resolve())
        self.prepared = Prepared(
            labels=LABELS,
            search_digest=digest(self.search),
            search_examples=len(self.search),
            teacher_metrics={"accuracy": 95.0},
            teacher_folder=str(folder / "teacher"),
            outputs=str(self.workspace.caches / "outputs" / "0123abcd"),
        )
        db = open_db(self.workspace.path)
        with db.write() as session:
            study = writes.create_study(session, name=name, task=self.spec.task, spec=dump(self.spec), now=0.0)
            writes.set_prepared(session, study.id, self.prepared.to_dict())
            for number, student in enumerate(STUDENTS):
                self._trial(session, study.id, number, student)
        db.close()

    def _trial(self, session: Writing, study_id: int, number: int, student: Mapping[str, Any]) -> None:
        given = {key: value for key, value in student.items() if key not in ("params", "wrong")}
        trial = writes.create_trial(
            session,
            study_id=study_id,
            origin="sampler",
            params={},
            settings=dataclasses.asdict(self.spec.settings) | given,
            known={
                "params": student["params"],
                "size_mb": student["params"] * 4e-6,
                "compression": 1_000_000 / student["params"],
            },
            now=0.0,
        )
        writes.set_trial_state(session, trial.id, TrialState.RUNNING, now=1.0)
        wrong = {row.id for row in self.search.rows[: student["wrong"]]}
        accuracy = 100 * (1 - len(wrong) / len(self.search))
        writes.set_trial_metrics(session, trial.id, {"accuracy": accuracy, "latency_ratio": 0.25}, progress=1.0)
        writes.set_trial_state(session, trial.id, TrialState.COMPLETE, now=2.0)
        paths = RunPaths(self.workspace.attempt_folder(self.spec.name, number, 1, "trial"))
        best = paths.checkpoints / "best-1"
        best.mkdir(parents=True)
        given_labels = {row.id: LABELS[row.label ^ (row.id in wrong)] for row in self.search.rows}
        (best / "predictions.json").write_text(json.dumps(given_labels))
        folder = self.workspace.relative(paths.folder)
        best_checkpoint(
            session,
            trial,
            folder,
            self.workspace.relative(best),
            metrics={"accuracy": accuracy},
            sha256=f"weights {number}",
        )
        AttemptSpec(
            kind="trial",
            study=self.spec.name,
            task=self.spec.task,
            data=self.spec.data,
            teacher=self.spec.teacher,
            student=self.spec.student,
            settings=self.spec.settings,
            device=Device(),
            caches=str(self.workspace.caches),
            prepared=self.prepared,
        ).write(paths.spec)

    def teacher_predicted(self, wrong: int = 10) -> None:
        """Store the teacher's logits of the validation split: its last `wrong` predictions are errors."""
        targets, outputs = (self.workspace.caches / kind / "fedc" for kind in ("features", "outputs"))
        truth = np.array([row.label for row in self.search.rows])
        chosen = truth ^ (np.arange(len(truth)) >= len(truth) - wrong)
        for folder, name, array in ((targets, TARGETS, truth), (outputs, CLASS_LOGITS, np.eye(2)[chosen])):
            folder.mkdir(parents=True)
            np.save(folder / name, array)
        facts = dataclasses.replace(self.prepared, features={"search": str(targets)}, search_outputs=str(outputs))
        db = open_db(self.workspace.path)
        with db.write() as session:
            writes.set_prepared(session, reads.study(session, self.spec.name).id, facts.to_dict())
        db.close()

    def scored_on_report(self, wrong: Mapping[str, int], examples: str = "the report split") -> None:
        """Store what models scored on the report split, by what identifies their weights."""
        truth = [i % 2 for i in range(REPORT_ROWS)]
        for weights, count in wrong.items():
            chosen = [label ^ (i < count) for i, label in enumerate(truth)]
            folder = self.workspace.caches / FOLDER / report_key(self.spec.data, weights)
            folder.mkdir(parents=True, exist_ok=True)
            raw = {
                "digest": examples,
                "examples": REPORT_ROWS,
                "scores": {"accuracy": 100 * (1 - count / REPORT_ROWS)},
                "judged": {"classes": 2, "truth": truth, "chosen": chosen},
            }
            (folder / SCORES).write_text(json.dumps(raw))


TEACHER_WEIGHTS = "teacher 0123abcd"
REPORTED = {"weights 0": 20, "weights 1": 70, "weights 2": 30, "weights 3": 33, TEACHER_WEIGHTS: 15}
"""Errors of the ladder's models among 300 report examples."""
