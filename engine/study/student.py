"""From a parameter set to a student: its settings made whole, and what is known of it before any training.

Pure: it starts nothing and reads no database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import SCRATCH, Settings
from bertdistill.engine.families.transformer import Shape, known_metrics, plan_student
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
    scratch = spec.student.init == SCRATCH
    return known_metrics(
        Shape.from_dict(facts.teacher_shape if scratch else facts.init_shape),
        settings,
        scratch=scratch,
        task=spec.task,
        labels=len(facts.labels),
        mean_length=facts.mean_length,
    )


def effect(spec: StudySpec, facts: Prepared, settings: Settings) -> Hashable:
    """All that reaches the training: settings of equal effect make the same student and the same score.

    Raises ConfigError when no student can be built from them.
    """
    scratch = spec.student.init == SCRATCH
    init = Shape.from_dict(facts.teacher_shape if scratch else facts.init_shape)
    student = plan_student(init, settings, scratch=scratch)
    idle = {"layers", "layer_choice", "layer_list", "heads", "hidden_size", "ffn_size", "head_size"}  # in the plan
    if not student.pruned or settings.head_choice != "random":
        idle.add("head_seed")
    if not student.pruned:
        idle.add("head_choice")
    if settings.alpha == 0:
        idle.add("temperature")
    return student, tuple(value for name, value in vars(settings).items() if name not in idle)


def measured(spec: StudySpec) -> list[str]:
    """Metrics that the worker must measure at the end, beyond scores and what is known before."""
    names = [*(objective.metric for objective in spec.objectives), *spec.metrics.stored]
    wanted = [name for name in names if name not in TASKS[spec.task].scores and not METRICS[name].known_before]
    return list(dict.fromkeys(wanted))


def prunes_by_importance(spec: StudySpec) -> bool:
    """Whether some trial of the study may keep the more important of its heads."""

    def values(key: str) -> list[Any]:
        found = [p.choices or (p.low, p.high) for p in spec.search if p.name == key]
        return [getattr(spec.settings, key), (spec.baseline or {}).get(key), *(v for one in found for v in one)]

    return "importance" in values("head_choice") and any(values("heads"))
