"""A pane of lines that grows at the end: notices of the runner, or the log of a worker. It reads no file."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence

from bertdistill.app.safe import safe_line
from bertdistill.app.widgets.table import Cell, Column, LineTable, Row, Tone
from bertdistill.app.widgets.titles import entitle
from bertdistill.store.rows import Notice

TONES: dict[str, Tone] = {"info": "plain", "warning": "warn", "error": "bad"}


class LogPane(LineTable):
    """Lines in order of time; stays at the end while the cursor is on the last one."""

    _newest: Hashable = None

    def show_notices(self, notices: Sequence[Notice], numbers: Mapping[int | None, int]) -> None:
        """What the runner and the workers said; `numbers` gives the trial number of a row id."""
        rows = []
        for notice in notices:
            trial = numbers.get(notice.trial_id)
            place = "" if trial is None else f"#{trial}"
            at = time.strftime("%H:%M:%S", time.localtime(notice.at))
            cells = (Cell(at, "dim"), Cell(place), Cell(notice.level, TONES.get(notice.level, "plain")))
            rows.append(Row(notice.id, (*cells, Cell(safe_line(notice.text, 1000)))))
        columns = [Column("at", "time", 8), Column("trial", "trial", 6), Column("level", "level", 8)]
        self._show_at_end([*columns, Column("text", "what", 30, grow=True)], rows, "Nothing to tell yet.")
        entitle(self, title="Log")

    def show_lines(self, lines: Sequence[tuple[int, str]], *, empty: str) -> None:
        """Numbered lines of a log."""
        rows = [Row(number, (Cell(f"{number}", "dim"), Cell(safe_line(text, 2000)))) for number, text in lines]
        self._show_at_end([Column("line", "line", 6, "right"), Column("text", "text", 40, grow=True)], rows, empty)

    def _show_at_end(self, columns: Sequence[Column], rows: Sequence[Row], empty: str) -> None:
        follows = self.cursor_key in (None, self._newest)
        self.show(columns, rows, empty=empty)
        self._newest = rows[-1].key if rows else None
        if follows and rows:
            self.move_to(self._newest)
