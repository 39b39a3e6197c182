"""Size limits of a study file, so that no small file takes minutes to parse or causes a traceback. It reads no files.

The largest real file has about a hundred lines; every limit is far beyond anything written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

DEEPEST = 32
"""Maximum nesting of tables and lists."""
MOST_PARTS = 32
"""Maximum parts of a dotted key."""
LONGEST_KEY = 200
LONGEST_TEXT = 20_000
LARGEST = 1 << 63
"""Integers have 64 bits, as in the TOML specification; Python refuses to print much larger ones."""

_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
DOTTED = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*+\.[ \t]*+){{{MOST_PARTS},}}+")
"""Linear time: it starts only at the start of a word and never backtracks. It also matches inside strings and comments,
where so many words are never joined by dots."""
FILES = (
    *(("data", "train"), ("data", "report"), ("transfer", "path"), ("pretrain", "path")),
    ("teacher", "outputs"),
    ("teacher", "ensemble", "outputs"),
)
"""Keys that name files; of lists of tables, of each table."""
MODELS = (("teacher", "model"), ("student", "init"), ("transfer", "model"), ("teacher", "ensemble", "model"))
"""Keys that name folders or models on the Hub."""
PATHS = FILES + MODELS
LONGEST_PATH = 4096


def text_problem(text: str) -> str:
    """What is wrong with a TOML text before parsing ('' if nothing): parsing is quadratic in dotted keys."""
    if found := DOTTED.search(text):
        line = text.count("\n", 0, found.start()) + 1
        return f"line {line} has a dotted key of more than {MOST_PARTS} parts; no key of a study file has that many"
    return ""


def value_problem(raw: Any) -> str:
    """The first thing in parsed tables that is too deep, too long or too large ('' if nothing)."""
    return next(_problems(raw), "")


def _problems(raw: Any) -> Iterator[str]:
    stack: list[tuple[Any, tuple[str, ...]]] = [(raw, ())]
    while stack:  # not recursive, because the depth is what is being checked
        value, path = stack.pop()
        if len(path) > DEEPEST:
            yield f"{_named(path)} is nested more than {DEEPEST} levels deep; no value of a study file is"
            return
        if isinstance(value, Mapping):
            for key in value:
                if len(str(key)) > LONGEST_KEY:
                    yield f"{_named((*path, str(key)))} is a key of {len(key):,} characters; use a shorter key"
            stack += [(item, (*path, str(key))) for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            stack += [(item, (*path, str(index))) for index, item in enumerate(value)]
        elif isinstance(value, str):
            named = tuple(part for part in path if not part.isdecimal())
            most = LONGEST_PATH if named in PATHS else LONGEST_TEXT
            if len(value) > most:
                yield f"{_named(path)} has {len(value):,} characters; use {most:,} at most"
        elif isinstance(value, int) and not -LARGEST <= value < LARGEST:
            yield f"{_named(path)} does not fit in 64 bits; use a smaller number"


def _named(path: tuple[str, ...]) -> str:
    text = ".".join(path[:4])
    return text if len(text) <= 80 and len(path) <= 4 else f"{text[:77]}..."
