"""What a study offers someone with a purpose: the trials to take in place of the baseline, or of the teacher.

Pure: it promotes nothing and prints nothing. Only feasible trials are offered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bertdistill.engine.analysis.outcomes import Difference, Outcome, difference, finite, size_and_score
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.tasks.table import METRICS

TEACHER_MARGIN = 1.0
"""Percentage points of the score that a student may lose to its teacher."""

NEAR_TEACHER = "near the teacher"
"""Name of the last scenario: the small student that is nearly as good."""

ROUNDING = 1e-9
"""71.4 is within 1 point of 72.4 whatever the binary digits say."""


@dataclass(frozen=True)
class Scenario:
    """One purpose and the trial that serves it best; no trial (None) when nothing does, and `remark` says why."""

    name: str
    rule: str
    number: int | None = None
    values: Mapping[str, float | None] = field(default_factory=dict)
    """Of the objectives."""
    differences: Mapping[str, Difference] = field(default_factory=dict)
    """To the reference (the baseline, or the teacher), by metric; only where both have a value."""
    remark: str = ""


@dataclass(frozen=True)
class ScenarioTable:
    """All scenarios of a study."""

    size: str
    """Metric that plays the size."""
    score: str
    baseline: int | None
    baseline_values: Mapping[str, float | None]
    rows: tuple[Scenario, ...]


@dataclass(frozen=True)
class _Field:
    """Who may be offered, and how sizes and scores are compared."""

    outcomes: Sequence[Outcome]
    size: Objective
    score: Objective
    metrics: tuple[str, ...]

    def smallest(self, allowed: Callable[[Outcome], bool] = lambda one: True) -> Outcome | None:
        """The best size, then the best score, then the earliest."""
        return self._first(allowed, (self.size, self.score))

    def best(self, allowed: Callable[[Outcome], bool] = lambda one: True) -> Outcome | None:
        """The best score, then the best size, then the earliest."""
        return self._first(allowed, (self.score, self.size))

    def _first(self, allowed: Callable[[Outcome], bool], order: Sequence[Objective]) -> Outcome | None:
        fit = [one for one in self.outcomes if one.feasible and allowed(one)]
        return min(fit, key=lambda one: (*(_cost(o, one.values[o.metric]) for o in order), one.number), default=None)


def scenarios(
    outcomes: Sequence[Outcome],
    objectives: Sequence[Objective],
    teacher: Mapping[str, float | None] | None = None,
    *,
    margin: float = TEACHER_MARGIN,
) -> ScenarioTable:
    """The table. `teacher` are the teacher's metrics on the validation split; `margin` is in the unit of the score.

    The baseline itself is the answer where no trial beats it.
    """
    size_name, score_name = size_and_score(objectives)
    named = {objective.metric: objective for objective in objectives}
    ground = _Field(outcomes, named[size_name], named[score_name], tuple(named))
    baseline = next((one for one in outcomes if one.baseline and one.complete), None)
    near = _near_teacher(ground, teacher or {}, margin)
    rows = (*_against_baseline(ground, baseline), *_plain(ground, baseline), near)
    values = {} if baseline is None else {name: baseline.values.get(name) for name in named}
    return ScenarioTable(size_name, score_name, None if baseline is None else baseline.number, values, rows)


def _against_baseline(ground: _Field, baseline: Outcome | None) -> list[Scenario]:
    size, score = ground.size.metric, ground.score.metric
    keep_size = ("keep size, gain score", f"{_best(ground.score)} with {size} no worse than the baseline's")
    keep_score = ("shrink, keep score", f"{_best(ground.size)} with {score} no worse than the baseline's")
    if baseline is None or any(finite(baseline.values.get(name)) is None for name in (size, score)):
        remark = "the study has no complete baseline to compare with"
        return [Scenario(*keep_size, remark=remark), Scenario(*keep_score, remark=remark)]

    def no_worse(objective: Objective) -> Callable[[Outcome], bool]:
        limit = _cost(objective, baseline.values[objective.metric])
        return lambda one: _cost(objective, one.values[objective.metric]) <= limit

    found = (ground.best(no_worse(ground.size)), ground.smallest(no_worse(ground.score)))
    return [_row(ground, *words, one, baseline) for words, one in zip((keep_size, keep_score), found, strict=True)]


def _plain(ground: _Field, baseline: Outcome | None) -> list[Scenario]:
    return [
        _row(ground, "smallest feasible", _best(ground.size), ground.smallest(), baseline),
        _row(ground, "best score", _best(ground.score), ground.best(), baseline),
    ]


def _row(ground: _Field, name: str, rule: str, one: Outcome | None, baseline: Outcome | None) -> Scenario:
    if one is None:
        return Scenario(name, rule, remark="no feasible trial does this")
    values = {metric: one.values.get(metric) for metric in ground.metrics}
    remark = "the baseline itself: no trial does better" if one is baseline else ""
    against = {} if baseline is None else baseline.values
    return Scenario(name, rule, one.number, values, _differences(values, against), remark)


def _near_teacher(ground: _Field, teacher: Mapping[str, float | None], margin: float) -> Scenario:
    """The best size that stays within the margin of the teacher's score; differences are to the teacher."""
    score = ground.score.metric
    percent = score in METRICS and METRICS[score].unit == "%"
    unit = "" if not percent else " point" if margin == 1 else " points"
    name, rule = NEAR_TEACHER, f"{_best(ground.size)} with {score} within {margin:g}{unit} of the teacher"
    goal = finite(teacher.get(score))
    if goal is None:
        return Scenario(name, rule, remark=f"the teacher has no {score}")
    limit = _cost(ground.score, goal) + margin + ROUNDING
    one = ground.smallest(lambda other: _cost(ground.score, other.values[score]) <= limit)
    if one is None:
        nearest = ground.best()
        short = "" if nearest is None else f"; the nearest is #{nearest.number}"
        return Scenario(name, rule, remark=f"no feasible trial comes so near{short}")
    values = {metric: one.values.get(metric) for metric in ground.metrics}
    return Scenario(name, rule, one.number, values, _differences(values, teacher))


def _differences(values: Mapping[str, float | None], others: Mapping[str, float | None]) -> dict[str, Difference]:
    found = {name: difference(name, value, others.get(name)) for name, value in values.items()}
    return {name: gap for name, gap in found.items() if gap is not None}


def _best(objective: Objective) -> str:
    return f"{'highest' if objective.direction == 'maximize' else 'lowest'} {objective.metric}"


def _cost(objective: Objective, value: float | None) -> float:
    """Smaller is better. Feasible trials have every value."""
    number = float(value or 0.0)
    return -number if objective.direction == "maximize" else number
