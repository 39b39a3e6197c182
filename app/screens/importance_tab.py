"""Which parameters mattered to each objective. It loads no optimiser: a child process computes, and ends with it.

The result is kept until more trials have completed, and shown while it is recomputed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.message import Message
from textual.widget import Widget

from bertdistill.app.children.analysis_process import ask_importances
from bertdistill.app.draw.sparks import bar_cells
from bertdistill.app.report.analysis_text import METHOD_NAMES
from bertdistill.app.screens.analysis_tab import Rest, Tab, Words
from bertdistill.app.screens.slices_tab import NO_TRIAL, read_slice, slice_chart
from bertdistill.app.text.safe import error_line, safe_line
from bertdistill.app.views.habits import IMPORTANCE
from bertdistill.app.views.overview import by_importance
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.search.importances import METHODS, Importances, Method, too_few
from bertdistill.store.errors import BertDistillError

Mark = tuple[Any, ...]
MOST_BAR = 60


@dataclass(frozen=True)
class Basis:
    """What the importances depend on: they are recomputed when the mark differs."""

    mark: Mark
    trials: int
    """Complete trials."""
    feasible: int
    """Those that reach every threshold."""


@dataclass(frozen=True)
class Found:
    """What one computation gave."""

    mark: Mark
    importances: tuple[Importances, ...] = ()
    problem: str = ""


class ImportanceTab(Tab):
    """One bar per parameter, below each objective."""

    NAME: ClassVar[str] = "importance"

    class Computed(Message):
        """A computation has ended."""

    def __init__(self, study_name: str) -> None:
        super().__init__(id="tab-importance")
        self._study = study_name
        self._method: Method = "ped-anova"
        self._kept: dict[Method, Found] = {}
        self._computing: tuple[Method, Mark] | None = None
        self._rest = Rest()
        self._basis: Basis | None = None
        self._table = LineTable(id="importance", classes="pane")
        self._words = Words(id="importance-words")
        self._chart = Chart(id="importance-chart", classes="pane inspector")
        self._chart.can_focus = False
        self._view: StudyView | None = None
        self._drawn: tuple[Any, ...] = ()

    def compose(self) -> Iterable[Widget]:
        with Split(id="importance-body"):
            yield self._table
            yield self._chart
        yield self._words

    def read(self, view: StudyView) -> Basis:
        feasible = sum(row.feasible for row in view.ranked.values())
        return Basis((tuple(sorted(view.ranked)), view.outline.search, view.objectives), len(view.ranked), feasible)

    def show(self, view: StudyView, content: Basis) -> None:
        self._basis, self._view = content, view
        kept = self._kept.get(self._method)
        stale = kept is None or kept.mark != content.mark
        busy = self._computing is not None and self._computing[0] == self._method
        if too_few(content.feasible):
            self._kept.clear()  # a changed threshold can leave too few
        elif stale and not busy and (kept is None or self._rest.over(time.monotonic())):
            self._computing = (self._method, content.mark)
            self.run_worker(self._compute(self._method, content.mark), exclusive=True, group="importance")
        self.again()

    async def _compute(self, method: Method, mark: Mark) -> None:
        began = time.monotonic()
        try:
            found = Found(mark, tuple(await ask_importances(self.ui.workspace, self._study, method)))
        except (BertDistillError, OSError) as error:
            found = Found(mark, problem=error_line(error))
        self._kept[method] = found
        self._computing = None
        self._rest = Rest(began, time.monotonic())
        if found.importances:
            self.ui.memory.keep(f"{IMPORTANCE}.{self._study}", by_importance(found.importances))
        self.again()
        self.post_message(self.Computed())

    @property
    def found(self) -> tuple[Importances, ...]:
        """What is known, perhaps of fewer trials than are complete now."""
        kept = self._kept.get(self._method)
        return kept.importances if kept is not None else ()

    @property
    def why_none(self) -> str:
        """Why nothing is known yet."""
        return self._empty_words(self._kept.get(self._method))

    # ------------------------------------------------------------------------------------------------------- drawing

    def again(self) -> None:
        kept = self._kept.get(self._method)
        rows = [row for one in kept.importances for row in self._rows(one)] if kept else []
        self._table.show(self._columns(), rows, empty=self._empty_words(kept))
        age = self._age(kept)
        entitle(
            self._table,
            title=f"Importance{age}" if age else f"Importance of parameters, by {METHOD_NAMES[self._method]}",
        )
        self._explain()

    def _columns(self) -> list[Column]:
        room = self._room
        return [
            Column("name", "parameter", 20 if room >= 60 else 14),
            Column("share", "share", 5, "right"),
            Column("bar", "", self._bar_width, grow=True),
            Column("note", "", 14),
        ]

    @property
    def _room(self) -> int:
        return self._table.size.width or self.ui.size.width

    @property
    def _bar_width(self) -> int:
        """The rest of the line, but no longer than can be compared at a glance."""
        return max(8, min(MOST_BAR, self._room - (44 if self._room >= 60 else 23)))

    def _rows(self, found: Importances) -> list[Row]:
        missed = f", {found.missed} more miss a threshold" if found.missed else ""
        words = f"{found.trials} feasible trials{missed}"
        rows = [Row((found.objective, ""), (Cell(safe_line(found.objective), "header"), Cell(words, "dim")), wide=True)]
        for weight in found.weights:
            bar = bar_cells(weight.share, 1.0, self._bar_width, ascii_only=self.ui.ascii_only)
            note = f"active in {weight.trials}" if weight.conditional else ""
            cells = (
                Cell(f" {safe_line(weight.parameter)}"),
                Cell(f"{weight.share:.0%}"),
                Cell(bar, "accent"),
                Cell(note, "dim"),
            )
            rows.append(Row((found.objective, weight.parameter), cells))
        return rows

    def _empty_words(self, kept: Found | None) -> str:
        if kept is not None and kept.problem:
            return f"Not computed: {safe_line(kept.problem, 400)}"
        if kept is not None:
            return "This study has no objective."
        trials, feasible = (self._basis.trials, self._basis.feasible) if self._basis else (0, 0)
        if problem := too_few(feasible):
            missed = f", and {trials - feasible} more that miss a threshold" if trials > feasible else ""
            return f"{problem.capitalize()}{missed}."
        return f"Computing {METHOD_NAMES[self._method]} over {trials} complete trials in a separate process."

    def _age(self, kept: Found | None) -> str:
        """Whether the result covers the current trials."""
        if self._computing is not None and self._computing[0] == self._method:
            return " (computing)" if kept is None else " (recomputing: more trials are complete)"
        if kept is not None and self._basis is not None and kept.mark != self._basis.mark:
            return " (more trials are complete; recomputed shortly)"
        return ""

    @on(LineTable.Moved)
    def _moved(self) -> None:
        self.at_rest(self._explain)

    def _draw(self) -> None:
        """The objective along the parameter under the cursor, on its heading along the one that matters most to it.

        `enter` shows the same with its trials.
        """
        view, (objective, parameter) = self._view, self._here
        kept = self._kept.get(self._method)
        weights = next((one.weights for one in kept.importances if one.objective == objective), ()) if kept else ()
        parameter = parameter or next((one.parameter for one in weights), "")
        drawn = (view.ranked if view else None, objective, parameter, self.ui.ascii_only)
        if view is None or not self._chart.display or drawn == self._drawn:
            return
        self._drawn = drawn
        found = read_slice(view, parameter, objective).found if parameter else None
        if found is None:
            self._chart.draw(None, empty="The parameter that matters most is drawn here.")
            return
        title, make = slice_chart(view, found, None, ascii_only=self.ui.ascii_only)
        self._chart.draw(make, empty=NO_TRIAL)
        entitle(self._chart, title=title)

    @on(Chart.Drawn)
    def _legend(self, event: Chart.Drawn) -> None:
        entitle(self._chart, subtitle=self._chart.legend(event.drawing.legend))

    def _explain(self) -> None:
        """How reliable the numbers of the objective under the cursor are."""
        self._draw()
        objective = self._here[0]
        kept = self._kept.get(self._method)
        found = next((one for one in kept.importances if one.objective == objective), None) if kept else None
        parts = []
        if found is not None and found.problem:
            parts.append(f"{objective}: {found.problem}.")
        if found is not None and found.without_effect:
            idle = ", ".join(found.without_effect)
            parts.append(f"{objective} is known before training; without effect: {idle}.")
        self._words.say(" ".join(parts))

    @property
    def _here(self) -> tuple[str, str]:
        """Objective and parameter under the cursor."""
        key = self._table.cursor_key
        return key if isinstance(key, tuple) else ("", "")

    # ------------------------------------------------------------------------------------------------------- actions

    @property
    def chosen(self) -> tuple[str, str]:
        """Objective and parameter under the cursor, empty where there is none."""
        return self._here

    def headline(self) -> str:
        return f"importance by {METHOD_NAMES[self._method]}"

    def can(self, action: str) -> bool:
        return action == "other_view" or (action == "open" and bool(self._here[1]))

    def toggle(self) -> None:
        """Switch to the other method; a computation in progress is cancelled."""
        self._method = METHODS[(METHODS.index(self._method) + 1) % len(METHODS)]
        self._computing = None
        self.workers.cancel_group(self, "importance")
        self.again()

    def commands(self) -> list[tuple[str, ...]]:
        return [("analysis", self._study, "--part", "importance", "--method", self._method)]
