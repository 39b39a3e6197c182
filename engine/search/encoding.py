"""Encodes parameters as optuna distributions and decodes what optuna draws.

Used only by `search`. It proposes nothing and knows no trials.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from bertdistill.engine.study.space import Parameter, Value, contains, points, tidy

LABELS = ("head_seed", "seed")
"""Numbers that are only labels: 7 is no closer to 8 than to 90."""
MOST_LABELS = 100
DIGITS = 4
"""Significant digits of proposed floats: 3.142e-05 trains like 3.14159265e-05 and is easier to type."""


@dataclass(frozen=True)
class Code:
    """How a parameter is encoded for optuna. Numeric choices keep their order: as categories, 16 and 64 are as close
    as 16 and 32, and the model learns each one separately."""

    parameter: Parameter
    """The parameter whose values are drawn."""
    distribution: BaseDistribution
    """The distribution used to report past trials."""
    drawn: BaseDistribution
    """The distribution to draw from: the same, or part of it."""
    table: tuple[Value, ...] = ()
    """Values by index, if the distribution is over indices."""
    indices: tuple[int, ...] = ()
    """The categories or table entries that may be drawn; empty for ranges."""

    @staticmethod
    def of(parameter: Parameter) -> Code:
        values = points(parameter)
        label = parameter.key in LABELS and values is not None and len(values) <= MOST_LABELS
        shape: BaseDistribution
        if parameter.kind == "choice" or label:
            choices = values or ()
            indices = tuple(range(len(choices)))
            if label or any(isinstance(choice, (str, bool)) for choice in choices):
                shape = CategoricalDistribution(choices)
                return Code(parameter, shape, shape, indices=indices)
            shape = IntDistribution(0, len(choices) - 1)
            return Code(parameter, shape, shape, tuple(sorted(choices, key=float)), indices)
        shape = _range(parameter)
        return Code(parameter, shape, shape)

    def drawing(self, now: Parameter) -> Code:
        """The same encoding for past trials, drawing from a part: optuna must see one distribution in all trials."""
        if now == self.parameter:
            return self
        drawn, indices = self.distribution, self.indices
        if isinstance(drawn, CategoricalDistribution):
            indices = tuple(i for i in indices if contains(now, drawn.choices[i]))
        elif self.table:
            indices = tuple(i for i in indices if contains(now, self.table[i]))
            drawn = IntDistribution(indices[0], indices[-1])
        elif now.kind == "choice":
            [value] = now.choices
            drawn = _range(dataclasses.replace(self.parameter, low=float(value), high=float(value)))
        else:
            drawn = _range(now)
        return Code(now, self.distribution, drawn, self.table, indices)

    def encode(self, value: Value) -> Value:
        return self.table.index(value) if self.table else value

    def suggest(self, trial: optuna.Trial, dice: random.Random) -> Value:
        name, shape = self.parameter.name, self.drawn
        if isinstance(shape, CategoricalDistribution):
            value = cast(Value, trial.suggest_categorical(name, shape.choices))
            allowed = [shape.choices[i] for i in self.indices]
            return value if value in allowed else cast(Value, dice.choice(allowed))
        if isinstance(shape, IntDistribution):
            number = trial.suggest_int(name, shape.low, shape.high, step=shape.step, log=shape.log)
            return self.table[min(self.indices, key=lambda i: abs(i - number))] if self.table else number
        assert isinstance(shape, FloatDistribution)
        value = trial.suggest_float(name, shape.low, shape.high, step=shape.step, log=shape.log)
        return rounded(self.parameter, value) if self.parameter.kind == "float" else self.parameter.choices[0]


def _range(parameter: Parameter) -> BaseDistribution:
    low, high = parameter.low or 0, parameter.high or 0
    if parameter.kind == "int":
        return IntDistribution(int(low), int(high), log=parameter.log, step=int(parameter.step or 1))
    return FloatDistribution(low, high, log=parameter.log, step=parameter.step)


def alike(parameter: Parameter, value: Value) -> Callable[[Value], bool]:
    """Whether another value may be rounded to the same one. It may say yes too often, never no."""
    if parameter.kind != "float" or not isinstance(value, (int, float)):
        return lambda other: other == value
    low, high = float(parameter.low or 0.0), float(parameter.high or 0.0)
    digits = 1 - DIGITS if parameter.log else math.floor(math.log10(high - low)) - DIGITS
    margin = 2 * (parameter.step or 10.0**digits * (abs(value) if parameter.log else 1.0))
    return lambda other: (  # outside the range it is moved to its end
        not isinstance(other, (int, float)) or abs(other - value) <= margin or not low <= other <= high
    )


def rounded(parameter: Parameter, value: Value) -> Value:
    """A float rounded to the digits that matter but still in its range; other values unchanged."""
    if parameter.kind != "float" or not isinstance(value, (int, float)):
        return value
    low, high = float(parameter.low or 0.0), float(parameter.high or 0.0)
    if parameter.step:
        return tidy(low + round((value - low) / parameter.step) * parameter.step)
    if parameter.log:
        number = float(f"{value:.{DIGITS}g}")
    else:
        number = round(float(value), DIGITS - math.floor(math.log10(high - low)))
    return min(max(number, low), high)
