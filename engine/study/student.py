"""From a parameter set to a student: its settings made whole, and what is known of it before any training.

Pure: it starts nothing and reads no database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.contract import terms
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import SCRATCH, Settings
from bertdistill.engine.families.family import Student
from bertdistill.engine.families.table import FAMILIES, foreign
from bertdistill.engine.study.space import active, resolve
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.tasks.table import METRICS, TASKS


@dataclass(frozen=True)
class Planned:
    """One parameter set made whole: the active parameters, all settings, and what is known before training."""

    params: dict[str, Any]
    settings: Settings
    known: dict[str, float]


def plan(spec: StudySpec, facts: Prepared, params: Mapping[str, Any]) -> Planned:
    """Make a parameter set whole; raises ConfigError when no student can be built from it."""
    settings = resolve(spec.search, params, spec.settings)
    return Planned(dict(active(spec.search, params, spec.settings)), settings, known(spec, facts, settings))


def plan_baseline(spec: StudySpec, facts: Prepared) -> Planned:
    """Trial 0: the fixed settings with `[baseline]` over them."""
    settings = dataclasses.replace(spec.settings, **(spec.baseline or {}))
    params = {parameter.name: getattr(settings, parameter.name) for parameter in spec.search}
    return Planned(dict(active(spec.search, params, settings)), settings, known(spec, facts, settings))


def known(spec: StudySpec, facts: Prepared, settings: Settings) -> dict[str, float]:
    """Size and cost that follow from the settings, given the facts of the preparation."""
    student = planned_student(spec, facts, settings)
    return FAMILIES[settings.family].known(student, TASKS[spec.task], facts)


def planned_student(spec: StudySpec, facts: Prepared, settings: Settings) -> Student:
    """The student of these settings; ConfigError when none can be built, or not for this task."""
    family, task = FAMILIES[settings.family], TASKS[spec.task]
    if not family.fits(task):
        raise ConfigError(f"students of the family {family.name} cannot do {task.name}", hint="Use another family.")
    missing = terms.signals(settings) - {terms.LOGITS, *facts.signals}
    if missing:
        raise ConfigError(
            f"the preparation of this study cached no {', '.join(sorted(missing))} of the teacher",
            hint="Start another study in which these settings are fixed or searched from the beginning.",
        )
    return family.plan(facts, settings, scratch=spec.student.init == SCRATCH)


def effect(spec: StudySpec, facts: Prepared, settings: Settings) -> Hashable:
    """All that reaches the training: settings of equal effect make the same student and the same score.

    Raises ConfigError when no student can be built from them.
    """
    student = planned_student(spec, facts, settings)
    idle = FAMILIES[settings.family].idle(settings, student) | foreign(settings) | terms.idle(settings)
    return student, tuple(value for name, value in vars(settings).items() if name not in idle)


def wanted_signals(spec: StudySpec) -> list[str]:
    """What trials of the study may read of the teacher, whatever is proposed: the preparation caches it."""
    found = {terms.LOGITS}
    for term in terms.TERMS.values():
        if any(term.weight(value) != 0 for value in possible(spec, term.key)):
            found |= term.needs
    return sorted(found)


def possible(spec: StudySpec, key: str) -> list[Any]:
    """Values that a setting can have in trials of the study; of a range its ends."""
    found = [p.choices or (p.low, p.high) for p in spec.search if p.name == key]
    baseline = (spec.baseline or {}).get(key, getattr(spec.settings, key))
    return [getattr(spec.settings, key), baseline, *(value for one in found for value in one)]


def measured(spec: StudySpec) -> list[str]:
    """Metrics that the worker must measure at the end, beyond scores and what is known before."""
    names = [*(objective.metric for objective in spec.objectives), *spec.metrics.stored]
    wanted = [name for name in names if name not in TASKS[spec.task].scores and not METRICS[name].known_before]
    return list(dict.fromkeys(wanted))


def prunes_by_importance(spec: StudySpec) -> bool:
    """Whether some trial of the study may keep the more important of its heads."""
    return "importance" in possible(spec, "head_choice") and any(possible(spec, "heads"))
