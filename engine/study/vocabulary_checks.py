"""Checks of `vocab_size` and `vocabulary`, whose meaning depends on the family. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bertdistill.engine.families.table import cuts_vocabulary
from bertdistill.engine.families.tiny import RESERVED, ROWS
from bertdistill.engine.study.family_checks import selected, table_and_key
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.scopes import uses
from bertdistill.engine.study.sections import Problem, shown
from bertdistill.engine.study.space import Parameter

SIZE, KIND = "vocab_size", "vocabulary"


def vocabulary_problems(parts: Parts) -> Iterator[Problem]:
    """All of them, each once however many families share the key."""
    if parts.settings is None or parts.search is None:
        return
    found = [one for family in selected(parts) if uses(family, SIZE) for one in _of_family(parts, family)]
    yield from dict.fromkeys(found)


def _of_family(parts: Parts, family: str) -> Iterator[Problem]:
    searched = next((one for one in parts.search or () if one.key == SIZE and one.applies(family)), None)
    own = SIZE in parts.family_settings.get(family, {})
    at = table_and_key(searched.name) if searched else (f"settings.{family}" if own else "settings", SIZE)
    whole = "the whole vocabulary" if cuts_vocabulary(family) else f"{ROWS} rows"
    least = _least(searched, parts.fixed.value(SIZE, family))
    if searched is not None and searched.kind != "choice" and least == 0:
        yield Problem(*at, f"starts at 0, which means {whole}; start higher, or list choices")
    elif not cuts_vocabulary(family) and 0 < least <= RESERVED:
        yield Problem(*at, f"= {least} leaves {family} no row for units; use {RESERVED + 1} or more, or 0 for {whole}")
    if cuts_vocabulary(family) and searched is None and not parts.fixed.value(SIZE, family):
        yield from _idle_kind(parts, family)


def _least(searched: Parameter | None, fixed: int) -> int:
    """The smallest size other than 0 that can be asked for, or the end of a range."""
    if searched is None:
        return fixed
    if searched.kind != "choice":
        return int(searched.low or 0)
    return min((int(value) for value in searched.choices if value), default=0)


def _idle_kind(parts: Parts, family: str) -> Iterator[Problem]:
    """`vocabulary` where every student of the family has the whole one."""
    if (parts.baseline or {}).get(SIZE):
        return
    searched = next((one for one in parts.search or () if one.key == KIND and one.applies(family)), None)
    value = parts.fixed.value(KIND, family)
    text = f"has no effect while {SIZE} is 0, the whole vocabulary; set both or none"
    if searched is not None:
        yield Problem(*table_and_key(searched.name), text)
    elif value != type(parts.fixed.settings)().vocabulary:
        own = KIND in parts.family_settings.get(family, {})
        yield Problem(f"settings.{family}" if own else "settings", KIND, f"= {shown(value)} {text}")
