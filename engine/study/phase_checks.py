"""Checks of `[[pretrain]]`, and of the settings of pre-training and fine-tuning. Pure: it opens no files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from bertdistill.engine.contract.spec import PretrainSpec, Settings
from bertdistill.engine.families.phases import NEEDS, PRETRAIN_EPOCHS
from bertdistill.engine.study.family_checks import selected
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.scopes import uses
from bertdistill.engine.study.sections import Problem, default_of, one_of


def phase_problems(parts: Parts) -> Iterator[Problem]:
    """All of them."""
    if parts.settings is None or parts.search is None:
        return
    for table, key, value, families in _given(parts):
        reasons = [pointless_phase(parts, key, family) for family in families]
        if value != getattr(Settings(), key) and reasons and all(reasons):
            yield Problem(table, key, f"has no effect {reasons[0]}, or remove it")
    if parts.pretrain is None:
        return
    wrong = [problem for index, one in enumerate(parts.pretrain) for problem in _table(parts, index, one)]
    yield from wrong
    if parts.pretrain and not wrong and not _pretrains(parts):
        yield Problem(
            "pretrain", "", f"has no effect: no trial reads it; set or search {PRETRAIN_EPOCHS}, or remove it"
        )


def pointless_phase(parts: Parts, key: str, family: str) -> str:
    """Why a key of a phase changes no student of this family ('' if it does)."""
    needed = NEEDS.get(key, "")
    if not needed or (parts.baseline or {}).get(needed) or set(parts.values(needed, family)) != {0}:
        return ""
    return f"with {needed} = 0; set or search {needed}"


def _pretrains(parts: Parts) -> bool:
    values = [value for family in _users(parts) for value in parts.values(PRETRAIN_EPOCHS, family) or (1.0,)]
    return any([*values, (parts.baseline or {}).get(PRETRAIN_EPOCHS)])


def _users(parts: Parts) -> tuple[str, ...]:
    return tuple(family for family in selected(parts) if uses(family, PRETRAIN_EPOCHS))


def _table(parts: Parts, index: int, table: PretrainSpec) -> Iterator[Problem]:
    """What is wrong with one table of texts."""
    name = f"pretrain.{index}"
    for field in dataclasses.fields(PretrainSpec):
        kinds: Sequence[str] = field.metadata.get("kinds", ())
        if kinds and table.kind not in kinds and getattr(table, field.name) != default_of(field):
            text = f"has no effect there; it belongs to {one_of(kinds)}; remove it"
            yield Problem(name, field.name, text, of=table.kind)
    if table.kind == "file" and not table.path:
        yield Problem(name, "path", "is missing", of=table.kind)
    if table.kind == "file" and parts.data is not None and table.path and table.path == parts.data.report:
        text = "is the report file: students would be trained on what they are reported on; use other texts"
        yield Problem(name, "path", text, of=table.kind)
    if table.kind == "transfer" and parts.transfer is not None and not parts.transfer:
        yield Problem(name, "kind", '= "transfer", but there is no [[transfer]] table; add one, or use other texts')


def _given(parts: Parts) -> Iterator[tuple[str, str, Any, tuple[str, ...]]]:
    """(table, key, value, families it is for) of these keys where the study file names them."""
    families = selected(parts)
    for key in sorted(parts.named & NEEDS.keys()):
        yield "settings", key, getattr(parts.settings, key), tuple(one for one in families if uses(one, key))
    for family, own in parts.family_settings.items():
        for key in sorted(own.keys() & NEEDS.keys()):
            yield f"settings.{family}", key, own[key], (family,)
