"""The best student of every family beside the teacher. It reads no predictions: a child process does, and ends with it.

Until that has answered, the table comes from the database alone, with fewer intervals.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.widget import Widget

from bertdistill.app.children.analysis_process import ask_ladder
from bertdistill.app.report.ladder_text import conclusions, nearest_words, table_of
from bertdistill.app.screens.analysis_tab import Rest, Tab, Words
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.ladder import quick_ladder
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.cells import Cell, Row, Tone
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.ladder import Ladder, Rung
from bertdistill.engine.analysis.report_cache import FOLDER
from bertdistill.store.errors import BertDistillError

TONES: dict[str, Tone] = {"teacher": "accent", "reference": "dim"}


@dataclass(frozen=True)
class Basis:
    """What can be said at once, and what the rest depends on: it is asked for again when the mark differs."""

    mark: Any
    quick: Ladder | None
    problem: str = ""


@dataclass(frozen=True)
class Found:
    """What the child process gave."""

    mark: Any
    ladder: Ladder | None = None
    problem: str = ""


class LadderTab(Tab):
    """A row per family and kind; below them, what the table says."""

    NAME: ClassVar[str] = "ladder"

    def __init__(self, study_name: str) -> None:
        super().__init__(id="tab-ladder")
        self._study = study_name
        self._basis: Basis | None = None
        self._kept: Found | None = None
        self._asking: Any = None
        self._rest = Rest()
        self._rungs: dict[Any, Rung] = {}
        self._table = LineTable(id="ladder", classes="pane")
        self._words = Words(id="ladder-words", can_focus=True)

    def compose(self) -> Iterable[Widget]:
        yield self._table
        yield self._words

    def read(self, view: StudyView) -> Basis:
        return self.made_once(view, lambda: self._basis_of(view), self._reports)

    @property
    def _reports(self) -> float:
        """When a result on the report split was last added."""
        try:
            return (self.ui.workspace.caches / FOLDER).stat().st_mtime
        except OSError:
            return 0.0

    def _basis_of(self, view: StudyView) -> Basis:
        mark = (tuple(sorted(view.ranked)), view.facts.teacher_metrics, self._reports)
        try:
            return Basis(mark, quick_ladder(view))
        except BertDistillError as error:
            return Basis(mark, None, f"{error}. {error.hint}")

    def show(self, view: StudyView, content: Basis) -> None:
        self._basis = content
        stale = self._kept is None or self._kept.mark != content.mark
        if content.quick is not None and stale and self._asking is None and self._rest.over(time.monotonic()):
            self._asking = content.mark
            self.run_worker(self._ask(content.mark), exclusive=True, group="ladder")
        self.again()

    async def _ask(self, mark: Any) -> None:
        began = time.monotonic()
        try:
            found = Found(mark, await ask_ladder(self.ui.workspace, self._study))
        except (BertDistillError, OSError) as error:
            found = Found(mark, problem=f"{error} {getattr(error, 'hint', '')}".strip())
        self._kept, self._asking, self._rest = found, None, Rest(began, time.monotonic())
        self.again()

    # ------------------------------------------------------------------------------------------------------- drawing

    @property
    def _ladder(self) -> Ladder | None:
        """What the child gave for these very trials, else what can be said at once."""
        if self._basis is None:
            return None
        fresh = self._kept is not None and self._kept.mark == self._basis.mark
        return (self._kept.ladder if fresh and self._kept else None) or self._basis.quick

    def again(self) -> None:
        found, basis = self._ladder, self._basis
        if found is None:
            self._table.show(
                [Column("student", "student", 12)], [], empty=safe_line(basis.problem, 300) if basis else ""
            )
            self._words.say("")
            return
        every = (*found.rungs, *([found.teacher] if found.teacher else []), *found.references)
        self._rungs = {(one.family, one.kind): one for one in every}
        table = table_of(found)
        columns = [
            Column(
                f"{place} {column.title}",
                column.title,
                max(len(column.title), *(cell_len(row[place]) for row in table.rows)),
                "right" if column.number else "left",
            )
            for place, column in enumerate(table.columns)
        ]
        rows = [
            Row((one.family, one.kind), tuple(Cell(cell, TONES.get(one.kind, "plain")) for cell in cells))
            for one, cells in zip(every, table.rows, strict=True)
        ]
        self._table.show(columns, rows)
        entitle(self._table, title=f"Ladder by {safe_line(found.score)}{self._age}")
        self._words.say("\n".join(conclusions(found)))

    @property
    def _age(self) -> str:
        if self._asking is not None:
            return " (reading predictions)"
        problem = self._kept.problem if self._kept is not None else ""
        return f" (without predictions: {safe_line(problem, 200)})" if problem else ""

    # ------------------------------------------------------------------------------------------------------- actions

    @property
    def number(self) -> int | None:
        rung = self._rungs.get(self._table.cursor_key)
        return rung.numbers[0] if rung is not None and rung.numbers else None

    def go_to(self, number: int | None) -> None:
        """Rows are families, not trials: the cursor goes to the row that this trial stands for."""
        key = next((key for key, one in self._rungs.items() if number in one.numbers), None)
        if number is not None and key is not None and self.number != number:
            self._table.move_to(key)

    def headline(self) -> str:
        return "ladder" if self._ladder is None else nearest_words(self._ladder)

    def commands(self) -> list[tuple[str, ...]]:
        return [("ladder", self._study)]
