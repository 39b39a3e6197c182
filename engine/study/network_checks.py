"""Checks of the losses that need the teacher's network: shared projection and dual training. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bertdistill.engine.contract.terms import DUAL, PROJECTION, TERMS
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.study.family_checks import selected
from bertdistill.engine.study.layer_checks import used
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.sections import Problem
from bertdistill.engine.tasks.table import TASKS


def network_problems(parts: Parts) -> Iterator[Problem]:
    """Weights above 0 where no student of the study can use them; a combination is refused when it is proposed."""
    if parts.settings is None or parts.search is None or TRANSFORMER.name not in selected(parts):
        return
    for name, reason in _obstacles(parts):
        for table, key in used(parts, TERMS[name]):
            yield Problem(table, key, reason)


def _obstacles(parts: Parts) -> Iterator[tuple[str, str]]:
    """(name of the term, why and what to do)."""
    if _never(parts, "hidden_size"):
        yield PROJECTION, "needs students that are narrower than the teacher; set or search hidden_size, or use 0"
    if parts.task is not None and TASKS[parts.task].spans:
        yield DUAL, f"needs labels of whole texts, and the answers of {parts.task} are tokens; use 0"
    elif _never(parts, "vocab_size"):
        yield DUAL, "needs students with a vocabulary of their own; set or search vocab_size, or use 0"


def _never(parts: Parts, key: str) -> bool:
    """Whether the key is 0 in every transformer of the study."""
    values = parts.values(key, TRANSFORMER.name)
    return bool(values) and not any(values) and not (parts.baseline or {}).get(key)
