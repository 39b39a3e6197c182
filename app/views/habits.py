"""How a person looks at a study: columns, order, axes, colours; as a value that the app remembers. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 200
"""Characters of a name, and names in a list, beyond which the file was not written by this program."""

IMPORTANCE = "importance"
"""Remembered with the name of a study: its parameters, the most important one first, as they were last computed."""


@dataclass(frozen=True)
class Habits:
    """Empty values leave it to the study."""

    columns: tuple[str, ...] = ()
    sort: str = ""
    reverse: bool = False
    x: str = ""
    y: str = ""
    log: bool | None = None
    """Whether x is logarithmic; None: as its values suggest."""
    by: str | None = None
    """What trials are coloured by, empty: by nothing; None: as is usual for the study."""

    def to_dict(self) -> dict[str, Any]:
        """Only what a person chose."""
        usual = Habits()
        return {name: value for name, value in dataclasses.asdict(self).items() if value != getattr(usual, name)}


def read_habits(raw: Mapping[str, Any]) -> Habits:
    """What `to_dict` gave; whatever is not of its type, perhaps edited by hand, is left to the study."""
    columns = raw.get("columns")
    log, by = raw.get("log"), raw.get("by")
    names = columns if isinstance(columns, (list, tuple)) and len(columns) <= LONGEST else ()
    return Habits(
        tuple(name for name in names if _name(name)),
        _name(raw.get("sort")),
        raw.get("reverse") is True,
        _name(raw.get("x")),
        _name(raw.get("y")),
        log if isinstance(log, bool) else None,
        by if isinstance(by, str) and len(by) <= LONGEST else None,
    )


def _name(raw: object) -> str:
    return raw if isinstance(raw, str) and len(raw) <= LONGEST else ""
