"""What the generators of demo data share: random choices that never change, and files that are never half written."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import TypeVar

SOURCE = "made from templates by bertdistill-tui; the people and places do not exist"

T = TypeVar("T")


class Dice:
    """Random choices based only on `Random.random`, the only stream that Python keeps stable across versions."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def pick(self, values: tuple[T, ...] | list[T]) -> T:
        return values[int(self._random.random() * len(values))]

    def rarely(self, values: tuple[T, ...]) -> T:
        """One of the values; those at the end are rare: the density falls linearly to 0."""
        return values[int((1 - self._random.random() ** 0.5) * len(values))]

    def some(self, values: tuple[T, ...] | list[T], count: int) -> list[T]:
        """`count` distinct values, in random order."""
        left = list(values)
        return [left.pop(int(self._random.random() * len(left))) for _ in range(count)]


def write_text(path: Path, text: str) -> None:
    """Write `text` and a newline, atomically and the same bytes on every system."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
