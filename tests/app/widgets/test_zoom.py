"""Zooming keeps what is under the pointer where it is, and goes back the way it came."""

from __future__ import annotations

import pytest
from textual import events
from textual.app import App, ComposeResult

from bertdistill.app.draw.axes import Axis, Scale
from bertdistill.app.draw.plane import Point, frontier_drawing
from bertdistill.app.widgets.zoom import DEEPEST, Zoom, ZoomChart, narrowed

POINTS = [Point(x, y, "frontier", f"#{x}", edge=True) for x, y in ((10, 20), (30, 60), (50, 80))]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_value_under_the_pointer_keeps_its_place(share: float, log: bool) -> None:
    """On both kinds of axis."""
    before = Scale(Axis("", "minimize", log=log), 10.0, 1000.0)
    after = Scale(before.axis, *narrowed(before, share))
    assert before.value(share) == pytest.approx(after.value(share))
    assert before.low <= after.low < after.high <= before.high * (1 + 1e-9)


class Zoomed(ZoomChart):
    """A frontier of three points."""

    def redraw(self) -> None:
        x, y = Axis("", "minimize", limits=self.zoom.x), Axis("", "maximize", limits=self.zoom.y)
        self.draw(lambda look: frontier_drawing(POINTS, x, y, look))


class Bench(App[None]):
    def compose(self) -> ComposeResult:
        yield Zoomed()

    def on_mount(self) -> None:
        self.query_one(Zoomed).redraw()


async def test_keys_and_wheel_zoom_in_and_out() -> None:
    """The wheel about the pointer, with alt only y; out goes back, a reset to all; marks stay where they are hit."""
    async with Bench().run_test(size=(60, 20)) as pilot:
        chart = pilot.app.query_one(Zoomed)
        await pilot.pause()
        column, line, _ = next(mark for mark in chart.drawing.marks if mark[2] == 1)

        def wheel(kind: type[events.MouseScrollUp | events.MouseScrollDown], *, alt: bool = False) -> None:
            chart.post_message(kind(chart, column, line, 0, 0, 0, False, alt, False, column, line))

        wheel(events.MouseScrollUp)
        await pilot.pause()
        now = next(mark for mark in chart.drawing.marks if mark[2] == 1)
        assert abs(now[0] - column) <= 1
        assert abs(now[1] - line) <= 1
        once = chart.zoom
        wheel(events.MouseScrollUp, alt=True)
        await pilot.pause()
        assert (once.x, True) == (chart.zoom.x, chart.zoom.y != once.y)
        wheel(events.MouseScrollDown)
        await pilot.pause()
        assert once == chart.zoom
        for _ in range(2 * DEEPEST):
            chart.action_zoom(1)
        chart.action_zoom_reset()
        assert Zoom() == chart.zoom
        chart.action_zoom(-1)
        assert 3 == len(chart.drawing.marks)
