"""The four hints on the first study: one after another, each while the pane that it explains is shown.

They have lines of their own above the footer, cover nothing, and take no focus and no key of another action. Whether
they were seen is remembered of the user, not of a workspace: who knows the app needs no tour in the next folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text
from textual.message import Message
from textual.widgets import Static

from bertdistill.app.bindings import key_of
from bertdistill.app.keymap import ACTIONS
from bertdistill.app.memory import Memory

SEEN = "tour.seen"


@dataclass(frozen=True)
class Hint:
    """The panes that it explains, as selectors, the best first, and its words with the ids of the keys they name."""

    beside: tuple[str, ...]
    words: str
    keys: tuple[str, ...] = ()


HINTS = (
    Hint(
        ("#trials",),
        "Every trial, best first. {star} is the frontier: nothing as small has a better score. {0} filters the list.",
        ("filter",),
    ),
    Hint(
        ("#frontier",),
        "Each {star} has the best score at its size, and a line joins them. {0} goes to this chart.",
        ("pane-frontier",),
    ),
    Hint(
        ("#card", "#trials"),
        "{0} opens the trial under the cursor: scores beside the teacher's, settings, curves.",
        ("open-trial",),
    ),
    Hint(
        ("#keys",),
        "{0} runs a trial again with one change, {1} verifies and exports it. {2} explains every word.",
        ("rerun", "promote", "help"),
    ),
)
CHOOSES = "choose"
"""What enter does in a table; there it opens the trial."""


class Tour(Static):
    """Shows a hint, or nothing; a click is as good as the key for the next one."""

    class Asked(Message):
        """The next hint is wanted."""

    def __init__(self, keymap: Mapping[str, str], *, ascii_only: bool, state: Path | None) -> None:
        super().__init__("", id="tour", markup=False)
        self._keymap, self._ascii, self._state = keymap, ascii_only, state
        self._memory = Memory(state) if state is not None else None
        self._left: list[int] | None = None
        """Hints that were not read yet; None: they were not begun."""
        self._shown = Text()
        self.at = -1
        """Which hint is shown; -1: none."""

    @property
    def is_due(self) -> bool:
        """Whether this user has not seen it yet; without a folder to remember that, it is never due."""
        return self._left is None and self._memory is not None and not self._memory.recall(SEEN, False)

    def turn(self) -> None:
        """The next hint; when none is shown, from the first on."""
        if self.at < 0 or self._left is None:
            self._left = list(range(len(HINTS)))
        else:
            self._left = [at for at in self._left if at != self.at]

    def dismiss(self) -> None:
        """For ever."""
        self._left = []
        self.place(lambda _: False)

    def used(self, action: str) -> bool:
        """An action was done, by whatever way: who does what the hint says has no more use for it."""
        names = {one.name for one in ACTIONS if self.at >= 0 and one.id in HINTS[self.at].keys}
        if "open" in names:
            names.add(CHOOSES)
        if action not in names:
            return False
        self.turn()
        return True

    def place(self, is_shown: Callable[[str], bool]) -> str:
        """Show the first hint that is left for a pane that is shown; the selector of that pane, empty without any.

        Those of hidden panes wait until their pane is shown; once no other is left after one was shown, the tour is not
        due again.
        """
        panes = {at: next(filter(is_shown, HINTS[at].beside), "") for at in self._left or ()}
        self.at = next((at for at, pane in panes.items() if pane), -1)
        if self.at < 0 and self._left is not None and len(self._left) < len(HINTS):
            self._keep()
        self.display = self.at >= 0
        text = self.text if self.display else Text()
        if text != self._shown:
            self._shown = text
            self.update(text)
        return panes.get(self.at, "")

    def _keep(self) -> None:
        if self._memory is not None and self._state is not None and not self._memory.recall(SEEN, False):
            with suppress(OSError):
                self._state.mkdir(parents=True, exist_ok=True)
            self._memory.keep(SEEN, True)

    def on_click(self) -> None:
        self.post_message(self.Asked())

    @property
    def text(self) -> Text:
        """All of it in one paragraph, the way out first: it stands in the same place in every hint."""
        hint = HINTS[self.at]
        words = hint.words.format(*map(self._key, hint.keys), star="*" if self._ascii else "★")
        way_out = f"{self._key('next-hint')} next, {self._key('no-hints')} no hints"
        return Text.assemble((f"Hint {self.at + 1} of {len(HINTS)}", "bold"), f" ({way_out})  {words}")

    def _key(self, action: str) -> str:
        return key_of(action, self._keymap, ascii_only=self._ascii)
