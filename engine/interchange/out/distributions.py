"""The distributions under which an optuna storage holds the parameters of a study.

Optuna wants each value inside of its distribution and one kind of distribution for a name. Where the study file says
more than what ran (a range), that is taken; where a person queued something else, or the study has no file, the
distribution is what was seen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bertdistill.engine.study.observed import observed_space
from bertdistill.engine.study.space import Parameter, Space, contains

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Scalar = str | int | float | bool | None
_LARGEST = 2**53
"""Of integers, all up to here are floats, too."""


def distributions(space: Space, params: Sequence[Mapping[str, Any]]) -> dict[str, BaseDistribution]:
    """The distribution of every parameter of these sets, whose values are `scalar`."""
    from optuna.distributions import CategoricalDistribution

    declared = {one.name: one for one in space}
    seen: dict[str, list[Scalar]] = {}
    for one in params:
        for name, value in one.items():
            seen.setdefault(name, []).append(value)
    observed = {one.name: one for one in observed_space(params)}
    found: dict[str, BaseDistribution] = {}
    for name, values in seen.items():
        fits = [one for one in (declared.get(name), observed.get(name)) if one is not None and _holds(one, values)]
        found[name] = _distribution(fits[0]) if fits else CategoricalDistribution(_different(values))
    return found


def scalar(value: Any) -> Scalar:
    """The value as optuna stores one: text, a number that a float holds, a truth value or None.

    Anything else becomes text.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) > _LARGEST:
        return str(value)
    return value if value is None or isinstance(value, (str, int, float)) else json.dumps(value, default=str)


def _holds(parameter: Parameter, values: Iterable[Scalar]) -> bool:
    return all(contains(parameter, value) for value in values)


def _different(values: Iterable[Scalar]) -> list[Scalar]:
    """Each value once, in the order of its first."""
    return list(dict.fromkeys(values))


def _distribution(parameter: Parameter) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    low, high = parameter.low or 0, parameter.high or 0
    match parameter.kind:
        case "choice":
            return CategoricalDistribution(parameter.choices)
        case "int":
            return IntDistribution(int(low), int(high), log=parameter.log, step=int(parameter.step or 1))
        case _:
            return FloatDistribution(low, high, log=parameter.log, step=parameter.step)
