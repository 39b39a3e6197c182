"""Parallel coordinates of a study: one line per trial across its axes. It decides nothing about trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from textual import on

from bertdistill.app.draw.axes import Axis as ChartAxis
from bertdistill.app.draw.axes import Scale
from bertdistill.app.draw.canvas import Drawing, Look
from bertdistill.app.draw.parallel import Brushes, Strand, parallel_drawing, rulers_of, slot_of, within
from bertdistill.app.screens.analysis_tab import ChartTab, baseline_of, kind_of, numbered
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.analysis import outcomes
from bertdistill.app.views.query import range_words
from bertdistill.app.views.view import StudyView, all_metrics
from bertdistill.app.widgets.brush_chart import BrushChart
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column, value_column
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.coordinates import Axis, Line, parallel
from bertdistill.engine.study.space import Value
from bertdistill.engine.tasks.table import METRICS

SLOT = 9
"""Columns that an axis needs at least."""
LONGEST_NAME = 16
"""A longer name is cut, or one of it would leave no room for the other axes."""
LEAST_AXES = 2
MOST_STRANDS = 80
"""Trials that are drawn, the best ones by rank: each takes half a millisecond, and more hide one another."""


@dataclass(frozen=True)
class Strands:
    """The axes, and a line for each complete trial in the order of the ranked list."""

    axes: tuple[Axis, ...]
    lines: tuple[Line, ...]
    strands: tuple[Strand, ...]
    known: tuple[str, ...]
    """Every axis that can be chosen."""
    parameters: int
    """How many of the axes are parameters; they come first."""

    @property
    def titles(self) -> list[str]:
        """The names of the axes, without the family where the rest says which setting it is."""
        tails = Counter(axis.name.rpartition(".")[2] for axis in self.axes)
        short = [(axis, axis.name.rpartition(".")[2]) for axis in self.axes]
        return [tail if tails[tail] == 1 else axis.name for axis, tail in short]

    def of_family(self, number: int | None) -> Sequence[int]:
        """Places of the parameters of this trial's family (without it that of the best one), and of all families."""
        place = next((i for i, axis in enumerate(self.axes) if axis.name == "family"), None)
        if place is None or not self.lines:
            return range(self.parameters)
        line = next((line for line in self.lines if line.number == number), self.lines[0])
        others = {str(choice) for choice in self.axes[place].choices} - {str(line.values[place])}
        return [i for i in range(self.parameters) if self.axes[i].name.partition(".")[0] not in others]


class ParallelTab(ChartTab):
    """The chart with the trials below it; the line of the trial under the cursor is on top."""

    NAME: ClassVar[str] = "parallel"

    def __init__(self, study_name: str) -> None:
        super().__init__(study_name, "parallel", chart=BrushChart)
        self._chart.can_focus = True
        self._brushes: dict[str, tuple[float, float]] = {}
        """Chosen ranges by axis, in the values that are drawn."""
        self._names: tuple[str, ...] = ()
        """Axes that were chosen; empty for all parameters and the objectives."""
        self._first = 0
        self._rulers: list[Scale] = []
        """The limits of the axes on screen."""
        self._content: Strands | None = None
        self._listed: tuple[Any, ...] = ()

    def read(self, view: StudyView) -> Strands:
        names = self._names
        return self.made_once(view, lambda: read_strands(view, names), names)

    def show(self, view: StudyView, content: Strands) -> None:
        self._content = content
        self.again()

    # ------------------------------------------------------------------------------------------------------- drawing

    def again(self) -> None:
        content = self._content
        if content is None:
            return
        listed = (id(content), self.ui.ascii_only, tuple(self._brushes.items()))
        if self._listed != listed:
            self._listed = listed
            columns = [Column("number", "#", 5, "right")]
            columns += [value_column(a.name, safe_line(a.name), _words(a)) for a in content.axes]
            wanted = dict(self._wanted_ranges(range(len(content.axes))))
            kept = [line for line, one in zip(content.lines, content.strands, strict=True) if within(one, wanted)]
            rows = [self._row(content, line) for line in kept]
            empty = "No trial is in these ranges; esc removes them." if wanted else "No trial is complete yet."
            self._table.show(columns, rows, empty=empty)
            within_all = self._brushes and f"{len(rows)} of {len(content.lines)} trials in {self._ranges()}"
            entitle(self._table, title=within_all or "Trials by rank", subtitle="esc shows all" if within_all else "")
        self.go_where_wanted()
        self.draw()

    def _row(self, content: Strands, line: Line) -> Row:
        number = numbered(line.number, frontier=line.frontier, ascii_only=self.ui.ascii_only)
        cells = [Cell(number, "bright" if line.frontier else "plain")]
        cells += [Cell(safe_line(value_text(a, v))) for a, v in zip(content.axes, line.values, strict=True)]
        return Row(line.number, tuple(cells), dim=not line.frontier)

    def draw(self) -> None:
        content = self._content
        if content is None:
            return
        here = next((i for i, line in enumerate(content.lines) if line.number == self.number), None)
        drawn = [i for i, s in enumerate(content.strands) if i < MOST_STRANDS or i == here or s.kind == "baseline"]
        places = self._window(content)
        chart, brushes = self._brush_chart, dict(self._wanted_ranges(places))
        chart.axes = len(places)
        if self.is_drawn(content, places, tuple(drawn), here, brushes, chart.cursor):
            return
        axes = tuple(replace(content.axes[i], name=content.titles[i]) for i in places)
        strands = [content.strands[i] for i in drawn]
        strands = [Strand([s.values[i] for i in places], s.kind, s.label) for s in strands]
        cursor = drawn.index(here) if here is not None else None
        self._rulers = rulers_of([drawn_axis(axis) for axis in axes], strands)
        make = partial(draw_strands, axes, strands, cursor, brushes=brushes, at=chart.cursor)
        self._chart.draw(make, empty="Lines appear when trials are complete.")
        entitle(self._chart, title=f"Lines: {self._amount(content, len(drawn), len(axes))}")

    # ------------------------------------------------------------------------------------------------------ brushing

    @property
    def _brush_chart(self) -> BrushChart:
        assert isinstance(self._chart, BrushChart)
        return self._chart

    def _wanted_ranges(self, places: Iterable[int]) -> Iterator[tuple[int, tuple[float, float]]]:
        """The ranges on these axes, by where they are on screen."""
        axes = self._content.axes if self._content else ()
        for place, axis in enumerate(places):
            if span := self._brushes.get(axes[axis].name):
                yield place, span

    def _ranges(self) -> str:
        return ", ".join(safe_line(name, 30) for name in self._brushes)

    @on(BrushChart.Pointed)
    def _point(self) -> None:
        self.draw()

    @on(BrushChart.Brushed)
    def _brush(self, event: BrushChart.Brushed) -> None:
        content = self._content
        if content is None or event.axis >= len(self._rulers):
            return
        axis = content.axes[self._window(content)[event.axis]]
        if event.span is None:
            self._brushes.pop(axis.name, None)
        else:
            low, high = (self._rulers[event.axis].value(share) for share in event.span)
            self._brushes[axis.name] = (low, high)
        self.draw()
        if event.done:
            self._select()

    def _select(self) -> None:
        """The list here and the study show what is in the ranges."""
        self.again()
        axes = {axis.name: axis for axis in self._content.axes} if self._content else {}
        found = [(axes[name], span) for name, span in self._brushes.items() if name in axes]
        self.ui.filter_study(self._study, " ".join(range_words(a.name, a.choices, *span) for a, span in found))

    def leave(self) -> bool:
        """Remove the ranges; whether there were any."""
        had = bool(self._brushes)
        self._brushes.clear()
        if had:
            self._select()
        return had

    @staticmethod
    def _amount(content: Strands, drawn: int, axes: int) -> str:
        """How many of the trials and of the axes are drawn."""
        lines, every = len(content.lines), len(content.axes)
        trials = f"{lines} trials" if drawn == lines else f"{drawn} of {lines} trials, best first"
        return trials + (f", {axes} of {every} axes" if axes < every else "")

    def _window(self, content: Strands) -> tuple[int, ...]:
        """Places of the axes whose names can be read side by side, metrics always among them.

        If none were chosen, the settings of other families than that of the trial under the cursor are left out.
        """
        parameters = range(content.parameters) if self._names else content.of_family(self.number)
        metrics = range(content.parameters, len(content.axes))
        width, titles = self._chart.size.width, content.titles
        places, first = tuple(metrics), 0
        for room in range(len(parameters), 0, -1):
            first = max(0, min(self._first, len(parameters) - room))
            places = (*parameters[first : first + room], *metrics)
            longest = max(min(LONGEST_NAME, len(titles[i])) for i in places)
            if slot_of(width, len(places)) > longest:
                break
        self._first = first
        return places[: max(LEAST_AXES, (width - 1) // SLOT)]

    # ------------------------------------------------------------------------------------------------------- actions

    def headline(self) -> str:
        return "parallel coordinates"

    def can(self, action: str) -> bool:
        content = self._content
        if action == "turn":
            return content is not None and len(self._window(content)) < len(content.axes)
        return action == "axes" and content is not None

    def turn(self, by: int) -> None:
        """Other parameters, where not all fit."""
        self._first = max(0, self._first + by)
        self.draw()

    @property
    def known(self) -> tuple[str, ...]:
        """Every axis that can be chosen."""
        return self._content.known if self._content else ()

    @property
    def names(self) -> tuple[str, ...]:
        """Axes on screen."""
        return tuple(axis.name for axis in self._content.axes) if self._content else ()

    def choose(self, names: Sequence[str]) -> None:
        """Show these axes; none at all means the study's own."""
        self._names = tuple(names)

    def commands(self) -> list[tuple[str, ...]]:
        words = ["analysis", self._study, "--part", "parallel"]
        if self._content is not None and self._names:
            for place, axis in enumerate(self._content.axes):
                words += ["--parameter" if place < self._content.parameters else "--metric", axis.name]
        return [tuple(words)]


def read_strands(view: StudyView, names: Sequence[str]) -> Strands:
    """Axes by name, parameters first, and the lines of all complete trials; pure. No names: the study's own."""
    every = [parameter.name for parameter in view.outline.search]
    measured = {name for trial in view.trials if trial.number in view.ranked for name in all_metrics(trial)}
    known = list(dict.fromkeys([*every, *(o.metric for o in view.objectives), *sorted(measured)]))
    params = [name for name in names if name in every]
    metrics = [name for name in names if name not in every and name in known]
    found = parallel(outcomes(view), view.outline.search, view.objectives, params=params, metrics=metrics)
    axes = [i for i, axis in enumerate(found.axes) if not names or axis.name in names]
    order = {number: place for place, number in enumerate(view.ranked)}
    lines = [
        Line(one.number, one.frontier, one.feasible, _picked(one.places, axes), _picked(one.values, axes))
        for one in sorted(found.lines, key=lambda one: (order.get(one.number, len(order)), one.number))
    ]
    shown, baseline = tuple(found.axes[i] for i in axes), baseline_of(view)
    strands = tuple(
        Strand(
            [_height(axis, value) for axis, value in zip(shown, line.values, strict=True)],
            kind_of(line.number, baseline, frontier=line.frontier, feasible=line.feasible),
            f"#{line.number}",
        )
        for line in lines
    )
    return Strands(shown, tuple(lines), strands, tuple(known), sum(axis.name in every for axis in shown))


def _picked(values: Sequence[Any], places: Sequence[int]) -> tuple[Any, ...]:
    return tuple(values[i] for i in places)


def _height(axis: Axis, value: Value | None) -> float | None:
    """Numbers as they are, choices by their place; None leaves a gap."""
    if value is None or axis.kind == "choice":
        return None if value is None or value not in axis.choices else float(axis.choices.index(value))
    return None if isinstance(value, str) else value


def draw_strands(
    axes: Sequence[Axis],
    strands: Sequence[Strand],
    cursor: int | None,
    look: Look,
    *,
    brushes: Brushes | None = None,
    at: tuple[int, float] | None = None,
) -> Drawing:
    """The chart with this look."""
    shown = [drawn_axis(axis, ascii_only=look.plain) for axis in axes]
    return parallel_drawing(shown, strands, look, cursor=cursor, brushes=brushes, at=at)


def drawn_axis(axis: Axis, *, ascii_only: bool = False) -> ChartAxis:
    """An axis of the analysis as the charts want it: an objective shows which direction is better."""
    title = safe_line(axis.name, 60)
    if axis.better is not None:
        title = f"{title} {fmt.arrow(axis.better, ascii_only=ascii_only)}"
    choices = _words(axis)
    text = partial(value_text, axis)
    return ChartAxis(title, axis.better or "minimize", text, log=axis.log, choices=choices)


def _words(axis: Axis) -> tuple[str, ...]:
    """The choices of a parameter."""
    return tuple(safe_line(fmt.setting(choice), 40) for choice in axis.choices)


def value_text(axis: Axis, value: Value | None) -> str:
    """A value on its axis: metrics with their significant digits."""
    metric = axis.better is not None or axis.name in METRICS
    return fmt.metric(axis.name, value) if metric and isinstance(value, (int, float)) else fmt.setting(value)
