"""Two questions over the study screen: which trials it shows, and which columns. They change nothing but the view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from bertdistill.app.bindings import bindings
from bertdistill.app.errors import UsageError
from bertdistill.app.keymap import of, shown_keys
from bertdistill.app.screens.host import Hosted
from bertdistill.app.text.safe import LONGEST_LINE, safe, safe_line
from bertdistill.app.views.query import complete, keys_of, last_word, parse
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.table import LineTable

SHOWN_COMPLETIONS = 8
EXAMPLE = "layers<=4 exact>65 -state:failed tag:keep"
COLUMNS = (Column("shown", "", 3), Column("name", "column", 20, grow=True))


def hint(place: str, keymap: Mapping[str, str]) -> Text:
    """The keys of a dialogue in one line, from the key table."""
    return Text("  ".join(f"{shown_keys(action, keymap)[0]} {action.short}" for action in of(place)), "dim")


class FilterDialogue(Hosted, ModalScreen[str | None]):
    """A filter as it is typed: what it keeps, what may follow, what is wrong with it. Escape keeps the old one."""

    PLACE = "filter"
    BINDINGS: ClassVar = bindings("filter")

    def __init__(self, text: str, view: StudyView, losses: Mapping[int, float] | None = None) -> None:
        super().__init__()
        self._text, self._view, self._losses = text, view, losses or {}
        self._found: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            yield Label(Text("Show trials that match every term:"))
            yield Input(self._text, placeholder=EXAMPLE, select_on_focus=False, max_length=LONGEST_LINE)
            yield Label(id="count", markup=False)
            yield Label(id="completions", markup=False)
            yield Label(id="problem", markup=False)
            yield Label(hint(self.PLACE, self.ui.options.keymap))

    def on_mount(self) -> None:
        self._judge(self._text)

    @on(Input.Changed)
    def changed(self, event: Input.Changed) -> None:
        self._judge(event.value)

    def _judge(self, text: str) -> bool:
        """Show what the text would do; returns whether it can be used."""
        self._found = complete(text, self._view)
        more = f" and {len(self._found) - SHOWN_COMPLETIONS} more" if len(self._found) > SHOWN_COMPLETIONS else ""
        words = "  ".join(self._found[:SHOWN_COMPLETIONS]) + more
        self.query_one("#completions", Label).update(Text(safe_line(words, 400), "dim"))
        try:
            query = parse(text, keys_of(self._view))
        except UsageError as error:
            self._say("", f"{error}. {error.hint}")
            return False
        trials = [trial for trial in self._view.trials if not trial.archived]
        kept = sum(query.matches(self._view, trial, self._losses) for trial in trials)
        self._say(f"{kept} of {len(trials)} trials", "")
        return True

    def _say(self, count: str, problem: str) -> None:
        self.query_one("#count", Label).update(Text(count))
        self.query_one("#problem", Label).update(Text(safe(problem, 400)))

    @on(Input.Submitted)
    def submitted(self) -> None:
        self.action_apply()

    def action_complete(self) -> None:
        """Replace the last word with the first completion; a key without a colon waits for an operator."""
        field = self.query_one(Input)
        if self._found:
            field.value = field.value[: len(field.value) - len(last_word(field.value))] + self._found[0]
            field.cursor_position = len(field.value)

    def action_apply(self) -> None:
        text = self.query_one(Input).value
        if self._judge(text):
            self.dismiss(text.strip())

    def action_cancel(self) -> None:
        self.dismiss(None)


class ChooseColumns(Hosted, ModalScreen[tuple[str, ...] | None]):
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
