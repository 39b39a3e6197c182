"""A trial as seen by the analyses, and which of a study's objectives serve as size and score.

Pure: it reads no database and ranks nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import finite
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.study.space import Value
from bertdistill.engine.tasks.table import METRICS, TASKS

MOST_PERCENT = 1000.0
"""Larger percentages mean that the reference is almost zero; the absolute difference is clearer."""

FEWEST_COMPARED, MOST_COMPARED = 2, 6
"""How many trials can be compared side by side."""

CHANCE_MARGIN = 0.5
"""Margin in percentage points within which a score counts as chance: a few examples of a small validation split."""


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


@dataclass(frozen=True)
class Difference:
    """A value relative to a reference value."""

    absolute: float
    percent: float | None
    """In percent of the reference; None if meaningless, see `difference`."""


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
    return Difference(mine - theirs, percent if percent is not None and percent <= MOST_PERCENT else None)


def at_chance(objectives: Sequence[Objective], values: Mapping[str, float | None], chance: Mapping[str, float]) -> bool:
    """Whether a score among the objectives is one that a model reaches without learning anything."""
    scores = [(chance[o.metric], finite(values.get(o.metric))) for o in objectives if o.metric in chance]
    return any(value is not None and value <= level + CHANCE_MARGIN for level, value in scores)


def size_and_score(objectives: Sequence[Objective], size: str = "", score: str = "") -> tuple[str, str]:
    """The metrics used as size (x axis) and score (y axis): the first minimised and the first maximised objective.

    If all objectives have one direction, the first two are used in order. An explicit `size` or `score` is kept.
    """
    wanted = optimised(objectives)
    names = [objective.metric for objective in wanted]
    down = [objective.metric for objective in wanted if objective.direction == "minimize"]
    up = [objective.metric for objective in wanted if objective.direction == "maximize"]
    first = size or next((name for name in [*down, *names] if name != score), names[0])
    return first, score or next((name for name in [*up, *names] if name != first), names[-1])


def teacher_sizes(facts: Prepared, task: str) -> dict[str, float | None]:
    """Size and cost of the teacher, counted as for students, from the facts of the preparation; empty before it.

    Those of an ensemble are sums, as far as they are known of each model: all of them answer every text.
    """
    first = [facts] if facts.teacher_shape else []
    others = [
        dataclasses.replace(facts, teacher_shape=one.shape, teacher_params=one.params, mean_length=one.mean_length)
        for one in facts.ensemble
    ]
    found = [_model_sizes(one, task) for one in (*first, *others)]
    if len(found) < 2:
        return found[0] if found else {}
    common = [name for name in found[0] if all(one.get(name) is not None for one in found)]
    return {name: math.fsum(one[name] or 0.0 for one in found) for name in common}


def _model_sizes(facts: Prepared, task: str) -> dict[str, float | None]:
    """A student that keeps everything is as large as its teacher."""
    from bertdistill.engine.families.transformer import (
        BYTES_PER_WEIGHT,
        TRANSFORMER,  # imported here because the app's first screen does not need it
    )

    kept = dataclasses.replace(facts, init_shape=facts.teacher_shape)
    try:
        return dict(TRANSFORMER.known(TRANSFORMER.plan(kept, Settings(), scratch=False), TASKS[task], facts))
    except ConfigError:  # an architecture whose costs are not computed
        count = facts.teacher_params
        return {"params": count, "size_mb": count * BYTES_PER_WEIGHT / 1e6} if count else {}
