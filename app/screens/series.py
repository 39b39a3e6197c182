"""Every series of the chosen trials in a grid of small charts, as many as fit, page by page. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.containers import Grid
from textual.widget import Widget

from bertdistill.app.bindings import bindings
from bertdistill.app.draw.curves import Curve, curve_name, curves_drawing
from bertdistill.app.reader import Reader
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.curves import TrialCurve
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.curve_chart import in_order, small_curve
from bertdistill.app.widgets.titles import entitle

WIDTH, HEIGHT = 38, 10
"""Least cells of a small chart with its border."""
MOST = 24
"""Charts on one page, however large the window."""


@dataclass(frozen=True)
class SeriesNews:
    """The curves of one page, and the names of all series."""

    view: StudyView
    page: tuple[str, ...]
    curves: list[TrialCurve]
    names: list[str]


class SeriesScreen(LiveScreen):
    """The scores come first, then the losses, then whatever else was logged."""

    PLACE = "series"
    BINDINGS: ClassVar = bindings("series")
    HELP = """
Every series that the chosen trials have logged, each in a chart of its own: the scores on the validation split first,
then the losses, then all else. Arrows choose a chart and `enter` maximises it; `]` and `[` turn the page. `/` keeps the
series whose names match a pattern: `loss` for all that have it in their names, `train/*` for all that begin with it.
"""

    def __init__(self, study_name: str, numbers: tuple[int, ...]) -> None:
        super().__init__()
        self.study_name = study_name
        self.numbers = numbers
        self.news: SeriesNews | None = None
        self._names: list[str] = []
        self._chosen = 0
        """The series that has the focus, by its place among all."""
        self._maximised = False
        self._pattern = ""
        self._window = (2 * WIDTH, 2 * HEIGHT + 2)
        """Columns and rows of the window; the thread that reads must not ask for them."""
        self._charts = [Chart(id=f"series-{place}", classes="pane") for place in range(MOST)]

    def body(self) -> Iterable[Widget]:
        with Grid(id="series-grid"):
            yield from self._charts

    def on_resize(self) -> None:
        super().on_resize()
        self._window = (self.size.width, self.size.height)
        self.ui.look_again()

    # ---------------------------------------------------------------------------------------------- reading, showing

    def read(self, reader: Reader) -> SeriesNews:
        view = reader.view(self.study_name)
        page: list[str] = []

        def choose(names: list[str]) -> Sequence[str]:
            ordered = self._matching(in_order(names, view.scores))
            page[:] = ordered[self._first : self._first + self._count]
            return page

        curves, names = reader.curves(view, self.numbers, choose, max(WIDTH, self._window[0] // self._across))
        return SeriesNews(view, tuple(page), curves, self._matching(in_order(names, view.scores)))

    def _matching(self, names: Sequence[str]) -> list[str]:
        """Those with the pattern in their names, or matched by it if it has a `*`, `?` or `[`."""
        wanted = self._pattern.casefold()
        glob = wanted if set(wanted) & set("*?[") else f"*{wanted}*"
        return [name for name in names if fnmatchcase(name.casefold(), glob)]

    def show(self, news: SeriesNews) -> None:
        self.news, self._names = news, news.names
        grid = self.query_one("#series-grid", Grid)
        down = max(1, min(self._down, -(-len(news.page) // self._across)))
        grid.styles.grid_size_columns, grid.styles.grid_size_rows = self._across, down
        for place, chart in enumerate(self._charts):
            chart.display = place < max(1, len(news.page))
            name = news.page[place] if place < len(news.page) else ""
            found = {curve.trial: small_curve(curve) for curve in news.curves if curve.series == name}
            drawn = [found.get(number, Curve("", (), ())) for number in self.numbers]  # each keeps its colour
            chart.draw(partial(curves_drawing, drawn, "", named=self._maximised), empty=self._empty_words())
            alone = next(iter(found.values())).label if self._maximised and len(found) == 1 else ""
            entitle(chart, title=safe_line(name, 60), subtitle=alone)
        self.header(self._header(news))
        if self._names:
            self._charts[self._chosen - self._first].focus()
        self.refresh_keys()

    def _header(self, news: SeriesNews) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{safe_line(news.view.study.name, 40)}  ", "bold")
        pages = -(-len(self._names) // self._count)
        look, several = self._charts[0].look, len(self.numbers)
        words = [curve_name(f"#{number}", place, several, look) for place, number in enumerate(self.numbers)]
        text.append_text(self._charts[0].legend(words, self._window[0] // 2))
        page = f", page {self._first // self._count + 1} of {pages}" if pages > 1 else ""
        which = f" like {safe_line(self._pattern, 60)}" if self._pattern else ""
        return text.append(f"  {len(self._names)} series{which}{page}")

    def _empty_words(self) -> str:
        return "No series matches; / changes that, esc shows all." if self._pattern else "Nothing has been logged yet."

    # ---------------------------------------------------------------------------------------------------- the grid

    @property
    def _across(self) -> int:
        return 1 if self._maximised else max(1, min(4, self._window[0] // WIDTH))

    @property
    def _down(self) -> int:
        return 1 if self._maximised else max(1, min(MOST // self._across, (self._window[1] - 2) // HEIGHT))

    @property
    def _count(self) -> int:
        """Charts on a page."""
        return self._across * self._down

    @property
    def _first(self) -> int:
        """Place of the first series of the page among all."""
        return self._chosen // self._count * self._count

    # ----------------------------------------------------------------------------------------------------- actions

    def copies(self) -> list[tuple[str, str]]:
        names = [f"{self.study_name}/{number}" for number in self.numbers]
        series = self._names[self._chosen] if self._names else ""
        found = [("trials", " ".join(names)), ("command", command_line("show", names[0], ws=self.ui.workspace))]
        return [("series", series), *found] if series else found

    def action_step(self, across: int, down: int) -> None:
        """Choose the chart beside this one; past the edge, that of the next page."""
        self._choose(self._chosen + across + down * self._across)

    def action_page(self, by: int) -> None:
        self._choose((self._first // self._count + by) * self._count)

    def action_open(self) -> None:
        """The chosen chart alone, and back."""
        self._maximised = not self._maximised
        self.ui.look_again()

    def action_filter_series(self) -> None:
        from bertdistill.app.screens.dialogues import Ask

        def answered(text: str | None) -> None:
            if text is not None:
                self._keep(text.strip())

        question = "Only series whose names match; empty shows all:"
        self.ui.push_screen(Ask(question, value=self._pattern, placeholder="loss, or train/*"), answered)

    def _keep(self, pattern: str) -> None:
        self._pattern, self._chosen = pattern, 0
        self.ui.look_again()

    def action_back(self) -> None:
        if self._maximised:
            self.action_open()
        elif self._pattern:
            self._keep("")
        else:
            super().action_back()

    def _choose(self, place: int) -> None:
        before = self._first
        self._chosen = max(0, min(place, len(self._names) - 1))
        if self._first == before and self._names:
            self._charts[self._chosen - self._first].focus()
        else:
            self.ui.look_again()
