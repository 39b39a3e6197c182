"""Paths of one machine as those of another, in JSON that names some. Standard library only; it opens no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def translated(raw: Any, moves: Mapping[str, str]) -> Any:
    """The value with every absolute path moved that is a key of `moves`, or below one; the longest key counts."""
    if isinstance(raw, str):
        return _moved(raw, moves) if raw.startswith("/") else raw
    if isinstance(raw, Mapping):
        return {key: translated(value, moves) for key, value in raw.items()}
    return [translated(value, moves) for value in raw] if isinstance(raw, (list, tuple)) else raw


def _moved(path: str, moves: Mapping[str, str]) -> str:
    for old in sorted(moves, key=len, reverse=True):
        if path == old or path.startswith(f"{old}/"):
            return moves[old] + path[len(old) :]
    return path
