"""A list of themes, each shown as soon as the cursor is on it. It keeps the choice and changes nothing else."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList

from bertdistill.app.bindings import Once, bindings
from bertdistill.app.screens.host import Hosted
from bertdistill.app.terminal.themes import in_order


class ThemePicker(Hosted, Once, ModalScreen[None]):
    """Enter keeps the theme, escape brings back the one from before."""

    PLACE = "dialogue"
    BINDINGS: ClassVar = bindings("dialogue")

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self._before = ""

    def compose(self) -> ComposeResult:
        self._names, self._before = in_order(self.app.available_themes), self.app.theme
        with Vertical(classes="dialogue"):
            yield Label(Text("Theme: enter keeps it, escape does not."))
            yield OptionList(*(Text(name) for name in self._names), markup=False)

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        options.highlighted = self._names.index(self._before) if self._before in self._names else 0
        options.focus()

    @on(OptionList.OptionHighlighted)
    def preview(self, event: OptionList.OptionHighlighted) -> None:
        self.app.theme = self._names[event.option_index]

    @on(OptionList.OptionSelected)
    def keep(self, event: OptionList.OptionSelected) -> None:
        self.ui.keep_theme(self._names[event.option_index])
        self.dismiss(None)

    def action_cancel(self) -> None:
        self.app.theme = self._before
        self.dismiss(None)
