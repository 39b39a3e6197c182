"""The frontier chart of a study, with a cursor that goes from point to point. It reads no store and ranks nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.message import Message

from bertdistill.app.bindings import bindings
from bertdistill.app.draw.axes import Axis
from bertdistill.app.draw.canvas import NAMES
from bertdistill.app.draw.plane import Point, frontier_drawing
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views import colours
from bertdistill.app.views.cascades import cascade_points
from bertdistill.app.views.points import chart_axis, chart_trials, no_point
from bertdistill.app.views.screened import screened_points
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.titles import entitle
from bertdistill.app.widgets.zoom import ZoomChart, range_words
from bertdistill.engine.analysis.joined import Joined, is_plane
from bertdistill.engine.study.outline import LOG
from bertdistill.store.rows import Trial, TrialState


class FrontierChart(ZoomChart):
    """Trials in the plane of two metrics."""

    PLACE = "frontier"
    BINDINGS: ClassVar = bindings("frontier")
    HELP = """
`★` frontier trials are joined by steps, and what they dominate is shaded; a pale line through a mark is the 95 %
interval of its score: that of the chosen trial, and those of the whole frontier where they stand far enough apart.
`☆` tied ones are dominated, but not told apart from the frontier; `●` dominated ones are there, `×` miss a threshold,
`▷` run at their exact size with their newest score, `◆` is the baseline, `○` a published model. Where x is a cost, `◇`
are cascades of two frontier trials, or of one and the teacher, that nothing beats; they are not trials and have no
rank. `f` colours the trials by family or by another setting that varies. Repeats of a point share one mark.

Arrows go from point to point, a click takes one, a double click opens it, and the mouse over it reads it. A filter
hides the marks of other trials; the steps remain those of the frontier over all trials. `+` and `-` zoom about the
selected trial, the wheel about the pointer (with ctrl only x, with alt only y), and `0` shows all again. A few poor
trials that would take half of the height are counted at the lower edge instead.
"""

    class Moved(Message):
        """The cursor moved to another trial in the chart."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class Axes(Message):
        """Other metrics are on the axes, or another scale, or other colours."""

    class Opened(Message):
        """A trial's mark was clicked twice."""

    _view: StudyView | None = None
    _cascades: Sequence[Joined] = ()
    _trials: Sequence[tuple[Trial | None, Point]] = ()
    _settled: Sequence[tuple[Trial | None, Point]] = ()
    _made_of: tuple[Any, ...] = ()
    _drawn: tuple[Any, ...] = ()
    _selected: int | None = None
    _x = _y = ""
    _log: bool | None = None
    """Whether x is logarithmic; None: as its values suggest."""
    _log_shown = False
    _by: str | None = None
    """What the trials are coloured by; None: as is usual for the study."""
    _over: int | None = None
    """The mark under the mouse, by its index in `_trials`."""
    _live = True
    _kept: AbstractSet[int] | None = None
    _filter = ""

    def show(
        self,
        view: StudyView,
        selected: int | None,
        kept: AbstractSet[int] | None = None,
        filter_text: str = "",
        cascades: Sequence[Joined] = (),
    ) -> None:
        """Draw this study with the cursor on trial `selected`; a frozen chart keeps its points.

        Of a filter's trials, `kept`, the marks are shown; the edge of the frontier remains that of all trials.
        """
        if self._live or self._view is None:
            self._view, self._cascades = view, cascades
        self._selected, self._kept, self._filter = selected, kept, filter_text
        self._draw()

    @property
    def axes(self) -> tuple[str, str]:
        """The metrics that a person put on x and y; empty for those of the study."""
        return self._x, self._y

    @property
    def scale(self) -> bool | None:
        """Whether a person made x logarithmic or not; None: neither."""
        return self._log

    @property
    def coloured_by(self) -> str | None:
        """What a person had the trials coloured by, empty: by nothing; None: as is usual for the study."""
        return self._by

    def use(self, x: str, y: str, log: bool | None, by: str | None) -> None:
        """Axes and colours as a person had them before; nothing is drawn yet."""
        self._x, self._y, self._log, self._by = x, y, log, by

    @property
    def selected(self) -> int | None:
        """The trial that the cursor is on."""
        return self._selected

    def trial_at(self, index: int) -> int | None:
        """The number of the trial whose mark this is; None for a reference."""
        trial = self._trials[index][0]
        return None if trial is None else trial.number

    def places_cascades(self, view: StudyView) -> bool:
        """Whether cascades have a place in the plane that it shows; it reads plain attributes only."""
        return is_plane(*chart_axes(view, self._x, self._y))

    def _axes(self) -> tuple[str, str]:
        assert self._view is not None, "called while something is shown"
        return chart_axes(self._view, self._x, self._y)

    def _draw(self) -> None:
        """Nothing is drawn when nothing moved: most refreshes only bring new losses."""
        view = self._view
        if view is None:
            return
        x, y = self._axes()
        self._trials = self._fitting(self._read_points(view, x, y))
        by = colours.usual(view) if self._by is None else self._by
        colouring = colours.colouring(view, by)
        self._trials = colours.coloured(self._trials, colouring)
        points = [point for _, point in self._trials]
        cursor = next(
            (i for i, (trial, _) in enumerate(self._trials) if trial and trial.number == self._selected), None
        )
        if cursor is not None:
            points[cursor] = dataclasses.replace(points[cursor], label=self._label(cursor))
        state = "live" if self._live else "frozen"
        filtered = (self._filter, self._kept is None or bool(self._kept))
        shown = (x, y, state, self.zoom, self._log, filtered, self._selected, self.marker)
        drawn = (points, shown, view.outline, colouring)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        ascii_only = self.marker == "ascii"
        axis_x, axis_y = (chart_axis(view, name, ascii_only=ascii_only) for name in (x, y))
        if self._log is not None:
            axis_x = dataclasses.replace(axis_x, log=self._log)
        self._log_shown = axis_x.log
        axis_x = dataclasses.replace(axis_x, limits=self.zoom.x)
        axis_y = dataclasses.replace(axis_y, limits=self.zoom.y)
        state += (", log x" if axis_x.log else "") + (", log y" if axis_y.log else "")
        state += f", by {by}" if colouring.groups else ""
        state += f", filter {safe_line(self._filter, 60)}" if self._filter else ""
        detail = "" if cursor is None else self._reading(cursor)
        make = partial(frontier_drawing, points, axis_x, axis_y, cursor=cursor, detail=detail, groups=colouring.groups)
        none = "No trial that matches the filter has both metrics of the axes." if self._filter else no_point(view)
        if self._kept is not None and not self._kept:
            self.draw(None, empty="No trial matches the filter.")
        else:
            self.draw(make, empty=none)
        across, up = (f"{axis.title}{_part_words(axis)}" for axis in (axis_x, axis_y))
        entitle(self, title=f"Frontier: {up} over {across} ({state})" if x and y else "Frontier")

    def redraw(self) -> None:
        self._draw()

    def centre(self) -> tuple[float, float] | None:
        """The mark of the selected trial."""
        numbers = (None if t is None else t.number for t, _ in self._trials)
        index = next((i for i, number in enumerate(numbers) if number is not None and number == self._selected), None)
        return next(((column, line) for column, line, which in self.drawing.marks if which == index), None)

    def _read_points(self, view: StudyView, x: str, y: str) -> Sequence[tuple[Trial | None, Point]]:
        """All points; those of ended trials are made once."""
        ended = [trial for trial in view.trials if not _moves(trial)]  # the same objects until one is read again
        made_of = (ended, view.ranked, view.outline, view.certainty, x, y)
        if self._made_of != made_of:
            self._made_of = made_of
            self._settled = [pair for pair in chart_trials(view, x, y) if pair[0] is None or not _moves(pair[0])]
        others = [*cascade_points(view, self._cascades, x, y), *screened_points(view, x, y)]
        joined = [(None, point) for point in others]
        return [*self._settled, *joined, *chart_trials(view, x, y, [*view.running, *view.waiting])]

    def _fitting(self, pairs: Sequence[tuple[Trial | None, Point]]) -> Sequence[tuple[Trial | None, Point]]:
        """Without the trials that a filter leaves out; those on the frontier stay as corners of its edge."""
        kept = self._kept
        if kept is None:
            return pairs
        inside = [(trial, point) for trial, point in pairs if trial is None or trial.number in kept]
        outside = [(t, p) for t, p in pairs if t is not None and t.number not in kept and p.edge]
        return [*inside, *((None, dataclasses.replace(point, outside=True)) for _, point in outside)]

    def _reading(self, index: int) -> str:
        """A mark in words: its label and both values."""
        _, point = self._trials[index]
        values = (fmt.metric(name, value) for name, value in zip(self._axes()[::-1], (point.y, point.x), strict=True))
        return safe_line(f"{self._label(index)} {', '.join(values)}", 60)

    def _label(self, index: int) -> str:
        """Whose mark it is."""
        trial, point = self._trials[index]
        return point.label or (NAMES.get(point.kind, "") if trial is None else f"#{trial.number}")

    @on(Chart.Drawn)
    def name_marks(self) -> None:
        """The legend is in the lower border, or what the mouse is over."""
        reading = self._reading(self._over) if self._over is not None and self._over < len(self._trials) else ""
        entitle(self, subtitle=reading or self.legend(self.drawing.legend))

    @on(Chart.Hovered)
    def read_mark(self, event: Chart.Hovered) -> None:
        self._over = event.index
        self.name_marks()

    @on(Chart.Picked)
    def pick(self, event: Chart.Picked) -> None:
        """Take the trial that was clicked."""
        trial = self._trials[event.index][0] if event.index < len(self._trials) else None
        if trial is None:
            return
        self._selected = trial.number
        self.post_message(self.Moved(trial.number))
        if event.twice:
            self.post_message(self.Opened())

    def action_step(self, axis: str, by: int) -> None:
        """The next point along an axis."""
        if self._view is None:
            return
        name = self._axes()[axis == "y"]
        view = self._view
        trials = [trial for trial, _ in self._trials if trial is not None]
        trials.sort(key=lambda t: (view.means(t).get(name) or 0.0, t.number))
        numbers = [t.number for t in trials]
        if not numbers:
            return
        place = numbers.index(self._selected) + by if self._selected in numbers else 0
        self._selected = numbers[min(max(place, 0), len(numbers) - 1)]
        self.post_message(self.Moved(self._selected))

    def action_objectives(self) -> None:
        """The two main metrics of the study."""
        self.forget_zoom()
        self._x = self._y = ""
        self._log = None
        self._draw()
        self.post_message(self.Axes())

    def action_axis(self, axis: str) -> None:
        """Another metric on an axis: the objectives first, then whatever was measured; of logged runs by name, because
        the axes are their objectives.
        """
        view = self._view
        if view is None:
            return
        measured = {name for trial in view.trials for name, value in view.values(trial).items() if value is not None}
        first = [] if view.study.kind == LOG else [o.metric for o in view.objectives]
        names = list(dict.fromkeys([*first, *sorted(measured)]))
        self.forget_zoom()
        x, y = self._axes()
        here, other = (x, y) if axis == "x" else (y, x)
        after = [n for n in [*names[names.index(here) + 1 :], *names] if n != other] if here in names else names
        if axis == "x":
            self._x, self._y, self._log = after[0], y, None
        else:
            self._x, self._y = x, after[0]
        self._draw()
        self.post_message(self.Axes())

    def action_colour(self) -> None:
        """By the next setting that varies, then by none."""
        if self._view is None:
            return
        names = ["", *colours.choices(self._view)]
        now = colours.usual(self._view) if self._by is None else self._by
        self._by = names[(names.index(now) + 1) % len(names)] if now in names else ""
        self._draw()
        self.post_message(self.Axes())

    def action_log_scale(self) -> None:
        self._log = not self._log_shown
        self.forget_zoom()
        self._draw()
        self.post_message(self.Axes())

    def action_live(self) -> None:
        self._live = not self._live
        self._draw()


def _part_words(axis: Axis) -> str:
    """Which part of an axis is shown; empty for all of it."""
    return "" if axis.limits is None else f" {range_words(axis, axis.limits)}"


def _moves(trial: Trial) -> bool:
    return trial.state in (TrialState.RUNNING, TrialState.WAITING)
