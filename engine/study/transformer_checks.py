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
        yield from _listed(parts, "layer_list", "layer_choice", "layer indices")
        yield from _listed(parts, "ffn_list", "ffn_choice", "the neurons of each layer")
        yield from _indices(parts)
        yield from _separate(parts)
        yield from _shapes(parts)


def _listed(parts: Parts, key: str, by: str, what: str) -> Iterator[Problem]:
    """A list that a choice asks for, in `[settings]` and in every recipe."""
    if parts.settings is None or parts.search is None:
        return
    for table, recipe in _tables(parts, key, by):
        own = parts.recipes.get(recipe, {})
        choice = (own[by],) if by in own else parts.values(by, TRANSFORMER.name)
        if "list" in choice and not parts.fixed.under({"recipe": recipe}).value(key, TRANSFORMER.name):
            yield Problem(table, key, f'is missing: {by} = "list" needs {what}')


def _tables(parts: Parts, key: str, by: str) -> Iterator[tuple[str, str]]:
    """(table, recipe) wherever the study file may set a list; the recipe is empty for `[settings]`."""
    family = TRANSFORMER.name
    yield f"settings.{family}" if key in parts.family_settings.get(family, {}) else "settings", ""
    yield from ((f"recipes.{name}", name) for name, own in parts.recipes.items() if {key, by} & own.keys())


def _indices(parts: Parts) -> Iterator[Problem]:
    for table, recipe in _tables(parts, "layer_list", "layer_choice"):
        listed = parts.fixed.under({"recipe": recipe}).value("layer_list", TRANSFORMER.name)
        if len(set(listed)) != len(listed) or any(index < 0 for index in listed):
            yield Problem(table, "layer_list", f"= {shown(listed)} must be distinct indices starting from 0")


def _separate(parts: Parts) -> Iterator[Problem]:
    """At least one layer must see both segments; a combination of searched values is refused when it is proposed."""
    if parts.settings is None or parts.search is None:
        return
    separate, layers = (parts.values(key, TRANSFORMER.name) for key in ("separate_layers", "layers"))
    most = max(layers) if layers and all(layers) else math.inf  # 0 is all layers of a model not read here
    if separate and min(separate) >= most:
        searched = any(one.key == "separate_layers" for one in parts.search)
        yield Problem(
            "search" if searched else "settings",
            "separate_layers",
            f"= {min(separate)} leaves none of {most} layers to see both segments; use less than {most}, or 0",
        )


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
