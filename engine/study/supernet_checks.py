"""Checks of `student.init = "supernet"` and of `[supernet]`. Pure: it opens no files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bertdistill.engine.contract.spec import NEW_VOCABULARY, SUPERNET
from bertdistill.engine.contract.terms import TERMS
from bertdistill.engine.families.bottleneck import BOTTLENECK
from bertdistill.engine.families.supernet import ARCHITECTURE
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.study.family_checks import selected, table_and_key
from bertdistill.engine.study.layer_checks import used
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.scopes import split
from bertdistill.engine.study.sections import Problem, shown

NOT_SHARED = {
    "hidden_size": "all of its students have the teacher's hidden size",
    "embedding_rank": "all of its students have the whole table of embeddings",
    "separate_layers": "its layers are trained to see both segments",
    "pretrain_epochs": "its weights already know the task",
}
"""Settings that a supernet cannot share, each with the reason; only 0 works."""


def supernet_problems(parts: Parts) -> Iterator[Problem]:
    """All of them."""
    if parts.student is None or parts.settings is None or parts.search is None:
        return
    if parts.student.init != SUPERNET:
        if parts.supernet:
            yield Problem("supernet", "", f'has no effect; set student.init = "{SUPERNET}", or remove it')
        return
    families = selected(parts)
    if BOTTLENECK.name in families or TRANSFORMER.name not in families:
        text = "needs students of the family transformer, and none of bottleneck: nothing else is cut from it"
        yield Problem("student", "init", f'= "{SUPERNET}" {text}')
        return
    if parts.teacher is not None and not parts.teacher.model:
        yield Problem("student", "init", f'= "{SUPERNET}" starts from the teacher; name a model in teacher.model')
    yield from _not_shared(parts)
    yield from _not_nested(parts)
    yield from _taught_in_step(parts)
    if not (parts.recipes or any(_uses(one.name, ARCHITECTURE) for one in parts.search)):
        text = "has only one student to train; search layers, heads, ffn_size or vocab_size"
        yield Problem("student", "init", f'= "{SUPERNET}" {text}, or use "teacher"')


def _not_shared(parts: Parts) -> Iterator[Problem]:
    for key, why in NOT_SHARED.items():
        for table, name, value in _values(parts, key):
            if value:
                yield Problem(table, name, f'= {shown(value)} does not work with student.init = "{SUPERNET}": {why}')


def _not_nested(parts: Parts) -> Iterator[Problem]:
    """Heads that are drawn, and pieces that the teacher does not have."""
    if any(value for _, _, value in _values(parts, "heads")):
        for table, name, value in _values(parts, "head_choice"):
            if value == "random":
                text = f'does not work with student.init = "{SUPERNET}": its heads are nested by importance'
                yield Problem(table, name, f'= "random" {text}')
    if any(value for _, _, value in _values(parts, "vocab_size")):
        for table, name, value in _values(parts, "vocabulary"):
            if value == NEW_VOCABULARY:
                text = (
                    f'does not work with student.init = "{SUPERNET}": its pieces have no shared embeddings; use "cut"'
                )
                yield Problem(table, name, f'= "{NEW_VOCABULARY}" {text}')


def _taught_in_step(parts: Parts) -> Iterator[Problem]:
    for term in TERMS.values():
        if term.online or term.network:
            for table, key in used(parts, term):
                text = f'is above 0, but with student.init = "{SUPERNET}" no teacher runs in training; use 0'
                yield Problem(table, key, f'{text}, or student.init = "teacher"')


def _uses(name: str, keys: tuple[str, ...]) -> bool:
    family, key = split(name)
    return family in ("", TRANSFORMER.name) and key in keys


def _values(parts: Parts, key: str) -> Iterator[tuple[str, str, Any]]:
    """(table, key, value) wherever the study file sets the key for transformers; of a range its ends."""
    if key in parts.named:
        yield "settings", key, getattr(parts.settings, key)
    if key in parts.family_settings.get(TRANSFORMER.name, {}):
        yield f"settings.{TRANSFORMER.name}", key, parts.family_settings[TRANSFORMER.name][key]
    for recipe, table in parts.recipes.items():
        if key in table:
            yield f"recipes.{recipe}", key, table[key]
    if parts.baseline and key in parts.baseline:
        yield "baseline", key, parts.baseline[key]
    for one in parts.search or ():
        if _uses(one.name, (key,)):
            yield from ((*table_and_key(one.name), value) for value in one.choices or (one.high,))
