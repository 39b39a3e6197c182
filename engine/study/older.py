"""Studies that older versions wrote, in today's form. Pure; it checks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bertdistill.engine.families.bilstm import BILSTM
from bertdistill.engine.families.mlp import MLP

OLD_VOCAB_SIZE = 5000


def modern(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The study, from a file or from the store, with keys where they are today."""
    return _vocab_size(_family(raw))


def _family(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """`[student] family`, found in older files and stored studies, is now a setting."""
    student, settings = raw.get("student"), raw.get("settings", {})
    if not isinstance(student, Mapping) or "family" not in student or not isinstance(settings, Mapping):
        return raw
    rest = {key: value for key, value in student.items() if key != "family"}
    return {**raw, "student": rest, "settings": {"family": student["family"], **settings}}


def _vocab_size(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """`vocab_size` in studies written out whole by a version in which only mlp and bilstm had it.

    Its old default is still that of these families; another value is put into their tables.
    """
    settings, search = raw.get("settings"), raw.get("search")
    # Nobody writes this key, and every version writes out all keys that it has.
    whole = isinstance(settings, Mapping) and "checkpoint_minutes" in settings and "vocabulary" not in settings
    if not isinstance(settings, Mapping) or not whole or "vocab_size" not in settings:
        return raw
    rest = {key: value for key, value in settings.items() if key != "vocab_size"}
    size = settings["vocab_size"]
    searched = search.get("family") if isinstance(search, Mapping) else None
    choices = searched.get("choices", ()) if isinstance(searched, Mapping) else ()
    if size != OLD_VOCAB_SIZE:
        for name in {settings.get("family"), *choices} & {MLP.name, BILSTM.name}:
            rest[name] = {"vocab_size": size, **rest.get(name, {})}
    return {**raw, "settings": rest}
