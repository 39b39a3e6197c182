"""The four hints on the first study: one after another, each beside what it explains, until they are dismissed.

They take no focus and no key of another action. Whether they were seen is remembered of the user, not of a workspace:
who knows the app needs no tour in the next folder.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from textual.geometry import Region, Size
from textual.message import Message
from textual.widgets import Static

from bertdistill.app.bindings import key_of
from bertdistill.app.memory import Memory
from bertdistill.app.widgets.titles import entitle

SEEN = "tour.seen"
WIDE = 48
"""Columns of a hint where several panes are shown; else as many as the window has."""
EDGES = 4
"""Cells of border and padding in a line."""


@dataclass(frozen=True)
class Hint:
    """What it stands beside, as a selector, and its words with the ids of the keys that they name."""

    beside: str
    words: str
    keys: tuple[str, ...] = ()


HINTS = (
    Hint("#trials", "Here is every trial, best first. {star} is the frontier: nothing as small has a better score."),
    Hint(
        "#frontier",
        "Each {star} has the best score at its size, and a line joins them. {0} goes to this chart.",
        ("pane-frontier",),
    ),
    Hint(
        "#card", "{0} opens the trial under the cursor: scores beside the teacher's, settings, curves.", ("open-trial",)
    ),
    Hint(
        "#keys",
        "{0} runs a trial again with one change, {1} verifies and exports it. {2} explains every word.",
        ("rerun", "promote", "help"),
    ),
)


class Tour(Static):
    """Shows a hint, or nothing; a click is as good as the key for the next one."""

    class Asked(Message):
        """The next hint is wanted."""

    def __init__(self, keymap: Mapping[str, str], *, ascii_only: bool, state: Path | None) -> None:
        super().__init__("", id="tour", markup=False)
        self._keymap, self._ascii, self._state = keymap, ascii_only, state
        self._memory = Memory(state) if state is not None else None
        self.at = -1
        """Which hint is shown; -1: none."""
        self._placed: tuple[int, ...] = ()

    @property
    def is_due(self) -> bool:
        """Whether this user has not seen it yet; without a folder to remember that, it is never due."""
        return self._memory is not None and not self._memory.recall(SEEN, False)

    @property
    def beside(self) -> str:
        return HINTS[self.at].beside if self.at >= 0 else ""

    def turn(self) -> None:
        """The next hint; after the last one they are dismissed."""
        if self.at + 1 < len(HINTS):
            self.at += 1
        else:
            self.dismiss()

    def dismiss(self) -> None:
        """For ever."""
        self.at, self._placed = -1, ()
        self.display = False
        if self._memory is not None and self._state is not None:
            with suppress(OSError):
                self._state.mkdir(parents=True, exist_ok=True)
            self._memory.keep(SEEN, True)

    def place(self, beside: Region, screen: Size, *, narrow: bool) -> None:
        """Show the hint at the foot of a region; where one pane fills the window, below it, hiding nothing."""
        width = screen.width if narrow else min(WIDE, beside.width)
        lines = textwrap.wrap(self.words, width - EDGES)
        height = len(lines) + 2
        x, y = (0, 0) if narrow else (beside.x, min(beside.bottom, screen.height - 1) - height)
        if self._placed == (placed := (self.at, x, y, width)):
            return
        self._placed = placed
        self.set_class(narrow, "-below")
        self.styles.width, self.styles.height, self.styles.offset = width, height, (x, y)
        self.update("\n".join(lines))
        entitle(self, title=f"Hint {self.at + 1} of {len(HINTS)}", subtitle=self._way_out())
        self.display = True

    def on_click(self) -> None:
        self.post_message(self.Asked())

    @property
    def words(self) -> str:
        hint = HINTS[self.at]
        return hint.words.format(*map(self._key, hint.keys), star="*" if self._ascii else "★")

    def _way_out(self) -> str:
        return f"{self._key('next-hint')} next, {self._key('no-hints')} no hints"

    def _key(self, action: str) -> str:
        return key_of(action, self._keymap, ascii_only=self._ascii)
