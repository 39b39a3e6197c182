"""A trial as the analyses see it, and which of a study's objectives is the size and which the score.

Pure: it reads no database and ranks nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.study.space import Value
from bertdistill.engine.tasks.table import METRICS, TASKS

MOST_PERCENT = 1000.0
"""More than this is told of a value beside next to nothing; the plain difference says it better."""


@dataclass(frozen=True)
class Outcome:
    """One trial. `values` are its metrics by name, None where there is no finite number."""

    number: int
    params: Mapping[str, Value]
    """The searched parameters that are active."""
    values: Mapping[str, float | None]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All settings, resolved."""
    complete: bool = False
    frontier: bool = False
    feasible: bool = False
    """Complete, with a value for every objective, and every threshold reached."""
    baseline: bool = False
    finished_at: float | None = None
    """Unix time; None while it goes on."""
    hours: float = 0.0
    """Worker time over all attempts."""
    study: str = ""


@dataclass(frozen=True)
class Difference:
    """A value against the one it is compared with."""

    absolute: float
    percent: float | None
    """Of the other value; None where that says nothing, see `difference`."""


def difference(metric: str, value: float | None, other: float | None) -> Difference | None:
    """`value` minus `other`; None where one of them is not a finite number.

    Percent are only for metrics that cannot be negative, of another value above 0, and up to `MOST_PERCENT`.
    """
    mine, theirs = finite(value), finite(other)
    if mine is None or theirs is None:
        return None
    known = METRICS.get(metric)
    signed = mine < 0 or theirs <= 0 or (known is not None and known.signed)
    percent = None if signed else 100.0 * (mine - theirs) / theirs
    return Difference(mine - theirs, percent if percent is not None and percent <= MOST_PERCENT else None)


def size_and_score(objectives: Sequence[Objective], size: str = "", score: str = "") -> tuple[str, str]:
    """Metrics that play the size (x axis) and the score (y axis): the first minimised and the first maximised aim.

    Aims that all point one way play the two parts in their order. A part that is named is kept.
    """
    aimed = optimised(objectives)
    names = [objective.metric for objective in aimed]
    down = [objective.metric for objective in aimed if objective.direction == "minimize"]
    up = [objective.metric for objective in aimed if objective.direction == "maximize"]
    first = size or next((name for name in [*down, *names] if name != score), names[0])
    return first, score or next((name for name in [*up, *names] if name != first), names[-1])


def finite(value: float | None) -> float | None:
    """The value, None when it is not a finite number."""
    return value if value is not None and math.isfinite(value) else None


def teacher_sizes(facts: Prepared, task: str) -> dict[str, float | None]:
    """Size and cost of the teacher, counted as those of its students, from the facts of the preparation; empty before.

    A student that keeps everything is as large as its teacher.
    """
    if not facts.teacher_shape:
        return {}
    from bertdistill.engine.families.transformer import TRANSFORMER  # here: the app's first picture needs none

    kept = dataclasses.replace(facts, init_shape=facts.teacher_shape)
    try:
        return dict(TRANSFORMER.known(TRANSFORMER.plan(kept, Settings(), scratch=False), TASKS[task], facts))
    except ConfigError:
        return {}
