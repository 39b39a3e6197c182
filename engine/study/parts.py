"""The sections of a study file as far as they could be read, which the checks across sections look at.

A section with problems of its own is None, and the checks skip it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.contract.spec import (
    SCRATCH,
    DataSpec,
    PretrainSpec,
    Settings,
    StudentSpec,
    TeacherSpec,
    TransferSpec,
)
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.space import Space, points


@dataclass(frozen=True)
class Parts:
    """The sections of a study file that could be read."""

    task: str | None
    data: DataSpec | None
    teacher: TeacherSpec | None
    student: StudentSpec | None
    settings: Settings | None
    named: frozenset[str]
    """Keys that `[settings]` names."""
    search: Space | None
    objectives: tuple[Objective, ...] | None
    stored: tuple[str, ...]
    select: str
    sampler: str
    baseline: Mapping[str, Any] | None
    transfer: tuple[TransferSpec, ...] | None
    references: tuple[tuple[str, Mapping[str, float]], ...]
    family_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pretrain: tuple[PretrainSpec, ...] | None = ()
    supernet: bool = False
    """Whether the file has a table `[supernet]`."""

    @property
    def fixed(self) -> Fixed:
        """The fixed settings, or their defaults if they could not be read."""
        return Fixed(self.settings or Settings(), self.family_settings, self.recipes)

    @property
    def scratch(self) -> bool:
        """Whether students have random weights."""
        return self.student is not None and self.student.init == SCRATCH

    def values(self, key: str, family: str) -> tuple[Any, ...]:
        """What a key can be in students of this family; nothing for a continuous range."""
        searched = next((one for one in self.search or () if one.key == key and one.applies(family)), None)
        plain = (self.fixed.value(key, family),) if searched is None else points(searched)
        return () if plain is None else (*plain, *(own[key] for own in self.recipes.values() if key in own))
