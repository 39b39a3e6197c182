"""What a person looks for in lines of text, and which lines hold it. Pure: it draws nothing and moves no cursor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Sought:
    """A text in lower case, and the numbers of the lines that hold it, from 0; no text: nothing is looked for."""

    text: str = ""
    lines: tuple[int, ...] = ()

    @staticmethod
    def among(text: str, lines: Iterable[str]) -> Sought:
        """Whatever the case of both."""
        wanted = text.casefold()
        hits = (place for place, line in enumerate(lines) if wanted in line.casefold()) if wanted else ()
        return Sought(wanted, tuple(hits))

    def here(self, at: int) -> int | None:
        """The first hit from this line on, else the first of all."""
        return next((line for line in self.lines if line >= at), self.lines[0] if self.lines else None)

    def beside(self, at: int, by: int) -> int | None:
        """The next hit, or (`by` below 0) the one before; from the end to the beginning."""
        ahead = [line for line in self.lines if (line - at) * by > 0] or self.lines
        return ahead[0 if by > 0 else -1] if ahead else None

    def title(self, at: int | None) -> str:
        """`/oom: 3 of 17`, as seen from this line."""
        count = len(self.lines)
        place = self.lines.index(at) + 1 if at in self.lines else 0
        found = f"{place} of {count}" if place else f"{count} lines" if count else "not found"
        return f"/{self.text}: {found} (n N esc)"
