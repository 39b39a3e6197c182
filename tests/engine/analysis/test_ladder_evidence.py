"""What is known of the trials on a ladder, read from a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.ladders import REPORTED, TEACHER_WEIGHTS, Climbed

from bertdistill.engine.analysis.cascade_inputs import TARGETS
from bertdistill.engine.analysis.ladder_evidence import read_known, report_split, scorable, validation_statistics
from bertdistill.engine.analysis.report_cache import FOLDER, SCORES, read_scores, report_key
from bertdistill.engine.analysis.scored import TEACHER, Split
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import Study


@pytest.fixture
def climbed(tmp_path: Path) -> Climbed:
    """The workspace."""
    return Climbed(tmp_path)


def report(climbed: Climbed) -> Split:
    """What is known of the report split for trials 0 to 3."""
    known = read_known(climbed.workspace, "toy", range(4))
    models = scorable(climbed.workspace, known, climbed.spec, climbed.prepared)
    return report_split(climbed.workspace, known, models, "accuracy")


def study_of(climbed: Climbed) -> Study:
    """Its row."""
    db = open_db(climbed.workspace.path, read_only=True)
    try:
        with db.read() as session:
            return reads.study(session, "toy")
    finally:
        db.close()


def test_the_teacher_is_judged_on_the_same_examples(climbed: Climbed) -> None:
    """From its stored logits; labels in another order mean other examples, which cannot be paired."""
    climbed.teacher_predicted(wrong=10)
    study = study_of(climbed)
    found = validation_statistics(climbed.workspace, study, [0])
    assert pytest.approx(95.0) == found[TEACHER](np.ones(200))["accuracy"]
    targets = climbed.workspace.caches / "features" / "fedc" / TARGETS
    np.save(targets, np.load(targets)[::-1])
    assert {0} == set(validation_statistics(climbed.workspace, study, [0]))


def test_statistics_of_stored_predictions(climbed: Climbed) -> None:
    """They give the recorded scores; a trial whose predictions are gone has none."""
    (climbed.workspace.path / "runs/toy/0003-1/checkpoints/best-1/predictions.json").unlink()
    found = validation_statistics(climbed.workspace, study_of(climbed), [0, 1, 3])
    weights = np.ones(200)
    assert {0: 94.0, 1: 80.0} == {number: round(one(weights)["accuracy"], 6) for number, one in found.items()}


def test_data_that_is_gone(climbed: Climbed) -> None:
    """The error names it."""
    Path(climbed.spec.data.train).unlink()
    with pytest.raises(WorkerFailed, match=r"train\.txt"):
        validation_statistics(climbed.workspace, study_of(climbed), [0])


def test_the_teacher_and_every_checkpoint_can_be_scored(climbed: Climbed) -> None:
    """Weights decide about the key; a checkpoint that was removed cannot be scored."""
    db = open_db(climbed.workspace.path)
    with db.write() as session:
        [last] = [one for one in reads.checkpoints(session) if one.sha256 == "weights 3"]
        writes.drop_checkpoint(session, last.id, now=3.0)
    db.close()
    known = read_known(climbed.workspace, "toy", range(4))
    models = scorable(climbed.workspace, known, climbed.spec, climbed.prepared)
    assert [TEACHER, 0, 1, 2] == list(models)
    assert 4 == len({one.key for one in models.values()})
    assert report_key(climbed.spec.data, TEACHER_WEIGHTS) == models[TEACHER].key


def test_scores_on_the_report_split(climbed: Climbed) -> None:
    """With predictions, so that differences can be paired."""
    climbed.scored_on_report(REPORTED)
    found = report(climbed)
    assert (300, {0, 1, 2, 3, TEACHER}, set(found.scores)) == (found.examples, set(found.scores), set(found.statistics))
    assert (pytest.approx(95.0), pytest.approx(90.0)) == (found.scores[TEACHER], found.scores[2])


def test_another_report_file_has_other_scores(climbed: Climbed) -> None:
    """What was scored on the old one is not shown."""
    climbed.scored_on_report(REPORTED)
    Path(climbed.spec.data.report).write_text("text;no\ntext;yes\n")
    assert {} == report(climbed).scores


def test_results_on_other_examples_are_left_out(climbed: Climbed) -> None:
    """A data set of the Hub may have changed between two evaluations."""
    climbed.scored_on_report({weights: wrong for weights, wrong in REPORTED.items() if weights != "weights 2"})
    climbed.scored_on_report({"weights 2": 0}, examples="another version")
    assert {0, 1, 3, TEACHER} == set(report(climbed).scores)


def promoted(climbed: Climbed, name: str, score: float, **facts: Any) -> None:
    """A verified model of trial 2."""
    db = open_db(climbed.workspace.path)
    with db.write() as session:
        trial = reads.trial(session, 1, 2)
        best = reads.best_checkpoint(session, trial.id)
        assert best is not None
        version = writes.create_model_version(
            session, name=name, trial_id=trial.id, checkpoint_id=best.id, who="me", now=3.0
        )
        facts |= {"intervals": {"accuracy": [score - 4, score + 3]}, "report_examples": 300}
        writes.finish_model_version(
            session, version.id, state="verified", now=score, metrics={"accuracy": score}, report=facts
        )
    db.close()


def test_a_promoted_trial_brings_its_score_along(climbed: Climbed) -> None:
    """With the interval that its verification computed; the score of a cascade is not that of its first member."""
    promoted(climbed, "small", 89.0)
    promoted(climbed, "both", 99.0, cascade={"share": 1.0})
    found = report(climbed)
    assert (300, {2: 89.0}, {2: (85.0, 92.0)}) == (found.examples, found.scores, found.intervals)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"digest": 1, "examples": "x", "scores": {}, "judged": {}}'])
def test_a_result_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """There is none."""
    folder = tmp_path / FOLDER / "key"
    folder.mkdir(parents=True)
    (folder / SCORES).write_text(text)
    assert read_scores(tmp_path, "key") is None
