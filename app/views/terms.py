"""What the words on a screen mean: the glossary, every metric and every setting under one look-up. It draws nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache

from bertdistill.app.text.glossary import TERMS, Entry
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.space import SETTING
from bertdistill.engine.tasks.table import METRICS

FILE = "study-file.md"
ANY_CASE = 3
"""Letters from which on a word means the same in any case: `C` is a setting, and `c` a key."""


@cache
def entries() -> Mapping[str, Entry]:
    """Every entry by its own name: terms first, then metrics, then settings that none of these explains."""
    found = {entry.name: entry for entry in TERMS}
    for name, metric in METRICS.items():
        better = "More" if metric.direction == "maximize" else "Less"
        unit = f" In {metric.unit}." if metric.unit else ""
        found.setdefault(name, Entry(name, f"{_sentence(metric.help)}{unit} {better} is better.", FILE))
    for name, field in SETTING.items():
        found.setdefault(name, Entry(name, _sentence(str(field.metadata.get("help", ""))), FILE))
    return found


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


@cache
def _by_words() -> Mapping[str, Entry]:
    """Every entry by each of its names, as they are looked up."""
    return {_key(name): entry for entry in entries().values() for name in (entry.name, *entry.also)}


def _key(name: str) -> str:
    return name.casefold() if len(name) >= ANY_CASE else name


def explain(name: str) -> Entry | None:
    """The entry of a word as it stands on a screen: in any case, with an arrow, or of one family (`mlp.units`)."""
    bare = name.strip(" ▾▴↑↓^:")
    family, dot, rest = bare.partition(".")
    return _by_words().get(_key(rest if dot and family in FAMILIES else bare))


@cache
def _pattern() -> re.Pattern[str]:
    """All names but those of heads at once, longer ones first; whole words, of which `search_loss` is one."""
    shown = [entry for entry in entries().values() if not entry.head]
    names = sorted({name for entry in shown for name in (entry.name, *entry.also)}, key=len, reverse=True)
    words = [re.escape(name) if len(name) < ANY_CASE else f"(?i:{re.escape(name)})" for name in names]
    return re.compile(rf"(?<![\w.-])(?:(?:{'|'.join(FAMILIES)})\.)?({'|'.join(words)})(?![\w-])")


def occurrences(text: str) -> Iterator[tuple[int, int, Entry]]:
    """Every explained word in `text`, with where it begins and ends."""
    for match in _pattern().finditer(text):
        yield match.start(), match.end(), _by_words()[_key(match[1])]


def explained(text: str) -> list[Entry]:
    """The entries of the words in `text`, in the order in which they first stand there."""
    return list(dict.fromkeys(entry for _, _, entry in occurrences(text)))


def nearest(name: str) -> list[str]:
    """Names that may have been meant: those that contain it, else those spelt alike."""
    known = {_key(name): name for entry in entries().values() for name in (entry.name, *entry.also)}
    inside = [word for key, word in known.items() if _key(name) in key]
    return inside[:5] or [known[key] for key in difflib.get_close_matches(_key(name), known, 3, 0.6)]
