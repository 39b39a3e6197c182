"""The rule of a cascade: calibrated confidence of a small classifier, and which texts it passes to a large one.

Pure numpy, shared by the analysis, which chooses the threshold, and the worker, which verifies and serves it. It reads
no files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

COLDEST, HOTTEST = 0.05, 20.0
"""Limits of the temperature: one that classifies every example correctly has none that is best."""
HALVINGS = 30
"""Of the logarithm of the range: the last one moves the temperature by less than a part in 10^8."""


def fit_temperature(logits: Array, truth: Array) -> float:
    """The temperature with the smallest negative log-likelihood (Guo et al. 2017, arXiv 1706.04599).

    `logits` is (n, labels), `truth` (n,) label numbers. The loss is convex in 1/T, so its slope there is bisected.
    """
    logits = logits.astype(np.float64)
    right = logits[np.arange(len(truth)), truth]
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(HALVINGS):
        middle = float(np.sqrt(low * high))
        slope = np.mean((softmax(logits * middle) * logits).sum(axis=1) - right)
        low, high = (middle, high) if slope < 0 else (low, middle)
    return 1 / float(np.sqrt(low * high))


def softmax(logits: Array) -> Array:
    """Probabilities of every row, float64."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def confidence(logits: Array, temperature: float) -> Array:
    """(n,): the largest calibrated probability of every row."""
    return np.asarray(softmax(logits.astype(np.float64) / temperature).max(axis=1))


def passed_on(confidences: Array, threshold: float) -> Array:
    """(n,) bool: the large model answers what the small one is less sure of than `threshold`."""
    return np.asarray(confidences < threshold)


def mixed(small: Array, large: Array, to_large: Array) -> Array:
    """Rows of `large` where `to_large`, else of `small`."""
    return np.where(to_large[:, None], large, small)


def table_of(truth: Array, chosen: Array, labels: int) -> Array:
    """(labels, labels) float64: how many examples of each label (rows) were given each label (columns)."""
    counts = np.bincount(truth * labels + chosen, minlength=labels * labels)
    return counts.reshape(labels, labels).astype(np.float64)


def table_scores(table: Array) -> dict[str, float]:
    """accuracy, macro_f1 and matthews in percent of a table of counts, which may be expected ones, not whole."""
    right, true, given, total = np.diag(table), table.sum(axis=1), table.sum(axis=0), table.sum()
    f1 = np.divide(2 * right, true + given, out=np.zeros(len(right)), where=true + given > 0)
    spread = np.sqrt((total**2 - given @ given) * (total**2 - true @ true))
    matthews = (right.sum() * total - true @ given) / spread if spread > 0 else 0.0
    scores = {"accuracy": right.sum() / total, "macro_f1": f1.mean(), "matthews": matthews}
    return {name: 100 * float(value) for name, value in scores.items()}
