"""One parameter against one metric: every complete trial in a chart, and as a list along the axis. It ranks nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import on
from textual.widget import Widget

from bertdistill.app.draw.canvas import Drawing, Look
from bertdistill.app.draw.plane import Point, slice_drawing
from bertdistill.app.report.analysis_text import transfer_text
from bertdistill.app.screens.analysis_tab import ChartTab, Words, baseline_of, kind_of, numbered
from bertdistill.app.screens.parallel_tab import drawn_axis
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.analysis import as_objective, outcomes
from bertdistill.app.views.points import chart_axis
from bertdistill.app.views.view import StudyView, all_metrics
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column, value_column
from bertdistill.app.widgets.slice_table import SliceTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.coordinates import Slice, SlicePoint, Stretch, metric_axis, slices, stretches
from bertdistill.engine.analysis.transfer import SHARE, TransferGain, transfer_gain
from bertdistill.engine.study.space import Value

NO_TRIAL = "No complete trial has it yet."
MOST_TICKS = 12
"""Up to this many whole numbers on an axis, each gets a tick."""
MOST_LABELS = 24
"""Up to this many trials, every mark is labelled with its number."""


@dataclass(frozen=True)
class SliceNews:
    """One slice, and the other choices. No slice: nothing is searched, or nothing measured."""

    parameters: tuple[str, ...]
    metrics: tuple[str, ...]
    found: Slice | None = None
    trials: int = 0
    """Complete trials, also those in which the parameter is inactive."""
    gain: TransferGain | None = None
    """Of `transfer_share`: what the transfer set brought."""


class SlicesTab(ChartTab):
    """The chart, and the trials by their value of the parameter."""

    NAME: ClassVar[str] = "slices"

    def __init__(self, study_name: str) -> None:
        super().__init__(study_name, "slice", SliceTable)
        self.parameter = ""
        self.metric = ""
        self._view: StudyView | None = None
        self._news: SliceNews | None = None
        self._listed: tuple[SliceNews | None, bool] = (None, False)
        self._words = Words(id="slice-words")

    def compose(self) -> Iterable[Widget]:
        yield from super().compose()
        yield self._words

    def read(self, view: StudyView) -> SliceNews:
        parameter, metric = self.parameter, self.metric
        return self.made_once(view, lambda: read_slice(view, parameter, metric), parameter, metric)

    def show(self, view: StudyView, content: SliceNews) -> None:
        self._view, self._news = view, content
        self.again()

    # ------------------------------------------------------------------------------------------------------- drawing

    def again(self) -> None:
        view, news = self._view, self._news
        if view is None or news is None:
            return
        if self._listed[0] is not news or self._listed[1] != self.ui.ascii_only:
            self._listed = (news, self.ui.ascii_only)
            self._list(view, news)
        self.go_where_wanted()
        self.draw()

    def _list(self, view: StudyView, news: SliceNews) -> None:
        found = news.found
        points = found.points if found else ()
        name = safe_line(found.axis.name, 40) if found else "parameter"
        columns = [
            Column("number", "#", 5, "right"),
            value_column("value", name, (safe_line(fmt.setting(p.value), 40) for p in points)),
            Column("score", found.objective.metric if found else "", 10, "right"),
            Column("kind", "", 10, grow=True),
        ]
        empty = "No complete trial has this parameter." if news.parameters else "This study searches nothing."
        baseline = baseline_of(view)
        self._table.show(columns, [self._row(found, p, baseline) for p in points] if found else [], empty=empty)
        brought = f" {transfer_text([news.gain])}." if news.gain else ""
        self._words.say(_summary(found, news.trials) + brought)

    def _row(self, found: Slice, point: SlicePoint, baseline: int | None) -> Row:
        kind = kind_of(point.number, baseline, frontier=point.frontier, feasible=point.feasible)
        cells = (
            Cell(numbered(point.number, frontier=point.frontier, ascii_only=self.ui.ascii_only)),
            Cell(safe_line(fmt.setting(point.value), 60)),
            Cell(fmt.metric(found.objective.metric, point.score)),
            Cell(kind, "dim"),
        )
        return Row(point.number, cells, dim=not point.frontier)

    def draw(self) -> None:
        view, news = self._view, self._news
        if self.is_drawn(news, self.number, self.ui.ascii_only):
            return
        if view is None or news is None or news.found is None:
            self._chart.draw(None, empty="There is nothing to draw yet.")
            return
        title, make = slice_chart(view, news.found, self.number, ascii_only=self.ui.ascii_only)
        self._chart.draw(make, empty=NO_TRIAL)
        entitle(self._chart, title=title)
        entitle(self._table, title=f"Trials by {drawn_axis(news.found.axis, ascii_only=self.ui.ascii_only).title}")

    # ------------------------------------------------------------------------------------------------------- actions

    def headline(self) -> str:
        news = self._news
        if news is None or news.found is None:
            return "slices"
        name = news.found.axis.name
        place = f"{news.parameters.index(name) + 1} of {len(news.parameters)}"
        return f"{news.found.objective.metric} along {name} ({place})"

    def can(self, action: str) -> bool:
        news = self._news
        if news is None:
            return False
        return (action == "turn" and len(news.parameters) > 1) or (action == "metric" and len(news.metrics) > 1)

    @on(SliceTable.Turned)
    def _turned(self, event: SliceTable.Turned) -> None:
        self.turn(event.by)

    def turn(self, by: int) -> None:
        """The next parameter, or the one before."""
        if self._news is not None and self._news.parameters:
            self.parameter = _after(self._news.parameters, self.parameter, by)
            self.ui.look_again()

    def next_metric(self) -> None:
        """Objectives first, then whatever was measured."""
        if self._news is not None and self._news.metrics:
            self.metric = _after(self._news.metrics, self.metric, 1)
            self.ui.look_again()

    def commands(self) -> list[tuple[str, ...]]:
        found = self._news.found if self._news else None
        words = ("analysis", self._study, "--part", "slices")
        return [(*words, "--parameter", found.axis.name, "--metric", found.objective.metric)] if found else [words]


def read_slice(view: StudyView, parameter: str, metric: str) -> SliceNews:
    """The slice of these names, or of the first ones where a name is empty or unknown; pure."""
    complete = [trial for trial in view.trials if trial.number in view.ranked]
    measured = {name for trial in complete for name, value in all_metrics(trial).items() if value is not None}
    metrics = tuple(dict.fromkeys([*(o.metric for o in view.objectives), *sorted(measured)]))
    parameters = tuple(p.name for p in view.outline.search)
    if not parameters or not metrics:
        return SliceNews(parameters, metrics)
    name = parameter if parameter in parameters else parameters[0]
    objective = as_objective(view, metric if metric in metrics else metrics[0])
    space = tuple(p for p in view.outline.search if p.name == name)
    every = outcomes(view)
    gain = transfer_gain(every, objective.metric) if name == SHARE else None
    return SliceNews(parameters, metrics, slices(every, space, objective)[0], len(complete), gain)


def slice_chart(
    view: StudyView, found: Slice, number: int | None, *, ascii_only: bool = False
) -> tuple[str, Callable[[Look], Drawing]]:
    """Title and drawing of a slice, with the cursor on a trial."""
    cursor = next((i for i, point in enumerate(found.points) if point.number == number), None)
    points = slice_points(view, found, cursor)
    metric = found.objective.metric
    scores = metric_axis(metric, (point.score for point in found.points))
    y = dataclasses.replace(chart_axis(view, metric, ascii_only=ascii_only), log=scores.log)
    x = drawn_axis(found.axis, ascii_only=ascii_only)
    x = dataclasses.replace(x, choices=tuple(safe_line(fmt.setting(c), 40) for c in tick_choices(found)))
    logs = [f"log {name}" for name, axis in (("x", x), ("y", y)) if axis.log]
    words = f" ({', '.join(logs)})" if logs else ""
    return f"{y.title} along {x.title}{words}", partial(slice_drawing, points, x, y, cursor=cursor)


def slice_points(view: StudyView, found: Slice, cursor: int | None) -> list[Point]:
    """The trials of a slice as marks; choices by position in the list. Among many, dominated ones have no label."""
    points, baseline = [], baseline_of(view)
    choices = tick_choices(found)
    for place, one in enumerate(found.points):
        kind = kind_of(one.number, baseline, frontier=one.frontier, feasible=one.feasible)
        at = choices.index(one.value) if choices else float(one.value)
        named = len(found.points) <= MOST_LABELS or place == cursor or kind in ("frontier", "baseline")
        points.append(Point(float(at), one.score, kind, f"#{one.number}" if named else ""))
    return points


def tick_choices(found: Slice) -> tuple[Value, ...]:
    """The choices of the axis; a few whole numbers are choices too, or layers would have a tick at 1.5."""
    axis, values = found.axis, [point.value for point in found.points]
    few = axis.kind == "number" and not axis.log and axis.high - axis.low <= MOST_TICKS
    if few and values and all(isinstance(value, int) for value in values):
        return tuple(range(math.floor(axis.low), math.ceil(axis.high) + 1))
    return axis.choices


def _summary(found: Slice | None, trials: int) -> str:
    """The slice in at most five parts: trials, best and median of each."""
    if found is None:
        return ""
    metric = found.objective.metric
    parts = [_stretch(part, metric) for part in stretches(found)]
    active = f"Active in {len(found.points)} of {trials} trials. " if len(found.points) < trials else ""
    return f"{active}{metric}, best and median: {'; '.join(parts)}." if parts else active.strip()


def _stretch(part: Stretch, metric: str) -> str:
    ends = list(dict.fromkeys([fmt.setting(part.low), fmt.setting(part.high)]))
    best, middle = fmt.metric(metric, part.best), fmt.metric(metric, part.middle)
    trials = f"{part.trials} trial{'' if part.trials == 1 else 's'}"
    return f"{' to '.join(ends)}: {best} (#{part.best_number}), {middle} ({trials})"


def _after(names: tuple[str, ...], name: str, by: int) -> str:
    place = names.index(name) if name in names else 0
    return names[(place + by) % len(names)]
