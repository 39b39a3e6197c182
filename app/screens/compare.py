"""Two to six trials of a study side by side, their curves in one chart. It changes nothing.

The person chooses the trials and their order; the engine determines what differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.widget import Widget

from bertdistill.app.bindings import bindings
from bertdistill.app.reader import Reader
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.analysis import compared, ties
from bertdistill.app.views.curves import TrialCurve
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.comparison_table import comparison_columns, comparison_rows
from bertdistill.app.widgets.curve_chart import CurvesChart
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.comparison import Comparison, compare
from bertdistill.engine.analysis.outcomes import FEWEST_COMPARED

PANES = {"table": "compared", "curves": "compare-curves"}
"""Name of each pane in the key table, with the id of its widget."""


@dataclass(frozen=True)
class CompareNews:
    """All that the screen shows."""

    view: StudyView
    comparison: Comparison
    curves: list[TrialCurve]
    series: list[str]


class CompareScreen(LiveScreen):
    """One column per trial; the first is the reference of all differences."""

    PLACE = "compare"
    BINDINGS: ClassVar = bindings("compare")
    panes: ClassVar = PANES
    HELP = """
Every trial is a column; a difference in brackets is how far it is above or below the reference, the first one. An
arrow next to a metric shows which direction is better. `[` and `]` choose a trial: `r` makes it the reference, `x`
removes it, `enter` opens it. Settings that are the same in all trials are hidden until you press `=`.
"""

    def __init__(self, study_name: str, numbers: tuple[int, ...]) -> None:
        super().__init__()
        self.study_name = study_name
        self.numbers = numbers
        self.chosen = numbers[-1] if numbers else 0
        self.news: CompareNews | None = None
        self._every = False
        self._curves = CurvesChart(id="compare-curves", classes="pane")

    def body(self) -> Iterable[Widget]:
        with Split(id="compare-body", upright=True):
            yield LineTable(id="compared", classes="pane")
            yield self._curves

    def on_mount(self) -> None:
        self.add_class("-show-table")
        self.query_one("#compared").focus()

    def on_resize(self) -> None:
        """Columns use the available width."""
        self.call_after_refresh(self._again)

    # ------------------------------------------------------------------------------------------------ reading, showing

    def read(self, reader: Reader) -> CompareNews:
        numbers = self.numbers
        view = reader.certain(self.study_name)
        trials = [trial for number in numbers if (trial := view.trial(number)) is not None]
        comparison = compare(compared(view, trials), view.objectives, ties(view, trials))
        curves, names = reader.curves(
            view, numbers, lambda n: self._curves.wanted(n, len(numbers), view.scores), self._curves.columns
        )
        return CompareNews(view, comparison, curves, names)

    def show(self, news: CompareNews) -> None:
        if news.comparison.numbers != self.numbers:
            return  # read before the person changed the trials
        self.news = news
        numbers = " ".join(f"#{number}" for number in self.numbers)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{safe_line(news.view.study.name, 40)}  ", "bold")
        self.header(text.append(f"{len(self.numbers)} trials: {numbers}"))
        self._show_table(news)
        self._curves.show(news.curves, news.series, news.view)
        self.refresh_keys()

    def _show_table(self, news: CompareNews) -> None:
        table, ascii_only = self.query_one("#compared", LineTable), self.ui.ascii_only
        width = table.size.width or max(20, self.size.width - 2)
        columns = comparison_columns(news.view, news.comparison, self.chosen, width, ascii_only=ascii_only)
        table.show(columns, comparison_rows(news.view, news.comparison, every=self._every, ascii_only=ascii_only))
        table.show_column(1 + self.numbers.index(self.chosen))
        entitle(table, title=f"Against #{self.numbers[0]}", subtitle=f"chosen: #{self.chosen}")

    def _again(self) -> None:
        if self.news is not None:
            self.show(self.news)

    def copies(self) -> list[tuple[str, str]]:
        names = [f"{self.study_name}/{number}" for number in self.numbers]
        return [
            ("command", command_line("compare", *names, ws=self.ui.workspace)),
            ("trials", " ".join(names)),
            ("trial", f"{self.study_name}/{self.chosen}"),
        ]

    # ---------------------------------------------------------------------------------------------------- actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "reference":
                return self.numbers.index(self.chosen) > 0
            case "remove":
                return len(self.numbers) > FEWEST_COMPARED
        return True

    def action_pick(self, by: int) -> None:
        """Choose the trial in the next column, wrapping around."""
        place = self.numbers.index(self.chosen) + by
        self.chosen = self.numbers[place % len(self.numbers)]
        self._again()

    def action_reference(self) -> None:
        """The chosen trial comes first."""
        self.numbers = (self.chosen, *(n for n in self.numbers if n != self.chosen))
        self.ui.look_again()

    def action_remove(self) -> None:
        place = self.numbers.index(self.chosen)
        self.numbers = tuple(n for n in self.numbers if n != self.chosen)
        self.chosen = self.numbers[min(place, len(self.numbers) - 1)]
        self.ui.look_again()

    def action_all_series(self) -> None:
        self.ui.open_series(self.study_name, self.numbers)

    def action_same(self) -> None:
        self._every = not self._every
        self._again()

    @on(LineTable.Chosen, "#compared")
    def action_open(self) -> None:
        self.ui.open_trial(self.study_name, self.chosen)

    def action_pane(self, name: str) -> None:
        """Focus a pane; where only one fits, show that one."""
        for other, widget in PANES.items():
            self.set_class(other == name, f"-show-{other}")
            if other == name:
                self.query_one(f"#{widget}").focus()
        self.call_after_refresh(self._again)

    def action_maximise(self) -> None:
        self.toggle_class("-maximised")
        self.action_pane("curves" if self.focused is self._curves else "table")
