"""The space that the parameters of logged runs span: none was declared, so it is what was seen.

Pure. Only for analysis; nothing is proposed from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bertdistill.engine.study.space import Parameter, Space, Value

WIDE = 10.0
"""A positive parameter whose highest value is this many times its lowest has a logarithmic scale."""
MOST_WORDS = 20
"""A parameter with more different words names its run, a folder or a date: it is no axis."""


def observed_space(params: Sequence[Mapping[str, Any]]) -> Space:
    """Every parameter that has at least two values, in the order in which they first appear."""
    names = dict.fromkeys(name for one in params for name in one)
    found = (_parameter(name, [one[name] for one in params if one.get(name) is not None]) for name in names)
    return tuple(one for one in found if one is not None)


def _parameter(name: str, seen: Iterable[Value]) -> Parameter | None:
    values = list(dict.fromkeys(seen))
    if len(values) < 2:
        return None
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        return Parameter(name, "choice", choices=tuple(values), own=True) if len(values) <= MOST_WORDS else None
    low, high = min(numbers), max(numbers)
    log = low > 0 and high / low >= WIDE
    if all(isinstance(number, int) for number in numbers):
        return Parameter(name, "int", low, high, log=log, own=True)
    return Parameter(name, "float", low, high, log=log, own=True)
