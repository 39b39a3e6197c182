"""Search spaces for tests, from the tables of a study file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bertdistill.engine.study.search_section import read_search
from bertdistill.engine.study.space import Space


def parse_search(raw: Mapping[str, Mapping[str, Any]]) -> Space:
    """The space in the `[search]` tables; raises ValueError with every problem on a line, each with its key path."""
    space, problems = read_search(raw)
    if problems:
        raise ValueError("\n".join(f"[search.{name}] {problem}" for name, problem in problems))
    return space
