"""What lists, charts and rankings need of a study (its objectives and a few texts), even without a valid `StudySpec`.

So a study whose file no longer validates, and a collection of logged runs that never had one, are still listed, shown,
ranked and deleted. It checks nothing: what cannot be read is left out, and `problem` says why. The whole spec is read
when it is first asked for: with what it imports that takes 60 ms, which the first picture of the app does without.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.tasks.table import usual_direction
from bertdistill.store.rows import Study

if TYPE_CHECKING:
    from bertdistill.engine.study.space import Space
    from bertdistill.engine.study.study_spec import ReferencePoint, StudySpec

SEARCH, PROGRAM, LOG = "search", "program", "log"
"""`Study.kind`: a search of students, a search of a program's parameters, and logged runs."""


@dataclass(frozen=True)
class Filed:
    """A study as it is stored."""

    name: str
    kind: str
    raw: Mapping[str, Any]

    @cached_property
    def read(self) -> tuple[StudySpec | None, str]:
        """The spec if it is valid, else what is wrong."""
        if self.kind == LOG:
            return None, f"study {self.name} is a collection of logged runs, not a search"
        from bertdistill.engine.study.config import study_from_dict

        try:
            return study_from_dict(self.raw, where=f"study {self.name}"), ""
        except ConfigError as error:
            return None, str(error)


@dataclass(frozen=True)
class Outline:
    """A study as far as it can be read."""

    filed: Filed
    objectives: tuple[Objective, ...] = ()
    stored: tuple[str, ...] = ()
    """Additional metrics of its trials."""
    trials: int = 0
    """The budget; 0 means none."""
    slots: int = 0
    note: str = ""
    searched: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The searched parameters by name, with their choices (empty for a range)."""
    observed: Space = ()
    """What logged runs vary, which no file says."""

    @property
    def spec(self) -> StudySpec | None:
        """The full spec in force, if it is valid."""
        return self.filed.read[0]

    @property
    def problem(self) -> str:
        """Why it is not valid, or that there is none."""
        return self.filed.read[1]

    @property
    def search(self) -> Space:
        return self.spec.search if self.spec else self.observed

    @property
    def ranges(self) -> Space:
        return self.spec.ranges if self.spec else ()

    @property
    def references(self) -> tuple[ReferencePoint, ...]:
        return self.spec.references if self.spec else ()

    @property
    def whole(self) -> StudySpec:
        """The spec for operations that require it (running, proposing, changing); ConfigError if there is none."""
        if self.spec is None:
            raise ConfigError(self.problem or "this study has no study file")
        return self.spec


def outline(study: Study) -> Outline:
    """The outline of a study in the database; never fails."""
    raw = study.spec
    stored, note = _table(raw, "metrics").get("stored"), raw.get("note")
    return Outline(
        Filed(study.name, study.kind, raw),
        objectives=tuple(readable_objectives(raw.get("objectives"))),
        stored=tuple(one for one in stored if isinstance(one, str)) if isinstance(stored, (list, tuple)) else (),
        trials=_count(_table(raw, "budget").get("trials")),
        slots=_count(_table(raw, "runner").get("slots")),
        note=note if isinstance(note, str) else "",
        searched=dict(_searched(_table(raw, "search"))),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _searched(tables: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Names as in `Space`; a table that holds nothing but tables is that of a family."""
    for name, shape in tables.items():
        if not isinstance(shape, Mapping):
            continue
        if all(isinstance(value, Mapping) for value in shape.values()):
            yield from ((f"{name}.{key}", choices) for key, choices in _searched(shape))
        else:
            choices = shape.get("choices")
            yield name, tuple(choices) if isinstance(choices, (list, tuple)) else ()


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
