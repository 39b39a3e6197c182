"""The analysis of a study, a tab each: overview, importance, parallel coordinates, slices, hypervolume, scenarios,
errors, difficulty, ladder, survey.

It computes nothing: each tab reads values of the engine and draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from bertdistill.app.bindings import bindings
from bertdistill.app.reader import Reader
from bertdistill.app.screens.analysis_tab import Tab
from bertdistill.app.screens.difficulty_tab import DifficultyTab
from bertdistill.app.screens.errors_tab import ErrorsTab
from bertdistill.app.screens.growth_tab import GrowthTab
from bertdistill.app.screens.importance_tab import ImportanceTab
from bertdistill.app.screens.ladder_tab import LadderTab
from bertdistill.app.screens.live_screen import OF_LISTS, Line, LiveScreen
from bertdistill.app.screens.overview_tab import OverviewTab
from bertdistill.app.screens.parallel_tab import ParallelTab
from bertdistill.app.screens.scenarios_tab import ScenariosTab
from bertdistill.app.screens.slices_tab import SlicesTab
from bertdistill.app.screens.survey_tab import SurveyTab
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.table import LineTable

SHORT_ROWS = 18
"""Rows below which panes have no borders and only the focused list has more than two rows."""
OF_TABS = ("other_view", "turn", "metric", "axes", "cut")
"""Actions that only some tabs have."""


@dataclass(frozen=True)
class AnalysisNews:
    """What one tab shows."""

    view: StudyView
    tab: str
    content: Any


class AnalysisScreen(LiveScreen):
    """Ten tabs; the cursor's trial goes along from one to the next."""

    PLACE = "analysis"
    BINDINGS: ClassVar = bindings("analysis")
    HELP = """
`0` is the study on one page, `1` to `9` choose another tab. `t` switches its view: PED-ANOVA or fANOVA, trials or
worker-hours, classes of answers or articles, single words or groups. `]` and `[` step through the parameters of the
slices, other axes, or the trials of the errors and of the difficulty. `/` and `s` filter and sort the survey.
`enter` opens the trial under the cursor, or the slices of a parameter; `e` shows where that trial is wrong.
Importances, answers, difficulty and the intervals of ladder and survey are computed in a separate process, which takes
seconds; everything else follows the study live.
"""

    def __init__(self, study_name: str, number: int | None = None, tab: str = ImportanceTab.NAME) -> None:
        super().__init__()
        self.study_name = study_name
        self.news: AnalysisNews | None = None
        self.importance = ImportanceTab(study_name)
        self.parallel = ParallelTab(study_name)
        self.slices = SlicesTab(study_name)
        self.growth = GrowthTab(study_name)
        self.scenarios = ScenariosTab(study_name)
        self.errors = ErrorsTab(study_name, number)
        self.difficulty = DifficultyTab(study_name)
        self.ladder = LadderTab(study_name)
        self.survey = SurveyTab(study_name)
        every: tuple[Tab, ...] = (
            OverviewTab(study_name, self.importance),
            self.importance,
            self.parallel,
            self.slices,
            self.growth,
            self.scenarios,
            self.errors,
            self.difficulty,
            self.ladder,
            self.survey,
        )
        self.tabs = {tab.NAME: tab for tab in every}
        self.current = tab if number is None else ErrorsTab.NAME
        self._starts: dict[str, int] = {}
        """Where the name of each tab begins in their line."""
        for one in every:
            one.go_to(number)

    # -------------------------------------------------------------------------------------------------- composing

    def body(self) -> Iterable[Widget]:
        yield Line(id="analysis-tabs")
        with ContentSwitcher(initial=self.tab.id, id="analysis-body"):
            yield from self.tabs.values()

    def on_mount(self) -> None:
        self._name_tabs()
        self.tab.query_one(self.tab.FIRST).focus()

    def on_resize(self) -> None:
        self.set_class(self.size.height < SHORT_ROWS, "-short")
        self._name_tabs()
        self.call_after_refresh(self._again)

    def _name_tabs(self) -> None:
        """The chosen tab in brackets; in a narrow window the others are only numbers."""
        names = list(self.tabs)
        whole = sum(len(name) + 3 for name in names) + 2 <= self.size.width
        text = Text(no_wrap=True, overflow="ellipsis")
        self._starts = {}
        for place, name in enumerate(names):
            self._starts[name] = text.cell_len
            if name == self.current:
                text.append(" " if whole and place else "")
                text.append(f"[{place} {name}]", "bold reverse" if self.ui.is_plain else "bold underline cyan")
            else:
                text.append(f" {place} {name}" if whole else f" {place} ", "dim")
        self.query_one("#analysis-tabs", Line).say(text)

    def jumps(self) -> list[tuple[int, int, Callable[[], object]]]:
        """The tabs, too."""
        line = self.query_one("#analysis-tabs").content_region
        tabs = [(line.x + start, line.y, partial(self.action_tab, name)) for name, start in self._starts.items()]
        return [*super().jumps(), *tabs]

    # ------------------------------------------------------------------------------------------------ reading, showing

    @property
    def tab(self) -> Tab:
        """The tab on screen."""
        return self.tabs[self.current]

    def read(self, reader: Reader) -> AnalysisNews:
        name = self.current
        view = reader.certain(self.study_name)
        return AnalysisNews(view, name, self.tabs[name].look(reader, view))

    def show(self, news: AnalysisNews) -> None:
        if news.tab != self.current:
            return  # read before the person chose another tab
        self.news = news
        self.tab.show(news.view, news.content)
        self._head(news)

    def _head(self, news: AnalysisNews) -> None:
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{safe_line(news.view.study.name, 40)}  ", "bold")
        self.header(text.append(safe_line(self.tab.headline(), 200)))
        self.refresh_keys()

    def _again(self) -> None:
        if self.news is not None and self.news.tab == self.current:
            self.tab.again()
            self._head(self.news)

    def copies(self) -> list[tuple[str, str]]:
        found = [("command", command_line(*words, ws=self.ui.workspace)) for words in self.tab.commands()]
        if self.tab.number is not None:
            found.append(("trial", f"{self.study_name}/{self.tab.number}"))
        return [*found, ("study", self.study_name)]

    # ------------------------------------------------------------------------------------------------------ actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in OF_LISTS and self.listing is not None:
            return True
        if action in (*OF_TABS, *OF_LISTS):
            return self.tab.can(action)
        if action == "open":
            return self.tab.number is not None or self.tab.can(action)
        if action == "errors":
            return self.current != ErrorsTab.NAME and self.tab.number is not None
        return True

    def action_tab(self, name: str) -> None:
        """Another tab; the trial under the cursor goes along."""
        number = self.tab.number
        self.current = name
        self.listings = {} if self.tab.listing is None else {name: self.tab.listing}
        if number is not None:
            self.tab.go_to(number)
        self.query_one(ContentSwitcher).current = self.tab.id
        self.tab.query_one(self.tab.FIRST).focus()
        self._name_tabs()
        self.use_marker()
        self.refresh_keys()
        self.ui.look_again()

    @on(ImportanceTab.Computed)
    def importances_known(self) -> None:
        """The overview shows them, too."""
        self._again()

    @on(LineTable.Chosen)
    def action_open(self) -> None:
        """The trial under the cursor; on a parameter of the importances its slices."""
        objective, parameter = self.importance.chosen
        if self.tab is self.importance:
            if parameter:
                self.slices.metric, self.slices.parameter = objective, parameter
                self.action_tab(SlicesTab.NAME)
        elif self.tab.number is not None:
            self.ui.open_trial(self.study_name, self.tab.number)

    @on(LineTable.Moved)
    def moved(self) -> None:
        """What makes sense may differ for the row that the cursor came to."""
        self.refresh_keys()

    def action_errors(self) -> None:
        if (number := self.tab.number) is not None:
            self.errors.look_at(number)
            self.action_tab(ErrorsTab.NAME)

    def action_other_view(self) -> None:
        self.tab.toggle()
        self._changed()

    def action_turn(self, by: int) -> None:
        self.tab.turn(by)
        self._changed()

    def action_metric(self) -> None:
        self.slices.next_metric()

    def action_sort(self) -> None:
        if self.listing is None:
            self.tab.sort()
        else:
            super().action_sort()

    def action_cut(self, by: int) -> None:
        self.errors.cut(by)

    def action_axes(self) -> None:
        from bertdistill.app.screens.choose import ChooseColumns

        def answered(names: tuple[str, ...] | None) -> None:
            if names is not None:
                self.parallel.choose(names)
                self.ui.look_again()

        question = "Axes; parameters come first:"
        self.ui.push_screen(ChooseColumns(self.parallel.known, self.parallel.names, question), answered)

    def action_back(self) -> None:
        if not self.tab.leave():
            super().action_back()

    def action_maximise(self) -> None:
        """The chart, or the list that has the focus, gets the room of the others."""
        self.toggle_class("-maximised")
        self.tab.maximised(on=self.has_class("-maximised"))
        self.call_after_refresh(self._again)

    def follow(self) -> None:
        self.tab.again()

    def _changed(self) -> None:
        if self.news is not None:
            self._head(self.news)
        self.ui.look_again()
