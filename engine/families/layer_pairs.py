"""Which layers of teacher and student the loss compares, and whether it can. Standard library only; it builds nothing.

Layers are counted from 1, so that 0 are the embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract import terms
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings

if TYPE_CHECKING:
    from bertdistill.engine.families.transformer import Plan

Pairs = tuple[tuple[int, int], ...]
"""(layer of the student, layer of the teacher)."""


def hidden_pairs(student: int, teacher: int, how: str) -> Pairs:
    """The pairs of PKD for so many layers: all of the student's but its last, which the soft loss already teaches.

    skip: every teacher/student-th layer, rounded down; last: those right below the teacher's last (Sun et al. 2019,
    arXiv 1908.09355, PKD-Skip and PKD-Last).
    """
    if how == "last":
        return tuple((layer, teacher - student + layer) for layer in range(1, student))
    return tuple((layer, layer * teacher // student) for layer in range(1, student))


def states_bytes(features: int, layers: int, hidden_size: int) -> int:
    """Size of the cached states of a teacher with so many layers: one vector a layer but the last, in fp16."""
    return features * (layers - 1) * hidden_size * 2


def check_layers(plan: Plan, facts: Prepared, settings: Settings) -> None:
    """ConfigError if a term of the loss compares layers that this student or the teacher does not have."""
    compared = [term for term in terms.active(settings) if term.families]
    if not compared or not facts.teacher_shape:
        return
    layers, teacher = len(plan.kept_layers), facts.teacher_shape
    for term in compared:
        _check_depth(term.key, layers, teacher)
    if settings.hidden_weight and layers == 1:
        raise ConfigError(
            "settings.hidden_weight compares all layers but the last, and this student has one layer",
            hint="use 2 or more layers, or hidden_weight = 0",
        )


def _check_depth(key: str, layers: int, teacher: Mapping[str, Any]) -> None:
    if layers > teacher["layers"]:
        raise ConfigError(
            f"settings.{key} needs a layer of the teacher for each of the student's {layers}, and it has "
            f"{teacher['layers']}",
            hint=f"use at most {teacher['layers']} layers, or {key} = 0",
        )
