"""Keys of one family: `[search.mlp]` and `[settings.mlp]` hold values that count only while family = "mlp".

Pure. A name such as `mlp.hidden_size` is a key of that family alone; a plain name is one of all families that use it.
It reads no tables: `space` and `config` do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bertdistill.engine.contract.spec import SEARCHABLE, Settings
from bertdistill.engine.families.family import TRAINING
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.sections import did_you_mean


def split(name: str) -> tuple[str, str]:
    """(family, key) of a name; the family is empty for a plain one."""
    family, dot, key = name.partition(".")
    return (family, key) if dot and family in FAMILIES else ("", name)


def joined(family: str, key: str) -> str:
    """The inverse of `split`."""
    return f"{family}.{key}" if family else key


def by_name(tables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, value) of every key in a table and in the tables of families in it."""
    for name, value in tables.items():
        if name in FAMILIES and isinstance(value, Mapping):
            yield from ((joined(name, key), inner) for key, inner in value.items())
        else:
            yield name, value


SELECTORS = ("recipe", "family")
"""Keys that select tables of others, so no table can hold them, except that a recipe may set the family."""


def uses(family: Any, key: str) -> bool:
    """Whether the family uses the key. Logged runs have no family, and are not known to ignore any key."""
    return key in SELECTORS or family not in FAMILIES or key in FAMILIES[family].settings


def setting_of(settings: Mapping[str, Any], name: str) -> Any:
    """The value of a setting, or of a parameter, in all settings of a trial; None if its family does not use it."""
    own, key = split(name)
    family = settings.get("family")
    return settings.get(key) if own in ("", family) and uses(family, key) else None


def foreign_problem(family: str, key: str) -> str:
    """Why a table of this family cannot hold the key ('' if it can), worded to follow the key's name."""
    if key in SELECTORS:
        return "selects the table, so it cannot be inside; move it out of the table"
    if uses(family, key):
        return ""
    keys = FAMILIES[family].settings
    if key not in {one.name for one in dataclasses.fields(Settings)}:
        return f"is not a setting{did_you_mean(key, sorted(keys))}"
    return f"is not used by {family}; remove it. {family} uses {_listed(keys)}"


def _listed(keys: frozenset[str]) -> str:
    own = [key for key in SEARCHABLE if key in keys - TRAINING]
    return " and ".join([", ".join(own)] * bool(own) + ["the keys of training"] * (keys >= TRAINING))


@dataclass(frozen=True)
class Fixed:
    """The fixed settings of a study: `[settings]`, the tables of families in it, and `[recipes]`."""

    settings: Settings = field(default_factory=Settings)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By name: the settings of a student for which `recipe` is that name, whatever its family."""
    values: Mapping[str, Any] | None = None
    """The fixed values of a program, which has neither families nor recipes; None for students."""

    def under(self, values: Mapping[str, Any]) -> Fixed:
        """The fixed settings of students with the recipe in `values`, or else with the fixed one.

        Keys that the recipe sets have its value for every family.
        """
        if self.values is not None:
            return self
        name = str(values.get("recipe", self.settings.recipe))
        if name not in self._under:
            self._under[name] = self._with(name)
        return self._under[name]

    @cached_property
    def _under(self) -> dict[str, Fixed]:
        return {}

    def _with(self, name: str) -> Fixed:
        table = self.recipes.get(name, {})
        rest = {one: {k: v for k, v in own.items() if k not in table} for one, own in self.tables.items()}
        return Fixed(dataclasses.replace(self.settings, recipe=name, **table), rest, self.recipes)

    def value(self, key: str, family: str) -> Any:
        """The fixed value of a key for a student of this family; None if a program has no such value."""
        if self.values is not None:
            return self.values.get(key)
        table = self.tables.get(family, {})
        return table[key] if key in table else getattr(self.settings, key)

    def of(self, family: str) -> Settings:
        """All fixed settings of that family."""
        return dataclasses.replace(self.settings, family=family, **self.tables.get(family, {}))

    def named(self, family: str) -> Mapping[str, Any]:
        """All fixed values by name."""
        return vars(self.of(family)) if self.values is None else self.values

    def baseline(self, changes: Mapping[str, Any]) -> Settings:
        """The settings of trial 0: those of its recipe and family, overridden by `[baseline]`.

        With another value for a key of its recipe, it is of no recipe.
        """
        fixed = self.under(changes)
        own = self.recipes.get(fixed.settings.recipe, {})
        other = any(changes[key] != own[key] for key in own.keys() & changes.keys())
        family = changes.get("family", fixed.settings.family)
        return dataclasses.replace(fixed.of(family), **{**changes, **({"recipe": ""} if other else {})})
