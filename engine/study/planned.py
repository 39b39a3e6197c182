"""A completed parameter set of a trial, and that of a program: its values by name. Pure.

What follows from the settings of a student is in `student`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.study.space import active, middle
from bertdistill.engine.study.study_spec import StudySpec


@dataclass(frozen=True)
class Planned:
    """One completed parameter set: the active parameters, all settings by name, and what is known before training."""

    params: dict[str, Any]
    settings: dict[str, Any]
    known: dict[str, float]


def plan_program(spec: StudySpec, given: Mapping[str, Any]) -> Planned:
    """A trial of a program with the given values, searched and fixed ones.

    A searched parameter that is not given has its fixed value, else the middle of its range; without effect it has none
    but the fixed one. Nothing is known of a program before it runs.
    """
    filled = {one.name: given.get(one.name, spec.values.get(one.name, middle(one))) for one in spec.search}
    params = dict(active(spec.search, filled, spec.fixed))
    beside = {name: value for name, value in given.items() if name not in filled}
    return Planned(params, {**spec.values, **beside, **params}, {})
