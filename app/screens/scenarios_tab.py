"""The trial to take for each purpose, against the baseline and the teacher. It chooses nothing: the engine does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.widget import Widget

from bertdistill.app.report.analysis_text import gap_text
from bertdistill.app.screens.analysis_tab import Tab, Words
from bertdistill.app.text import format as fmt
from bertdistill.app.views.analysis import study_scenarios
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.cells import Cell, Row, whole_width
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.frontier_chart import FrontierChart
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.scenarios import NEAR_TEACHER, NO_BASELINE, Scenario, ScenarioTable

TABLE_SHARE = 70
"""Percent of the width that the table may have: its numbers are not cut, and the chart stays a chart."""


class ScenariosTab(Tab):
    """One row per purpose; below it, its requirement and all its metrics."""

    NAME: ClassVar[str] = "scenarios"

    def __init__(self, study_name: str) -> None:
        super().__init__(id="tab-scenarios")
        self._study = study_name
        self._view: StudyView | None = None
        self._rows: dict[str, Scenario] = {}
        self._table = LineTable(id="scenarios", classes="pane")
        self._words = Words(id="scenario-words")
        self._chart = FrontierChart(id="scenario-chart", classes="pane inspector")
        self._chart.can_focus = False

    def compose(self) -> Iterable[Widget]:
        with Split(id="scenarios-body"):
            yield self._table
            yield self._chart
        yield self._words

    def read(self, view: StudyView) -> ScenarioTable:
        return self.made_once(view, lambda: study_scenarios(view))

    def show(self, view: StudyView, content: ScenarioTable) -> None:
        self._view = view
        rule = "reference of the others"
        has_one = view.outline.spec is not None and view.outline.spec.baseline is not None
        remark = "" if content.baseline is not None else "not complete yet" if has_one else NO_BASELINE
        first = Scenario("baseline", rule, content.baseline, content.baseline_values, remark=remark)
        self._rows = {one.name: one for one in (first, *content.rows)}
        self.again()

    def again(self) -> None:
        view = self._view
        if view is None:
            return
        metrics = [objective.metric for objective in view.objectives]
        columns = [Column("name", "scenario", 21), Column("trial", "trial", 6, "right")]
        for name in metrics:
            columns += [Column(name, name, max(7, min(12, len(name))), "right"), Column(f"{name} gap", "change", 17)]
        columns.append(Column("remark", "note", 12, grow=True))
        compared = {f"{name} gap" for one in self._rows.values() for name in one.differences}
        kept = [place for place, one in enumerate(columns) if one.title != "change" or one.key in compared]
        rows = [self._row(view, one, metrics) for one in self._rows.values()]
        shown = [replace(row, cells=tuple(row.cells[place] for place in kept)) for row in rows]
        columns = [columns[place] for place in kept]
        self.query_one(Split).suit(whole_width(columns, shown), TABLE_SHARE)
        self._table.show(columns, shown)
        entitle(self._table, title="Scenarios: changes are to the baseline, near the teacher to the teacher")
        self._explain()

    def _row(self, view: StudyView, found: Scenario, metrics: list[str]) -> Row:
        ranked = None if found.number is None else view.ranked.get(found.number)
        front = ranked is not None and ranked.on_frontier
        star = "" if not front else "*" if self.ui.ascii_only else "★"
        number = Cell("–" if found.number is None else f"{star}#{found.number}", "bright" if front else "plain")
        cells = [Cell(found.name), number]
        for name in metrics:
            gap = gap_text(name, found.differences.get(name))
            cells += [Cell(fmt.metric(name, found.values.get(name))), Cell(gap)]
        return Row(found.name, (*cells, Cell(found.remark, "dim")), dim=found.number is None)

    @on(LineTable.Moved)
    def _moved(self) -> None:
        self.at_rest(self._explain)

    @on(FrontierChart.Moved)
    def _picked(self, event: FrontierChart.Moved) -> None:
        """The first purpose that the trial which was clicked serves."""
        self.go_to(event.number)

    def _explain(self) -> None:
        """The requirement of the purpose, and all metrics where the table is too narrow for them."""
        found = self._here
        if found is None:
            return
        if self._view is not None:
            self._chart.show(self._view, found.number)
        against = "teacher" if found.name == NEAR_TEACHER else "baseline"
        numbers = []
        for name, value in found.values.items():
            gap = gap_text(name, found.differences.get(name))
            numbers.append(f"{name} {fmt.metric(name, value)}" + (f", {gap} to the {against}" if gap else ""))
        trial = "no trial" if found.number is None else f"#{found.number}"
        remark = f" ({found.remark})" if found.remark else ""
        told = f": {'; '.join(numbers)}" if numbers and found.number is not None else ""
        self._words.say(f"{found.name}: {found.rule}.\n{trial}{remark}{told}.")

    # ------------------------------------------------------------------------------------------------------- actions

    @property
    def _here(self) -> Scenario | None:
        return self._rows.get(str(self._table.cursor_key))

    @property
    def number(self) -> int | None:
        return self._here.number if self._here else None

    def go_to(self, number: int | None) -> None:
        """Rows are purposes, not trials: the cursor goes to the first one that selected this trial."""
        name = next((one.name for one in self._rows.values() if one.number == number), None)
        if number is not None and name is not None and self.number != number:
            self._table.move_to(name)

    def headline(self) -> str:
        return "scenarios"

    def commands(self) -> list[tuple[str, ...]]:
        return [("analysis", self._study, "--part", "scenarios")]
