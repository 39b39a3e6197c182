"""Classes of answers and the confusion of labels."""

from __future__ import annotations

import pytest

from bertdistill.engine.analysis.error_analysis import CLASSES, Classified, Question, confusion, judge, question_errors
from bertdistill.engine.tasks import squad


def asked(prediction: str, *golds: str, article: str = "a", key: str = "q") -> Question:
    """A question with its golds and the answer given."""
    return Question(key, article, "?", golds, prediction)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        (asked("The Red box!", "red box", "crate"), "right"),
        (asked(""), "right"),
        (asked("the"), "right"),  # officially nothing is left of it
        (asked("", "the"), "right"),  # officially this question has an empty answer
        (asked("in the 1890s", "1890s"), "mostly_correct"),
        (asked("one two three four five", "five six"), "mostly_wrong"),
        (asked("blue", "red"), "mostly_wrong"),
        (asked("the", "red"), "mostly_wrong"),
        (asked("", "red"), "not_answered"),
        (asked("  ", "red"), "not_answered"),
        (asked("red"), "answered"),
    ],
)
def test_classes(question: Question, kind: str) -> None:
    """Right is the official exact match; the rest follows from what there is to answer and what was given."""
    assert kind == judge(question).kind


def test_the_cut_is_inclusive_and_can_be_moved() -> None:
    """An F1 of exactly one half."""
    question = asked("one two", "two three")
    assert 0.5 == judge(question).f1
    assert ["mostly_correct", "mostly_wrong"] == [judge(question, cut).kind for cut in (0.5, 0.51)]


def test_right_is_the_exact_metric() -> None:
    """The share of right answers is what the official evaluator calls exact."""
    questions = [asked("a b", "a b", key="1"), asked("b", "c", key="2"), asked("", key="3"), asked("x", key="4")]
    scores = squad.score_v2([(q.id, q.golds) for q in questions], {q.id: q.prediction for q in questions}, None)
    assert scores.all.exact == question_errors(questions).overall.share("right")


def test_articles_with_the_worst_first() -> None:
    """Every class is in every tally, and the tallies add up."""
    questions = [asked("x", "x", article="good"), asked("x", "y", article="bad"), asked("", "y", article="bad")]
    found = question_errors(questions)
    assert ["bad", "good"] == [tally.article for tally in found.articles]
    assert list(CLASSES) == list(found.articles[0].counts)
    assert found.overall.counts == {k: sum(tally.counts[k] for tally in found.articles) for k in CLASSES}


def test_histogram_counts_wrong_answers_only() -> None:
    """By F1 in tenths: right ones and abstentions are not in it."""
    found = question_errors([asked("x", "y"), asked("one two", "two three"), asked("x", "x"), asked("", "y")])
    assert (1, 0, 0, 0, 0, 1, 0, 0, 0, 0) == found.histogram


def test_no_question() -> None:
    """No division by nothing."""
    assert (0, 0.0) == (question_errors([]).overall.total, question_errors([]).overall.share("right"))


def test_confusion_by_hand() -> None:
    """Rows are what is, columns what was given; precision looks down, recall across."""
    pairs = [("yes", "yes"), ("yes", "no"), ("yes", "yes"), ("no", "no"), ("no", "yes")]
    found = confusion([Classified(str(i), "t", is_, given) for i, (is_, given) in enumerate(pairs)], ("no", "yes"))
    assert ((1, 1), (1, 2)) == found.counts
    assert 60.0 == found.accuracy
    no, yes = found.classes
    assert (50.0, 50.0, 50.0, 2) == (no.precision, no.recall, no.f1, no.total)
    assert (pytest.approx(66.67, abs=0.01),) * 3 == (yes.precision, yes.recall, yes.f1)


def test_confusion_agrees_with_scikit_learn() -> None:
    """Three classes, one of them never right."""
    from sklearn.metrics import precision_recall_fscore_support

    truth, given = list("aabbccab"), list("abbbaaab")
    found = confusion([Classified("", "", t, g) for t, g in zip(truth, given, strict=True)], "abc")
    precision, recall, f1, total = precision_recall_fscore_support(truth, given, labels=list("abc"), zero_division=0)
    assert list(total) == [one.total for one in found.classes]
    assert pytest.approx(list(100 * precision)) == [one.precision or 0.0 for one in found.classes]
    assert pytest.approx(list(100 * recall)) == [one.recall for one in found.classes]
    assert pytest.approx(list(100 * f1)) == [one.f1 for one in found.classes]


def test_a_class_that_was_never_given_or_never_is() -> None:
    """No share of nothing."""
    found = confusion([Classified("1", "t", "a", "b")], ("a", "b", "c"))
    assert [(None, 0.0), (0.0, None), (None, None)] == [(one.precision, one.recall) for one in found.classes]


def test_an_unknown_label_is_refused() -> None:
    """A prediction file of another study."""
    with pytest.raises(ValueError, match="'x' is not one of the labels a, b"):
        confusion([Classified("1", "t", "a", "x")], ("a", "b"))
