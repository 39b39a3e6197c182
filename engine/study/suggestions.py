"""Suggestions for a rejected value: the nearest valid values below and above it.

Pure. The caller decides whether a value is valid; nothing is replaced automatically.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from bertdistill.engine.study.sections import is_number, kind_of, one_of, shown, value_problem
from bertdistill.engine.study.space import SETTING, Parameter, Value, as_field, contains, field_of

MOST_TRIED = 100
"""Candidates tried on either side; widths divisible by the heads are closer than that."""
LARGEST = 1e9
"""A typed value beyond this is a slip: no suggestion helps."""


def fixed_parameter(name: str) -> Parameter:
    """A setting that is not searched, as a parameter with the limits of its key; high may be infinite."""
    field = SETTING[name]
    if words := field.metadata.get("choices"):
        return Parameter(name, "choice", choices=tuple(words))
    low, high = field.metadata.get("low", 0), field.metadata.get("high")
    kind = "int" if kind_of(field) == "int" else "float"
    return Parameter(name, kind, low, math.inf if high is None else high)  # type: ignore[arg-type]  # one of its words


def read_fixed(name: str, text: str) -> Value:
    """The value typed for such a setting; raises ValueError that states what is allowed."""
    kind, possible = kind_of(SETTING[name]), limits(fixed_parameter(name))
    if not text:
        raise ValueError(f"{name} is empty; allowed: {possible}")
    try:
        value: Value = text if kind == "str" else int(text) if kind == "int" else float(text)
    except ValueError:
        whole = "whole " if kind == "int" else ""
        raise ValueError(f"{name} = {text} is not a {whole}number; allowed: {possible}") from None
    if problem := value_problem(SETTING[name], value):
        raise ValueError(f"{name} {problem}")
    return value


def limits(parameter: Parameter) -> str:
    """The allowed values of a parameter without its conditions: `0 to 48`, `at least 1`, or its choices."""
    if parameter.kind == "choice":
        return one_of(parameter.choices)
    if parameter.high == math.inf:
        return f"at least {shown(parameter.low)}"
    return f"{shown(parameter.low)} to {shown(parameter.high)}"


def suggested(parameter: Parameter, text: str, old: Value, taken: Callable[[Value], bool]) -> list[Value]:
    """At most two valid values other than `old`, nearest to what was typed, else nearest to `old`."""
    if parameter.kind == "choice" and not all(map(is_number, parameter.choices)):
        return _first(2, (one for one in parameter.choices if one != old), taken)
    wanted = _number(text)
    if wanted is None:
        wanted = float(old)

    def nearest(side: Iterable[Value]) -> list[Value]:
        held = (as_field(field_of(parameter), one) for one in islice(side, MOST_TRIED))
        return _first(2, (one for one in held if one != old and contains(parameter, one)), taken)

    below, above = map(nearest, _sides(parameter, wanted, old))
    return below[:1] + above[:1] if below and above else sorted(below + above)


def example(values: Iterable[Value]) -> str:
    """`For example 32 or 40.`, or '' without suggestions."""
    words = one_of(values)
    return f"For example {words}." if words else ""


def _first(number: int, values: Iterable[Value], taken: Callable[[Value], bool]) -> list[Value]:
    return list(islice(filter(taken, values), number))


def _sides(parameter: Parameter, wanted: float, old: Value) -> tuple[Iterable[Value], Iterable[Value]]:
    """The values up to `wanted`, nearest first, and those above it; for a continuous range only some round values."""
    if parameter.kind != "choice" and (parameter.kind == "int" or parameter.step):
        return _steps(parameter, wanted, -1), _steps(parameter, wanted, 1)
    values = parameter.choices if parameter.kind == "choice" else _round_values(parameter, old)
    numbers = sorted(one for one in values if isinstance(one, (int, float)))
    return [one for one in reversed(numbers) if one <= wanted], [one for one in numbers if one > wanted]


def _steps(parameter: Parameter, wanted: float, by: int) -> Iterator[Value]:
    """The values of a stepped range starting at `wanted`, downwards (including itself) or upwards."""
    low, high, step = parameter.low or 0, parameter.high or 0, parameter.step or 1
    place = math.floor((min(max(wanted, low - step), high + step) - low) / step)
    last = place + MOST_TRIED if high == math.inf else math.floor((high - low) / step + 1e-9)
    for index in range(place, -1, -1) if by < 0 else range(max(place + 1, 0), last + 1):
        value = low + index * step
        yield round(value) if parameter.kind == "int" else float(f"{value:.12g}")


def _round_values(parameter: Parameter, old: Value) -> list[float]:
    """Ends, middle, and half and twice the old value, to three significant digits."""
    low, high = parameter.low or 0.0, parameter.high or 0.0
    found = [low]
    if high < math.inf:
        found += [high, math.sqrt(low * high) if low > 0 and (parameter.log or high / low > 100) else (low + high) / 2]
    if isinstance(old, (int, float)):
        found += [old / 2, old * 2]
    return [float(f"{one:.3g}") for one in found]


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if abs(found) < LARGEST else None
