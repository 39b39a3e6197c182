"""Keys typed before a screen shows anything: kept, and given back once there is something that they can mean.

It knows no screen. Without it, what is typed quickly behind a key that opens a screen falls on an empty table and is
lost, and what follows then acts on the wrong row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from textual.events import Key
from textual.keys import key_to_character

PATIENCE_SECONDS = 2.0
"""Longest time for which keys wait; a screen that needs longer gets them as they come."""
MOST = 50
LEADING_OUT = ("escape", "q")
"""Never kept: they lead away from a screen that does not come."""


@dataclass
class EarlyKeys:
    """Names of keys, in the order in which they were typed."""

    _kept: list[str] = field(default_factory=list)

    def keep(self, key: str) -> bool:
        """Keep this key, unless it leads out or too many wait already."""
        if key in LEADING_OUT or len(self._kept) >= MOST:
            return False
        self._kept.append(key)
        return True

    def give_back(self) -> Iterator[Key]:
        """The kept keys as they were typed; afterwards none is kept."""
        kept, self._kept = self._kept, []
        for key in kept:
            yield Key(key, key_to_character(key))
