"""How much a study file may hold, so that no text of a few kilobytes costs minutes or a traceback. It reads no file.

The largest real file has some hundred lines; every limit is far beyond what a person writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

DEEPEST = 32
"""Tables and lists inside each other."""
MOST_PARTS = 32
"""Parts of a dotted key."""
LONGEST_KEY = 200
LONGEST_TEXT = 20_000
LARGEST = 1 << 63
"""Whole numbers have 64 bits, as TOML says; Python cannot even print much larger ones."""

_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
DOTTED = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*+\.[ \t]*+){{{MOST_PARTS},}}+")
"""Linear: it begins at the start of a word only, and gives nothing back. It also matches inside of texts and comments,
where nobody joins so many words by dots."""
PATHS = (("data", "train"), ("data", "report"), ("teacher", "model"), ("student", "init"))
"""Keys that name files or folders, or models on a hub."""
LONGEST_PATH = 4096


def text_problem(text: str) -> str:
    """What is wrong with a TOML text before it is parsed ('' when nothing): a parser is quadratic in dotted keys."""
    if found := DOTTED.search(text):
        line = text.count("\n", 0, found.start()) + 1
        return f"line {line} has a dotted key of more than {MOST_PARTS} parts; no key of a study has so many"
    return ""


def value_problem(raw: Any) -> str:
    """The first thing in parsed tables that is too deep, too long or too large ('' when nothing)."""
    return next(_problems(raw), "")


def _problems(raw: Any) -> Iterator[str]:
    stack: list[tuple[Any, tuple[str, ...]]] = [(raw, ())]
    while stack:  # not recursive: depth is what is looked for
        value, path = stack.pop()
        if len(path) > DEEPEST:
            yield f"{_named(path)} is nested more than {DEEPEST} deep; no value of a study is"
            return
        if isinstance(value, Mapping):
            for key in value:
                if len(str(key)) > LONGEST_KEY:
                    yield f"{_named((*path, str(key)))} is a key of {len(key):,} characters; keys are short"
            stack += [(item, (*path, str(key))) for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            stack += [(item, (*path, str(index))) for index, item in enumerate(value)]
        elif isinstance(value, str):
            most = LONGEST_PATH if path in PATHS else LONGEST_TEXT
            if len(value) > most:
                yield f"{_named(path)} has {len(value):,} characters; use {most:,} at most"
        elif isinstance(value, int) and not -LARGEST <= value < LARGEST:
            yield f"{_named(path)} is a whole number beyond 64 bits; use a smaller one"


def _named(path: tuple[str, ...]) -> str:
    text = ".".join(path[:4])
    return text if len(text) <= 80 and len(path) <= 4 else f"{text[:77]}..."
