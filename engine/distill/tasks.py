"""Tasks in the worker: the model head, and how model outputs become predictions and scores.

It trains nothing and reads no files; exact match and F1 are those of `engine.tasks.squad`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.examples import Examples
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.tasks import squad
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

Array = NDArray[Any]

CHUNK_CELLS = 1 << 21
"""Candidate spans compared at once: limits the memory of scoring to about 50 MB."""

NO_SPAN = 1e6
"""Null odds of a question without passage tokens: abstains at every threshold, but finite for JSON."""


@dataclass(frozen=True)
class Scored:
    """Predictions on one split and their scores."""

    metrics: dict[str, float]
    """Percent; `null_threshold` is a difference of logit sums. Metrics of an absent kind of questions are omitted."""
    predictions: dict[str, str]
    """Example id to answer text ("" abstains) or label name."""
    null_odds: dict[str, float]
    """Questions only: null score minus best span score; above the threshold the answer is ""."""
    correct: Array
    """(examples,) float64, 0 or 1: exact match or correct label."""
    partial: Array
    """(examples,) float64, 0 to 1: F1 of the answer; for classes the same as `correct`."""
    starts: dict[str, int] = field(default_factory=dict)
    """Answered questions: offset of the answer in the passage."""


class Score(Protocol):
    """Score model outputs; see `score_spans` and `score_classes` for the shapes."""

    def __call__(
        self,
        examples: Examples,
        features: Features,
        outputs: Array,
        data: DataSpec,
        *,
        null_threshold: float | None = None,
    ) -> Scored: ...


# -------------------------------------------------------------------------------------------------- question answering


def score_spans(
    examples: Examples, features: Features, outputs: Array, data: DataSpec, *, null_threshold: float | None = None
) -> Scored:
    """Score start and end logits, `outputs` (tokens, 2), aligned with `features`.

    The rule is that of the original BERT script: the null score of a question is the smallest start + end logit of the
    first token over its windows, its answer the best span over its windows, and it abstains when null score minus span
    score exceeds the threshold. Without `null_threshold` the best one on these questions is used, or none if
    all of them are answerable. Texts are compared by the rules of SQuAD 2.0.
    """
    null_odds, texts, starts = answer_spans(examples, features, outputs, data)
    golds = [squad.golds(row.answers) for row in examples.rows]
    impossible = np.array([row.impossible for row in examples.rows])
    exact = np.array([squad.exact(text, gold) for text, gold in zip(texts, golds, strict=True)], float)
    f1 = np.array([squad.f1(text, gold) for text, gold in zip(texts, golds, strict=True)])
    # In the official script, "" also matches a question whose golds all normalise to nothing ("the").
    abstaining = np.array([squad.exact("", gold) for gold in golds], float)
    threshold = null_threshold
    if threshold is None and impossible.any():
        threshold = tune_threshold(null_odds, exact, f1, abstaining)
    abstain = np.zeros(len(texts), bool) if threshold is None else null_odds > threshold
    exact = np.where(abstain, abstaining, exact)
    f1 = np.where(abstain, abstaining, f1)
    ids = [row.id for row in examples.rows]
    return Scored(
        metrics=_span_metrics(exact, f1, impossible, threshold),
        predictions={key: "" if no else text for key, text, no in zip(ids, texts, abstain, strict=True)},
        null_odds=dict(zip(ids, null_odds.tolist(), strict=True)),
        correct=exact,
        partial=f1,
        starts={key: at for key, text, at, no in zip(ids, texts, starts, abstain, strict=True) if text and not no},
    )


def answer_spans(
    examples: Examples, features: Features, outputs: Array, data: DataSpec
) -> tuple[Array, list[str], list[int]]:
    """(null odds (examples,) float64, best answer texts, their offsets), before any abstention."""
    if features.char_spans is None or outputs.shape != (int(features.offsets[-1]), 2):
        raise ValueError(
            f"outputs of shape {outputs.shape} do not fit the {features.offsets[-1]} tokens of a span task"
        )
    firsts = np.asarray(features.offsets[:-1])
    null = outputs[firsts].astype(np.float64).sum(axis=1)
    best, start, end = best_spans(features, outputs, data)
    count = len(examples)
    example = np.asarray(features.example_index)
    null_by_example = np.full(count, np.inf)
    np.minimum.at(null_by_example, example, null)
    order = np.lexsort((-best, example))  # the best window of an example comes first, in a tie the earlier one
    windows = np.full(count, -1)
    found, place = np.unique(example[order], return_index=True)
    windows[found] = order[place]
    covered = windows >= 0
    score = np.where(covered, best[windows], -np.inf)
    has_span = np.isfinite(score) & np.isfinite(null_by_example)
    odds = np.full(count, NO_SPAN)
    odds[has_span] = null_by_example[has_span] - score[has_span]
    char_spans = features.char_spans
    texts, starts = [""] * count, [0] * count
    for i in np.flatnonzero(has_span):
        base = firsts[windows[i]]
        begin, stop = char_spans[base + start[windows[i]], 0], char_spans[base + end[windows[i]], 1]
        text = examples.rows[i].context[begin:stop]
        texts[i], starts[i] = text.strip(), int(begin) + len(text) - len(text.lstrip())
    return odds, texts, starts


def best_spans(features: Features, outputs: Array, data: DataSpec) -> tuple[Array, Array, Array]:
    """Best span of every window: (score (n,), first token (n,), last token (n,)); score -inf without passage tokens.

    Candidates start at the `n_best` passage tokens with the highest start logit; each takes its best end among the next
    `max_answer_length` tokens of the passage. The official script pairs its `n_best` best starts with its `n_best` best
    ends, so everything it finds within the passage is a candidate here too, and no score is lower.
    """
    count = len(features)
    score, start, end = np.full(count, -np.inf), np.zeros(count, np.int64), np.zeros(count, np.int64)
    assert features.char_spans is not None
    inside = np.asarray(features.char_spans[:, 0]) >= 0
    lengths = features.lengths
    order = np.argsort(lengths, kind="stable")
    done = 0
    while done < count:
        length = int(lengths[order[min(done + 64, count - 1)]])
        size = max(CHUNK_CELLS // (length * 2 + data.n_best * data.max_answer_length), 1)
        rows = order[done : done + size]
        done += len(rows)
        score[rows], start[rows], end[rows] = _best_in(rows, features, outputs, inside, data)
    return score, start, end


def _best_in(rows: Array, features: Features, outputs: Array, inside: Array, data: DataSpec) -> tuple[Array, ...]:
    """The same for some windows, padded to the longest of them."""
    lengths = features.lengths[rows]
    width = int(lengths.max())
    reach = min(data.max_answer_length, width)
    positions = np.arange(width)
    real = positions < lengths[:, None]
    tokens = np.where(real, np.asarray(features.offsets)[rows][:, None] + positions, 0)
    allowed = real & inside[tokens]
    logits = outputs[tokens].astype(np.float64)
    starts = np.where(allowed, logits[..., 0], -np.inf)
    ends = np.full((len(rows), width + reach), -np.inf)
    ends[:, :width] = np.where(allowed, logits[..., 1], -np.inf)
    top = np.argsort(-starts, axis=1, kind="stable")[:, : data.n_best]
    each = np.arange(len(rows))[:, None]
    reached = ends[each[..., None], top[..., None] + np.arange(reach)]
    sums = (starts[each, top][..., None] + reached).reshape(len(rows), -1)
    sums = np.where(np.isnan(sums), -np.inf, sums)
    best = sums.argmax(axis=1)
    start = top[each[:, 0], best // reach]
    return sums[each[:, 0], best], start, start + best % reach


def tune_threshold(null_odds: Array, exact: Array, f1: Array, abstaining: Array) -> float:
    """The abstention threshold with the best exact match, then the best F1, then closest to 0.

    `exact` and `f1` (examples,) are the scores of answering, `abstaining` those of abstaining: 1 on impossible
    questions. Thresholds are midway between adjacent odds, so questions of equal odds are all answered or all left
    unanswered. The official script's `best_exact` goes through such a tie question by question and can be higher; no
    threshold reaches it.
    """
    order = np.argsort(null_odds, kind="stable")
    odds = null_odds[order]
    gains = np.stack([exact[order] - abstaining[order], f1[order] - abstaining[order]])
    answered = np.concatenate([np.zeros((2, 1)), np.cumsum(gains, axis=1)], axis=1)
    middle = odds[:-1] / 2 + odds[1:] / 2
    middle = np.where(middle < odds[1:], middle, odds[:-1])  # adjacent floats have no midpoint
    cuts = np.concatenate([[odds[0] - 1.0], middle, [odds[-1] + 1.0]])
    possible = np.concatenate([[True], odds[:-1] < odds[1:], [True]])
    rank = np.lexsort((np.abs(cuts), -np.round(answered[1], 9), -answered[0], ~possible))
    return float(cuts[rank[0]])


def _span_metrics(exact: Array, f1: Array, impossible: Array, threshold: float | None) -> dict[str, float]:
    metrics = {"exact": 100 * exact.mean(), "f1": 100 * f1.mean()}
    for name, members in (("has_answer", ~impossible), ("no_answer", impossible)):
        if members.any():
            metrics[f"{name}_exact"] = 100 * exact[members].mean()
            metrics[f"{name}_f1"] = 100 * f1[members].mean()
    if threshold is not None:
        metrics["null_threshold"] = threshold
    return {name: float(value) for name, value in metrics.items()}


# ------------------------------------------------------------------------------------------------- text classification


def score_classes(
    examples: Examples, features: Features, outputs: Array, data: DataSpec, *, null_threshold: float | None = None
) -> Scored:
    """Score class logits, `outputs` (n, classes), row by row; `null_threshold` has no meaning here."""
    if outputs.shape != (len(examples), len(examples.labels)) or len(features) != len(examples):
        raise ValueError(f"outputs of shape {outputs.shape} do not fit {len(examples)} examples")
    truth = np.array([row.label for row in examples.rows])
    chosen = outputs.astype(np.float64).argmax(axis=1)
    correct = (truth == chosen).astype(float)
    names = examples.labels
    counts = np.bincount(truth * len(names) + chosen, minlength=len(names) ** 2).reshape(len(names), len(names))
    return Scored(
        metrics={
            "accuracy": 100 * float(correct.mean()),
            "macro_f1": 100 * _macro_f1(counts),
            "matthews": 100 * _matthews(counts),
        },
        predictions={row.id: names[label] for row, label in zip(examples.rows, chosen, strict=True)},
        null_odds={},
        correct=correct,
        partial=correct,
    )


def _macro_f1(counts: Array) -> float:
    """The mean F1 of the labels, 0 for one that neither occurs nor is predicted; `counts` by (true, predicted) label.

    This and `_matthews` are those of scikit-learn, which takes a second to import in every trial.
    """
    either = counts.sum(0) + counts.sum(1)
    return float(np.mean(2 * np.diag(counts) / np.maximum(either, 1)))


def _matthews(counts: Array) -> float:
    """Matthews' correlation coefficient for any number of labels (Gorodkin 2004, equation 8); 0 where undefined."""
    true, predicted, every = counts.sum(1), counts.sum(0), counts.sum()
    spread = float(every**2 - predicted @ predicted) * float(every**2 - true @ true)
    if spread == 0:
        return 0.0
    return float(np.trace(counts) * every - true @ predicted) / float(np.sqrt(spread))


SCORERS: dict[str, Score] = {QUESTION_ANSWERING: score_spans, TEXT_CLASSIFICATION: score_classes}
"""By the names of `engine.tasks.table.TASKS`; a test keeps both in sync."""
