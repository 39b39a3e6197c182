"""The part of the search space that proposals are drawn from while a study runs: narrowed ranges and frozen values.

Pure. It never changes the space itself: trials, reruns and the optimiser still use the ranges in the study
file, so a narrowed range can be widened again and no earlier trial is lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.engine.study.scopes import by_name
from bertdistill.engine.study.sections import (
    Problem,
    did_you_mean,
    is_number,
    not_a_table,
    one_of,
    shown,
    value_problem,
)
from bertdistill.engine.study.space import (
    Parameter,
    Space,
    Value,
    as_field,
    contains,
    describe,
    field_of,
    of_choices,
)
from bertdistill.engine.study.study_text import parse_override

KEYS = ("low", "high", "choices")


# ------------------------------------------------------------------------------------------------------------- reading


def read_ranges(raw: Any, space: Space, *, own: bool = False) -> tuple[Space, list[Problem]]:
    """`[ranges]`: the narrowed parameters of `space`, and all problems. Those of a program have their `own` names."""
    if raw is None:
        return (), []
    if not isinstance(raw, Mapping):
        return (), [not_a_table("ranges")]
    named = {parameter.name: parameter for parameter in space}
    found: list[Parameter] = []
    problems: list[Problem] = []
    for name, part in raw.items() if own else by_name(raw):
        if name not in named:
            problems.append(Problem("ranges", str(name), f"is not searched in this study{did_you_mean(name, named)}"))
            continue
        try:
            kept = narrow(named[name], part)
        except ValueError as error:
            problems.append(Problem("ranges", name, str(error)))
        else:
            found += [] if kept == named[name] else [kept]
    order = list(named)
    return tuple(sorted(found, key=lambda parameter: order.index(parameter.name))), problems


def narrow(parameter: Parameter, raw: Any) -> Parameter:
    """The parameter restricted to part of its range; ValueError's message is worded to follow the parameter's name.

    `raw` is one value, a list of choices, or a table with `low`, `high` (either may be omitted) or `choices`. A single
    value gives a parameter with one choice.
    """
    if isinstance(raw, Mapping):
        if wrong := [key for key in raw if key not in KEYS] or ([] if raw else [""]):
            raise ValueError(f"has no key {wrong[0]}; use {one_of(KEYS)}" if wrong[0] else "is empty; give a range")
        if "choices" not in raw:
            return _between(parameter, raw.get("low"), raw.get("high"))
        if len(raw) > 1:
            raise ValueError("has both choices and a range; give one of them")
        raw = raw["choices"]
    values = list(raw) if isinstance(raw, (list, tuple)) else [raw]
    return _among(parameter, values)


def _among(parameter: Parameter, values: Sequence[Any]) -> Parameter:
    kept = [_checked(parameter, value) for value in values]
    if not kept:
        raise ValueError("has no values; give at least one")
    if parameter.kind != "choice" and len(set(kept)) > 1:
        raise ValueError(f"is a range; give its two ends ({shown(min(kept))}..{shown(max(kept))}) or one value")
    if parameter.kind == "choice":
        kept = [choice for choice in parameter.choices if choice in kept]
        if len(kept) == len(parameter.choices):
            return parameter
    return of_choices(parameter, kept)


def _between(parameter: Parameter, low: Any, high: Any) -> Parameter:
    if parameter.kind == "choice":
        return _choices_between(parameter, low, high)
    start = _checked(parameter, parameter.low if low is None else low)
    end = _checked(parameter, parameter.high if high is None else high)
    assert isinstance(start, (int, float))
    assert isinstance(end, (int, float))
    if start > end:
        raise ValueError(f"= {shown(start)}..{shown(end)} is empty; give the lower end first")
    if start == end:
        return of_choices(parameter, [start])
    return dataclasses.replace(parameter, low=start, high=end)


def _choices_between(parameter: Parameter, low: Any, high: Any) -> Parameter:
    ends = [end for end in (low, high) if end is not None]
    if not all(is_number(value) for value in (*parameter.choices, *ends)):
        raise ValueError(f"is not ordered; list the values: {one_of(parameter.choices)}")
    kept = [c for c in parameter.choices if (low is None or c >= low) and (high is None or c <= high)]
    if not kept:
        raise ValueError(f"has no value in that range; allowed: {describe(parameter)}")
    return _among(parameter, kept)


def _checked(parameter: Parameter, value: Any) -> Value:
    """The value, if the study file allows it."""
    problem = value_problem(field_of(parameter), value)
    if problem:
        raise ValueError(problem)
    found = as_field(field_of(parameter), value)
    if not contains(parameter, found):
        raise ValueError(f"= {shown(value)} is outside the range in the study file: {describe(parameter)}")
    return found


def typed(value: Any) -> Any:
    """A typed range in the form that `narrow` takes: `2..4`, `..4`, `16,32`, `0.5`, or a TOML list or table.

    None, the whole range, if nothing was typed.
    """
    if not isinstance(value, str):
        return value
    if value.strip().startswith(("[", "{")):
        return _scalar(value)
    low, dots, high = value.partition("..")
    if dots:
        ends = {"low": _scalar(low), "high": _scalar(high)}
        return {key: end for key, end in ends.items() if end is not None}
    if "," in value:
        return {"choices": [_scalar(part) for part in value.split(",")]}
    return _scalar(value)


def _scalar(text: str) -> Any:
    return parse_override(f"value={text.strip()}").value


# ------------------------------------------------------------------------------------------------------------- in force


def present(space: Space, ranges: Space) -> Space:
    """The space with the narrowed parameters in place of the full ones."""
    narrowed = {parameter.name: parameter for parameter in ranges}
    return tuple(narrowed.get(parameter.name, parameter) for parameter in space)


def inside(space: Space, params: Mapping[str, Any]) -> bool:
    """Whether each of `params` is within its range."""
    return all(contains(parameter, params[parameter.name]) for parameter in space if parameter.name in params)


def dump_range(parameter: Parameter) -> Any:
    """A narrowed parameter as stored in `[ranges]`."""
    if parameter.kind != "choice":
        return {"low": parameter.low, "high": parameter.high}
    return parameter.choices[0] if len(parameter.choices) == 1 else {"choices": list(parameter.choices)}


def range_text(raw: Any) -> str:
    """The same in short, as it is typed: `2..4`, `16,32`, `0.5`; None is the whole range."""
    if raw is None:
        return "whole range"
    if isinstance(raw, Mapping) and "choices" not in raw:
        return "..".join("" if raw.get(end) is None else shown(raw[end]) for end in ("low", "high"))
    values = raw["choices"] if isinstance(raw, Mapping) else raw if isinstance(raw, (list, tuple)) else [raw]
    return ",".join(value if isinstance(value, str) else shown(value) for value in values)
