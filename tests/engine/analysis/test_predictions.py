"""Predictions beside golds, from a workspace with a finished trial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_spec

from bertdistill.engine.analysis.error_analysis import Classified, Question
from bertdistill.engine.analysis.passages import Passage
from bertdistill.engine.analysis.predictions import joined, read_predictions
from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ActionRefused, WorkerFailed
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.distill.data.examples import cut, digest, load_examples
from bertdistill.engine.study.config import dump
from bertdistill.store import writes
from bertdistill.store.db import open_db
from bertdistill.store.errors import NotFound
from bertdistill.store.rows import TrialState

GOLDS: dict[str, Any] = {
    "task": "question-answering",
    "labels": [],
    "rows": [{"id": "1", "article": "a", "question": "?", "golds": ["red"], "passage": "red", "starts": [0]}],
}


class Finished:
    """A study of texts with two trials; the best checkpoint of the first predicted `no` for all of them."""

    def __init__(self, folder: Path) -> None:
        spec = study_spec(folder, data={"search_fraction": 0.5})
        train = Path(spec.data.train)
        train.write_text("".join(f"text {i};{'yes' if i % 2 else 'no'}\n" for i in range(8)))
        _, search = cut(load_examples(spec.data, spec.task, "train", labels=("no", "yes")), spec.data)
        self.texts = search.rows
        self.workspace = Workspace((folder / "ws").resolve())
        self.checkpoint = self.workspace.path / "runs/toy/0000-1/checkpoints/best-00000003"
        self.checkpoint.mkdir(parents=True)
        self.predict({row.id: "no" for row in search.rows})
        paths = RunPaths(self.checkpoint.parents[1])
        AttemptSpec(
            kind="trial",
            study=spec.name,
            task=spec.task,
            data=spec.data,
            teacher=spec.teacher,
            student=spec.student,
            settings=spec.settings,
            device=Device(),
            caches=str(self.workspace.caches),
            prepared=Prepared(labels=("no", "yes"), search_digest=digest(search)),
        ).write(paths.spec)
        self.train = train
        self._fill(spec.name, spec.task, dump(spec))

    def _fill(self, name: str, task: str, spec: dict[str, Any]) -> None:
        db = open_db(self.workspace.path)
        with db.write() as session:
            study = writes.create_study(session, name=name, task=task, spec=spec, now=0.0)
            for number in (0, 1):
                trial = writes.create_trial(
                    session, study_id=study.id, origin="sampler", params={}, settings={}, known={}, now=0.0
                )
                writes.set_trial_state(session, trial.id, TrialState.RUNNING, now=1.0)
                attempt = writes.create_attempt(
                    session,
                    study_id=study.id,
                    trial_id=trial.id,
                    kind="trial",
                    folder=f"runs/toy/{number:04d}-1",
                    slot="cpu0",
                    now=1.0,
                )
                if number == 0:
                    writes.add_checkpoint(
                        session,
                        trial_id=trial.id,
                        attempt_id=attempt.id,
                        role="best",
                        step=3,
                        folder=self.workspace.relative(self.checkpoint),
                        sha256="0",
                        size_bytes=1,
                        metrics={},
                        now=2.0,
                    )
        db.close()

    def predict(self, texts: dict[str, str]) -> None:
        """Write the predictions."""
        (self.checkpoint / "predictions.json").write_text(json.dumps(texts))

    def drop(self) -> None:
        """Mark the checkpoint as removed."""
        db = open_db(self.workspace.path)
        with db.write() as session:
            writes.drop_checkpoint(session, 1, now=3.0)
        db.close()


@pytest.fixture
def finished(tmp_path: Path) -> Finished:
    """The workspace."""
    return Finished(tmp_path)


def test_texts_with_label_and_prediction(finished: Finished) -> None:
    """In the order of the data, with the names of the classes and the step of the checkpoint."""
    found = read_predictions(finished.workspace, "toy", 0)
    expected = [Classified(row.id, row.text, ("no", "yes")[row.label], "no") for row in finished.texts]
    assert (tuple(expected), ("no", "yes"), 3) == (found.texts, found.labels, found.step)


def test_a_trial_without_an_evaluation(finished: Finished) -> None:
    """It says in which state the trial is and when there will be predictions."""
    with pytest.raises(ActionRefused, match="toy/1 is running and was never evaluated") as caught:
        read_predictions(finished.workspace, "toy", 1)
    assert "first evaluation" in caught.value.hint


def test_a_removed_checkpoint(finished: Finished) -> None:
    """Its predictions went with it; the remedy is told."""
    finished.drop()
    with pytest.raises(ActionRefused, match="best checkpoint of toy/0 was removed") as caught:
        read_predictions(finished.workspace, "toy", 0)
    assert "Rerun the trial with another seed" in caught.value.hint


def test_no_such_trial(finished: Finished) -> None:
    """The numbers that there are."""
    with pytest.raises(NotFound, match="trial 9 does not exist"):
        read_predictions(finished.workspace, "toy", 9)


def test_missing_and_broken_prediction_files(finished: Finished) -> None:
    """Never a traceback."""
    path = finished.checkpoint / "predictions.json"
    for text in ("{", "[1]", "\udcff"):
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(ActionRefused):
            read_predictions(finished.workspace, "toy", 0)
    path.unlink()
    with pytest.raises(ActionRefused, match="cannot be read") as caught:
        read_predictions(finished.workspace, "toy", 0)
    assert "try again" in caught.value.hint


def test_data_that_are_gone(finished: Finished) -> None:
    """What the reading process said, on one line."""
    finished.train.unlink()
    with pytest.raises(WorkerFailed, match=r"train\.txt"):
        read_predictions(finished.workspace, "toy", 0)


def test_questions_are_joined_by_their_ids() -> None:
    """An abstention is the empty text."""
    found = joined(GOLDS, {"1": "", "2": "other"}, 5)
    assert (Question("1", "a", "?", ("red",), "", Passage("red", ((0, 3),))),) == found.questions


def test_the_place_of_an_answer_is_the_recorded_one() -> None:
    """What is no number is none; then the answer is looked for."""
    golds = {**GOLDS, "rows": [{**GOLDS["rows"][0], "passage": "red, blue or blue"}]}
    for starts, given, places in (({"1": 13}, (13, 17), 1), ({"1": "x"}, (5, 9), 2), (None, (5, 9), 2)):
        passage = joined(golds, {"1": "blue"}, 5, starts).questions[0].passage
        assert passage is not None
        assert (given, places) == (passage.given, passage.places)


def test_an_example_without_a_prediction() -> None:
    """Of other data: refused with the first id."""
    with pytest.raises(ActionRefused, match="1 of 1 examples have no prediction, for example '1'"):
        joined(GOLDS, {"2": "red"}, 5)
