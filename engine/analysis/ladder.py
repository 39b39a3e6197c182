"""The ladder of a study: the best student of every family, plain and distilled, from the smallest up to the teacher.

Pure: scores and predictions are passed in. Rows were chosen on the validation split (see `rungs`); what they scored on
the report split decides nothing about the choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bertdistill.engine.analysis.outcomes import ROUNDING
from bertdistill.engine.analysis.rungs import KINDS, Chosen, Kind
from bertdistill.engine.analysis.scenarios import TEACHER_MARGIN
from bertdistill.engine.analysis.scored import TEACHER, Interval, Score, Split, gap_of, interval_of, is_tie, score_of
from bertdistill.engine.contract.events import finite
from bertdistill.engine.contract.terms import WITH_LAYERS
from bertdistill.engine.families.same_point import without_seed
from bertdistill.engine.tasks.table import METRICS

VALIDATION, REPORT = "validation", "report"
COSTS = ("params", "size_mb", "gflops", "latency_cpu_ms", "latency_ratio")
"""Size and cost, as far as a study has them."""
OF_DISTILLATION = ("alpha", "temperature", "soft_loss", "transfer_share")
"""Settings in which a distilled student may differ from the same student trained on labels only."""
STEPS: tuple[tuple[Kind, Kind], ...] = (("distilled", "plain"), ("transfer", "plain"), ("transfer", "distilled"))
"""Which kinds are compared with which."""


@dataclass(frozen=True)
class Rung:
    """The best student of one family and kind, or the teacher, or a reference."""

    family: str
    kind: Kind | Literal["teacher", "reference"]
    numbers: tuple[int, ...] = ()
    """Trials that differ in their seed only, the best one first; empty for teacher and references."""
    scores: Mapping[str, Score] = field(default_factory=dict)
    """By split. The score of a reference, which was measured elsewhere, is under `report`."""
    costs: Mapping[str, float | None] = field(default_factory=dict)
    is_smallest: bool = False
    """Whether it is not the best one of its family and kind, but the smallest of all near the teacher."""


@dataclass(frozen=True)
class Effect:
    """What distillation, or a transfer set, brought to one family: one of its rungs against another."""

    family: str
    kind: Kind
    against: Kind
    difference: float
    interval: Interval | None
    """From the predictions of both for the same examples, widened by the spread over seeds."""
    same_settings: bool
    """Whether the two are otherwise the same student."""

    @property
    def tie(self) -> bool | None:
        """Whether it may as well be zero; None if there is no interval."""
        return is_tie(self.interval)


@dataclass(frozen=True)
class Nearest:
    """The smallest student whose score is at most `margin` points below the teacher's."""

    margin: float
    rung: Rung | None = None
    """None if there is none."""
    closest: Rung | None = None
    """The one that comes closest; None without a student or without a teacher."""
    certain: bool | None = None
    """Whether the whole paired interval is within the margin; None if there is no interval."""


@dataclass(frozen=True)
class Ladder:
    """The whole table."""

    study: str
    score: str
    size: str
    split: str
    """On which the teacher is compared with: the report split if every rung and the teacher were scored there."""
    rungs: tuple[Rung, ...]
    """Students, the smallest family first."""
    teacher: Rung | None
    references: tuple[Rung, ...]
    effects: tuple[Effect, ...]
    near: Nearest
    examples: Mapping[str, int]
    """Number of examples by split."""
    rival: Rung | None = None
    """The best plain student, if the teacher is not clearly better: then distillation has little to bring."""


@dataclass(frozen=True)
class Frame:
    """What the ladder of a study is made in: its names, its score and size, and what is known of the splits."""

    study: str
    score: str
    size: str
    splits: Mapping[str, Split]
    teacher: Mapping[str, float | None] = field(default_factory=dict)
    """The teacher's sizes and costs; empty if it is not known."""
    references: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Metrics by name."""
    margin: float = TEACHER_MARGIN

    @property
    def largest(self) -> bool:
        """Whether a larger score is better."""
        known = METRICS.get(self.score)
        return known is None or known.direction == "maximize"


def ladder(chosen: Sequence[Chosen], frame: Frame) -> Ladder:
    """The table of these rungs."""
    rungs = _in_order([_rung(one, frame) for one in chosen], frame.size)
    teacher = _teacher(frame)
    split = _compared_on(rungs, teacher)
    return Ladder(
        frame.study,
        frame.score,
        frame.size,
        split,
        tuple(rungs),
        teacher,
        tuple(_reference(name, metrics, frame) for name, metrics in frame.references.items()),
        tuple(_effects(chosen, frame, split)),
        _nearest(rungs, frame, split),
        {name: one.examples for name, one in frame.splits.items() if one.examples},
        _rival(rungs, frame, split),
    )


# ---------------------------------------------------------------------------------------------------------------- rungs


def _rung(chosen: Chosen, frame: Frame) -> Rung:
    numbers = tuple(one.number for one in chosen.trials)
    found = {name: score_of(numbers, split, frame.score) for name, split in frame.splits.items()}
    scores = {name: score for name, score in found.items() if score is not None}
    costs = {name: chosen.best.values.get(name) for name in dict.fromkeys((*COSTS, frame.size))}
    return Rung(chosen.family, chosen.kind, numbers, scores, costs, chosen.is_smallest)


def _in_order(rungs: Sequence[Rung], size: str) -> list[Rung]:
    """The family with the smallest student first; in a family plain, distilled, with a transfer set."""

    def of(rung: Rung) -> float:
        value = finite(rung.costs.get(size))
        return math.inf if value is None else float(value)

    smallest = {family: min(of(one) for one in rungs if one.family == family) for family in {r.family for r in rungs}}
    kinds = list(KINDS)
    return sorted(rungs, key=lambda one: (smallest[one.family], one.family, kinds.index(one.kind), not one.is_smallest))


def _teacher(frame: Frame) -> Rung | None:
    scores = {
        name: Score(split.scores[TEACHER], 1, None, interval_of((TEACHER,), split.scores[TEACHER], split, frame.score))
        for name, split in frame.splits.items()
        if TEACHER in split.scores
    }
    return Rung("teacher", "teacher", (), scores, frame.teacher) if scores else None


def _reference(name: str, metrics: Mapping[str, float], frame: Frame) -> Rung:
    value = finite(metrics.get(frame.score))
    costs = {key: metrics.get(key) for key in dict.fromkeys((*COSTS, frame.size))}
    return Rung(name, "reference", (), {} if value is None else {REPORT: Score(value)}, costs)


# ---------------------------------------------------------------------------------------------------------- conclusions


def _compared_on(rungs: Sequence[Rung], teacher: Rung | None) -> str:
    every = [*rungs, *([teacher] if teacher else [])]
    return REPORT if teacher and rungs and all(REPORT in one.scores for one in every) else VALIDATION


def _nearest(rungs: Sequence[Rung], frame: Frame, split: str) -> Nearest:
    sign = 1 if frame.largest else -1
    gaps = [(sign * score.gap, one) for one in rungs if (score := one.scores.get(split)) and score.gap is not None]
    if not gaps:
        return Nearest(frame.margin)
    closest = max(gaps, key=lambda pair: pair[0])[1]
    near = [one for gap, one in gaps if gap >= -frame.margin - ROUNDING]
    if not near:
        return Nearest(frame.margin, None, closest)
    rung = min(near, key=lambda one: one.costs.get(frame.size) or math.inf)
    ends = rung.scores[split].gap_interval
    certain = None if ends is None else min(sign * end for end in ends) >= -frame.margin - ROUNDING
    return Nearest(frame.margin, rung, closest, certain)


def _rival(rungs: Sequence[Rung], frame: Frame, split: str) -> Rung | None:
    """The best student that has learnt nothing from the teacher, unless it is below it by more than chance.

    Encoders do not count: they start with layers or embeddings of the teacher, and so with what it knows.
    """
    sign = 1 if frame.largest else -1
    plain = [
        (sign * score.gap, score, one)
        for one in rungs
        if one.kind == "plain" and one.family not in WITH_LAYERS and (score := one.scores.get(split))
        if score.gap is not None
    ]
    if not plain:
        return None
    gap, score, rung = max(plain, key=lambda found: found[0])
    ends = score.gap_interval or (gap, gap)
    return rung if max(sign * end for end in ends) >= 0 else None


def _effects(chosen: Sequence[Chosen], frame: Frame, split: str) -> Iterator[Effect]:
    known = frame.splits.get(split, Split())
    by_kind = {(one.family, one.kind): one for one in chosen if not one.is_smallest}
    for family in dict.fromkeys(one.family for one in chosen):
        for kind, against in STEPS:
            one, other = by_kind.get((family, kind)), by_kind.get((family, against))
            if one and other and (found := _effect(one, other, known, frame.score)):
                yield found


def _effect(one: Chosen, other: Chosen, split: Split, name: str) -> Effect | None:
    numbers = [[trial.number for trial in side.trials] for side in (one, other)]
    gap = gap_of(numbers[0], numbers[1], split, name)
    if gap is None:
        return None
    same = len({without_seed(side.best.settings, OF_DISTILLATION) for side in (one, other)}) == 1
    return Effect(one.family, one.kind, other.kind, gap.value, gap.interval, same)
