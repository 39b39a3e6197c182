"""The first trials of a study whose sub-networks were screened: the best of these, from small to large.

They take the place of random ones; what is searched beside the architecture is drawn at random. And what the model is
told of all of them. Pure: it proposes nothing itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bertdistill.engine.pareto.frontier import has_all, optimised, oriented, ranks
from bertdistill.engine.search.past import ScreenedStudent
from bertdistill.engine.study.space import Parameter, Space, Value, contains, of_choices
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.study.supernet_space import by_architecture
from bertdistill.store.rows import Screened

SAMPLER = "screened"
"""`Trial.sampler` of such a trial."""
UNSEEDED = ("grid", "random")
"""Samplers that a person chooses for what they are."""


def starts(rows: Sequence[Screened], spec: StudySpec) -> list[dict[str, Value]]:
    """The searched parameters of these sub-networks' architectures, at most `sampler.startup_trials` of them.

    They are on the frontier of all that sharing has not ruined, in the objectives that are known of sub-networks.
    """
    if spec.sampler.kind in UNSEEDED:
        return []
    params = by_architecture(spec)
    found = [row for row in rows if not row.ruined and json.dumps(row.settings, sort_keys=True) in params]
    chosen = spread(frontier(found, spec), spec.sampler.startup_trials)
    return [params[json.dumps(row.settings, sort_keys=True)] for row in chosen]


def screened_students(rows: Sequence[Screened], spec: StudySpec) -> list[ScreenedStudent]:
    """What the screening tells the model: the score of each sub-network that sharing has not ruined, by its parameters.

    That of the first objective that was measured of all of them; none if there is no such.
    """
    params = by_architecture(spec)
    found = [row for row in rows if not row.ruined and json.dumps(row.settings, sort_keys=True) in params]
    metric = next((o.metric for o in optimised(spec.objectives) if all(has_all(r.metrics, [o]) for r in found)), "")
    return [
        ScreenedStudent(params[json.dumps(row.settings, sort_keys=True)], metric, float(row.metrics[metric]))
        for row in found
        if metric
    ]


def frontier(rows: Sequence[Screened], spec: StudySpec) -> list[Screened]:
    """The rows that no other one dominates, in the objectives that all of them have; none if those are fewer than two.

    A row above a limit of its size is none: no trial could be like it.
    """
    values = [{**row.known, **row.metrics} for row in rows]
    common = [one for one in spec.objectives if all(has_all(each, [one]) for each in values)]
    if len(optimised(common)) < 2:
        return []
    fit = [
        index
        for index, each in enumerate(values)
        if all(one.feasible(float(each[one.metric])) for one in common if one.metric in rows[index].known)
    ]
    fronts = ranks([oriented(values[index], common) for index in fit])
    return [rows[index] for index, rank in zip(fit, fronts, strict=True) if rank == 0]


def spread(rows: Sequence[Screened], most: int) -> list[Screened]:
    """At most so many of them, from the smallest to the largest, as even as possible in the logarithm of their size."""
    sized = sorted((math.log(max(1.0, row.known.get("params") or 1.0)), index) for index, row in enumerate(rows))
    if len(sized) <= most:
        return [rows[index] for _, index in sized]
    low, high = sized[0][0], sized[-1][0]
    left, chosen = list(sized), list[tuple[float, int]]()
    for place in range(most):
        wanted = low + (high - low) * place / max(1, most - 1)
        best = min(left, key=lambda one: abs(one[0] - wanted))
        left.remove(best)
        chosen.append(best)
    return [rows[index] for _, index in sorted(chosen)]


def pending(found: Sequence[Mapping[str, Value]], begun: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Value]]:
    """The starts that no trial has yet."""
    for start in found:
        if not any(all(params.get(name) == value for name, value in start.items()) for params in begun):
            yield start


def narrowed(space: Space, start: Mapping[str, Value]) -> Space | None:
    """The space with only these values where the start has some; None if a narrowed range excludes one."""
    if not all(contains(one, start[one.name]) for one in space if one.name in start):
        return None
    return tuple(_only(one, start[one.name]) if one.name in start else one for one in space)


def _only(parameter: Parameter, value: Value) -> Parameter:
    if parameter.kind == "choice":
        return of_choices(parameter, [value])
    assert isinstance(value, (int, float)), "a range holds numbers"
    return replace(parameter, low=value, high=value)
