"""The keys of the screen behind it and what that screen is for, made from the key table. It has no text of its own."""

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
from bertdistill.app.screens.host import Hosted

GENERAL = "table"
"""Place of keys that only move: people who open the help look for others first."""


class HelpScreen(Hosted, ModalScreen[None]):
    """The keys of the focused chart and of the screen first, then movement in tables and what works everywhere."""

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
        pane, screen = self._behind.focused, self._behind
        moves = getattr(pane, "PLACE", "") == GENERAL
        for owner in (screen, pane, self.ui) if moves else (pane, screen, self.ui):
            if place := getattr(owner, "PLACE", ""):
                yield key_table(place, self.ui.options.keymap, ascii_only=self.ui.ascii_only)
            if words := getattr(owner, "HELP", ""):
                yield Markdown(words.strip())
            yield Text()


def key_table(place: str, keymap: Any, *, ascii_only: bool = False) -> Table:
    """Keys and what they do, of one place."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.title, table.title_justify, table.title_style = PLACES[place], "left", "bold"
    table.add_column(no_wrap=True)
    table.add_column()
    for action in of(place):
        table.add_row(Text("  ".join(shown_keys(action, keymap, ascii_only=ascii_only)), "bold"), Text(action.words))
    return table
