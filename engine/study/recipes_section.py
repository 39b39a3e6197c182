"""`[recipes]`, read and checked: bundles of settings that a study selects by name, so that whole methods are searched.

Pure. A recipe holds its keys: no parameter and no other table sets them in a student with this recipe.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bertdistill.engine.contract.names import name_problem
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.family_checks import idle_keys, selected, table_and_key
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.scopes import uses
from bertdistill.engine.study.sections import Problem, did_you_mean, not_a_table, one_of, read_dataclass, shown
from bertdistill.engine.study.space import SETTING, Parameter, Space

Recipes = dict[str, dict[str, Any]]


def read_recipes(raw: Any) -> tuple[Recipes, list[Problem]]:
    """The recipes, those with problems as empty ones, and all problems."""
    if raw is None:
        return {}, []
    if not isinstance(raw, Mapping):
        return {}, [not_a_table("recipes")]
    recipes: Recipes = {}
    problems: list[Problem] = []
    for name, table in raw.items():
        wrong = _problems(str(name), table)
        read, found = (None, []) if wrong else read_dataclass(Settings, table, f"recipes.{name}")
        problems += wrong + found
        recipes[str(name)] = {} if read is None else {key: getattr(read, key) for key in table}
    return recipes, problems


def _problems(name: str, table: Any) -> list[Problem]:
    if text := name_problem(name):
        return [Problem("recipes", name, text)]
    if not isinstance(table, Mapping):
        return [not_a_table(f"recipes.{name}")]
    found = []
    for key in map(str, table):
        if key == "recipe":
            found.append(Problem(f"recipes.{name}", key, "selects the table, so it cannot be inside; remove it"))
        elif key not in SETTING:
            found.append(Problem(f"recipes.{name}", key, f"is not a setting{did_you_mean(key, SETTING)}"))
    return found


def with_recipes(space: Space, recipes: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Space:
    """The space with the recipes of each parameter: those of `names`, selected by the study, without its key, and none.

    No recipe is that of a trial in which a value of its recipe was changed.
    """

    def limited(one: Parameter) -> Parameter:
        free = [name for name in names if name and one.key not in recipes.get(name, {})]
        return one if len(free) == len([*filter(None, names)]) else dataclasses.replace(one, recipes=(*free, ""))

    return tuple(map(limited, space))


def chosen_recipes(parts: Parts) -> tuple[str, ...]:
    """The recipes that trials of the study may have; "" is none."""
    searched = next((one.choices for one in parts.search or () if one.name == "recipe"), ())
    found = [str(one) for one in searched] or [parts.fixed.settings.recipe]
    baseline = (parts.baseline or {}).get("recipe", found[0] if searched else parts.fixed.settings.recipe)
    return tuple(dict.fromkeys([*found, *([baseline] if isinstance(baseline, str) else [])]))


def recipe_problems(parts: Parts) -> Iterator[Problem]:
    """Recipes that do not exist or that no trial has, and keys without effect in them."""
    if parts.search is None or parts.settings is None:
        return
    yield from _missing(parts)
    chosen = chosen_recipes(parts)
    for name in parts.recipes:
        if name not in chosen:
            remedy = "remove the table, or select it in settings.recipe or search.recipe"
            yield Problem(f"recipes.{name}", "", f"has no effect: no trial has this recipe; {remedy}")
        else:
            yield from _keys(parts, name)
    for one in parts.search:
        if one.recipes and not {*one.recipes} & {*chosen}:
            held = "the recipe sets it" if len(chosen) == 1 else "every recipe sets it"
            yield Problem(*table_and_key(one.name), f"has no effect: {held}; remove it here or there")


def _missing(parts: Parts) -> Iterator[Problem]:
    named = [("search.recipe", "choices", one) for p in parts.search or () if p.name == "recipe" for one in p.choices]
    named.append(("settings", "recipe", parts.fixed.settings.recipe))
    if parts.baseline and "recipe" in parts.baseline:
        named.append(("baseline", "recipe", parts.baseline["recipe"]))
    for table, key, name in named:
        if name and name not in parts.recipes:
            have = f"use {one_of(parts.recipes)}" if parts.recipes else f"add a table [recipes.{name}]"
            yield Problem(table, key, f"= {shown(name)} is not in [recipes]; {have}")


def _keys(parts: Parts, name: str) -> Iterator[Problem]:
    table = parts.recipes[name]
    family = table.get("family")
    if family is not None and family not in FAMILIES:
        yield Problem(f"recipes.{name}", "family", f"= {shown(family)} is not a family; use {one_of(FAMILIES)}")
        return
    families = [family] if family is not None else list(selected(parts))
    for key in table:
        users = [one for one in families if uses(one, key)]
        if not users:
            text = f"has no effect: {one_of(families)} does not use it; remove it"
            yield Problem(f"recipes.{name}", key, text)
        elif all(key in idle_keys(one, scratch=parts.scratch) for one in users):
            start = "from scratch" if parts.scratch else 'without [student] init = "scratch"'
            yield Problem(f"recipes.{name}", key, f"has no effect {start}; remove it")
