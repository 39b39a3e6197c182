"""A study on one page: history of its score, when each trial ran and where, which parameters mattered, its frontier.

It computes nothing: what is stored already is read when the tab is shown; the importances are those of their own tab.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.containers import VerticalScroll
from textual.widget import Widget

from bertdistill.app.draw.canvas import Drawing, Look
from bertdistill.app.draw.plane import frontier_drawing
from bertdistill.app.draw.sparks import Bar, bars
from bertdistill.app.draw.timeline import Span, timeline_drawing
from bertdistill.app.reader import Reader
from bertdistill.app.screens.analysis_tab import Tab
from bertdistill.app.screens.importance_tab import ImportanceTab
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.colours import frontier_points
from bertdistill.app.views.overview import (
    NO_HISTORY,
    NO_TIME,
    Best,
    first_objective,
    history,
    history_axes,
    history_points,
    spans,
)
from bertdistill.app.views.points import chart_axis, no_point
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.search.importances import Importances
from bertdistill.store import reads

LEAST_WIDTH = 70
"""Columns from which the charts stand in two columns."""
STEP = 10.0
"""Seconds in which the bars of running trials grow: a chart that is drawn at each look costs more than it says."""
Make = Callable[[Look], Drawing]
CHARTS = ("history", "timeline", "weights", "front")


class Page(VerticalScroll):
    """All charts; the arrow keys scroll them where they are more than fit."""

    can_focus = True


@dataclass(frozen=True)
class Content:
    """What the page shows."""

    found: Sequence[Best]
    ran: Sequence[Span]
    weighed: Any
    """What the importances depend on, for their tab."""


class OverviewTab(Tab):
    """Four charts, two by two, or one below another where it is narrow."""

    NAME: ClassVar[str] = "overview"
    FIRST: ClassVar[str] = "#overview-page"

    def __init__(self, study_name: str, importance: ImportanceTab) -> None:
        super().__init__(id="tab-overview")
        self._study, self._importance = study_name, importance
        self._charts = {name: Chart(id=f"overview-{name}", classes="pane") for name in CHARTS}
        self._shown: tuple[StudyView, Content] | None = None
        self._drawn: dict[str, Any] = {}
        """What each chart was drawn for."""
        for chart in self._charts.values():
            chart.can_focus = False

    def compose(self) -> Iterable[Widget]:
        with Page(id="overview-page"):
            yield from self._charts.values()

    def on_resize(self) -> None:
        self.set_class(self.size.width < LEAST_WIDTH, "-column")

    def look(self, reader: Reader, view: StudyView) -> Content:
        found = self.made_once(view, lambda: history(view))
        with reader.session() as session:
            attempts = reads.attempts(session, study_id=view.study.id)
        now = time.time() // STEP * STEP
        return Content(found, spans(view, attempts, now), self._importance.read(view))

    def show(self, view: StudyView, content: Content) -> None:
        self._shown = (view, content)
        self._importance.show(view, content.weighed)  # computes them where they are not known
        self.again()

    def again(self) -> None:
        if self._shown is None:
            return
        view, content = self._shown
        self._draw_history(view, content.found)
        make = partial(timeline_drawing, content.ran) if content.ran else None
        self._draw("timeline", content.ran, make, NO_TIME, "Timeline: how each trial ended")
        found, why = self._importance.found, self._importance.why_none
        make = partial(weights_drawing, found) if found else None
        self._draw("weights", (found, why), make, why, "Importance of parameters")
        self._draw_front(view)

    def _draw(self, name: str, mark: Any, make: Make | None, empty: str, title: str) -> None:
        """Draw one chart, unless it shows this already."""
        mark = (mark, title, self.ui.ascii_only)
        if self._drawn.get(name) != mark:
            self._drawn[name] = mark
            self._charts[name].draw(make, empty=empty)
            entitle(self._charts[name], title=title)

    def _draw_history(self, view: StudyView, found: Sequence[Best]) -> None:
        name, points = first_objective(view), history_points(found)
        title = f"History of {name}: the line is the best so far" if name else "History"
        axes = history_axes(view, ascii_only=self.ui.ascii_only) if points else ()
        make = partial(frontier_drawing, points, *axes) if axes else None
        self._draw("history", (points, [axis.lines for axis in axes]), make, NO_HISTORY, title)

    def _draw_front(self, view: StudyView) -> None:
        x, y = chart_axes(view)
        across, up = (chart_axis(view, name, ascii_only=self.ui.ascii_only) for name in (x, y))
        points, groups = frontier_points(view, x, y)
        make = partial(frontier_drawing, points, across, up, groups=groups)
        title = f"{up.title} over {across.title}" if x and y else "Frontier"
        self._draw("front", (points, groups, across.lines, up.lines), make, no_point(view), title)

    @on(Chart.Drawn)
    def _legend(self, event: Chart.Drawn) -> None:
        entitle(event.chart, subtitle=event.chart.legend(event.drawing.legend))

    def headline(self) -> str:
        if self._shown is None:
            return "overview"
        view, content = self._shown
        best = content.found[-1].best if content.found else None
        name = first_objective(view)
        said = "" if best is None else f", best {name} {fmt.metric(name, best)}"
        return f"{view.finished} trials ended, {len(view.frontier)} on the frontier{said}"

    def commands(self) -> list[tuple[str, ...]]:
        return [("analysis", self._study, "--part", "overview")]


def weights_drawing(found: Sequence[Importances], look: Look) -> Drawing:
    """The shares of the parameters below each objective, as many as fit."""
    known = [one for one in found if one.weights]
    rows = max(1, look.height // max(1, len(known)) - 1)
    lines = list[str]()
    for one in known:
        items = [Bar(weight.parameter, weight.share, f"{weight.share:.0%}") for weight in one.weights[:rows]]
        # A column stays free: where panes have no borders, the next chart begins right behind it.
        lines += [safe_line(one.objective, look.width), *bars(items, look.width - 1, ascii_only=look.plain)]
    return Drawing("\n".join(lines[: look.height]), drawn=bool(lines))
