"""The requests about a study: who, when, from what to what; and undoing them. It changes nothing by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.widget import Widget
from textual.widgets import Static

from bertdistill.app.bindings import bindings
from bertdistill.app.reader import Reader
from bertdistill.app.screens.dialogues import Confirm
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.change_card import change_card, outcome_words, remedy_words
from bertdistill.app.views.listing import WordFilter
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.inspector import Inspector
from bertdistill.app.widgets.listing import Listing
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.steering import actions
from bertdistill.engine.steering.actions import Entry

COLUMNS = (
    Column("id", "id", 5, "right"),
    Column("when", "when", 14),
    Column("what", "what", 24, grow=True),
    Column("about", "about", 12),
    Column("who", "who", 8),
    Column("outcome", "outcome", 10, grow=True, most=30),
)


@dataclass(frozen=True)
class HistoryNews:
    """All that the screen shows, newest first."""

    entries: Sequence[Entry]


class HistoryScreen(LiveScreen):
    """The changes of a study, or (no name) of the workspace."""

    PLACE = "history"
    tells = True
    BINDINGS: ClassVar = bindings("history")
    HELP = """
Every request with who made it and what it replaced, newest first. `enter` undoes the chosen one; one that cannot be
undone says why and what to do instead. An undo is itself a request, so it can be undone as well.
"""

    def __init__(self, study_name: str = "") -> None:
        super().__init__()
        self.study_name = study_name
        self.news: HistoryNews | None = None
        self._listing: Listing[Entry] = Listing(
            "request",
            "requests",
            WordFilter("threshold -undone", held, lambda: [one.who for one in self.news.entries] if self.news else []),
            columns=lambda: [column.key for column in COLUMNS],
            sorts=ORDERS.__contains__,
            value=lambda entry, column: ORDERS[column](entry),
            changed=self._again,
            usual="id",
        )
        self.listings = {"history": self._listing}

    def body(self) -> Iterable[Widget]:
        with Split(id="history-body"):
            yield LineTable(id="history", classes="pane")
            yield Inspector(id="change", classes="pane inspector")
        yield Static("", id="detail", markup=False)

    def on_mount(self) -> None:
        self.query_one("#history").focus()

    def read(self, reader: Reader) -> HistoryNews:
        return HistoryNews(tuple(reversed(reader.changes(self.study_name))))

    def show(self, news: HistoryNews) -> None:
        self.news = news
        name = safe_line(self.study_name, 40) or "the workspace"
        self.header(Text(f"History of {name}", "bold"))
        table, listing = self.query_one(LineTable), self._listing
        rows = [entry_row(entry) for entry in listing.shown(news.entries)]
        empty = listing.no_match(self.key_for) if news.entries else "There are no requests yet."
        table.show(listing.heads(COLUMNS, ascii_only=self.ui.ascii_only), rows, empty=empty)
        usual = f"Requests: {len(news.entries)}, newest first"
        entitle(table, title=listing.title("Requests", usual, COLUMNS, self.key_for))
        self._show_chosen()

    def _again(self) -> None:
        if self.news is not None:
            self.show(self.news)

    def _show_chosen(self) -> None:
        """The entry under the cursor in full, with what can be done about it."""
        entry = self.chosen
        text = Text()
        if entry is not None:
            text.append(f"#{entry.id} {safe_line(entry.words, 600)}")
            text.append(f"\nby {safe_line(entry.who, 60)}, {outcome_words(entry)}. {remedy_words(entry)}", "dim")
        self.query_one("#detail", Static).update(text)
        self.refresh_keys()
        self.follow()

    def follow(self) -> None:
        if self.inspected and (entry := self.chosen) is not None:
            self.query_one(Inspector).inspect(f"#{entry.id}", change_card(entry))

    @on(LineTable.Moved)
    def moved(self) -> None:
        self.at_rest(self._show_chosen)

    @property
    def chosen(self) -> Entry | None:
        """The entry under the cursor."""
        return self.under_cursor(self.news.entries if self.news else (), lambda one: one.id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "undo_chosen":
            return self.chosen is not None
        if action == "undo":
            return self.news is not None and any(not entry.obstacle for entry in self.news.entries)
        return True

    def copies(self) -> list[tuple[str, str]]:
        words = [self.study_name] if self.study_name else []
        found = [("command", command_line("history", *words, ws=self.ui.workspace))]
        if entry := self.chosen:
            undo = command_line("undo", *words, str(entry.id), ws=self.ui.workspace)
            found = [("change", f"#{entry.id} {safe_line(entry.words, 1000)}"), ("undo", undo), *found]
        return found

    @on(LineTable.Chosen)
    def enter(self) -> None:
        self.action_undo_chosen()

    def action_undo_chosen(self) -> None:
        entry = self.chosen
        if entry is None:
            return
        if entry.obstacle:
            self.ui.tell(f"#{entry.id} stays: {remedy_words(entry)}", severity="warning")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.ui.act(
                    lambda: actions.undo(self.ui.workspace, entry.study or None, entry.id, who=self.ui.who),
                    lambda made: f"Undone: #{entry.id}. The undo is #{made.id} and can be undone as well.",
                )

        question = f"Undo #{entry.id} of {safe_line(entry.who, 60)}? {safe_line(entry.words, 600)}"
        self.ui.push_screen(Confirm(question, yes="Undo it", no="Leave it"), answered)


def about(entry: Entry) -> str:
    """What a request changed: a trial, a study, or the workspace."""
    return f"#{entry.trial}" if entry.trial is not None else entry.study or "workspace"


def held(entry: Entry) -> str:
    """What a request can be found by: its words, whose it is, what it changed and what became of it."""
    return " ".join((f"#{entry.id}", entry.words, about(entry), entry.who, outcome_words(entry)))


ORDERS: Mapping[str, Callable[[Entry], Any]] = {
    "id": lambda entry: -entry.id,
    "when": lambda entry: -entry.at,
    "what": lambda entry: entry.words.casefold(),
    "about": about,
    "who": lambda entry: entry.who.casefold(),
    "outcome": outcome_words,
}
"""What a column sorts by."""


def entry_row(entry: Entry) -> Row:
    """One request; what was undone is pale."""
    cells = (
        Cell(f"{entry.id}"),
        Cell(time.strftime("%m-%d %H:%M:%S", time.localtime(entry.at))),
        Cell(safe_line(entry.words, 300)),
        Cell(safe_line(about(entry), 60)),
        Cell(safe_line(entry.who, 40)),
        Cell(outcome_words(entry), "warn" if not entry.outcome else "plain"),
    )
    return Row(entry.id, cells, dim=entry.undone_by is not None)
