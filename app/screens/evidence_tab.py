"""A tab whose first version comes from the database alone, and the full one from a child process that reads more.

The child ends with the tab. What it found counts only for the trials that it was asked about.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from textual import on
from textual.widget import Widget

from bertdistill.app.screens.analysis_tab import Rest, Tab, Words
from bertdistill.app.text.safe import error_line, safe_line
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.report_cache import FOLDER
from bertdistill.store.errors import BertDistillError

T = TypeVar("T")


@dataclass(frozen=True)
class Basis(Generic[T]):
    """What can be said at once, and what the rest depends on: it is asked for again when the mark differs."""

    mark: Any
    quick: T | None
    problem: str = ""


@dataclass(frozen=True)
class Found(Generic[T]):
    """What the child process gave."""

    mark: Any
    value: T | None = None
    problem: str = ""


class EvidenceTab(Tab, Generic[T]):
    """A chart, its points in a table, and below them what they say."""

    def __init__(self, study_name: str) -> None:
        super().__init__(id=f"tab-{self.NAME}")
        self._study = study_name
        self._basis: Basis[T] | None = None
        self._kept: Found[T] | None = None
        self._asking: Any = None
        self._rest = Rest()
        self._chart = Chart(id=f"{self.NAME}-chart", classes="pane")
        self._table = LineTable(id=self.NAME, classes="pane")
        self._words = Words(id=f"{self.NAME}-words", can_focus=True)

    @abstractmethod
    def quick(self, view: StudyView) -> T:
        """From the database alone; BertDistillError if there is nothing to show."""

    @abstractmethod
    async def full(self) -> T:
        """From a child process."""

    @abstractmethod
    def draw(self, found: T) -> None:
        """Show it in the table and the words."""

    def compose(self) -> Iterable[Widget]:
        yield self._chart
        yield self._table
        yield self._words

    def draw_chart(self, found: T) -> None:
        """Draw it as a chart, with a cursor on what is under that of the table."""

    @on(Chart.Drawn)
    def _legend(self, event: Chart.Drawn) -> None:
        entitle(self._chart, subtitle=self._chart.legend(event.drawing.legend))

    @on(LineTable.Moved)
    def _moved(self) -> None:
        if self.found is not None:
            self.draw_chart(self.found)

    def read(self, view: StudyView) -> Basis[T]:
        return self.made_once(view, lambda: self._basis_of(view), self._reports)

    @property
    def _reports(self) -> float:
        """When a result on the report split was last added."""
        try:
            return (self.ui.workspace.caches / FOLDER).stat().st_mtime
        except OSError:
            return 0.0

    def _basis_of(self, view: StudyView) -> Basis[T]:
        mark = (tuple(sorted(view.ranked)), view.facts.teacher_metrics, self._reports)
        try:
            return Basis(mark, self.quick(view))
        except BertDistillError as error:
            return Basis(mark, None, f"{error}. {error.hint}")

    def show(self, view: StudyView, content: Basis[T]) -> None:
        self._basis = content
        stale = self._kept is None or self._kept.mark != content.mark
        if content.quick is not None and stale and self._asking is None and self._rest.over(time.monotonic()):
            self._asking = content.mark
            self.run_worker(self._ask(content.mark), exclusive=True, group=self.NAME)
        self.again()

    async def _ask(self, mark: Any) -> None:
        began = time.monotonic()
        try:
            found = Found(mark, await self.full())
        except (BertDistillError, OSError) as error:
            found = Found(mark, problem=error_line(error))
        self._kept, self._asking, self._rest = found, None, Rest(began, time.monotonic())
        self.again()

    @property
    def found(self) -> T | None:
        """What the child gave for these very trials, else what can be said at once."""
        if self._basis is None:
            return None
        fresh = self._kept is not None and self._kept.mark == self._basis.mark
        return (self._kept.value if fresh and self._kept else None) or self._basis.quick

    def again(self) -> None:
        found, basis = self.found, self._basis
        if found is not None:
            self.draw(found)
            self.draw_chart(found)
            return
        self._table.show([Column(self.NAME, self.NAME, 12)], [], empty=safe_line(basis.problem, 300) if basis else "")
        self._words.say("")

    @property
    def age(self) -> str:
        """Words for the title: what the table lacks, and why."""
        if self._asking is not None:
            return " (reading predictions)"
        problem = self._kept.problem if self._kept is not None else ""
        return f" (without predictions: {safe_line(problem, 200)})" if problem else ""
