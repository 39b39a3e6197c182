"""Checks of the settings of transformers: layers by list, and widths and heads that fit each other. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bertdistill.engine.contract.spec import SCRATCH, Settings
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.study.family_checks import baseline_problems, selected
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.sections import Problem, shown
from bertdistill.engine.study.space import Space, conditions, count, grid, resolve

MOST_SHAPES = 100_000
"""Larger spaces of widths and heads are not enumerated; the runner rejects an invalid proposal later."""


def transformer_problems(parts: Parts) -> Iterator[Problem]:
    """All of them; none if no trial of the study is a transformer."""
    if TRANSFORMER.name in selected(parts):
        yield from _layers(parts)
        yield from _shapes(parts)


def _layers(parts: Parts) -> Iterator[Problem]:
    if parts.settings is None or parts.search is None:
        return
    family = TRANSFORMER.name
    plain = f"settings.{family}" if "layer_list" in parts.family_settings.get(family, {}) else "settings"
    for recipe in ("", *parts.recipes):
        listed = parts.fixed.under({"recipe": recipe}).value("layer_list", family)
        own = parts.recipes.get(recipe, {})
        table = f"recipes.{recipe}" if {"layer_list", "layer_choice"} & own.keys() else plain
        choice = (own["layer_choice"],) if "layer_choice" in own else parts.values("layer_choice", family)
        if (not recipe or table != plain) and "list" in choice and not listed:
            yield Problem(table, "layer_list", 'is missing: layer_choice = "list" needs layer indices')
        if len(set(listed)) != len(listed) or any(index < 0 for index in listed):
            yield Problem(table, "layer_list", f"= {shown(listed)} must be distinct indices starting from 0")


def _shapes(parts: Parts) -> Iterator[Problem]:
    """Widths and heads of students from scratch, for every combination in the space."""
    if not parts.scratch or parts.settings is None or parts.search is None:
        return
    width = parts.teacher.hidden_size if parts.teacher and parts.teacher.model == SCRATCH else 0
    asked = _with_conditions(
        parts.search, {"hidden_size", "head_size", "heads", *(["recipe"] if parts.recipes else [])}
    )
    if (count(asked, parts.fixed) or math.inf) <= MOST_SHAPES:
        for params in grid(asked, parts.fixed):
            if text := _shape_problem(resolve(asked, params, parts.fixed), width):
                yield Problem("search" if params else "settings", "", text)
                break
    if parts.baseline is None or list(baseline_problems(parts)):
        return
    if text := _shape_problem(parts.fixed.baseline(parts.baseline), width):
        yield Problem("baseline", "", text)


def _with_conditions(space: Space, keys: set[str]) -> Space:
    while True:
        more = {other for p in space if p.key in keys for other in conditions(p)} - keys
        if not more:
            return tuple(p for p in space if p.key in keys)
        keys = keys | more


def _shape_problem(settings: Settings, teacher_width: int) -> str:
    if settings.family != TRANSFORMER.name:
        return ""
    width = settings.hidden_size or teacher_width
    if not width:
        return ""
    if width % settings.head_size:
        return f"allows head_size = {settings.head_size} with hidden_size = {width}, which it does not divide"
    if settings.heads > width // settings.head_size:
        most = width // settings.head_size
        remedy = "use fewer, or omit heads: from scratch their number is hidden_size / head_size"
        return f"allows heads = {settings.heads} with hidden_size = {width}, which has {most}; {remedy}"
    return ""
