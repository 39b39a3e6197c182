"""Names and texts as MLflow takes them: few characters, none that means another path, and of limited length. Pure."""

from __future__ import annotations

import posixpath
import re

LONGEST_NAME = 250
LONGEST_TAG = 8_000
LONGEST_PARAM = 6_000
_OTHER = re.compile(r"[^/\w.\- :]")


class Names:
    """Gives each name one that MLflow takes, and no two the same."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._used: set[str] = set()

    @property
    def changed(self) -> int:
        """How many names had to be changed."""
        return sum(name != given for name, given in self._given.items())

    def of(self, name: str) -> str:
        """The name, or the nearest one that is allowed and not taken."""
        if name not in self._given:
            plain = allowed(name)
            found, count = plain, 1
            while found in self._used:
                count += 1
                found = f"{plain[: LONGEST_NAME - 8]}_{count}"
            self._used.add(found)
            self._given[name] = found
        return self._given[name]


def allowed(name: str) -> str:
    """The name with underscores for what MLflow refuses; a name that is a path to somewhere else has no slashes."""
    found = _OTHER.sub("_", name)[:LONGEST_NAME] or "_"
    if posixpath.normpath(found) != found or found.startswith(("..", "/")) or found == ".":
        found = found.replace("/", "_").replace("..", "__").replace(".", "_")
    return found


def cut(text: str, longest: int) -> str:
    """At most `longest` characters, an ellipsis where something was cut off."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
