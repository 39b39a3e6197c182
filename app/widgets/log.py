"""A pane of lines that grows at the end: what happened in a study, or the log of a worker. It reads no file."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence

from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.study_log import WHAT_STANDS_HERE, Event
from bertdistill.app.widgets.cells import Cell, Row, Tone
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle

TONES: dict[str, Tone] = {"warning": "warn", "error": "bad", "asked": "accent", "start": "dim", "waits": "dim"}


class LogPane(LineTable):
    """Lines in order of time; stays at the end while the cursor is on the last one."""

    _newest: Hashable = None
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
        entitle(self, title="Log: starts, ends, requests, notices")

    @property
    def text(self) -> str:
        """All lines, whole."""
        return "\n".join(" ".join(cell.text for cell in row.cells if cell.text) for row in self._rows)

    @property
    def trial(self) -> int | None:
        """The trial that the line under the cursor is about."""
        return self._trials.get(self.cursor_key)

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

    def _show_at_end(self, columns: Sequence[Column], rows: Sequence[Row], empty: str) -> None:
        follows = self.cursor_key in (None, self._newest)
        self.show(columns, rows, empty=empty)
        self._newest = rows[-1].key if rows else None
        if follows and rows:
            self.move_to(self._newest)


def _row(event: Event, clock: str) -> Row:
    tone: Tone = "bad" if event.bad else TONES.get(event.kind, "plain")
    place = "" if event.trial is None else f"#{event.trial}"
    at = Cell(time.strftime(clock, time.localtime(event.at)), "dim")
    return Row(event.key, (at, Cell(place), Cell(safe_line(event.words, 1000), tone)))
