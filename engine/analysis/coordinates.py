"""Trials along parameters and objectives: parallel coordinates and slices, as positions from 0 to 1.

Pure: it draws nothing and knows no terminal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.contract.events import finite
from bertdistill.engine.pareto.frontier import Objective, is_wide
from bertdistill.engine.study.space import Parameter, Space, Value


@dataclass(frozen=True)
class Axis:
    """One axis. Numbers are between `low` and `high`; choices are spaced evenly in their order."""

    name: str
    kind: Literal["number", "choice"]
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Value, ...] = ()
    better: Literal["maximize", "minimize"] | None = None
    """Direction of an objective; None for a parameter."""

    def place(self, value: Value | None) -> float | None:
        """Position from 0 (low end, first choice) to 1; None without a value on this axis."""
        if value is None:
            return None
        if self.kind == "choice":
            if value not in self.choices:
                return None
            return self.choices.index(value) / (len(self.choices) - 1) if len(self.choices) > 1 else 0.5
        if isinstance(value, str) or not math.isfinite(value) or (self.log and value <= 0):
            return None
        low, high, at = (math.log(v) if self.log else float(v) for v in (self.low, self.high, value))
        return min(1.0, max(0.0, (at - low) / (high - low))) if high > low else 0.5


@dataclass(frozen=True)
class Line:
    """One trial across the axes: `places` and `values` follow the axes, None if a parameter is inactive."""

    number: int
    frontier: bool
    feasible: bool
    places: tuple[float | None, ...]
    values: tuple[Value | None, ...]


@dataclass(frozen=True)
class Parallel:
    """Parallel coordinates; frontier lines come last, so that they are drawn on top."""

    axes: tuple[Axis, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class SlicePoint:
    """One trial in the plane of a parameter and an objective."""

    number: int
    value: Value
    place: float
    """Position of the value on the parameter's axis, 0 to 1."""
    score: float
    """Value of the objective."""
    frontier: bool
    feasible: bool


@dataclass(frozen=True)
class Slice:
    """All trials along one parameter, by value; trials in which it is inactive are omitted."""

    axis: Axis
    objective: Objective
    points: tuple[SlicePoint, ...]


@dataclass(frozen=True)
class Stretch:
    """A part of a slice: `low` to `high` (equal for a choice), its trials, best and median score."""

    low: Value
    high: Value
    trials: int
    best: float
    middle: float
    best_number: int


def parameter_axis(parameter: Parameter, seen: Iterable[Value]) -> Axis:
    """The axis of a parameter: its range, extended to values outside it (of a baseline or a rerun)."""
    values = list(seen)
    if parameter.kind == "choice":
        beyond = [value for value in dict.fromkeys(values) if value not in parameter.choices]
        return Axis(parameter.name, "choice", choices=_ordered([*parameter.choices, *beyond]))
    numbers = [float(value) for value in values if not isinstance(value, str)]
    low = min([float(parameter.low or 0.0), *numbers])
    high = max([float(parameter.high or 0.0), *numbers])
    return Axis(parameter.name, "number", low, high, parameter.log and low > 0)


def _ordered(choices: Sequence[Value]) -> tuple[Value, ...]:
    """Numbers by value, words in the order of the study file."""
    if any(isinstance(choice, (str, bool)) for choice in choices):
        return tuple(choices)
    return tuple(sorted(choices, key=float))


def metric_axis(name: str, seen: Iterable[float | None], better: Literal["maximize", "minimize"] | None = None) -> Axis:
    """The axis of a metric, from its lowest to its highest value; logarithmic for sizes and times that vary widely."""
    values = [value for value in map(finite, seen) if value is not None] or [0.0]
    low, high = min(values), max(values)
    return Axis(name, "number", low, high, is_wide(name, low, high), better=better)


def parallel(
    outcomes: Sequence[Outcome],
    space: Space,
    objectives: Sequence[Objective],
    *,
    params: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> Parallel:
    """Parallel coordinates of the complete trials; by default of all parameters and the objectives.

    Raises KeyError for a parameter that is not searched.
    """
    named = {parameter.name: parameter for parameter in space}
    directions = {objective.metric: objective.direction for objective in objectives}
    shown = [one for one in outcomes if one.complete]
    axes = [parameter_axis(named[name], _values(shown, name)) for name in params or named]
    first_metric = len(axes)
    axes += [
        metric_axis(name, (one.values.get(name) for one in shown), directions.get(name))
        for name in metrics or directions
    ]
    lines = []
    for one in sorted(shown, key=lambda one: (one.frontier, one.number)):
        values = tuple(
            one.params.get(axis.name) if i < first_metric else one.values.get(axis.name) for i, axis in enumerate(axes)
        )
        places = tuple(axis.place(value) for axis, value in zip(axes, values, strict=True))
        lines.append(Line(one.number, one.frontier, one.feasible, places, values))
    return Parallel(tuple(axes), tuple(lines))


def _values(outcomes: Iterable[Outcome], name: str) -> list[Value]:
    return [one.params[name] for one in outcomes if name in one.params]


def slices(outcomes: Sequence[Outcome], space: Space, objective: Objective) -> list[Slice]:
    """One slice for every parameter, complete trials only."""
    shown = [one for one in outcomes if one.complete and finite(one.values.get(objective.metric)) is not None]
    return [_slice(shown, parameter, objective) for parameter in space]


def _slice(outcomes: Sequence[Outcome], parameter: Parameter, objective: Objective) -> Slice:
    axis = parameter_axis(parameter, _values(outcomes, parameter.name))
    points = []
    for one in outcomes:
        value = one.params.get(parameter.name)
        place, score = axis.place(value), one.values.get(objective.metric)
        if value is not None and place is not None and score is not None:
            points.append(SlicePoint(one.number, value, place, score, one.frontier, one.feasible))
    return Slice(axis, objective, tuple(sorted(points, key=lambda point: (point.place, point.number))))


def stretches(found: Slice, most: int = 5) -> list[Stretch]:
    """A summary of the slice: at most `most` parts of about equal size; choices and few values one by one."""
    by_value: dict[Value, list[SlicePoint]] = {}
    for point in found.points:
        by_value.setdefault(point.value, []).append(point)
    groups = list(by_value.values())
    if found.axis.kind == "number" and len(groups) > most:
        groups = _even_groups(groups, len(found.points), most)
    pick = max if found.objective.direction == "maximize" else min
    result = []
    for group in groups:
        best = pick(group, key=lambda point: point.score)
        middle = median(point.score for point in group)
        result.append(Stretch(group[0].value, group[-1].value, len(group), best.score, middle, best.number))
    return result


def _even_groups(groups: Sequence[list[SlicePoint]], total: int, most: int) -> list[list[SlicePoint]]:
    """Merge adjacent values until each part holds its share of the trials; equal values stay together."""
    joined: list[list[SlicePoint]] = []
    done = 0
    for group in groups:
        part = min(most - 1, done * most // total)
        if joined and part < len(joined):
            joined[-1] = [*joined[-1], *group]
        else:
            joined.append(list(group))
        done += len(group)
    return joined
