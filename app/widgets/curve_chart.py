"""Curves of the chosen trials over steps, examples or time, with a crosshair. It reads no store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from textual import on

from bertdistill.app.bindings import bindings
from bertdistill.app.draw.axes import number
from bertdistill.app.draw.curves import Curve, curves_drawing
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.curves import TrialCurve
from bertdistill.app.views.points import chart_lines
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.titles import entitle
from bertdistill.app.widgets.zoom import FACTOR, Which, ZoomChart

TOTAL, SOFT, HARD = "train/loss", "train/soft_loss", "train/hard_loss"
SMOOTHING = (0.0, 0.6, 0.9, 0.97)
"""Weights of the past in the moving average; the first means no smoothing."""
AXES = ("step", "examples", "minutes")
EVALUATION = "search/"
"""Series of the validation split begin with this."""
NOT_YET = "Curves appear when a trial has reported its first steps."
LEAST_COLUMNS, MOST_COLUMNS = 60, 4000
"""Parts that are read of a curve: one for each column of the chart, and so many more as it is zoomed in."""
LEAST_SECONDS = 0.9
"""The same curves with more points are redrawn only after this time: it halves the cost and is not visible."""


class CurvesChart(ZoomChart):
    """Loss and scores of up to six trials."""

    PLACE = "curves"
    ZOOMS: Which = "x"
    BINDINGS: ClassVar = bindings("curves")
    HELP = """
The score on the validation split comes first, then the losses (`v`). Where there are few values `●` marks each; the
lines between were not measured. Each curve has its own colour, or its own dashes where there is none, and one of
several its name at its end. Arrows move the crosshair, whose values stand in the lower
border; `+` and `-` zoom in on the steps about it, the wheel about the pointer, and `0` shows all again. Points that are
not finite are counted in the title and never drawn.
"""

    _curves: Sequence[TrialCurve] = ()
    _names: Sequence[str] = ()
    _across: tuple[tuple[float, str], ...] = ()
    _set = 0
    _axis = 0
    _smooth = 0
    _log = False
    _live = True
    _drawn_at = 0.0
    _read = 0
    """Columns of the curves that are drawn."""
    _none = NOT_YET
    _at: float | None = None
    """Place of the crosshair as a share of the x range, 0 to 1."""

    @property
    def columns(self) -> int:
        """Parts to read of each curve."""
        return min(MOST_COLUMNS, round(max(LEAST_COLUMNS, self.size.width) / FACTOR**self.depth))

    def wanted(self, names: Sequence[str], trials: int, scores: Sequence[str]) -> list[str]:
        """Which of the existing series to read, for this many trials; those of `scores` come first."""
        sets = _sets(names, trials, scores)
        return sets[self._set % len(sets)] if sets else []

    def show(self, curves: Sequence[TrialCurve], names: Sequence[str], view: StudyView, none: str = "") -> None:
        """Draw these, unless they are drawn already; a frozen chart keeps its curves. `none`: why there are none.

        Among scores the study's own lines are drawn: threshold, chance and teacher.
        """
        self._none = none or NOT_YET
        if self._curves and (self._curves, self._names) == (curves, names):
            return
        grown = [(c.trial, c.series) for c in curves] == [(c.trial, c.series) for c in self._curves]
        if grown and self._read == self.columns and time.monotonic() - self._drawn_at < LEAST_SECONDS:
            return  # a later refresh includes these points, too
        if self._live or not self._curves:
            self._curves, self._names, self._read = curves, names, self.columns
            metrics = {c.series.removeprefix(EVALUATION) for c in curves if c.series.startswith(EVALUATION)}
            alone = len({c.series for c in curves}) == 1
            self._across = chart_lines(view, metrics.pop()) if metrics and alone else ()
        self._draw()

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        axis = AXES[self._axis]
        several = len({c.trial for c in self._curves}) > 1
        names = [f"{c.label} {_short(c.series)}" if several else _short(c.series) for c in self._curves]
        drawn = [curve_of(c, axis, name=name) for c, name in zip(self._curves, names, strict=True)]
        steps = [s for curve in drawn for s in curve.steps]
        crosshair = None
        if self._at is not None and steps:
            low, high = self.zoom.x or (min(steps), max(steps))
            crosshair = low + self._at * (high - low)
        make = partial(
            curves_drawing,
            drawn,
            axis,
            log=self._log,
            crosshair=crosshair,
            smoothing=SMOOTHING[self._smooth],
            lines=self._across,
            within=self.zoom.x,
        )
        self.draw(make, empty=self._none)
        entitle(self, title=self._title())

    def _title(self) -> str:
        numbers = " ".join(dict.fromkeys(c.label for c in self._curves))
        series = ", ".join(dict.fromkeys(_short(c.series) for c in self._curves))
        words = [f"Curves {numbers}: {series}" if self._curves else "Curves", f"({'live' if self._live else 'frozen'}"]
        if SMOOTHING[self._smooth]:
            words.append(f", smoothed {SMOOTHING[self._smooth]:g}")
        if self._log:
            words.append(", log y")
        if self.zoom.x is not None:
            words.append(f", {AXES[self._axis]} {' to '.join(map(number, self.zoom.x))}")
        hidden = sum(c.not_finite for c in self._curves)
        return safe_line(f"{words[0]} {''.join(words[1:])})" + (f"  {hidden} not finite" if hidden else ""), 200)

    @on(Chart.Drawn)
    def name_values(self, event: Chart.Drawn) -> None:
        """The values under the crosshair, else what each line is; the title names a single one."""
        readings = [f"{name} {fmt.setting(value)}" for name, value in event.drawing.readings]
        # Without the newest values: they change with every refresh, and the whole pane would be repainted.
        names = [replace(word, text=word.text.rpartition(" ")[0]) for word in event.drawing.legend]
        entitle(self, subtitle="  ".join(readings) or (self.legend(names) if len(names) > 1 else ""))

    def redraw(self) -> None:
        self._draw()
        self._read_again()  # the values between

    def centre(self) -> tuple[float, float] | None:
        """The crosshair, if there is one."""
        window = self.drawing.window
        if window is None or self._at is None:
            return None
        return window.left + self._at * (1 - window.spare) * (window.columns - 1), window.top

    def action_crosshair(self, by: int) -> None:
        """Move by columns of the chart; beyond either end it is hidden."""
        width = max(20, self.size.width)
        at = (1.0 if by < 0 else 0.0) if self._at is None else self._at + by / width
        self._at = None if not 0.0 <= at <= 1.0 else at
        self._draw()

    def action_log_scale(self) -> None:
        self._log = not self._log
        self._draw()

    def action_live(self) -> None:
        self._live = not self._live
        self._draw()

    def action_smoothing(self) -> None:
        self._smooth = (self._smooth + 1) % len(SMOOTHING)
        self._draw()

    def action_x_axis(self) -> None:
        self._axis = (self._axis + 1) % len(AXES)
        self.forget_zoom()
        self._draw()

    def action_series(self) -> None:
        self._set += 1
        self.forget_zoom()
        self._curves = ()
        self._read_again()

    def _read_again(self) -> None:
        program: Any = self.app
        program.look_again()


def small_curve(curve: TrialCurve) -> Curve:
    """The mean of each column, for a chart in which a band would hide the others; its label ends in the last value."""
    values = [point.value_mean for point in curve.points]
    last = f" {curve.points[-1].value_last:.4g}" if curve.points else ""
    return Curve(safe_line(curve.label, 40), curve.steps("step"), values, safe_line(f"{curve.label}{last}", 14))


def in_order(names: Sequence[str], scores: Sequence[str]) -> list[str]:
    """All series by themselves, in the order in which they are offered."""
    return list(dict.fromkeys(name for one in _sets(names, 1, scores) for name in one))


def _sets(names: Sequence[str], trials: int, scores: Sequence[str]) -> list[list[str]]:
    """The scores of the validation split, those of the study first, then losses, then every other series."""
    terms = sorted(n for n in names if n.startswith("train/") and n.endswith("_loss") and n not in (SOFT, HARD))
    losses = [n for n in ((TOTAL, SOFT, HARD, *terms) if trials < 3 else (TOTAL,)) if n in names]
    first = [n for score in scores if (n := f"{EVALUATION}{score}") in names]
    rest = sorted((n for n in names if n not in (*losses, *first)), key=lambda n: (not n.startswith(EVALUATION), n))
    return [*([n] for n in first), *([losses] if losses else []), *([n] for n in rest)]


def _short(series: str) -> str:
    return series.removeprefix("train/").removeprefix(EVALUATION)


def curve_of(curve: TrialCurve, axis: str, *, name: str) -> Curve:
    """Lowest and highest of each column, so that a spike is never lost."""
    steps: list[float] = []
    values: list[float | None] = []
    for step, point in zip(curve.steps(axis), curve.points, strict=True):
        for value in dict.fromkeys((point.value_min, point.value_max)):
            steps.append(step)
            values.append(value)
    single = all(point.value_min == point.value_max for point in curve.points)
    return Curve(safe_line(name, 40), steps, values, measured=single)
