"""Intervals of scores: how much a score would vary with other examples of the same kind.

Pure numpy. It predicts nothing: it is given which examples were correct.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Statistic = Callable[[Array], Mapping[str, float]]
"""Scores in percent from the weight of every example, (examples,) counts; a NaN excludes that resample."""


def bootstrap(
    statistic: Statistic, examples: int, *, samples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile interval of every score over `samples` resamples of the examples with replacement (Efron 1979)."""
    generator = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {}
    for _ in range(samples):
        weights = np.bincount(generator.integers(examples, size=examples), minlength=examples)
        for name, value in statistic(weights).items():
            drawn.setdefault(name, []).append(value)
    tail = 100 * (1 - level) / 2
    return {
        name: (float(np.nanpercentile(values, tail)), float(np.nanpercentile(values, 100 - tail)))
        for name, values in drawn.items()
        if not np.isnan(values).all()
    }


def span_scores(correct: Array, partial: Array, impossible: Array) -> Statistic:
    """exact and f1 over all, answerable and unanswerable questions; arrays are (examples,), 0 to 1."""
    parts = {"": np.ones(len(correct)), "has_answer_": ~impossible * 1.0, "no_answer_": impossible * 1.0}
    parts = {prefix: members for prefix, members in parts.items() if members.any()}

    def scores(weights: Array) -> dict[str, float]:
        result = {}
        for prefix, members in parts.items():
            total = weights @ members
            for name, values in (("exact", correct), ("f1", partial)):
                result[prefix + name] = 100 * float(weights @ (members * values) / total) if total else float("nan")
        return result

    return scores


def class_scores(truth: Array, chosen: Array, classes: int) -> Statistic:
    """accuracy, macro_f1 and matthews from class indices (examples,), as scikit-learn defines them.

    A label without examples and predictions counts as F1 0, as in the score itself. One that only a resample lacks
    is left out of its macro F1: it would pull the interval below the score.
    """
    cells = truth * classes + chosen
    unseen = classes - len(np.union1d(truth, chosen))

    def scores(weights: Array) -> dict[str, float]:
        table = np.bincount(cells, weights=weights, minlength=classes * classes).reshape(classes, classes)
        right, true, predicted, total = np.diag(table), table.sum(1), table.sum(0), table.sum()
        seen = true + predicted > 0
        f1 = 2 * right[seen] / (true + predicted)[seen]
        spread = np.sqrt((total**2 - predicted @ predicted) * (total**2 - true @ true))
        matthews = (right.sum() * total - true @ predicted) / spread if spread > 0 else 0.0
        return {
            "accuracy": 100 * float(right.sum() / total),
            "macro_f1": 100 * float(f1.sum() / (len(f1) + unseen)),
            "matthews": 100 * float(matthews),
        }

    return scores


def statistic(judged: Mapping[str, Any]) -> Statistic:
    """The scores from what was right about every example.

    `judged` has `truth` and `chosen` among `classes` labels, or `correct`, `partial` and `impossible` of spans, in
    lists or arrays. KeyError or ValueError if it has neither.
    """
    if "classes" in judged:
        truth, chosen = (np.asarray(judged[name], int) for name in ("truth", "chosen"))
        return class_scores(truth, chosen, int(judged["classes"]))
    correct, partial = (np.asarray(judged[name], float) for name in ("correct", "partial"))
    return span_scores(correct, partial, np.asarray(judged["impossible"], bool))


def mean_of(statistics: Sequence[Statistic]) -> Statistic:
    """The mean of each score over several models, such as the seeds of one student."""

    def scores(weights: Array) -> dict[str, float]:
        found = [one(weights) for one in statistics]
        return {name: float(np.mean([one[name] for one in found])) for name in found[0]}

    return scores


def difference_of(one: Statistic, other: Statistic) -> Statistic:
    """Each score of `one` minus that of `other`, on the same examples: a paired bootstrap if resampled."""

    def scores(weights: Array) -> dict[str, float]:
        mine, theirs = one(weights), other(weights)
        return {name: value - theirs[name] for name, value in mine.items() if name in theirs}

    return scores
