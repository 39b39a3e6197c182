"""Checks of the losses that compare layers: whether there is a teacher whose layers can be compared. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bertdistill.engine.contract.terms import TERMS, Term
from bertdistill.engine.study.family_checks import selected, table_and_key
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.sections import Problem


def layer_problems(parts: Parts) -> Iterator[Problem]:
    """Weights above 0 of terms that read inside the teacher, where it is a file or an average."""
    teacher = parts.teacher
    if teacher is None or parts.settings is None or parts.search is None:
        return
    if not (teacher.outputs or teacher.ensemble):
        return
    found = "teacher.outputs is a file" if teacher.outputs else "the probabilities of teacher.ensemble are averaged"
    for term in TERMS.values():
        if term.families & {*selected(parts)}:
            what = "network" if term.network else "hidden states"
            for table, key in used(parts, term):
                text = f"needs the {what} of one teacher, and {found}; use teacher.model alone, or 0"
                yield Problem(table, key, text)


def used(parts: Parts, term: Term) -> Iterator[tuple[str, str]]:
    """(table, key) wherever the study file sets or searches a weight above 0."""
    if getattr(parts.settings, term.key):
        yield "settings", term.key
    for family, table in parts.family_settings.items():
        if family in term.families and table.get(term.key):
            yield f"settings.{family}", term.key
    for recipe, table in parts.recipes.items():
        if table.get(term.key):
            yield f"recipes.{recipe}", term.key
    if (parts.baseline or {}).get(term.key):
        yield "baseline", term.key
    for one in parts.search or ():
        if one.key == term.key and any(one.choices or (one.high,)):
            yield table_and_key(one.name)


def weightless(parts: Parts, key: str, family: str) -> str:
    """The weight without which the key has no effect, if it is 0 in all students of this family; else ''."""
    terms = [term for term in TERMS.values() if key in term.settings and family in term.families]
    return terms[0].key if terms and all(never(parts, term, family) for term in terms) else ""


def never(parts: Parts, term: Term, family: str) -> bool:
    """Whether the term has weight 0 in all students of this family, as far as its key decides."""
    values = parts.values(term.key, family)
    return bool(values) and not any(map(term.weight, values))
