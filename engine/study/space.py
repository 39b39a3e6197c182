"""The search space as a value: parameter kinds, their ranges and the conditions between them.

Pure: it reads no files and samples nothing; proposals are made in `search`.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.scopes import Fixed, joined, split, uses
from bertdistill.engine.study.sections import SCALAR, did_you_mean, is_number, kind_of, one_of, shown

Value = int | float | str | bool


def _with_choices(field: dataclasses.Field[Any], choices: Iterable[str]) -> dataclasses.Field[Any]:
    found = copy.copy(field)
    found.metadata = MappingProxyType({**field.metadata, "choices": choices})
    return found


SETTING = {f.name: f for f in dataclasses.fields(Settings)}
SETTING["family"] = _with_choices(SETTING["family"], FAMILIES.keys())  # the contract does not know the families


@dataclass(frozen=True)
class Parameter:
    """One searched parameter. Numbers have `low` and `high` (inclusive), categories have `choices`."""

    name: str
    """Its key, or `mlp.hidden_size` for the key of one family."""
    kind: Literal["float", "int", "choice"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[Value, ...] = ()
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    """Active only if every named setting has one of these values; an inactive parameter takes the fixed setting."""
    families: tuple[str, ...] = ()
    """Active only for these families of the study; empty if for all of them."""
    recipes: tuple[str, ...] = ()
    """Active only with these recipes, as others set its key themselves, or with none (""); empty if with all."""
    own: bool = False
    """It is of a program or of logged runs: its name is theirs, whatever setting or family is named likewise here."""

    @cached_property
    def key(self) -> str:
        """The key of `Settings` that it sets."""
        return self.name if self.own else split(self.name)[1]

    @cached_property
    def family(self) -> str:
        """The family whose table it is from; empty if it is from none."""
        return "" if self.own else split(self.name)[0]

    def applies(self, family: str) -> bool:
        """Whether it sets its key in students of this family, as far as `when` allows."""
        return self.family in ("", family) and (not self.families or family in self.families) and uses(family, self.key)


Space = tuple[Parameter, ...]


def field_of(parameter: Parameter) -> dataclasses.Field[Any]:
    """The key that it sets, with type, limits and choices."""
    if not parameter.own:
        return SETTING[parameter.key]
    values = parameter.choices
    return own_field(parameter.name, values) if values else own_field(parameter.name, (parameter.low, parameter.high))


def own_field(name: str, values: Iterable[Any]) -> dataclasses.Field[Any]:
    """A key of a program that can have these values: whole numbers, numbers, or anything."""
    kinds = {type(value) for value in values}
    kind = "int" if kinds == {int} else "float" if kinds in ({float}, {int, float}) else SCALAR
    found: dataclasses.Field[Any] = dataclasses.field()
    found.name, found.type = name, kind
    return found


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
            for other, values in conditions(named[name]).items():
                if other in params and params[other] not in values:
                    is_not = f"{other} is {shown(params[other])}, not {one_of(values)}"
                    problems.append(f"{name} has no effect here because {is_not}; leave it out")
    return problems


def conditions(parameter: Parameter) -> dict[str, tuple[Value, ...]]:
    """`when`, with the recipes and families that it is active for."""
    recipes = tuple(filter(None, parameter.recipes)) or parameter.recipes
    of_tables: dict[str, tuple[Value, ...]] = {"recipe": recipes, "family": parameter.families}
    return {**{key: names for key, names in of_tables.items() if names}, **parameter.when}


def active(space: Space, params: Mapping[str, Any], fixed: Fixed) -> dict[str, Value]:
    """The searched parameters in `params` that have an effect, in the order of the space.

    A condition uses the value in force: that of the parameter, or the fixed setting if it is itself inactive.
    """
    named = {parameter.name: parameter for parameter in space}
    fixed, family = fixed.under(params), family_of(params, fixed)
    recipe = fixed.settings.recipe
    known: dict[str, bool] = {}

    def is_active(name: str) -> bool:
        if name not in known:
            one = named[name]
            applies = one.applies(family) and (not one.recipes or recipe in one.recipes)
            known[name] = applies and all(in_force(key) in values for key, values in one.when.items())
        return known[name]

    def in_force(key: str) -> Any:
        names = (joined(family, key), key)
        found = next((name for name in names if name in named and name in params and is_active(name)), None)
        return fixed.value(key, family) if found is None else params[found]

    return {name: params[name] for name in named if name in params and is_active(name)}


def family_of(params: Mapping[str, Any], fixed: Fixed) -> str:
    """The family of a student with these parameters; a program has none."""
    if fixed.values is not None:
        return ""
    fixed = fixed.under(params)
    own = fixed.recipes.get(fixed.settings.recipe, {})
    return str(own.get("family") or params.get("family", fixed.settings.family))


def resolve(space: Space, params: Mapping[str, Any], fixed: Fixed) -> Settings:
    """All settings of a trial: the fixed ones, then keys of `params` that are not searched, then the active ones."""
    searched = {parameter.name for parameter in space}
    fixed, family = fixed.under(params), family_of(params, fixed)
    beside = {name: value for name, value in params.items() if name not in searched}
    changed: dict[str, Any] = {}
    for name, value in {**beside, **active(space, params, fixed)}.items():
        own, key = split(name)
        if own in ("", family):
            changed[key] = value
    return replace(fixed.of(family), **changed)


def coerce(parameter: Parameter, text: str) -> Value:
    """The value typed for a parameter; raises ValueError that states what is allowed."""
    text = text.strip()
    candidates: Iterable[Any] = parameter.choices
    for choice in candidates:
        if text == str(choice) or (isinstance(choice, bool) and text == shown(choice)):
            return choice if isinstance(choice, (int, float, str)) else str(choice)
    number = _number(text, whole=kind_of(field_of(parameter)) == "int")
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


def count(space: Space, fixed: Fixed | None = None) -> int | None:
    """Number of distinct parameter sets, taking conditions into account; None if any parameter is continuous."""
    if any(points(parameter) is None for parameter in space):
        return None
    asked = {other for parameter in space for other in conditions(parameter)}
    total = 0
    inner = tuple(parameter for parameter in space if parameter.key in asked)
    for params in grid(inner, fixed):
        free = active(space, {**_firsts(space), **params}, fixed or Fixed())
        total += math.prod(len(points(p) or ()) for p in space if p.name in free and p.key not in asked)
    return total


def grid(space: Space, fixed: Fixed | None = None) -> Iterator[dict[str, Value]]:
    """All distinct parameter sets of a space without continuous ranges, active parameters only, in a fixed order."""
    order = in_order(space)

    def extend(done: int, params: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if done == len(order):
            yield {p.name: params[p.name] for p in space if p.name in params}
            return
        parameter = order[done]
        trial = {**params, parameter.name: (points(parameter) or ("",))[0]}
        if parameter.name not in active(order[: done + 1], trial, fixed or Fixed()):
            yield from extend(done + 1, params)
            return
        for value in points(parameter) or ():
            yield from extend(done + 1, {**params, parameter.name: value})

    yield from extend(0, {})


def in_order(space: Space) -> Space:
    """The parameters, each after those that its conditions ask about."""
    named = {parameter.name: parameter for parameter in space}
    asked = {p.name: {one.name for key in conditions(p) for one in setters(p, key, named)} for p in space}
    order: list[Parameter] = []
    rest = list(space)
    while rest:
        placed = {parameter.name for parameter in order}
        parameter = next(p for p in rest if asked[p.name] <= placed)
        order.append(parameter)
        rest.remove(parameter)
    return tuple(order)


def setters(parameter: Parameter, key: str, named: Mapping[str, Parameter]) -> list[Parameter]:
    """The parameters that may set `key` in a student for which `parameter` is active."""
    if not parameter.family:
        return [one for one in named.values() if one.key == key]
    found = named.get(joined(parameter.family, key)) or named.get(key)
    return [] if found is None else [found]


def of_choices(parameter: Parameter, values: Iterable[Value]) -> Parameter:
    """The parameter with only these values, each once."""
    return replace(
        parameter, kind="choice", low=None, high=None, log=False, step=None, choices=tuple(dict.fromkeys(values))
    )


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
    asked = [f"{other} is {one_of(values)}" for other, values in conditions(parameter).items()]
    return text + (f", only when {' and '.join(asked)}" if asked else "")


def as_field(field: dataclasses.Field[Any], value: Value) -> Value:
    """The value in the type of its key: an integer given for a float becomes a float."""
    return float(value) if kind_of(field) == "float" else value


def _number(text: str, *, whole: bool) -> int | float | None:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        return None


def _ends(parameter: Parameter) -> tuple[float, float]:
    if parameter.low is None or parameter.high is None:
        raise ValueError(f"{parameter.name} has no range")
    return parameter.low, parameter.high
