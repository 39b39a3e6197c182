"""The survey of a study: score against compression, a series a method, and the best method at each compression.

Pure: scores and predictions are passed in. Rows are chosen on the validation split; what they scored on the report
split decides nothing about the choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.analysis.methods import method_of
from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.analysis.scored import TEACHER, Score, Split, gap_of, interval_of, is_tie, score_of
from bertdistill.engine.contract.events import finite
from bertdistill.engine.families.same_point import SEED, without_seed

FACTORS = (2.0, 5.0, 10.0, 20.0, 60.0)
"""Compression factors at which the best method is named, as in the survey."""
VALIDATION, REPORT = "validation", "report"
COSTS = (
    "params",
    "nonzero_params",
    "bytes",
    "size_mb",
    "gflops",
    "latency_cpu_ms",
    "latency_cached_ms",
    "train_minutes",
)
"""Sizes and costs, as far as a study has them."""


@dataclass(frozen=True)
class Configuration:
    """Trials that differ in their seed only, the best one first."""

    method: str
    trials: tuple[Outcome, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(one.number for one in self.trials)


@dataclass(frozen=True)
class Entry:
    """One configuration of a method, with its scores and sizes."""

    method: str
    numbers: tuple[int, ...]
    compression: float
    """Bytes of the teacher over its bytes; from parameters where bytes are not known."""
    scores: Mapping[str, Score] = field(default_factory=dict)
    """By split."""
    costs: Mapping[str, float | None] = field(default_factory=dict)
    kept: float | None = None
    """Percent of the teacher's score, on the split that the survey compares on."""


@dataclass(frozen=True)
class Best:
    """The best of the configurations that are at least so much smaller than the teacher."""

    factor: float
    entry: Entry | None
    """None if no configuration is."""
    ties: tuple[str, ...] = ()
    """Other methods that small whose difference to it may as well be zero."""


@dataclass(frozen=True)
class Survey:
    """The whole comparison."""

    study: str
    score: str
    split: str
    """On which scores are compared: the report split if all entries and the teacher were scored there."""
    entries: tuple[Entry, ...]
    """Of each method those that no other one of it beats in both score and compression, the largest model first."""
    best: tuple[Best, ...]
    teacher: Score | None
    examples: Mapping[str, int]
    by_bytes: bool
    """Whether compression counts bytes; otherwise parameters."""


@dataclass(frozen=True)
class Frame:
    """What a survey is made in."""

    study: str
    score: str
    splits: Mapping[str, Split]
    teacher_params: float | None = None
    largest: bool = True
    """Whether a larger score is better."""


def configurations(outcomes: Iterable[Outcome], frame: Frame) -> list[Configuration]:
    """Of each method, the configurations that none of it beats in mean validation score and compression."""
    validation, groups = frame.splits.get(VALIDATION, Split()), dict[tuple[str, str], dict[Any, Outcome]]()
    for one in outcomes:
        method = method_of(one.settings)
        if method and one.complete and one.number in validation.scores and _compression(one, frame):
            same = groups.setdefault((method, without_seed(one.settings)), {})
            same.setdefault(one.settings.get(SEED), one)
    sign = 1 if frame.largest else -1
    every = []
    for (method, _), seeds in groups.items():
        best_first = sorted(seeds.values(), key=lambda one: (-sign * validation.scores[one.number], one.number))
        every.append(Configuration(method, tuple(best_first)))
    return [one for one in every if not any(_beats(other, one, frame, validation) for other in every)]


def _beats(one: Configuration, other: Configuration, frame: Frame, split: Split) -> bool:
    if one is other or one.method != other.method:
        return False
    mine, theirs = ((_mean(c, split, frame), _compression(c.trials[0], frame) or 0.0) for c in (one, other))
    equal = mine == theirs and one.numbers < other.numbers
    return (mine[0] >= theirs[0] and mine[1] >= theirs[1] and mine != theirs) or equal


def _mean(one: Configuration, split: Split, frame: Frame) -> float:
    values = [split.scores[number] for number in one.numbers]
    return (1 if frame.largest else -1) * sum(values) / len(values)


def _compression(one: Outcome, frame: Frame) -> float | None:
    if (stored := finite(one.values.get("compression"))) is not None:
        return float(stored)
    params = finite(one.values.get("params"))
    return frame.teacher_params / params if params and frame.teacher_params else None


def survey(chosen: Sequence[Configuration], frame: Frame) -> Survey:
    """The comparison of these configurations."""
    split = _compared_on(chosen, frame.splits)
    known = frame.splits.get(split, Split())
    teacher = known.scores.get(TEACHER)
    entries = sorted((_entry(one, frame, split) for one in chosen), key=lambda one: (one.compression, one.method))
    own = None if teacher is None else Score(teacher, 1, None, interval_of((TEACHER,), teacher, known, frame.score))
    return Survey(
        frame.study,
        frame.score,
        split,
        tuple(entries),
        tuple(_best(factor, entries, frame, known, split) for factor in FACTORS),
        own,
        {name: one.examples for name, one in frame.splits.items() if one.examples},
        any(finite(one.values.get("compression")) is not None for group in chosen for one in group.trials),
    )


def _compared_on(chosen: Sequence[Configuration], splits: Mapping[str, Split]) -> str:
    report = splits.get(REPORT, Split()).scores
    numbers = [one.numbers[0] for one in chosen]
    return REPORT if numbers and all(number in report for number in (TEACHER, *numbers)) else VALIDATION


def _entry(chosen: Configuration, frame: Frame, split: str) -> Entry:
    found = {name: score_of(chosen.numbers, one, frame.score) for name, one in frame.splits.items()}
    scores = {name: score for name, score in found.items() if score is not None}
    teacher, first = frame.splits.get(split, Split()).scores.get(TEACHER), chosen.trials[0]
    mine = scores.get(split)
    return Entry(
        chosen.method,
        chosen.numbers,
        _compression(first, frame) or 0.0,
        scores,
        {name: first.values.get(name) for name in COSTS},
        None if not teacher or teacher < 0 or mine is None else 100 * mine.value / teacher,
    )


def _best(factor: float, entries: Sequence[Entry], frame: Frame, known: Split, split: str) -> Best:
    """The best by the validation split among those that are small enough."""
    sign = 1 if frame.largest else -1
    small = [one for one in entries if one.compression >= factor and VALIDATION in one.scores]
    if not small:
        return Best(factor, None)
    best = max(small, key=lambda one: sign * one.scores[VALIDATION].value)
    others = [one for one in small if one.method != best.method and split in one.scores]
    gaps = [(one.method, gap_of(best.numbers, one.numbers, known, frame.score)) for one in others]
    return Best(factor, best, tuple(dict.fromkeys(method for method, gap in gaps if gap and is_tie(gap.interval))))
