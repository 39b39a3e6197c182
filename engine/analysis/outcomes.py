"""A trial as seen by the analyses, and which of a study's objectives serve as size and score.

Pure: it reads no database and ranks nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.events import finite
from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.tasks.table import METRICS, TASKS

if TYPE_CHECKING:
    from bertdistill.engine.contract.facts import Prepared
    from bertdistill.engine.study.space import Value

MOST_PERCENT = 1000.0
"""Larger percentages mean that the reference is almost zero; the absolute difference is clearer."""

FEWEST_COMPARED, MOST_COMPARED = 2, 6
"""How many trials can be compared side by side."""

CHANCE_MARGIN = 0.5
"""Margin in percentage points within which a score counts as chance: a few examples of a small validation split."""

ROUNDING = 1e-9
"""71.4 is within 1 point of 72.4 despite floating point rounding."""


@dataclass(frozen=True)
class Outcome:
    """One trial. `values` are its metrics by name, None if not finite."""

    number: int
    params: Mapping[str, Value]
    """The searched parameters that are active."""
    values: Mapping[str, float | None]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All settings, resolved."""
    complete: bool = False
    frontier: bool = False
    feasible: bool = False
    """Complete, with a value for every objective, and all thresholds reached."""
    baseline: bool = False
    finished_at: float | None = None
    """Unix time; None while it is running."""
    hours: float = 0.0
    """Worker time of all attempts."""
    study: str = ""
    point: Hashable | None = None
    """What its repeats share; None if no other trial repeats it."""
    seeds: int = 1
    """Over how many seeds `values` are means."""
    spreads: Mapping[str, float] = field(default_factory=dict)
    """Standard deviations over these seeds."""


@dataclass(frozen=True)
class Difference:
    """A value relative to a reference value."""

    absolute: float
    percent: float | None
    """In percent of the reference; None if meaningless, see `difference`."""
    of_one: bool = False
    """Whether both are shares of 1, as logged runs often give a metric that has percent here."""


def difference(metric: str, value: float | None, other: float | None) -> Difference | None:
    """`value` minus `other`; None if either is not finite.

    A percentage is given only for non-negative metrics, a positive reference, and up to `MOST_PERCENT`.
    """
    mine, theirs = finite(value), finite(other)
    if mine is None or theirs is None:
        return None
    known = METRICS.get(metric)
    signed = mine < 0 or theirs <= 0 or (known is not None and known.signed)
    percent = None if signed else 100.0 * (mine - theirs) / theirs
    of_one = known is not None and known.unit == "%" and max(abs(mine), abs(theirs)) <= 1
    return Difference(mine - theirs, percent if percent is not None and percent <= MOST_PERCENT else None, of_one)


def at_chance(objectives: Sequence[Objective], values: Mapping[str, float | None], chance: Mapping[str, float]) -> bool:
    """Whether a score among the objectives is one that a model reaches without learning anything."""
    scores = [(chance[o.metric], finite(values.get(o.metric))) for o in objectives if o.metric in chance]
    return any(value is not None and value <= level + CHANCE_MARGIN for level, value in scores)


def size_and_score(objectives: Sequence[Objective], size: str = "", score: str = "") -> tuple[str, str]:
    """The metrics used as size (x axis) and score (y axis): the first minimised and the first maximised objective.

    If all objectives have one direction, one that is known before training, such as compression, is the size; else
    the first two are used in order. An explicit `size` or `score` is kept.
    """
    wanted = optimised(objectives)
    names = [objective.metric for objective in wanted]
    down = [objective.metric for objective in wanted if objective.direction == "minimize"]
    up = [objective.metric for objective in wanted if objective.direction == "maximize"]
    before = [name for name in names if name in METRICS and METRICS[name].known_before]
    first = size or next((name for name in [*down, *before, *names] if name != score), names[0])
    return first, score or next((name for name in [*up, *names] if name != first), names[-1])


def teacher_sizes(facts: Prepared, task: str) -> dict[str, float | None]:
    """Size and cost of the teacher, counted as for students; empty before the preparation or if it is a file."""
    if task not in TASKS:  # logged runs
        return {}
    from bertdistill.engine.study.student import teacher_known  # imported here: the app's first screen needs no sizes

    return dict(teacher_known(facts, TASKS[task]))
