"""The score of a model that ignores its input, and whether a teacher beats it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from bertdistill.engine.distill.data.examples import Examples, QAExample

CLOSE = 1e-6
"""Percentage points by which scores must differ to count as different."""


def chance(examples: Examples) -> tuple[str, float, str] | None:
    """(metric, its score in percent, what such a model does); None if every question has an answer."""
    if examples.labels:
        label, count = Counter(row.label for row in examples.rows).most_common(1)[0]
        return "accuracy", 100 * count / len(examples), f"always answers {examples.labels[label]!r}"
    impossible = sum(isinstance(row, QAExample) and row.impossible for row in examples.rows)
    return ("exact", 100 * impossible / len(examples), "never answers") if impossible else None


def weak_teacher(metrics: Mapping[str, float], search: Examples) -> str:
    """One sentence if the teacher is no better than chance, else ""."""
    floor = chance(search)
    if floor is None or metrics.get(floor[0], 100.0) > floor[1] + CLOSE:
        return ""
    name, score, doing = floor
    order = ", the order of data.labels" if search.labels else ""
    return (
        f"the teacher is no better than chance: its {name} on the validation split is {metrics[name]:.2f}, and a model "
        f"that {doing} reaches {score:.2f}. Check the teacher{order} and [teacher.fine_tune]"
    )


def chance_scores(search: Examples) -> dict[str, float]:
    """All scores of such a model, by name; a threshold at or below them excludes no trials."""
    floor = chance(search)
    if floor is None:
        return {}
    name, score, _ = floor
    if not search.labels:
        return {name: score, "f1": score}
    share = score / 100  # precision of the one label that it predicts; its recall is 1
    return {name: score, "macro_f1": 100 * 2 * share / (1 + share) / len(search.labels), "matthews": 0.0}
