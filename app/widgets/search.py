"""The line in which a person types what to look for in a log or a text. It looks for nothing itself: its pane does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from textual import on
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from bertdistill.app.bindings import bindings


class Searched(Protocol):
    """A pane whose lines can be searched."""

    def seek(self, text: str) -> None:
        """Mark the lines that hold this text, whatever its case, and go to the first from the cursor on; "": none."""


@dataclass
class Searching(Message):
    """A person wants to type what to look for in this pane."""

    pane: Searched


class SearchField(Input):
    """Hidden until a pane asks for it; what is typed is looked for at once."""

    PLACE: ClassVar[str] = "search"
    BINDINGS: ClassVar = bindings("search")
    DEFAULT_CSS = """
    SearchField { display: none; height: 1; border: none; padding: 0 1; dock: bottom; margin-bottom: 1; }
    """

    def __init__(self) -> None:
        super().__init__(id="search", compact=True, placeholder="search: enter keeps it, then n and N", max_length=200)
        self._pane: Searched | None = None

    def open(self, pane: Searched) -> None:
        """Take the focus, empty."""
        self._pane = pane
        with self.prevent(Input.Changed):
            self.value = ""
        self.display = True
        self.screen.set_focus(self)

    def close(self) -> None:
        """Give the focus back."""
        pane, self._pane = self._pane, None
        if pane is not None:
            self.screen.set_focus(pane)  # type: ignore[arg-type]  # who asks is a widget
        self.display = False

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self._pane is not None:
            self._pane.seek(event.value)

    @on(Input.Submitted)
    def _kept(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()

    def action_leave_search(self) -> None:
        """Look for nothing any more."""
        if self._pane is not None:
            self._pane.seek("")
        self.close()


async def open_search(screen: Screen[Any], pane: Searched) -> None:
    """Show the line of a screen for one of its panes and give it the focus; the first time it is made."""
    field = next(iter(screen.query(SearchField)), None)
    if field is None:
        field = SearchField()
        await screen.mount(field)
    field.open(pane)
