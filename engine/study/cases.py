"""`active` and `resolve` for many parameter sets of one space, worked out once per combination of deciding values.

Pure. Which parameters are active depends only on which ones a set has and on the values that conditions ask for, so a
history of thousands of trials has only a handful of cases.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.study.scopes import SELECTORS, Fixed, split
from bertdistill.engine.study.space import Space, Value, active, family_of


@dataclass(frozen=True)
class _Case:
    names: tuple[str, ...]
    """The active parameters, in the order of the space."""
    fixed: Mapping[str, Any]
    """The settings that the parameters do not set."""
    sets: tuple[tuple[str, str], ...]
    """(setting, parameter) of those that they set."""


class Cases:
    """Parameter sets of one space with the same fixed settings."""

    def __init__(self, space: Space, fixed: Fixed) -> None:
        self._space, self._fixed = space, fixed
        self._searched = frozenset(parameter.name for parameter in space)
        keys = {*SELECTORS, *(key for parameter in space for key in parameter.when)}
        self.deciders = tuple(sorted({*keys, *(one.name for one in space if one.key in keys)}))
        """What conditions ask for, by name."""
        self._known: dict[Hashable, _Case] = {}

    def case(self, params: Mapping[str, Any]) -> Hashable:
        """Equal for sets of the same parameters that agree in the deciding ones."""
        return tuple(params), *[params.get(name) for name in self.deciders]

    def active(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """As `space.active`."""
        return {name: params[name] for name in self._case(params).names}

    def settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """As `space.resolve`, by name."""
        case = self._case(params)
        return {**case.fixed, **{key: params[name] for key, name in case.sets}}

    def _case(self, params: Mapping[str, Any]) -> _Case:
        which = self.case(params)
        found = self._known.get(which)
        if found is None:
            found = self._known[which] = self._work_out(params)
        return found

    def _work_out(self, params: Mapping[str, Any]) -> _Case:
        fixed, family = self._fixed.under(params), family_of(params, self._fixed)
        names = tuple(active(self._space, params, self._fixed))
        beside = [name for name in params if name not in self._searched]
        owned = [(name, *split(name)) for name in (*beside, *names)]
        sets = tuple((key, name) for name, own, key in owned if own in ("", family))
        return _Case(names, fixed.named(family), sets)
