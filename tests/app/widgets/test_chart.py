"""The chart draws itself at its size and theme, sends only what differs, and tells its owner what to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from rich.color import ColorType
from textual.app import App, ComposeResult
from textual.color import Color
from textual.geometry import Region, Size
from textual.screen import Screen

from bertdistill.app.draw.axes import Axis
from bertdistill.app.draw.canvas import Drawing, Look, Word
from bertdistill.app.draw.curves import Curve, curves_drawing
from bertdistill.app.draw.plane import Point, frontier_drawing
from bertdistill.app.widgets.chart import Chart, palette

X, Y = Axis("", "minimize"), Axis("", "maximize")


def points(*more: Point) -> list[Point]:
    return [Point(10, 20, "frontier", "#1", edge=True), Point(50, 80, "frontier", "#2", edge=True), *more]


def frontier(*more: Point) -> Callable[[Look], Drawing]:
    return lambda look: frontier_drawing(points(*more), X, Y, look)


class Bench(App[None]):
    """One chart, what it said, and the looks that it drew with."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Drawing] = []
        self.heard: list[Chart.Hovered | Chart.Picked] = []
        self.looks: list[Look] = []
        self.chart = Chart()

    def compose(self) -> ComposeResult:
        yield self.chart

    def on_chart_drawn(self, event: Chart.Drawn) -> None:
        assert event.control is self.chart
        self.said.append(event.drawing)

    def on_chart_hovered(self, event: Chart.Hovered) -> None:
        self.heard.append(event)

    def on_chart_picked(self, event: Chart.Picked) -> None:
        self.heard.append(event)

    def recorded(self, make: Callable[[Look], Drawing]) -> Callable[[Look], Drawing]:
        def record(look: Look) -> Drawing:
            self.looks.append(look)
            return make(look)

        return record

    def lines(self) -> list[str]:
        return [self.chart.render_line(y).text for y in range(self.chart.size.height)]


def watch_repaints(chart: Chart, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Region, ...]]:
    """From now on, the regions of every refresh; an empty tuple is all of the chart."""
    seen: list[tuple[Region, ...]] = []
    refresh: Callable[..., Any] = chart.refresh

    def spy(*regions: Region, **options: bool) -> Any:
        seen.append(regions)
        return refresh(*regions, **options)

    monkeypatch.setattr(chart, "refresh", spy)
    return seen


async def test_a_chart_fills_its_widget() -> None:
    """Drawn at the content's size, without a frame of its own, once."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(app.recorded(frontier()))
        await pilot.pause()
        assert {60} == {len(line) for line in app.lines()}
        assert "#1★" in "".join(app.lines())
        assert [(60, 20, False)] == [(look.width, look.height, look.frame) for look in app.looks]


async def test_what_was_drawn_before_there_was_room_appears() -> None:
    """`draw` may be called before the first layout."""
    app = Bench()
    app.chart.draw(frontier())
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        assert "#1★" in "".join(app.lines())


async def test_only_what_differs_is_repainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more point is one cell on one line; the same drawing is nothing."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(frontier())
        await pilot.pause()
        seen = watch_repaints(app.chart, monkeypatch)
        app.chart.draw(frontier())
        assert [] == seen
        app.chart.draw(frontier(Point(40, 35, "dominated")))
        ((region,),) = seen
        assert (1, 1) == region.size
        assert "●" == app.lines()[region.y][region.x]


async def test_the_owner_hears_of_changes_only() -> None:
    """Legend, hidden points and readings are told once; the same again is not."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(frontier())
        app.chart.draw(frontier())
        app.chart.draw(frontier(Point(40, 35, "frontier")))
        app.chart.draw(frontier(Point(40, 35, "dominated")))
        app.chart.draw(frontier(Point(float("nan"), 35, "dominated")))
        await pilot.pause()
        assert [(("★ frontier",), 0), (("★ frontier", "● dominated"), 0), (("★ frontier",), 1)] == [
            (tuple(word.text for word in d.legend), d.hidden) for d in app.said
        ]
        assert app.said[-1] == app.chart.drawing


async def test_a_new_size_draws_again() -> None:
    """The same function with another look."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(app.recorded(frontier()))
        await pilot.resize_terminal(44, 12)
        await pilot.pause()
        assert (44, 12) == (app.looks[-1].width, app.looks[-1].height)
        assert {44} == {len(line) for line in app.lines()}


@pytest.mark.parametrize("size", [(1, 1), (19, 10), (60, 5), (3, 2)])
async def test_no_room_is_said(size: tuple[int, int]) -> None:
    """Below 20 by 6 there are words, and nothing is drawn."""
    app = Bench()
    async with app.run_test(size=size) as pilot:
        app.chart.draw(app.recorded(frontier()))
        await pilot.pause()
        assert ([], True) == (app.looks, "too small for a chart".startswith(app.lines()[0].split()[0][:1]))


async def test_nothing_to_draw_shows_words() -> None:
    """No function, and a drawing without a chart, show the owner's words, or the drawing's own."""
    app = Bench()
    async with app.run_test(size=(40, 10)) as pilot:
        app.chart.draw(None, empty="no trial has finished yet")
        await pilot.pause()
        assert "no trial has finished yet" == app.lines()[0].strip()
        app.chart.draw(lambda look: curves_drawing([Curve("a", [1], [None])], "", look), empty="[b]no loss[/b]")
        await pilot.pause()
        assert "[b]no loss[/b]" == app.lines()[0].strip()
        app.chart.draw(lambda look: curves_drawing([], "", look))
        await pilot.pause()
        assert "no value to draw yet" == app.lines()[0].strip()
        app.chart.draw(frontier())
        await pilot.pause()
        assert "#1★" in "".join(app.lines())


async def test_colours_follow_the_theme() -> None:
    """A theme with RGB colours gives RGB; an ANSI theme gives the terminal's own sixteen."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(app.recorded(frontier()))
        await pilot.pause()
        dark = _colour(app)
        app.theme = "textual-light"
        await pilot.pause()
        light = _colour(app)
        app.theme = "ansi-dark"
        await pilot.pause()
        ansi = _colour(app)
        assert (ColorType.TRUECOLOR, ColorType.TRUECOLOR, ColorType.STANDARD) == (dark.type, light.type, ansi.type)
        assert dark != light
        assert 3 == len(app.looks)


async def test_focus_does_not_draw_again() -> None:
    """A change of focus has another style and the same picture."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(app.recorded(frontier()))
        app.chart.focus()
        await pilot.pause()
        app.set_focus(None)
        await pilot.pause()
        app.lines()
        assert 1 == len(app.looks)


async def test_no_colour_is_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR the drawing asks for none, and the glyphs still tell."""
    monkeypatch.setenv("NO_COLOR", "1")
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(app.recorded(frontier()))
        await pilot.pause()
        assert [False] == [look.colour for look in app.looks]
        assert "#1★" in "".join(app.lines())


async def test_the_marker_can_change() -> None:
    """ASCII turns every character into ASCII, in place."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(frontier())
        await pilot.pause()
        app.chart.marker = "ascii"
        await pilot.pause()
        assert "".join(app.lines()).isascii()
        assert "#1*" in "".join(app.lines())


async def test_a_hidden_chart_waits() -> None:
    """While it is not shown nothing is drawn; when it is shown it is up to date."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(frontier())
        await pilot.pause()
        app.chart.display = False
        await pilot.pause()
        app.chart.draw(app.recorded(frontier(Point(40, 35, "running", "#3"))))
        await pilot.pause()
        assert [] == app.looks
        app.chart.display = True
        await pilot.pause()
        assert ("▷#3" in "".join(app.lines()), 1) == (True, len(app.looks))


async def test_a_covered_chart_waits() -> None:
    """The same under another screen, and the screen that comes back shows the new picture."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(frontier())
        await pilot.pause()
        await app.push_screen(Screen())
        await pilot.pause()
        app.chart.draw(app.recorded(frontier(Point(40, 35, "running", "#3"))))
        await pilot.pause()
        assert [] == app.looks
        app.pop_screen()
        await pilot.pause()
        assert 1 == len(app.looks)
        assert "▷#3" in "".join(strip.text for strip in app.screen._compositor.render_strips())


def test_a_palette_needs_rgb() -> None:
    """Variables that are no RGB colours leave their entries to the defaults; pale ones lie between two colours."""
    found = palette({"text-success": "#00FF00", "foreground": "#FFFFFF", "text-primary": "ansi_blue"}, Color(0, 0, 0))
    assert ((0, 255, 0), (153, 153, 153), False) == (found["frontier"], found["dominated"], "running" in found)


def _colour(app: Bench) -> Any:
    strips = [app.chart.render_line(y) for y in range(app.chart.size.height)]
    return next(s.style.color for strip in strips for s in strip if s.style is not None and "★" in s.text)


async def test_the_mouse_reads_and_takes_marks() -> None:
    """Over a mark, beside it, on nothing; a click takes the mark that is nearest."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(frontier())
        await pilot.pause()
        (first_x, first_y, _), (second_x, second_y, _) = app.chart.drawing.marks
        await pilot.hover(Chart, offset=(first_x, first_y))
        await pilot.hover(Chart, offset=(first_x + 15, first_y + 3))
        await pilot.click(Chart, offset=(second_x - 1, second_y))
        await pilot.click(Chart, offset=(30, 1))
        await pilot.pause()
        assert [0, None] == [one.index for one in app.heard if isinstance(one, Chart.Hovered)][:2]
        assert [1] == [one.index for one in app.heard if isinstance(one, Chart.Picked)]


async def test_the_area_is_shaded_where_colours_can_be_mixed() -> None:
    """Only the background changes, and only there."""
    app = Bench()
    async with app.run_test(size=(60, 20)) as pilot:
        app.chart.draw(frontier())
        await pilot.pause()
        line, start, end = app.chart.drawing.area[-1]
        backs = [style and style.bgcolor for text, style, _ in app.chart.render_line(line) for _ in text]
        assert len({str(back) for back in backs[start:end]}) == 1
        assert backs[start] != backs[start - 1]


def test_a_legend_has_the_colours_that_it_explains() -> None:
    """And no markup or control code of a name."""
    chart = Chart()
    words = [Word("● [b]mlp[/b]\x1b[31m", "series0"), Word("┄ teacher")]
    with patch.object(Chart, "look", Look(palette={"series0": (1, 2, 3)})):
        text = chart.legend(words)
    assert text.plain.startswith("● [b]mlp[/b]")
    assert "\x1b" not in text.plain
    assert [(1, 2, 3)] == [tuple(s.style.color.triplet) for s in text.spans if s.style.color]  # type: ignore[union-attr]


def test_a_legend_drops_what_it_has_no_room_for() -> None:
    """Whole words: half of a name explains nothing."""
    chart = Chart()
    words = [Word("● linear"), Word("┄ chance 33.70 (off the chart)"), Word("▲ mlp")]
    with patch.object(Chart, "size", Size(24, 8)), patch.object(Chart, "look", Look()):
        assert "● linear  ▲ mlp" == chart.legend(words).plain
