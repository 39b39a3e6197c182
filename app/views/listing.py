"""Which rows of a list are shown and in which order: by the words that they hold, and by a value of each. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

Item = TypeVar("Item")
Asked = TypeVar("Asked", contravariant=True)


class Language(Protocol[Asked]):
    """How a list is filtered."""

    @property
    def example(self) -> str:
        """What an empty filter shows in its place."""

    def test(self, text: str) -> Callable[[Asked], bool] | None:
        """Which items a filter keeps; None before anything is known of them. Raises UsageError."""

    def finished(self, text: str) -> str:
        """What counts of a filter while its last word is being typed."""

    def complete(self, text: str) -> Sequence[str]:
        """What the last word may become, the likeliest first."""


@dataclass(frozen=True)
class WordFilter(Generic[Item]):
    """Every word of the filter stands in an item; one with a minus before it does not."""

    example: str
    held: Callable[[Item], str]
    """All that an item can be found by."""
    names: Callable[[], Iterable[str]]
    """What a word may be completed to."""

    def test(self, text: str) -> Callable[[Item], bool]:
        return lambda item: holds(self.held(item), text)

    def finished(self, text: str) -> str:
        return text.strip()

    def complete(self, text: str) -> list[str]:
        word = text.rpartition(" ")[2]
        body = word.removeprefix("-").casefold()
        minus = "-" if word.startswith("-") else ""
        names = dict.fromkeys(self.names()) if body else ()
        return [minus + name for name in names if name.casefold().startswith(body) and name.casefold() != body]


def holds(held: str, text: str) -> bool:
    """Whether a text holds every word of a filter, whatever its case; after a minus, that it does not hold it."""
    held = held.casefold()
    words = (word.casefold() for word in text.split())
    return all(word[1:] not in held if len(word) > 1 and word[0] == "-" else word in held for word in words)


def ordered(items: Iterable[Item], value: Callable[[Item], Any], *, reverse: bool = False) -> list[Item]:
    """By a value of each, numbers before words; items without one stay last, whichever way the others are sorted."""
    found = [(item, _key(value(item))) for item in items]
    known = [(key, item) for item, key in found if key is not None]
    known.sort(key=lambda pair: pair[0], reverse=reverse)
    return [item for _, item in known] + [item for item, key in found if key is None]


def _key(value: Any) -> tuple[bool, float, str] | None:
    if isinstance(value, bool | str):
        return (True, 0.0, str(value))
    return None if value is None or not math.isfinite(value) else (False, float(value), "")
