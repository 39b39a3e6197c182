"""A question over a list: which columns it shows, in which order. It changes nothing but the view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label

from bertdistill.app.bindings import Once, bindings
from bertdistill.app.keymap import of, shown_keys
from bertdistill.app.screens.host import Hosted
from bertdistill.app.text.safe import safe_line
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.table import LineTable

COLUMNS = (Column("shown", "", 3), Column("name", "column", 20, grow=True))


def hint(place: str, keymap: Mapping[str, str]) -> Text:
    """The keys of a dialogue in one line, from the key table."""
    return Text("  ".join(f"{shown_keys(action, keymap)[0]} {action.short}" for action in of(place)), "dim")


class ChooseColumns(Hosted, Once, ModalScreen[tuple[str, ...] | None]):
    """Which columns the table shows, in which order. Choosing none restores the study's defaults."""

    PLACE = "columns"
    BINDINGS: ClassVar = bindings("columns")

    def __init__(
        self, known: Sequence[str], shown: Sequence[str], question: str = "Columns, from left to right:"
    ) -> None:
        super().__init__()
        self._question = question
        self._order = [*shown, *(name for name in known if name not in shown)]
        self._shown = set(shown)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue tall"):
            yield Label(Text(self._question))
            yield LineTable(id="columns")
            yield Label(hint(self.PLACE, self.ui.options.keymap))

    def on_mount(self) -> None:
        table = self.query_one(LineTable)
        table.ascii_only = self.ui.ascii_only
        self._draw()
        table.focus()

    def _draw(self) -> None:
        rows = [
            Row(name, (Cell("[x]" if name in self._shown else "[ ]"), Cell(safe_line(name))), name not in self._shown)
            for name in self._order
        ]
        self.query_one(LineTable).show(COLUMNS, rows, empty="There are no columns.")

    @property
    def _here(self) -> Any:
        return self.query_one(LineTable).cursor_key

    def action_turn(self) -> None:
        self._shown ^= {self._here}
        self._draw()

    def action_move(self, by: int) -> None:
        """Swap the column with its neighbour; the cursor follows it."""
        here = self._order.index(self._here)
        there = here + by
        if 0 <= there < len(self._order):
            self._order[here], self._order[there] = self._order[there], self._order[here]
            self._draw()

    def action_reset(self) -> None:
        """Back to the study's defaults."""
        self.dismiss(())

    def action_cancel(self) -> None:
        self.dismiss(None)

    @on(LineTable.Chosen)
    def action_apply(self) -> None:
        self.dismiss(tuple(name for name in self._order if name in self._shown))
