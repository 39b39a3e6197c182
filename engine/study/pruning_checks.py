"""Checks of the keys about pruning: a schedule that ends after it begins, and keys that some method uses. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families import sparsity
from bertdistill.engine.study.family_checks import selected
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.scopes import uses
from bertdistill.engine.study.sections import Problem, one_of, shown


def pruning_problems(parts: Parts) -> Iterator[Problem]:
    """All of them, in what the study file fixes."""
    if parts.settings is None or parts.search is None:
        return
    families = tuple(family for family in selected(parts) if uses(family, "pruning"))
    for table, key, value, owners in _given(parts, families):
        reasons = [pointless(parts, key, family) for family in owners]
        if value != getattr(Settings(), key) and reasons and all(reasons):
            yield Problem(table, key, f"has no effect {reasons[0]}, or remove it")
    for family in families:
        yield from _schedule(parts, family)
        yield from _unweighed(parts, family)


def pointless(parts: Parts, key: str, family: str) -> str:
    """Why a key about pruning changes no student of this family ('' if it does)."""
    if key == "pruning" or key in _in_use(parts, family):
        return ""
    users = [method for method, keys in sparsity.USES.items() if key in keys]
    return f"unless pruning is {one_of(users)}; set or search it"


def _in_use(parts: Parts, family: str) -> frozenset[str]:
    """The keys that students of this family may use, trial 0 included. A continuous range of strengths is above 0."""
    baseline = parts.baseline or {}
    methods = {*parts.values("pruning", family), baseline.get("pruning")} & sparsity.USES.keys()
    whens = {*parts.values("pruning_when", family), baseline.get("pruning_when", sparsity.BEFORE)}
    strengths = {*(parts.values("pruning_strength", family) or (1.0,)), baseline.get("pruning_strength", 1.0)}
    scopes = {*parts.values("pruning_scope", family), baseline.get("pruning_scope", "linears")}
    found: frozenset[str] = frozenset()
    for method, when, strength, scope in product(methods, whens, strengths, scopes):
        one = Settings(pruning=method, pruning_when=when, pruning_strength=strength, pruning_scope=scope)
        found |= sparsity.used(one)
    return found


def _given(parts: Parts, families: tuple[str, ...]) -> Iterator[tuple[str, str, object, tuple[str, ...]]]:
    """(table, key, value, families it is for) of the keys about pruning that the study file names."""
    for key in sorted(parts.named & sparsity.KEYS):
        yield "settings", key, getattr(parts.settings, key), families
    for family, table in parts.family_settings.items():
        for key in sorted(table.keys() & sparsity.KEYS):
            yield f"settings.{family}", key, table[key], (family,)
    for recipe, table in parts.recipes.items():
        for key in sorted(table.keys() & sparsity.KEYS):
            yield f"recipes.{recipe}", key, table[key], (table["family"],) if "family" in table else families


def _schedule(parts: Parts, family: str) -> Iterator[Problem]:
    begins, ends = parts.values("pruning_begin", family), parts.values("pruning_end", family)
    if "pruning_begin" in _in_use(parts, family) and begins and ends and min(begins) >= max(ends):
        text = f"= {shown(min(begins))} is not before pruning_end = {shown(max(ends))}"
        yield Problem("settings", "pruning_begin", f"{text}; let it begin earlier or end later")


def _unweighed(parts: Parts, family: str) -> Iterator[Problem]:
    """Heads or neurons by RPP, in every trial; of searched values some combinations are refused when proposed."""
    methods, scopes = parts.values("pruning", family), parts.values("pruning_scope", family)
    if methods and {*methods} == {sparsity.PROXIMAL} and scopes and {*scopes} <= sparsity.STRUCTURES.keys():
        text = f"= {shown(scopes[0])} {sparsity.UNWEIGHED}; {sparsity.UNWEIGHED_HINT}"
        yield Problem("settings", "pruning_scope", text)
