"""A request of the history in full: what it replaced by what, by whom, what became of it, and how to undo it. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from bertdistill.app.text.safe import safe, safe_line
from bertdistill.engine.steering.changes import in_words
from bertdistill.engine.steering.history import Entry
from bertdistill.engine.study.ranges import range_text

LONGEST = 2_000
"""Characters of a value, such as a note."""


def change_card(entry: Entry) -> list[tuple[str, str]]:
    """Pairs of a name and words."""
    return [(safe_line(name, 40), safe(words, LONGEST)) for name, words in _facts(entry) if words]


def _facts(entry: Entry) -> Iterator[tuple[str, str]]:
    yield "request", f"#{entry.id}: {entry.verb}" + (f" of #{entry.undoes}, {entry.about}" if entry.undoes else "")
    yield "study", entry.study or "the whole workspace"
    yield "trial", "" if entry.trial is None else f"#{entry.trial}"
    for key in dict.fromkeys([*entry.before, *entry.after]):
        if key in entry.before and entry.before[key] != entry.after.get(key):
            yield f"{key}, before", _value(key, entry.before[key])
            yield f"{key}, after", _value(key, entry.after.get(key))
        else:
            yield key, _value(key, entry.after.get(key, entry.before.get(key)))
    yield "by", entry.who
    yield "at", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
    yield "outcome", outcome_words(entry)
    yield "undo", remedy_words(entry)


def _value(key: str, value: Any) -> str:
    if key == "range":
        return range_text(value)
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, str) for one in value):
        return " ".join(value)
    return value if isinstance(value, str) and value else in_words(key, value)


def outcome_words(entry: Entry) -> str:
    """Its outcome."""
    if entry.undone_by is not None:
        return f"undone by #{entry.undone_by}"
    return safe_line(entry.outcome, 200) or "waits for the runner"


def remedy_words(entry: Entry) -> str:
    """That it can be undone, or why not."""
    if not entry.obstacle:
        return "enter undoes it"
    if entry.undone_by is not None:  # which the outcome says already
        return safe_line(entry.instead, 300)
    return safe_line(". ".join(filter(None, (entry.obstacle, entry.instead))), 500)
