"""The keys of the screen behind it, and the words on it: made from the key table and the glossary.

It has no text of its own but the headings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from rich.console import Group
from rich.markdown import Markdown
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import ModalScreen, Screen

from bertdistill.app.bindings import Once, bindings
from bertdistill.app.keymap import PLACES, of, shown_keys
from bertdistill.app.screens.host import Hosted
from bertdistill.app.screens.words_seen import word_at, words_seen
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.glossary import Entry
from bertdistill.app.views.terms import entries
from bertdistill.app.widgets.search import Searching, open_search
from bertdistill.app.widgets.text_pane import TextPane
from bertdistill.app.widgets.titles import entitle

GENERAL = "table"
"""Place of keys that only move: people who open the help look for others first."""
KEYS, WORDS = "#help-keys", "#help-words"
SIDE_BY_SIDE = 100
"""Columns from which on both parts are shown; below, one of them."""


class HelpScreen(Hosted, Once, ModalScreen[None]):
    """The keys of the focused chart and of the screen first, then movement in tables and what works everywhere.

    Beside them the words on the screen: the one under the mouse first, then those of the focused pane.
    """

    PLACE = "reading"
    BINDINGS: ClassVar = bindings("reading")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (SIDE_BY_SIDE, "-wide")]  # noqa: RUF012 - as Textual types it

    def __init__(self, behind: Screen[Any]) -> None:
        super().__init__()
        self._behind = behind

    def compose(self) -> ComposeResult:
        asked = word_at(self._behind, self.app.mouse_position)
        with Horizontal(classes="help"):
            yield TextPane(Group(*self._keys()), id=KEYS.removeprefix("#"))
            yield TextPane(Group(*self._words(asked)), id=WORDS.removeprefix("#"))
        self.set_class(asked is not None, "-words")

    def on_mount(self) -> None:
        for part, title, other in ((KEYS, "Keys", "words"), (WORDS, "Words", "keys")):
            pane = self.query_one(part, TextPane)
            pane.call_it(title)
            entitle(pane, subtitle=f"tab {other}, {self.key_for('search')} search, esc back")
        self._focus()

    @on(Searching)
    async def search_in(self, event: Searching) -> None:
        await open_search(self, event.pane)

    def action_close(self) -> None:
        self.dismiss()

    def action_other_part(self) -> None:
        self.toggle_class("-words")
        self._focus()

    def _focus(self) -> None:
        self.query_one(WORDS if self.has_class("-words") else KEYS).focus()

    def _keys(self) -> Iterator[Any]:
        pane, screen = self._behind.focused, self._behind
        moves = getattr(pane, "PLACE", "") == GENERAL
        for owner in (screen, pane, self.ui) if moves else (pane, screen, self.ui):
            if place := getattr(owner, "PLACE", ""):
                yield key_table(place, self.ui.options.keymap, ascii_only=self.ui.ascii_only)
            if words := getattr(owner, "HELP", ""):
                yield Text()
                yield Markdown(words.strip())
            yield Text()

    def _words(self, asked: Entry | None) -> Iterator[Any]:
        """The one that was asked for, those on the screen, and the others by name."""
        seen = [entry for entry in words_seen(self._behind) if entry != asked]
        others = sorted(set(entries().values()) - {asked, *seen}, key=lambda entry: entry.name.casefold())
        groups = (("Under the mouse", [asked] if asked else []), ("On this screen", seen), ("All other words", others))
        for title, group in groups:
            if group:
                yield Text(title, "bold underline")
                yield from explanations(group)
                yield Text()
        yield Text(f"The same as text: {command_line('glossary')}", "dim")


def key_table(place: str, keymap: Any, *, ascii_only: bool = False) -> Table:
    """Keys and what they do, of one place."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.title, table.title_justify, table.title_style = PLACES[place], "left", "bold"
    table.add_column(no_wrap=True)
    table.add_column()
    for action in of(place):
        table.add_row(Text("  ".join(shown_keys(action, keymap, ascii_only=ascii_only)), "bold"), Text(action.words))
    return table


def explanations(found: Iterable[Entry]) -> Iterator[Any]:
    """Each word with what it means below, and the page that says more."""
    for entry in found:
        yield Text("  ").join((Text(entry.name, "bold"), Text(entry.page and f"docs/{entry.page}", "dim")))
        yield Padding(Text(entry.words), (0, 0, 0, 2))
