"""The sub-networks that the search space of a study contains: what a supernet trains. Pure: it builds none of them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from bertdistill.engine.contract.spec import SUPERNET
from bertdistill.engine.families.supernet import ARCHITECTURE, architecture
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.study.space import (
    Parameter,
    Space,
    Value,
    active,
    conditions,
    count,
    grid,
    of_choices,
    points,
    resolve,
)
from bertdistill.engine.study.student import wanted_vocabularies
from bertdistill.engine.study.study_spec import StudySpec

MOST = 2000
"""Of a larger space so many are drawn: they stand in the spec of the preparation, and a supernet is trained for a few
thousand steps at most."""
LARGEST_GRID = 20_000


def wanted_nets(spec: StudySpec) -> list[dict[str, Any]]:
    """Their settings, each once, that of the baseline among them; none if students start from something else.

    Of the whole search space, whatever ranges are narrowed while the study runs: another supernet would be needed.
    """
    if spec.student.init != SUPERNET or spec.program is not None:
        return []
    found = {name: settings for name, (settings, _) in _architectures(spec).items()}
    if spec.baseline is not None and (trial := spec.fixed.baseline(spec.baseline)).family == TRANSFORMER.name:
        found.setdefault(_name(architecture(trial)), architecture(trial))
    return list(found.values())


def by_architecture(spec: StudySpec) -> dict[str, dict[str, Value]]:
    """By the settings of a sub-network of the search space, as sorted JSON, the parameters that have these values."""
    return {name: params for name, (_, params) in _architectures(spec).items()}


def _name(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def _architectures(spec: StudySpec) -> dict[str, tuple[dict[str, Any], dict[str, Value]]]:
    """By name: the settings, and the parameters, of the sub-networks of the space, at most MOST."""
    space = tuple(_prepared_sizes(one, spec) for one in architecture_space(spec.search))
    found: dict[str, tuple[dict[str, Any], dict[str, Value]]] = {}
    for params in _sets(space, spec):
        settings = resolve(space, params, spec.fixed)
        if settings.family == TRANSFORMER.name:
            one = architecture(settings)
            found.setdefault(_name(one), (one, active(space, params, spec.fixed)))
        if len(found) == MOST:
            break
    return found


def _prepared_sizes(one: Parameter, spec: StudySpec) -> Parameter:
    """Of a range of vocabularies only the sizes whose texts the preparation counts: each takes a split of its own."""
    if one.key != "vocab_size" or one.kind == "choice":
        return one
    return of_choices(one, sorted({size for sizes in wanted_vocabularies(spec).values() for size in sizes}))


def architecture_space(space: Space) -> Space:
    """The parameters that decide the architecture, and those that their conditions ask about."""
    keys = {*ARCHITECTURE, "family", "recipe"}
    while more := {other for one in space if one.key in keys for other in conditions(one)} - keys:
        keys |= more
    return tuple(one for one in space if one.key in keys)


def _sets(space: Space, spec: StudySpec) -> Iterator[Mapping[str, Value]]:
    if (count(space, spec.fixed) or math.inf) <= LARGEST_GRID:
        every = list(grid(space, spec.fixed))
        yield from random.Random(0).sample(every, len(every)) if len(every) > MOST else every
        return
    draw = random.Random(0)
    for _ in range(LARGEST_GRID):
        yield {one.name: draw.choice(points(one) or ("",)) for one in space}
