"""Zooming in on a chart: by keys about its cursor, by the wheel about the pointer. It draws nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textual import events

from bertdistill.app.draw.axes import Axis, Scale
from bertdistill.app.widgets.chart import Chart

FACTOR = 0.6
"""What is left of an axis with each step."""
DEEPEST = 8
"""Steps at most: a sixtieth of the axis."""
Limits = tuple[float, float]
Which = Literal["x", "y", "xy"]


@dataclass(frozen=True)
class Zoom:
    """The limits of both axes, None for all of one."""

    x: Limits | None = None
    y: Limits | None = None


class ZoomChart(Chart):
    """A chart of which a part can be drawn larger; each step out goes back to what was shown before."""

    ZOOMS: Which = "xy"
    """Axes that can be zoomed."""
    _zooms: tuple[Zoom, ...] = ()

    @property
    def zoom(self) -> Zoom:
        """What is shown now."""
        return self._zooms[-1] if self._zooms else Zoom()

    @property
    def depth(self) -> int:
        """How many steps it is zoomed in."""
        return len(self._zooms)

    def redraw(self) -> None:
        """Draw with `zoom`; that is up to the kind of chart."""
        raise NotImplementedError  # abstract: Textual's metaclass does not combine with that of ABC

    def centre(self) -> tuple[float, float] | None:
        """The cell of the text that keys zoom about, column and line; None for the middle."""
        return None

    def forget_zoom(self) -> None:
        """All of it, from the next drawing on: other axes have other values."""
        self._zooms = ()

    def action_zoom(self, by: int) -> None:
        """In or out."""
        self._step(self.centre(), by, "xy")

    def action_zoom_reset(self) -> None:
        self.forget_zoom()
        self.redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, by: int) -> None:
        """With ctrl only x, with alt or shift only y; many terminals keep the wheel with shift for themselves."""
        place = event.get_content_offset(self)
        if place is not None:
            event.stop()
            self._step((place.x, place.y), by, "x" if event.ctrl else "y" if event.meta or event.shift else "xy")

    def _step(self, place: tuple[float, float] | None, by: int, which: Which) -> None:
        window = self.drawing.window
        before = self._zooms
        if by < 0:
            self._zooms = before[:-1]
        elif window is not None and self.depth < DEEPEST:
            x, y = window.shares(*place) if place else (0.5, 0.5)
            now, wanted = self.zoom, set(which) & set(self.ZOOMS)
            across = narrowed(window.x, x) if "x" in wanted else now.x
            up = narrowed(window.y, y) if "y" in wanted else now.y
            self._zooms = (*before, Zoom(across, up)) if wanted else before
        if self._zooms != before:
            self.redraw()


def narrowed(scale: Scale, share: float) -> Limits:
    """The limits of a part of the axis in which the value at `share` keeps its place."""
    low = share * (1 - FACTOR)
    return scale.value(low), scale.value(low + FACTOR)


def range_words(axis: Axis, limits: Limits) -> str:
    """`84 to 88`."""
    return " to ".join(map(axis.text, limits))
