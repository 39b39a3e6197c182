"""Word order of a study: one pass for one question, what it predicts, and what the families of the study showed."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.order_child import stay_here
from tests.order_study import order_workspace

from bertdistill.engine.analysis import difficulty
from bertdistill.engine.analysis.difficulty import family_scores, observed, predicted, read_hard, read_word_order
from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.contract.errors import ActionRefused, WorkerFailed
from bertdistill.engine.contract.facts import Prepared, Units
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.tasks.word_order import Shuffling
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db

THREE = Shuffling(shuffles=3)


@pytest.fixture(name="ws")
def _ws(tmp_path: Path) -> Workspace:
    return order_workspace(tmp_path)


def test_a_second_look_costs_no_pass(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for the teacher and one for a trial; then the same numbers without any, unless something differs."""
    first = read_word_order(ws, "order", None, THREE)
    stay_here(monkeypatch)
    trial = read_word_order(ws, "order", 0, THREE)
    assert (False, False) == (first.cached, trial.cached)
    assert 0 < first.found.wos < 1
    assert dataclasses.replace(first.found, cpu_seconds=0) == dataclasses.replace(trial.found, cpu_seconds=0)
    assert 2 == len(list((ws.caches / "word-order").glob("*.json")))
    monkeypatch.setattr(difficulty.subprocess, "run", fail)
    assert dataclasses.replace(first, cached=True) == read_word_order(ws, "order", None, THREE)
    assert dataclasses.replace(trial, cached=True) == read_word_order(ws, "order", 0, THREE)
    with pytest.raises(WorkerFailed):
        read_word_order(ws, "order", None, Shuffling(ngram=2, shuffles=3))
    path = tmp_path / "teacher" / "tokenizer.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(WorkerFailed):
        read_word_order(ws, "order", None, THREE)


def test_hard_examples_are_stored_by_example(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing before they are measured; then one flag for each validation example, without another pass."""
    assert None is read_hard(ws, "order")
    found = read_hard(ws, "order", measure=True)
    assert found is not None
    assert 0 < sum(found) < len(found)
    monkeypatch.setattr(difficulty, "MODULE", "nothing.that.could.run")
    assert found == read_hard(ws, "order") == read_hard(ws, "order", measure=True)


def test_what_has_no_model_is_refused(ws: Workspace, tmp_path: Path) -> None:
    """A trial that was never evaluated, and a teacher that is gone; each with what to do."""
    with pytest.raises(ActionRefused, match="order/1 is waiting and has no best checkpoint") as raised:
        read_word_order(ws, "order", 1, THREE)
    assert "rerun" in raised.value.hint
    (tmp_path / "teacher").rename(tmp_path / "elsewhere")
    with pytest.raises(ActionRefused, match=r"the teacher's folder is gone: .*teacher"):
        read_word_order(ws, "order", None, THREE)
    assert None is read_hard(ws, "order")
    with pytest.raises(ActionRefused, match="is gone"):
        read_hard(ws, "order", measure=True)


def test_a_teacher_that_is_a_file_reads_no_shuffled_texts(ws: Workspace) -> None:
    """Its students do."""
    db = open_db(ws.path)
    with db.write() as session:
        facts = Prepared.from_dict(reads.study(session, "order").prepared)
        units = {"": Units(tokenizer=facts.teacher_folder)}
        writes.set_prepared(session, 1, dataclasses.replace(facts, teacher_folder="", units=units).to_dict())
    db.close()
    with pytest.raises(ActionRefused, match="its teacher is a file") as raised:
        read_word_order(ws, "order", None, THREE)
    assert "--trial" in raised.value.hint
    assert None is read_hard(ws, "order")
    assert 0 < read_word_order(ws, "order", 0, THREE).found.wos < 1


def fail(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
    """A child that cannot run."""
    return subprocess.CompletedProcess(command, 1, "", "")


def test_changed_data_are_reported_by_the_child(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its words, not as a traceback."""
    stay_here(monkeypatch)
    path = tmp_path / "train.tsv"
    path.write_text(path.read_text().replace("film", "story"))
    with pytest.raises(WorkerFailed, match="changed since the study was prepared"):
        read_word_order(ws, "order", None, THREE)


# ---------------------------------------------------------------------------------------------- prediction and outcome


def outcome(number: int, family: str, score: float | None, *, complete: bool = True) -> Outcome:
    return Outcome(number, {}, {"accuracy": score, "params": 10.0 * number}, {"family": family}, complete)


TRIALS = (
    outcome(0, "transformer", 90.0),
    outcome(1, "mlp", 84.0),
    outcome(2, "mlp", 86.5),
    outcome(3, "linear", 80.0),
    outcome(4, "bilstm", None),
    outcome(5, "bilstm", 99.0, complete=False),
)


def test_the_best_trial_of_every_family() -> None:
    """Best first, with the distance to the teacher; a family without a complete trial is not there."""
    found = family_scores(TRIALS, "accuracy", 91.0)
    assert [("transformer", 0, -1.0), ("mlp", 2, -4.5), ("linear", 3, -11.0)] == [
        (row.family, row.trial, row.difference) for row in found
    ]
    assert [None] * 3 == [row.difference for row in family_scores(TRIALS, "accuracy", None)]


@pytest.mark.parametrize(
    ("wos", "teacher_score", "said"),
    [
        (0.2, 91.0, "The study disagrees: the best of the simpler students, mlp (trial 2), loses 4.50 points to the"),
        (0.2, 87.0, "The study agrees: the best of the simpler students, mlp (trial 2), is within 1 point of the"),
        (0.5, 91.0, "The study agrees"),
        (0.5, 87.0, "The study disagrees"),
    ],
)
def test_a_prediction_meets_what_was_true(wos: float, teacher_score: float, said: str) -> None:
    """Low: a student that hardly knows order is enough; high: it is not."""
    assert ("bag of words" in predicted(wos)) == (wos < 0.3)
    assert ("an encoder is needed" in predicted(wos)) == (wos >= 0.3)
    assert observed(wos, family_scores(TRIALS, "accuracy", teacher_score)).startswith(said)


def test_without_another_family_nothing_was_shown() -> None:
    """Encoders alone, which a bottleneck is too, prove nothing about smaller students."""
    assert "" == observed(0.2, family_scores((TRIALS[0], outcome(6, "bottleneck", 90.5)), "accuracy", 91.0))
    assert "" == observed(0.2, family_scores(TRIALS, "accuracy", None))
