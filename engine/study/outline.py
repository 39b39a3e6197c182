"""What lists, charts and rankings need of a study (its objectives and a few texts), even without a valid `StudySpec`.

So a study whose file no longer validates, and a collection of logged runs that never had one, are still listed, shown,
ranked and deleted. It checks nothing: what cannot be read is left out, and `problem` says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.space import Space
from bertdistill.engine.study.study_spec import ReferencePoint, StudySpec
from bertdistill.engine.tasks.table import usual_direction
from bertdistill.store.rows import Study

SEARCH, PROGRAM, LOG = "search", "program", "log"
"""`Study.kind`: a search of students, a search of a program's parameters, and logged runs."""


@dataclass(frozen=True)
class Outline:
    """A study as far as it can be read."""

    objectives: tuple[Objective, ...] = ()
    stored: tuple[str, ...] = ()
    """Additional metrics of its trials."""
    references: tuple[ReferencePoint, ...] = ()
    trials: int = 0
    """The budget; 0 means none."""
    slots: int = 0
    note: str = ""
    search: Space = ()
    ranges: Space = ()
    spec: StudySpec | None = None
    """The full spec in force, if it is valid."""
    problem: str = ""
    """Why it is not valid, or that there is none."""

    @property
    def whole(self) -> StudySpec:
        """The spec for operations that require it (running, proposing, changing); ConfigError if there is none."""
        if self.spec is None:
            raise ConfigError(self.problem or "this study has no study file")
        return self.spec


def outline(study: Study) -> Outline:
    """The outline of a study in the database; never fails."""
    if study.kind == LOG:
        return _as_far_as_it_goes(study.spec, f"study {study.name} is a collection of logged runs, not a search")
    try:
        spec = study_from_dict(study.spec, where=f"study {study.name}")
    except ConfigError as error:
        return _as_far_as_it_goes(study.spec, str(error))
    return of_spec(spec)


def of_spec(spec: StudySpec) -> Outline:
    """The outline of a valid study."""
    return Outline(
        spec.objectives,
        tuple(spec.metrics.stored),
        spec.references,
        spec.budget.trials,
        spec.runner.slots,
        spec.note,
        spec.search,
        spec.ranges,
        spec,
    )


def _as_far_as_it_goes(raw: Mapping[str, Any], problem: str) -> Outline:
    stored, trials = _table(raw, "metrics").get("stored"), _table(raw, "budget").get("trials")
    note = raw.get("note")
    return Outline(
        objectives=tuple(readable_objectives(raw.get("objectives"))),
        stored=tuple(one for one in stored if isinstance(one, str)) if isinstance(stored, (list, tuple)) else (),
        trials=trials if isinstance(trials, int) and not isinstance(trials, bool) and trials > 0 else 0,
        note=note if isinstance(note, str) else "",
        problem=problem,
    )


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = raw.get(name)
    return found if isinstance(found, Mapping) else {}


def readable_objectives(raw: Any) -> Iterator[Objective]:
    """The readable objectives, each metric once. Logged runs may have their own metrics, with a direction."""
    seen = set()
    for item in raw if isinstance(raw, (list, tuple)) else ():
        metric = item.get("metric") if isinstance(item, Mapping) else None
        if isinstance(metric, str) and metric and metric not in seen:
            seen.add(metric)
            minimize = item.get("direction", usual_direction(metric)) == "minimize"
            threshold = _finite(item.get("threshold"))
            constraint = item.get("constraint") is True and threshold is not None
            yield Objective(metric, "minimize" if minimize else "maximize", threshold, constraint)


def _finite(value: Any) -> float | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None
