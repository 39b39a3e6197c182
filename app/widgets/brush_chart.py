"""A chart of parallel axes on which a range is chosen, by dragging along an axis or by keys. It knows no trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.message import Message

from bertdistill.app.bindings import bindings
from bertdistill.app.draw.parallel import FOOT, HEAD, slot_of
from bertdistill.app.widgets.chart import Chart

STEP = 0.05
"""How far a key moves along an axis, as a share of it."""


class BrushChart(Chart):
    """Says which part of which axis is wanted; what that means is up to its owner."""

    PLACE = "brush"
    BINDINGS: ClassVar = bindings("brush")
    HELP = """
Drag along an axis to choose a range of it, or go there with the arrows and press `space` at both ends: the other
trials fade, and the list shows those in the range; so do the list and the chart of the study. Ranges on several axes
narrow it down together. A click on an axis removes its range, `escape` removes all.
"""

    @dataclass
    class Brushed(Message):
        """A range of an axis, in shares of it, or None for all of it; `at` is the place of the keys' cursor."""

        chart: BrushChart
        axis: int
        span: tuple[float, float] | None
        done: bool = True

        @property
        def control(self) -> BrushChart:
            return self.chart

    @dataclass
    class Pointed(Message):
        """The keys' cursor is somewhere else, or gone."""

        chart: BrushChart

        @property
        def control(self) -> BrushChart:
            return self.chart

    axes = 0
    """How many are on screen."""
    _axis, _share = 0, 0.5
    _anchor: float | None = None
    """Where the range began that is being chosen."""
    _drags = False

    @property
    def cursor(self) -> tuple[int, float] | None:
        """Axis and share of it at which the keys are; None without the focus."""
        return (min(self._axis, self.axes - 1), self._share) if self.has_focus and self.axes else None

    def on_focus(self) -> None:
        self.post_message(self.Pointed(self))

    def on_blur(self) -> None:
        self._anchor = None
        self.post_message(self.Pointed(self))

    # -------------------------------------------------------------------------------------------------------- by keys

    def action_other_axis(self, by: int) -> None:
        self._anchor, self._axis = None, max(0, min(self.axes - 1, self._axis + by))
        self.post_message(self.Pointed(self))

    def action_along(self, by: int) -> None:
        """Up or down the axis; the range follows, if one was begun."""
        self._share = max(0.0, min(1.0, self._share + by * STEP))
        if self._anchor is None:
            self.post_message(self.Pointed(self))
        else:
            self._brush(done=False)

    def action_range(self) -> None:
        """Begin a range here, or end it."""
        if self._anchor is None:
            self._anchor = self._share
            self._brush(done=False)
        else:
            self._brush(done=True)
            self._anchor = None

    def _brush(self, *, done: bool) -> None:
        if self._anchor is not None:
            span = (min(self._anchor, self._share), max(self._anchor, self._share))
            self.post_message(self.Brushed(self, self._axis, span, done))

    # ----------------------------------------------------------------------------------------------------- by dragging

    def _place(self, event: events.MouseEvent) -> tuple[int, float]:
        """The axis nearest to the mouse, and the share of it at this height, both within the chart."""
        x, y = event.screen_x - self.content_region.x, event.screen_y - self.content_region.y
        slot, rows = slot_of(self.size.width, self.axes), self.size.height - HEAD - FOOT
        share = 1 - (y - HEAD) / max(1, rows - 1)
        return max(0, min(self.axes - 1, x // max(1, slot))), max(0.0, min(1.0, share))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if self.axes:
            self._axis, self._share = self._place(event)
            self._anchor, self._drags = self._share, True
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._drags:
            self._share = self._place(event)[1]
            self._brush(done=False)

    def on_mouse_up(self) -> None:
        if self._drags:
            self.release_mouse()
            if self._anchor == self._share:
                self.post_message(self.Brushed(self, self._axis, None))
            else:
                self._brush(done=True)
            self._anchor, self._drags = None, False
