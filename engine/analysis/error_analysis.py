"""Where a trial is wrong: questions by kind of error, overall and per article, and confusion of class labels.

Pure: golds and predictions are passed in. "Mostly correct" is this project's own definition: the
original experiment showed such classes but did not state its threshold.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bertdistill.engine.analysis.passages import Passage
from bertdistill.engine.tasks import squad

DEFAULT_CUT = 0.5
BINS = 10
ROUNDING = 1e-9
"""An F1 of 3/5 counts as 0.6 despite floating point rounding."""

ErrorClass = Literal["right", "mostly_correct", "mostly_wrong", "not_answered", "answered"]
CLASSES: dict[ErrorClass, str] = {
    "right": "right",
    "mostly_correct": "mostly correct",
    "mostly_wrong": "mostly wrong",
    "not_answered": "has an answer, none given",
    "answered": "has no answer, one given",
}
"""Classes of questions and their labels, from good to bad."""


# -------------------------------------------------------------------------------------------------- question answering


@dataclass(frozen=True)
class Question:
    """A question with its golds (none if unanswerable) and the trial's answer ("" if it abstained)."""

    id: str
    article: str
    question: str
    golds: tuple[str, ...]
    prediction: str
    passage: Passage | None = None
    """None if it was not requested."""


@dataclass(frozen=True)
class Judged:
    """One question with its class and the F1 of its prediction, 0 to 1."""

    question: Question
    kind: ErrorClass
    f1: float


@dataclass(frozen=True)
class Tally:
    """Number of questions per class, for every class in the order of `CLASSES`."""

    article: str
    """Empty for the total."""
    total: int
    counts: Mapping[ErrorClass, int]

    def share(self, kind: ErrorClass) -> float:
        """Percentage of questions in this class."""
        return 100.0 * self.counts[kind] / self.total if self.total else 0.0


@dataclass(frozen=True)
class QuestionErrors:
    """The error analysis of a question answering trial."""

    cut: float
    overall: Tally
    articles: tuple[Tally, ...]
    """The article with the lowest share of correct answers first."""
    judged: tuple[Judged, ...]
    histogram: tuple[int, ...]
    """Wrong answers to answerable questions by F1 in tenths: shows the effect of another threshold."""


def judge(question: Question, cut: float = DEFAULT_CUT) -> Judged:
    """The class of one question; `right` is the exact match of SQuAD 2.0, so its share is the metric `exact`."""
    golds = squad.golds(question.golds)
    f1 = squad.f1(question.prediction, golds)
    if squad.exact(question.prediction, golds):
        return Judged(question, "right", f1)
    if not question.golds:
        return Judged(question, "answered", f1)
    if not question.prediction.strip():
        return Judged(question, "not_answered", f1)
    return Judged(question, "mostly_correct" if f1 >= cut - ROUNDING else "mostly_wrong", f1)


def question_errors(questions: Iterable[Question], cut: float = DEFAULT_CUT) -> QuestionErrors:
    """Classify the questions; `cut` is the F1, 0 to 1, from which a wrong answer counts as mostly correct."""
    judged = tuple(judge(question, cut) for question in questions)
    by_article: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by_article[one.question.article].append(one)
    articles = [_tally(article, members) for article, members in by_article.items()]
    histogram = [0] * BINS
    for one in judged:
        if one.kind in ("mostly_correct", "mostly_wrong"):
            histogram[min(BINS - 1, int(one.f1 * BINS + ROUNDING))] += 1
    return QuestionErrors(
        cut,
        _tally("", judged),
        tuple(sorted(articles, key=lambda tally: (tally.share("right"), -tally.total, tally.article))),
        judged,
        tuple(histogram),
    )


def _tally(article: str, judged: Sequence[Judged]) -> Tally:
    found = Counter(one.kind for one in judged)
    return Tally(article, len(judged), {kind: found[kind] for kind in CLASSES})


# ------------------------------------------------------------------------------------------------- text classification


@dataclass(frozen=True)
class Classified:
    """One text with its label and the predicted label."""

    id: str
    text: str
    label: str
    prediction: str


@dataclass(frozen=True)
class ClassScore:
    """One class, in percent. None if it was never predicted (precision) or never occurs (recall)."""

    label: str
    total: int
    precision: float | None
    recall: float | None
    f1: float
    """0 if it was never predicted correctly."""


@dataclass(frozen=True)
class Confusion:
    """The error analysis of a classifier: `counts[i][j]` texts of class i were predicted as class j."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    classes: tuple[ClassScore, ...]
    texts: tuple[Classified, ...]

    @property
    def accuracy(self) -> float:
        """Percent."""
        right = sum(row[i] for i, row in enumerate(self.counts))
        return 100.0 * right / len(self.texts) if self.texts else 0.0


def confusion(texts: Iterable[Classified], labels: Sequence[str]) -> Confusion:
    """The confusion matrix in the order of `labels`; raises ValueError for a label not among them."""
    rows = tuple(texts)
    place = {label: i for i, label in enumerate(labels)}
    counts = [[0] * len(labels) for _ in labels]
    for row in rows:
        for label in (row.label, row.prediction):
            if label not in place:
                raise ValueError(f"{label!r} is not one of the labels {', '.join(labels)}")
        counts[place[row.label]][place[row.prediction]] += 1
    table = tuple(tuple(row) for row in counts)
    return Confusion(tuple(labels), table, tuple(_class_score(i, label, table) for i, label in enumerate(labels)), rows)


def _class_score(i: int, label: str, counts: Sequence[Sequence[int]]) -> ClassScore:
    hit, total, predicted = counts[i][i], sum(counts[i]), sum(row[i] for row in counts)
    precision = 100.0 * hit / predicted if predicted else None
    recall = 100.0 * hit / total if total else None
    return ClassScore(label, total, precision, recall, 200.0 * hit / (total + predicted) if hit else 0.0)
