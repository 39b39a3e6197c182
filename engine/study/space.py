"""The search space as a value: parameter kinds, their ranges and the conditions between them.

Pure: it reads no files and samples nothing; proposals are made in `search`.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from bertdistill.engine.contract.spec import SEARCHABLE, Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.sections import did_you_mean, is_number, kind_of, one_of, shown, value_problem

Value = int | float | str | bool


def _with_choices(field: dataclasses.Field[Any], choices: Iterable[str]) -> dataclasses.Field[Any]:
    found = copy.copy(field)
    found.metadata = MappingProxyType({**field.metadata, "choices": choices})
    return found


SETTING = {f.name: f for f in dataclasses.fields(Settings)}
SETTING["family"] = _with_choices(SETTING["family"], FAMILIES.keys())  # the contract does not know the families
KEYS = ("low", "high", "log", "step", "choices", "when")
MOST_POINTS = 1_000_000
"""Maximum values of one parameter: they are listed to count students, so a step of 1e-300 would exhaust memory."""
ZERO_IS_SPECIAL = ("layers", "heads", "hidden_size", "ffn_size")
"""For these, 0 means "all" or "as the teacher", so it is not less than 1 and cannot be the end of a range."""


@dataclass(frozen=True)
class Parameter:
    """One searched parameter. Numbers have `low` and `high` (inclusive), categories have `choices`."""

    name: str
    kind: Literal["float", "int", "choice"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[Value, ...] = ()
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    """Active only if every named parameter has one of these values; an inactive parameter takes the fixed setting."""


Space = tuple[Parameter, ...]


# --------------------------------------------------------------------------------------------------------- from a file


def read_search(raw: Mapping[str, Any]) -> tuple[Space, list[tuple[str, str]]]:
    """The space as far as it can be read, and its problems as (parameter, problem)."""
    space: list[Parameter] = []
    problems: list[tuple[str, str]] = []
    for name, table in raw.items():
        parameter, wrong = _read_parameter(name, table)
        problems += [(name, text) for text in wrong]
        if parameter is not None:
            space.append(parameter)
    if not problems:
        problems = _condition_problems(tuple(space))
    return tuple(space), problems


def _read_parameter(name: str, raw: Any) -> tuple[Parameter | None, list[str]]:
    if name not in SETTING:
        return None, [f"is not a setting{did_you_mean(name, SEARCHABLE)}"]
    if name not in SEARCHABLE:
        return None, ["cannot be searched; fix it in [settings]"]
    if not isinstance(raw, Mapping):
        return None, ["must be a table: { low = …, high = … } or { choices = […] }"]
    unknown = [f"has no key {key}{did_you_mean(key, KEYS)}" for key in raw if key not in KEYS]
    if unknown:
        return None, unknown
    if ("choices" in raw) == ("low" in raw or "high" in raw):
        return None, ["needs either low and high, or choices"]
    when, wrong = _read_when(raw.get("when", {}))
    parameter, problems = _read_choices(name, raw) if "choices" in raw else _read_range(name, raw)
    if parameter is None or problems or wrong:
        return None, problems + wrong
    return dataclasses.replace(parameter, when=when), []


def _read_choices(name: str, raw: Mapping[str, Any]) -> tuple[Parameter | None, list[str]]:
    extra = [key for key in ("log", "step") if key in raw]
    if extra:
        return None, [f"has choices, so {extra[0]} has no effect; remove it"]
    choices = raw["choices"]
    if not isinstance(choices, (list, tuple)):
        return None, [f"choices = {shown(choices)} must be a list"]
    problems = [f"choices: {text}" for choice in choices if (text := value_problem(SETTING[name], choice))]
    if problems:
        return None, problems
    values = tuple(as_setting(name, choice) for choice in choices)
    if len(set(values)) != len(values):
        return None, ["choices has a duplicate value; remove it"]
    if len(values) < 2:
        return None, ["choices needs at least two values; fix a single one in [settings]"]
    return Parameter(name, "choice", choices=values), []


def _read_range(name: str, raw: Mapping[str, Any]) -> tuple[Parameter | None, list[str]]:
    whole = kind_of(SETTING[name]) == "int"
    if kind_of(SETTING[name]) == "str":
        return None, ["is not numeric; give choices instead of a range"]
    missing = [f"needs {key} as well as {other}" for key, other in (("low", "high"), ("high", "low")) if key not in raw]
    if missing:
        return None, missing
    problems = [f"{key} {text}" for key in ("low", "high") if (text := value_problem(SETTING[name], raw[key]))]
    log, step = raw.get("log", False), raw.get("step")
    if not isinstance(log, bool):
        problems.append(f"log = {shown(log)} must be true or false")
    if step is not None and (not is_number(step) or step <= 0 or (whole and not isinstance(step, int))):
        problems.append(f"step = {shown(step)} must be a {'whole ' if whole else ''}number above 0")
    if problems:
        return None, problems
    low, high = raw["low"], raw["high"]
    problems = _range_problems(name, low, high, log, step)
    number = int if whole else float
    kind: Literal["int", "float"] = "int" if whole else "float"
    size = None if step is None or (whole and step == 1) else number(step)
    return Parameter(name, kind, number(low), number(high), log, size), problems


def _range_problems(name: str, low: float, high: float, log: bool, step: float | None) -> list[str]:
    if low >= high:
        return [f"low = {shown(low)} is not below high = {shown(high)}; fix a single value in [settings]"]
    if name in ZERO_IS_SPECIAL and low == 0:
        return [f"low = 0 cannot be the end of a range: {SETTING[name].metadata['help']} Start at 1"]
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


def _read_when(raw: Any) -> tuple[dict[str, tuple[Value, ...]], list[str]]:
    if not isinstance(raw, Mapping) or not all(isinstance(v, (list, tuple)) and v for v in raw.values()):
        return {}, ['when must map parameters to lists of values: when = { layer_choice = ["even"] }']
    problems = [
        f"when.{name}: {problem}"
        for name, values in raw.items()
        if name in SETTING
        for value in values
        if (problem := value_problem(SETTING[name], value))
    ]
    if problems:
        return {}, problems
    return {n: tuple(as_setting(n, v) if n in SETTING else v for v in values) for n, values in raw.items()}, []


def _condition_problems(space: Space) -> list[tuple[str, str]]:
    named = {parameter.name: parameter for parameter in space}
    problems = []
    for parameter in space:
        for other, values in parameter.when.items():
            if other not in named:
                hint = did_you_mean(other, named)
                problems.append((parameter.name, f"when.{other} is not a searched parameter{hint}"))
                continue
            if named[other].kind == "float" and named[other].step is None:
                problems.append((parameter.name, f"when.{other} is a continuous range; give {other} choices or a step"))
            never = [value for value in values if not contains(named[other], value)]
            if never:
                found = describe(named[other])
                problems.append((parameter.name, f"when.{other} = {shown(never[0])} never occurs; it is {found}"))
    if not problems and (cycle := _cycle(named)):
        problems.append((cycle[0], f"has a circular condition: {' -> '.join(cycle)}; remove one when"))
    return problems


def _cycle(named: Mapping[str, Parameter]) -> list[str]:
    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        return next((found for other in named[name].when if (found := walk(other, [*path, name]))), [])

    return next((found for name in named if (found := walk(name, []))), [])


# -------------------------------------------------------------------------------------------------------------- values


def contains(parameter: Parameter, value: Any) -> bool:
    """Whether the parameter can take this value: within the range, on a step, or among the choices."""
    if parameter.kind == "choice":
        return any(
            value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in parameter.choices
        )
    if not is_number(value) or (parameter.kind == "int" and not isinstance(value, int)):
        return False
    low, high = _ends(parameter)
    if not low <= value <= high:
        return False
    steps = (value - low) / parameter.step if parameter.step else 0.0
    return bool(abs(steps - round(steps)) < 1e-9)


def check(space: Space, params: Mapping[str, Any]) -> list[str]:
    """What is wrong with a parameter set entered by a user. An omitted parameter takes the fixed setting."""
    named = {parameter.name: parameter for parameter in space}
    problems = []
    for name, value in params.items():
        if name not in named:
            problems.append(f"{name} is not searched in this study{did_you_mean(name, named)}")
        elif not contains(named[name], value):
            problems.append(f"{name} = {shown(value)} is outside the search space: {describe(named[name])}")
        else:
            for other, values in named[name].when.items():
                if other in params and params[other] not in values:
                    is_not = f"{other} is {shown(params[other])}, not {one_of(values)}"
                    problems.append(f"{name} has no effect here because {is_not}; leave it out")
    return problems


def active(space: Space, params: Mapping[str, Any], settings: Settings) -> dict[str, Value]:
    """The searched parameters in `params` that have an effect, in the order of the space.

    A condition uses the value in force: that of the parameter, or the fixed setting if it is itself inactive.
    """
    named = {parameter.name: parameter for parameter in space}
    known: dict[str, bool] = {}

    def is_active(name: str) -> bool:
        if name not in known:
            known[name] = all(in_force(other) in values for other, values in named[name].when.items())
        return known[name]

    def in_force(name: str) -> Any:
        return params[name] if name in params and is_active(name) else getattr(settings, name)

    return {name: params[name] for name in named if name in params and is_active(name)}


def resolve(space: Space, params: Mapping[str, Any], settings: Settings) -> Settings:
    """All settings of a trial: the fixed ones, then keys of `params` that are not searched, then the active ones."""
    searched = {parameter.name for parameter in space}
    beside = {name: value for name, value in params.items() if name not in searched}
    changed: dict[str, Any] = {**beside, **active(space, params, settings)}
    if not changed.keys() <= vars(settings).keys():
        return dataclasses.replace(settings, **changed)  # it reports the unknown key
    # The constructor of a frozen dataclass sets each field separately: a fifth of the first proposal of a long study.
    made = object.__new__(Settings)
    made.__dict__.update(vars(settings), **changed)
    return made


def coerce(parameter: Parameter, text: str) -> Value:
    """The value typed for a parameter; raises ValueError that states what is allowed."""
    text = text.strip()
    candidates: Iterable[Any] = parameter.choices
    for choice in candidates:
        if text == str(choice):
            return choice if isinstance(choice, (int, float, str)) else str(choice)
    number = _number(text, whole=kind_of(SETTING[parameter.name]) == "int")
    if number is not None and contains(parameter, number):
        return number
    wrong = f"= {text} is outside the search space:"
    if not text:
        wrong = "is empty; allowed:"
    elif number is None and parameter.kind != "choice":
        wrong = f"= {text} is not a {'whole ' if parameter.kind == 'int' else ''}number; allowed:"
    raise ValueError(f"{parameter.name} {wrong} {describe(parameter)}")


# ---------------------------------------------------------------------------------------------------------- the grid


def points(parameter: Parameter) -> tuple[Value, ...] | None:
    """Every value that a parameter can take, or None if it is continuous."""
    if parameter.kind == "choice":
        return parameter.choices
    low, high = _ends(parameter)
    if parameter.kind == "int":
        return tuple(range(int(low), int(high) + 1, int(parameter.step or 1)))
    if parameter.step is None:
        return None
    steps = round((high - low) / parameter.step)
    return tuple(tidy(low + i * parameter.step) for i in range(steps + 1))


def middle(parameter: Parameter) -> Value:
    """The middle of a parameter's range (of its logarithm if log), or of its choices."""
    listed = points(parameter)
    if listed is not None and not parameter.log:
        return listed[(len(listed) - 1) // 2]
    low, high = _ends(parameter)
    found = math.sqrt(low * high) if parameter.log else (low + high) / 2
    return round(found) if parameter.kind == "int" else float(f"{found:.3g}")


def count(space: Space, settings: Settings | None = None) -> int | None:
    """Number of distinct parameter sets, taking conditions into account; None if any parameter is continuous."""
    if any(points(parameter) is None for parameter in space):
        return None
    asked = {other for parameter in space for other in parameter.when}
    total = 0
    inner = tuple(parameter for parameter in space if parameter.name in asked)
    for params in grid(inner, settings):
        free = active(space, {**_firsts(space), **params}, settings or Settings())
        total += math.prod(len(points(p) or ()) for p in space if p.name in free and p.name not in asked)
    return total


def grid(space: Space, settings: Settings | None = None) -> Iterator[dict[str, Value]]:
    """All distinct parameter sets of a space without continuous ranges, active parameters only, in a fixed order."""
    fixed = settings or Settings()
    order = in_order(space)

    def extend(done: int, params: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if done == len(order):
            yield {p.name: params[p.name] for p in space if p.name in params}
            return
        parameter = order[done]
        trial = {**params, parameter.name: (points(parameter) or ("",))[0]}
        if parameter.name not in active(order[: done + 1], trial, fixed):
            yield from extend(done + 1, params)
            return
        for value in points(parameter) or ():
            yield from extend(done + 1, {**params, parameter.name: value})

    yield from extend(0, {})


def in_order(space: Space) -> Space:
    """The parameters, each after those named in its conditions."""
    order: list[Parameter] = []
    rest = list(space)
    while rest:
        placed = {parameter.name for parameter in order}
        parameter = next(p for p in rest if all(other in placed for other in p.when))
        order.append(parameter)
        rest.remove(parameter)
    return tuple(order)


def tidy(value: float) -> float:
    """The float without rounding noise: 0.1 + 2 * 0.1 becomes 0.3."""
    return float(f"{value:.12g}")


def _firsts(space: Space) -> dict[str, Value]:
    return {p.name: (points(p) or ("",))[0] for p in space}


# --------------------------------------------------------------------------------------------------------------- words


def describe(parameter: Parameter) -> str:
    """The allowed values of a parameter, in words."""
    if parameter.kind == "choice":
        text = one_of(parameter.choices)
    else:
        text = f"{shown(parameter.low)} to {shown(parameter.high)}"
        text += ", logarithmic" if parameter.log else ""
        text += f", in steps of {shown(parameter.step)}" if parameter.step else ""
    conditions = [f"{other} is {one_of(values)}" for other, values in parameter.when.items()]
    return text + (f", only when {' and '.join(conditions)}" if conditions else "")


def as_setting(name: str, value: Value) -> Value:
    """The value in the type of its setting: an integer given for a float becomes a float."""
    return float(value) if kind_of(SETTING[name]) == "float" else value


def _number(text: str, *, whole: bool) -> int | float | None:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        return None


def _ends(parameter: Parameter) -> tuple[float, float]:
    if parameter.low is None or parameter.high is None:
        raise ValueError(f"{parameter.name} has no range")
    return parameter.low, parameter.high
