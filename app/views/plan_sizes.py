"""Sizes of the students of a study before anything starts: exact arithmetic on a shape. It reads no files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import WITH_LAYERS
from bertdistill.engine.families import sparsity
from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.study import space
from bertdistill.engine.study.student import known, possible
from bertdistill.engine.study.study_spec import StudySpec

SIZE_KEYS = (
    *("family", "layers", "layer_choice", "heads", "hidden_size", "ffn_size", "embedding_rank", "head_size"),
    *("separate_layers", "bottleneck_size", "ffn_count"),
    *("vocab_size", "embedding_size", "max_features"),
)
MOST_STUDENTS = 20_000
"""Larger spaces are not enumerated any further."""


def student_sizes(
    spec: StudySpec, shape: Shape, teacher: Shape | None, baseline: Settings, labels: int
) -> tuple[dict[str, Any], list[float], int]:
    """Parameters of the students, the gflops of those with layers, and the most parameters during a training."""
    facts = Prepared(
        labels=("",) * labels,
        mean_length=float(spec.data.max_length),
        init_shape=shape.to_dict(),
        teacher_shape=teacher.to_dict() if teacher else {},
    )
    found, gflops, trained, refused = [], [], 0, 0
    for settings in students(spec):
        try:
            metrics = known(spec, facts, settings)
        except ConfigError:
            refused += 1
            continue
        found.append(int(metrics["params"]))
        dense = metrics if settings.pruning_scope not in sparsity.STRUCTURES else _dense(spec, facts, settings)
        trained = max(trained, int(dense["params"]))
        if settings.family in WITH_LAYERS:
            gflops.append(metrics["gflops"])
    sizes = {
        "baseline": int(known(spec, facts, baseline)["params"]) if spec.baseline is not None else None,
        "smallest": min(found, default=None),
        "largest": max(found, default=None),
        "refused": refused,
        "students": len(found) + refused,
    }
    return sizes, gflops, trained


def _dense(spec: StudySpec, facts: Prepared, settings: Settings) -> dict[str, float]:
    """During the training, before heads and neurons are removed."""
    return known(spec, facts, replace(settings, pruning=sparsity.NONE))


def students(spec: StudySpec) -> Iterator[Settings]:
    """Every architecture of the space; of a long range only the ends, because size grows with each of them."""
    wanted = {*SIZE_KEYS, "recipe"}  # a recipe may set any of them
    if {*possible(spec, "pruning_scope")} & sparsity.STRUCTURES.keys():
        wanted |= {"pruning", "pruning_scope", "sparsity"}
    for parameter in spec.search:  # what a condition asks about must be in the grid as well
        wanted |= set(space.conditions(parameter)) if parameter.key in SIZE_KEYS else set()
    part = tuple(_ends_of_long(p) for p in spec.search if p.key in wanted)
    for params in islice(space.grid(part, spec.fixed), MOST_STUDENTS):
        yield space.resolve(part, params, spec.fixed)


def _ends_of_long(parameter: space.Parameter) -> space.Parameter:
    if parameter.kind == "choice":
        return parameter
    values = space.points(parameter)
    if values is not None and len(values) <= 16:
        return parameter
    low, high = parameter.low or 0, parameter.high or 0
    ends = (int(low), int(high)) if parameter.kind == "int" else (low, high)
    return space.of_choices(parameter, ends)
