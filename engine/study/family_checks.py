"""Checks of the families of a study: that they exist and support the task, and that every key means something to one.

Pure, like `study_checks`, which calls it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bertdistill.engine.contract.spec import SCRATCH, Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.scopes import joined, uses
from bertdistill.engine.study.sections import Problem, did_you_mean, one_of, shown, value_problem
from bertdistill.engine.study.space import SETTING
from bertdistill.engine.tasks.table import TASKS


def idle_keys(family: Any, *, scratch: bool) -> frozenset[str]:
    """Keys of a family that have no effect on students that start so; none of a family that does not exist."""
    return FAMILIES[family].start_idle(scratch=scratch) if family in FAMILIES else frozenset()


def selected(parts: Parts) -> tuple[str, ...]:
    """The families that trials of the study may have."""
    found = _choices(parts) or (parts.fixed.settings.family,)
    extra = [(parts.baseline or {}).get("family"), *(table.get("family") for table in parts.recipes.values())]
    return tuple(dict.fromkeys([*found, *(one for one in extra if isinstance(one, str) and one in FAMILIES)]))


def _choices(parts: Parts) -> tuple[Any, ...]:
    """The families that the study searches."""
    return next((one.choices for one in parts.search or () if one.name == "family"), ())


def _idle(parts: Parts, family: str) -> frozenset[str]:
    return frozenset() if parts.student is None else idle_keys(family, scratch=parts.scratch)


def apart(parts: Parts) -> frozenset[str]:
    """Names of keys (`mlp.hidden_size`) that no plain parameter sets in students of that family."""
    own = {joined(family, key) for family, table in parts.family_settings.items() for key in table}
    idle = {joined(one, key) for one in selected(parts) for key in _idle(parts, one)}
    return frozenset(own | idle)


def table_and_key(parameter: str) -> tuple[str, str]:
    """(table, key) of a parameter in the study file: `[search.layers]`, or `[search.mlp] hidden_size`."""
    family, dot, key = parameter.partition(".")
    return f"search.{family}", key if dot else ""


def family_problems(parts: Parts) -> Iterator[Problem]:
    """All problems that concern the families of the study."""
    yield from _families(parts)
    if parts.search is None or parts.settings is None:
        return
    yield from _unselected(parts)
    for one in parts.search:
        families = tuple(name for name in selected(parts) if name in one.when.get("family", (name,)))
        if text := _idle_in(parts, one.family, one.key) if one.family else _without_effect(parts, one.key, families):
            yield Problem(*table_and_key(one.name), text)
    for family, key, value in _given(parts):
        plain = "" if family else _without_effect(parts, key, selected(parts)) or _impossible(parts, key)
        text = _idle_in(parts, family, key) if family else plain
        if text and value != getattr(Settings(), key):
            yield Problem(f"settings.{family}".rstrip("."), key, text)
    yield from baseline_problems(parts)


def _given(parts: Parts) -> list[tuple[str, str, Any]]:
    """(family, key, value) of what `[settings]` and its tables name."""
    plain = [("", key, getattr(parts.settings, key)) for key in sorted(parts.named)]
    return plain + [(one, key, table[key]) for one, table in parts.family_settings.items() for key in table]


def _families(parts: Parts) -> Iterator[Problem]:
    """Every family, fixed or searched, must exist and support the task."""
    named = [("search.family", "choices", name) for name in _choices(parts)]
    if parts.settings is not None and not named:
        named.append(("settings", "family", parts.settings.family))
    if parts.baseline and "family" in parts.baseline:
        named.append(("baseline", "family", parts.baseline["family"]))
    for table, key, name in named:
        if not (isinstance(name, str) and name in FAMILIES):
            if table == "settings":  # the others are checked like any value of a setting
                yield Problem(table, key, f"= {shown(name)} is not a family; use {one_of(FAMILIES)}")
        elif parts.task is not None and not FAMILIES[name].fits(TASKS[parts.task]):
            fitting = [one for one in FAMILIES if FAMILIES[one].fits(TASKS[parts.task])]
            yield Problem(table, key, f"= {shown(name)} does not support {parts.task}; use {one_of(fitting)}")


def _unselected(parts: Parts) -> Iterator[Problem]:
    """Tables of families that no trial of the study has."""
    tables = [(f"search.{one.family}", one.family) for one in parts.search or () if one.family]
    tables += [(f"settings.{family}", family) for family in parts.family_settings]
    families = selected(parts)
    for table, family in dict.fromkeys(tables):
        if family not in families:
            text = f"has no effect: no trial is of this family, only of {one_of(families)}"
            remedy = f"remove the table, or select {family} in settings.family or search.family"
            yield Problem(table, "", f"{text}; {remedy}")


def _idle_in(parts: Parts, family: str, key: str) -> str:
    return f"{_start(parts)}; remove it" if key in _idle(parts, family) else ""


def _without_effect(parts: Parts, key: str, families: Sequence[str]) -> str:
    """Why a plain key, searched or fixed, has no effect in any trial of these families."""
    users = [family for family in families if uses(family, key)]
    if not users:
        return f"has no effect: {one_of(families)} does not use it; remove it"
    if not (users := [family for family in users if key not in _idle(parts, family)]):
        return f"{_start(parts)}; remove it"
    own = {one.name for one in parts.search or ()} | apart(parts)
    if all(joined(family, key) in own for family in users):
        have = "has its own value in a table" if len(users) == 1 else "have their own values in tables"
        return f"has no effect: {' and '.join(users)} {have}; remove one of them"
    return ""


def _impossible(parts: Parts, key: str) -> str:
    """Why no student of some family can be built with a plain fixed key that others need."""
    users = [family for family in selected(parts) if uses(family, key)]
    if not (idle := [family for family in users if key in _idle(parts, family)]):
        return ""
    tables = one_of(f"[settings.{family}]" for family in users if family not in idle)
    return f"{_start(parts)} for {one_of(idle)}; move it to {tables}"


def _start(parts: Parts) -> str:
    if parts.scratch:
        return "has no effect from scratch: all new layers and heads are interchangeable"
    return f'needs [student] init = "{SCRATCH}"'


def baseline_problems(parts: Parts) -> Iterator[Problem]:
    """Trial 0 has one family, so its keys are plain ones that this family uses."""
    if parts.baseline is None:
        return
    family = str(parts.baseline.get("family", parts.fixed.settings.family))
    for name, value in parts.baseline.items():
        if name in FAMILIES:
            yield Problem(f"baseline.{name}", "", f'is not needed: set family = "{name}" and its keys in [baseline]')
        elif name not in SETTING:
            yield Problem("baseline", name, f"is not a setting{did_you_mean(name, SETTING)}")
        elif text := value_problem(SETTING[name], value):
            yield Problem("baseline", name, text)
        elif not uses(family, name):
            yield Problem("baseline", name, f"has no effect: {family} does not use it; remove it")
    choices = _choices(parts)
    if choices and "family" not in parts.baseline and family not in choices:
        yield Problem("baseline", "family", f"is missing: the study searches it; use {one_of(choices)}")
