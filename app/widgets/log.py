"""A pane of lines that grows at the end: what happened in a study, or the log of a worker. It reads no file."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from bertdistill.app.bindings import bindings
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.study_log import WHAT_STANDS_HERE, Event
from bertdistill.app.widgets.cells import Cell, Row, Tone
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.search import Searching
from bertdistill.app.widgets.sought import Sought
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle

TONES: dict[str, Tone] = {"warning": "warn", "error": "bad", "asked": "accent", "start": "dim", "waits": "dim"}


class LogPane(LineTable):
    """Lines in order of time; stays at the end while the cursor is on the last one."""

    PLACE: ClassVar[str] = "log"
    BINDINGS: ClassVar = bindings("log")

    _newest: Hashable = None
    _sought = Sought()
    _title = ""
    _plain_rows: Sequence[Row] = ()
    """Without the marks of a search."""
    _trials: Mapping[Hashable, int | None] = {}

    def show_events(self, events: Sequence[Event]) -> None:
        """What happened in a study; the date precedes the time once there are two days."""
        days = {time.strftime("%m-%d", time.localtime(event.at)) for event in events}
        clock = "%m-%d %H:%M" if len(days) > 1 else "%H:%M:%S"
        self._trials = {event.key: event.trial for event in events}
        columns = (
            Column("at", "time", 11 if len(days) > 1 else 8),
            Column("trial", "trial", 5),
            Column("text", "what", 30, grow=True),
        )
        self._show_at_end(columns, [_row(event, clock) for event in events], WHAT_STANDS_HERE)
        self.call_it("Log: starts, ends, requests, notices")

    @property
    def text(self) -> str:
        """All lines, whole."""
        return "\n".join(" ".join(cell.text for cell in row.cells if cell.text) for row in self._rows)

    @property
    def trial(self) -> int | None:
        """The trial that the line under the cursor is about."""
        return self._trials.get(self.cursor_key)

    def call_it(self, title: str) -> None:
        """What stands above it unless something is searched for."""
        self._title = title
        self._count()

    def show_lines(self, lines: Sequence[tuple[int, str]], *, empty: str) -> None:
        """Numbered lines of a log."""
        rows = [Row(number, (Cell(f"{number}", "dim"), Cell(safe_line(text, 2000)))) for number, text in lines]
        self._show_at_end([Column("line", "line", 6, "right"), Column("text", "text", 40, grow=True)], rows, empty)

    def on_show(self) -> None:
        """Its lines were not read while it was hidden."""
        self.app.look_again()  # type: ignore[attr-defined]  # the App of this program

    def on_resize(self) -> None:
        """A pane that was hidden had no lines to show the cursor in."""
        self._bring_into_view()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("next_hit", "end_search"):
            return bool(self._sought.text)
        return bool(self._rows) if action in ("search", "edit_log") else super().check_action(action, parameters)

    def action_search(self) -> None:
        self.post_message(Searching(self))

    def action_edit_log(self) -> None:
        """A copy, to read: what is changed in it is dropped."""
        self.app.edit_text(self.text + "\n", "log.txt")  # type: ignore[attr-defined]  # the App of this program

    def action_next_hit(self, by: int) -> None:
        self._go_to(self._sought.beside(self._here, by))

    def action_end_search(self) -> None:
        self.seek("")

    def seek(self, text: str) -> None:
        """Mark the lines that hold this text, whatever its case, and go to the first from the cursor on; "": none."""
        self._look_for(text)
        self.show(self._columns, self._marked(self._plain_rows), empty=self._empty)
        self._go_to(self._sought.here(self._here))

    def _look_for(self, text: str) -> None:
        self._sought = Sought.among(text, ("\n".join(cell.text for cell in row.cells) for row in self._plain_rows))

    @property
    def _here(self) -> int:
        """The line under the cursor."""
        return self._index.get(self.cursor_key, 0)

    def _go_to(self, line: int | None) -> None:
        if line is not None:
            self.move_to(self._plain_rows[line].key)
        self._count()

    def _marked(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The hits stand out by the mark beside the line, and by their colour."""
        hits = set(self._sought.lines)
        return [
            replace(row, mark=True, cells=tuple(_lit(row))) if place in hits else row for place, row in enumerate(rows)
        ]

    def _count(self) -> None:
        """What was found instead of the title."""
        entitle(self, title=self._sought.title(self._here) if self._sought.text else self._title)

    def _show_at_end(self, columns: Sequence[Column], rows: Sequence[Row], empty: str) -> None:
        follows = self.cursor_key in (None, self._newest) and not self._sought.text
        self._plain_rows = rows
        self._look_for(self._sought.text)
        self.show(columns, self._marked(rows), empty=empty)
        if self._sought.text:
            self._count()
        self._newest = rows[-1].key if rows else None
        if follows and rows:
            self.move_to(self._newest)


def _lit(row: Row) -> Iterator[Cell]:
    for cell in row.cells:
        yield Cell(cell.text, "accent")


def _row(event: Event, clock: str) -> Row:
    tone: Tone = "bad" if event.bad else TONES.get(event.kind, "plain")
    place = "" if event.trial is None else f"#{event.trial}"
    at = Cell(time.strftime(clock, time.localtime(event.at)), "dim")
    return Row(event.key, (at, Cell(place), Cell(safe_line(event.words, 1000), tone)))
