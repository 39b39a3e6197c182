"""The keys of the screen behind it and what that screen is for, made from the key table. It has no words of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from rich.console import Group
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from bertdistill.app.bindings import bindings
from bertdistill.app.keymap import PLACES, of, shown_keys
from bertdistill.app.screens.live_screen import Ours


class HelpScreen(Ours, ModalScreen[None]):
    """Help for the focused pane first, then the screen, then what works everywhere."""

    PLACE = "reading"
    BINDINGS: ClassVar = bindings("reading")

    def __init__(self, behind: Screen[Any]) -> None:
        super().__init__()
        self._behind = behind

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialogue wide"):
            yield Static(Group(*self._parts()))

    def action_close(self) -> None:
        self.dismiss()

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def _parts(self) -> Iterator[Any]:
        for owner in (self._behind.focused, self._behind, self.ui):
            place = getattr(owner, "PLACE", "")
            if words := getattr(owner, "HELP", ""):
                yield Markdown(words)
            if place:
                yield key_table(place, self.ui.options.keymap)


def key_table(place: str, keymap: Any) -> Table:
    """Keys and what they do, of one place."""
    table = Table(title=PLACES[place], title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for action in of(place):
        table.add_row(Text("  ".join(shown_keys(action, keymap)), "bold"), Text(action.words))
    return table
