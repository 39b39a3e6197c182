"""Which trial to use for a given purpose instead of the baseline or the teacher.

Pure: it promotes nothing and prints nothing. Only feasible trials are considered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bertdistill.engine.analysis.outcomes import ROUNDING, Difference, Outcome, at_chance, difference, size_and_score
from bertdistill.engine.contract.events import finite
from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.tasks.table import METRICS

NO_BASELINE = "the study has no baseline; with a [baseline] table in its file, trial 0 is the baseline"
TEACHER_MARGIN = 1.0
"""Percentage points that a student's score may be below its teacher's."""

NEAR_TEACHER = "near the teacher"
"""Name of the last scenario: the smallest student that is nearly as good as its teacher."""


@dataclass(frozen=True)
class Scenario:
    """One purpose and the best trial for it; None if there is none, and `remark` says why."""

    name: str
    rule: str
    number: int | None = None
    values: Mapping[str, float | None] = field(default_factory=dict)
    """Values of the objectives."""
    differences: Mapping[str, Difference] = field(default_factory=dict)
    """Relative to the reference (the baseline or the teacher), by metric; only if both have a value."""
    remark: str = ""


@dataclass(frozen=True)
class ScenarioTable:
    """All scenarios of a study."""

    size: str
    """The metric used as size."""
    score: str
    baseline: int | None
    baseline_values: Mapping[str, float | None]
    rows: tuple[Scenario, ...]


@dataclass(frozen=True)
class _Candidates:
    """The trials to choose from, and how their sizes and scores are compared."""

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
    chance: Mapping[str, float] | None = None,
    has_baseline: bool = False,
    margin: float = TEACHER_MARGIN,
) -> ScenarioTable:
    """The table. `teacher` holds the teacher's metrics on the validation split, `chance` those of a model that has
    learnt nothing; `margin` is in the unit of the score. `has_baseline`: there will be one, though it may not have
    started.

    If no trial beats the baseline, the baseline itself is returned.
    """
    if not optimised(objectives):
        return ScenarioTable("", "", None, {}, ())
    size_name, score_name = size_and_score(objectives)
    named = {objective.metric: objective for objective in objectives}
    candidates = _Candidates(outcomes, named[size_name], named[score_name], tuple(named))
    baseline = next((one for one in outcomes if one.baseline and one.complete), None)
    against = _against_baseline(candidates, baseline, has_one=has_baseline or any(one.baseline for one in outcomes))
    near = _near_teacher(candidates, teacher or {}, margin)
    rows = (*against, *_plain(candidates, baseline, chance or {}), near)
    values = {} if baseline is None else {name: baseline.values.get(name) for name in named}
    return ScenarioTable(size_name, score_name, None if baseline is None else baseline.number, values, rows)


def _against_baseline(candidates: _Candidates, baseline: Outcome | None, *, has_one: bool) -> list[Scenario]:
    size, score = candidates.size.metric, candidates.score.metric
    keep_size = ("keep size, gain score", f"{_best(candidates.score)} with {size} no worse than the baseline's")
    keep_score = ("shrink, keep score", f"{_best(candidates.size)} with {score} no worse than the baseline's")
    if baseline is None or any(finite(baseline.values.get(name)) is None for name in (size, score)):
        remark = "the baseline is not complete" if has_one else NO_BASELINE
        return [Scenario(*keep_size, remark=remark), Scenario(*keep_score, remark=remark)]

    def no_worse(objective: Objective) -> Callable[[Outcome], bool]:
        limit = _cost(objective, baseline.values[objective.metric])
        return lambda one: _cost(objective, one.values[objective.metric]) <= limit

    found = (candidates.best(no_worse(candidates.size)), candidates.smallest(no_worse(candidates.score)))
    return [_row(candidates, *words, one, baseline) for words, one in zip((keep_size, keep_score), found, strict=True)]


def _plain(candidates: _Candidates, baseline: Outcome | None, chance: Mapping[str, float]) -> list[Scenario]:
    """The smallest trial must have learnt something: the smallest often only predicts the most frequent label."""
    objectives, rule = (candidates.size, candidates.score), _best(candidates.size)
    smallest = candidates.smallest(lambda one: not at_chance(objectives, one.values, chance))
    if (level := chance.get(candidates.score.metric)) is not None:
        rule += f" with {candidates.score.metric} above chance ({level:.2f})"
    return [
        _row(candidates, "smallest feasible", rule, smallest, baseline),
        _row(candidates, "best score", _best(candidates.score), candidates.best(), baseline),
    ]


def _row(candidates: _Candidates, name: str, rule: str, one: Outcome | None, baseline: Outcome | None) -> Scenario:
    if one is None:
        return Scenario(name, rule, remark="no feasible trial qualifies")
    values = {metric: one.values.get(metric) for metric in candidates.metrics}
    remark = "the baseline itself: no trial is better" if one is baseline else ""
    against = {} if baseline is None else baseline.values
    return Scenario(name, rule, one.number, values, _differences(values, against), remark)


def _near_teacher(candidates: _Candidates, teacher: Mapping[str, float | None], margin: float) -> Scenario:
    """The best size within the margin of the teacher's score; differences are relative to the teacher."""
    score = candidates.score.metric
    percent = score in METRICS and METRICS[score].unit == "%"
    unit = "" if not percent else " point" if margin == 1 else " points"
    name, rule = NEAR_TEACHER, f"{_best(candidates.size)} with {score} within {margin:g}{unit} of the teacher"
    goal = finite(teacher.get(score))
    if goal is None:
        return Scenario(name, rule, remark=f"the teacher has no {score}")
    limit = _cost(candidates.score, goal) + margin + ROUNDING
    one = candidates.smallest(lambda other: _cost(candidates.score, other.values[score]) <= limit)
    if one is None:
        nearest = candidates.best()
        short = "" if nearest is None else f"; the closest is #{nearest.number}"
        return Scenario(name, rule, remark=f"no feasible trial comes that close{short}")
    values = {metric: one.values.get(metric) for metric in candidates.metrics}
    return Scenario(name, rule, one.number, values, _differences(values, teacher))


def _differences(values: Mapping[str, float | None], others: Mapping[str, float | None]) -> dict[str, Difference]:
    found = {name: difference(name, value, others.get(name)) for name, value in values.items()}
    return {name: gap for name, gap in found.items() if gap is not None}


def _best(objective: Objective) -> str:
    return f"{'highest' if objective.direction == 'maximize' else 'lowest'} {objective.metric}"


def _cost(objective: Objective, value: float | None) -> float:
    """Smaller is better. Feasible trials have all values."""
    number = float(value or 0.0)
    return -number if objective.direction == "maximize" else number
