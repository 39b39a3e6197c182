"""What a model scores that never looks at its input, and teachers that are no better."""

from __future__ import annotations

import pytest

from bertdistill.engine.distill.data.chance import chance, chance_scores, weak_teacher
from bertdistill.engine.distill.data.examples import Examples, QAExample, TextExample

TEXTS = Examples("text-classification", [TextExample(str(i), "x", None, i % 3 % 2) for i in range(6)], ("a", "b"))


def questions(*impossible: bool) -> Examples:
    """Questions with and without an answer."""
    rows = [
        QAExample(str(i), "", "?", "c", () if no else ("c",), () if no else (0,), no) for i, no in enumerate(impossible)
    ]
    return Examples("question-answering", rows)


def test_chance_is_the_majority_or_the_share_without_answer() -> None:
    """Where every question has an answer, there is nothing to score without reading."""
    assert ("accuracy", pytest.approx(100 * 4 / 6), "always answers 'a'") == chance(TEXTS)
    assert ("exact", 25.0, "never answers") == chance(questions(True, False, False, False))
    assert chance(questions(False, False)) is None


@pytest.mark.parametrize(("accuracy", "weak"), [(0.0, True), (100 * 4 / 6, True), (66.7, False), (100.0, False)])
def test_a_teacher_at_or_below_chance_is_weak(accuracy: float, weak: bool) -> None:
    """In one sentence with both numbers and what to look at."""
    said = weak_teacher({"accuracy": accuracy}, TEXTS)
    assert weak == bool(said)
    assert not weak or ("66.67" in said and "data.labels" in said)


def test_questions_say_nothing_of_labels() -> None:
    """They have none."""
    said = weak_teacher({"exact": 25.0}, questions(True, False, False, False))
    assert "never answers reaches 25.00" in said
    assert "labels" not in said
    assert "" == weak_teacher({"exact": 0.0}, questions(False))


def test_every_score_of_such_a_model() -> None:
    """The macro F1 is that of naming the most frequent of the labels, as scikit-learn counts it."""
    rows = [TextExample(str(i), "x", None, label) for i, label in enumerate((0, 0, 1, 2))]
    scores = chance_scores(Examples("text-classification", rows, ("a", "b", "c")))
    assert {"accuracy": 50.0, "macro_f1": pytest.approx(100 * (2 / 3) / 3), "matthews": 0.0} == scores
    assert {"exact": 25.0, "f1": 25.0} == chance_scores(questions(True, False, False, False))
    assert {} == chance_scores(questions(False, False))
