"""`[search]`, read and checked: parameters of every family that uses their key, and tables of single families.

Pure: it reads tables that are parsed already. What a space is and means is in `space`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Literal

from bertdistill.engine.contract.spec import SEARCHABLE
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.scopes import SELECTORS, by_name, foreign_problem, joined, split, uses
from bertdistill.engine.study.sections import did_you_mean, is_number, kind_of, shown, value_problem
from bertdistill.engine.study.space import SETTING, Parameter, Space, Value, as_field, contains, describe, setters

Field = dataclasses.Field[Any]
KEYS = ("low", "high", "log", "step", "choices", "when")
MOST_POINTS = 1_000_000
"""Maximum values of one parameter: they are listed to count students, so a step of 1e-300 would exhaust memory."""
ZERO_IS_SPECIAL = ("layers", "heads", "hidden_size", "ffn_size", "embedding_rank", "bottleneck_size", "ffn_count")
"""For these, 0 means "all" or "as the teacher", so it is not less than 1 and cannot be the end of a range."""


def read_search(raw: Mapping[str, Any]) -> tuple[Space, list[tuple[str, str]]]:
    """The space as far as it can be read, and its problems as (parameter or family, problem)."""
    space: list[Parameter] = []
    problems: list[tuple[str, str]] = []
    for name, table in by_name(raw):
        parameter, wrong = _read_parameter(name, table)
        problems += [(name, text) for text in wrong]
        if parameter is not None:
            space.append(parameter)
    if not problems:
        problems = condition_problems(tuple(space))
    return tuple(space), problems


def _read_parameter(name: str, raw: Any) -> tuple[Parameter | None, list[str]]:
    family, key = split(name)
    if name in FAMILIES:
        return None, ["must be a table of the parameters of this family"]
    if family and (text := foreign_problem(family, key)):
        return None, [text]
    if key not in SETTING:
        return None, [f"is not a setting{did_you_mean(name, (*SEARCHABLE, *FAMILIES))}"]
    if key not in SEARCHABLE:
        return None, ["cannot be searched; fix it in [settings]"]
    if isinstance(raw, Mapping) and key in SELECTORS and "when" in raw:
        return None, ["cannot have a condition, because other parameters depend on it; remove when"]
    parameter, problems = read_shape(name, raw, SETTING[key], SETTING)
    return (replace(parameter, families=(family,)) if parameter and family else parameter), problems


def read_shape(name: str, raw: Any, field: Field, known: Mapping[str, Field]) -> tuple[Parameter | None, list[str]]:
    """A parameter from its table. Its values must suit the field, those of its conditions the `known` fields."""
    if not isinstance(raw, Mapping):
        return None, ["must be a table: { low = …, high = … } or { choices = […] }"]
    unknown = [f"has no key {key}{did_you_mean(key, KEYS)}" for key in raw if key not in KEYS]
    if unknown:
        return None, unknown
    if ("choices" in raw) == ("low" in raw or "high" in raw):
        return None, ["needs either low and high, or choices"]
    when, wrong = _read_when(raw.get("when", {}), known)
    parameter, problems = _read_choices(name, raw, field) if "choices" in raw else _read_range(name, raw, field)
    if parameter is None or problems or wrong:
        return None, problems + wrong
    return replace(parameter, when=when), []


def _read_choices(name: str, raw: Mapping[str, Any], field: Field) -> tuple[Parameter | None, list[str]]:
    extra = [word for word in ("log", "step") if word in raw]
    if extra:
        return None, [f"has choices, so {extra[0]} has no effect; remove it"]
    choices = raw["choices"]
    if not isinstance(choices, (list, tuple)):
        return None, [f"choices = {shown(choices)} must be a list"]
    problems = [f"choices: {text}" for choice in choices if (text := value_problem(field, choice))]
    if problems:
        return None, problems
    values = tuple(as_field(field, choice) for choice in choices)
    if len(set(values)) != len(values):
        return None, ["choices has a duplicate value; remove it"]
    if len(values) < 2:
        return None, ["choices needs at least two values; fix a single one in [settings]"]
    return Parameter(name, "choice", choices=values), []


def _read_range(name: str, raw: Mapping[str, Any], field: Field) -> tuple[Parameter | None, list[str]]:
    whole = kind_of(field) == "int"
    if kind_of(field) not in ("int", "float"):
        return None, ["is not numeric; give choices instead of a range"]
    missing = [f"needs {key} as well as {other}" for key, other in (("low", "high"), ("high", "low")) if key not in raw]
    if missing:
        return None, missing
    problems = [f"{key} {text}" for key in ("low", "high") if (text := value_problem(field, raw[key]))]
    log, step = raw.get("log", False), raw.get("step")
    if not isinstance(log, bool):
        problems.append(f"log = {shown(log)} must be true or false")
    if step is not None and (not is_number(step) or step <= 0 or (whole and not isinstance(step, int))):
        problems.append(f"step = {shown(step)} must be a {'whole ' if whole else ''}number above 0")
    if problems:
        return None, problems
    low, high = raw["low"], raw["high"]
    problems = _range_problems(field, low, high, log, step)
    number = int if whole else float
    kind: Literal["int", "float"] = "int" if whole else "float"
    size = None if step is None or (whole and step == 1) else number(step)
    return Parameter(name, kind, number(low), number(high), log, size), problems


def _range_problems(field: Field, low: float, high: float, log: bool, step: float | None) -> list[str]:
    if low >= high:
        return [f"low = {shown(low)} is not below high = {shown(high)}; fix a single value in [settings]"]
    if field is SETTING.get(field.name) and field.name in ZERO_IS_SPECIAL and low == 0:
        return [f"low = 0 cannot be the end of a range: {field.metadata['help']} Start at 1"]
    if log and low <= 0:
        return [f"low = {shown(low)} has no logarithm; set low above 0 or remove log"]
    if log and step is not None:
        return ["cannot have both log and step; remove one"]
    if (step is not None or isinstance(low, int)) and (high - low) / (step or 1) > MOST_POINTS:
        remedy = "use a larger step" if step is not None else "use a smaller range or a step"
        return [f"has more than {MOST_POINTS:,} values; {remedy}"]
    if step is not None and abs((high - low) / step - round((high - low) / step)) > 1e-9:
        reached = low + math.floor((high - low) / step + 1e-9) * step
        nearest = f"use high = {shown(reached)}" if reached > low else "use a smaller step"
        return [f"high = {shown(high)} is not a whole number of steps above low; {nearest}"]
    return []


def _read_when(raw: Any, known: Mapping[str, Field]) -> tuple[dict[str, tuple[Value, ...]], list[str]]:
    if not isinstance(raw, Mapping) or not all(isinstance(v, (list, tuple)) and v for v in raw.values()):
        return {}, ['when must map parameters to lists of values: when = { layer_choice = ["even"] }']
    problems = [
        f"when.{name}: {problem}"
        for name, values in raw.items()
        if name in known
        for value in values
        if (problem := value_problem(known[name], value))
    ]
    if problems:
        return {}, problems
    return {n: tuple(as_field(known[n], v) if n in known else v for v in values) for n, values in raw.items()}, []


def condition_problems(space: Space) -> list[tuple[str, str]]:
    named = {parameter.name: parameter for parameter in space}
    problems = []
    for parameter in space:
        for other, values in parameter.when.items():
            asked = setters(parameter, other, named)
            if not asked:
                hint = did_you_mean(other, [one.key for one in space])
                problems.append((parameter.name, f"when.{other} is not a searched parameter{hint}"))
                continue
            if any(one.kind == "float" and one.step is None for one in asked):
                problems.append((parameter.name, f"when.{other} is a continuous range; give {other} choices or a step"))
            never = [value for value in values if not any(contains(one, value) for one in asked)]
            if never:
                found = describe(asked[0])
                problems.append((parameter.name, f"when.{other} = {shown(never[0])} never occurs; it is {found}"))
    if not problems and (cycle := _cycle(named)):
        problems.append((cycle[0], f"has a circular condition: {' -> '.join(cycle)}; remove one when"))
    return problems


def _cycle(named: Mapping[str, Parameter]) -> list[str]:
    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        asked = [one.name for key in named[name].when for one in setters(named[name], key, named)]
        return next((found for other in asked if (found := walk(other, [*path, name]))), [])

    return next((found for name in named if (found := walk(name, []))), [])


def with_families(space: Space, selected: Sequence[str], apart: Set[str]) -> Space:
    """The space with the families of each parameter, of those that the study selects.

    A plain parameter is not active for families that do not use its key or have their own: a parameter, or a name in
    `apart`.
    """
    own = {one.name for one in space} | apart

    def families(one: Parameter) -> tuple[str, ...]:
        if one.family:
            return (one.family,)
        return tuple(name for name in selected if uses(name, one.key) and joined(name, one.key) not in own)

    found = [(one, families(one)) for one in space]
    return tuple(replace(one, families=() if {*selected} <= {*names} else names) for one, names in found)
