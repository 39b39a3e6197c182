"""A chart that repaints only the lines that changed. It draws nothing itself: a function of a Look does.

The owner passes that function and sets the title and the legend; size, theme and marker are known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from textwrap import wrap

from rich.cells import cell_len
from rich.color import Color as Paint
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import RenderResult
from textual.color import Color
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from bertdistill.app.draw.canvas import COLOURS, LEAST, Colour, Drawing, Look, Word
from bertdistill.app.draw.dots import Marker
from bertdistill.app.text.safe import safe_line

_SHADES: dict[str, tuple[str, float]] = {
    "frontier": ("text-success", 1.0),
    "baseline": ("text-warning", 1.0),
    "running": ("text-primary", 1.0),
    "reference": ("text-secondary", 1.0),
    "tied": ("text-success", 0.8),
    "cascade": ("text-primary", 1.0),
    "screened": ("foreground", 0.6),
    "dominated": ("foreground", 0.6),
    "infeasible": ("foreground", 0.35),
    "line": ("foreground", 0.5),
    "series0": ("text-primary", 1.0),
    "series1": ("text-accent", 1.0),
    "series2": ("text-success", 1.0),
    "series3": ("text-error", 1.0),
    "series4": ("text-secondary", 1.0),
    "series5": ("foreground", 0.8),
}
"""Theme variable of each colour in a chart, and its opacity over the background."""
LEAST_CONTRAST = 4.5
"""Of marks, lines and labels with the background, as WCAG 2 asks of text."""
_AREA = 0.08
"""Opacity of the area that the frontier dominates."""
_REACH = (2, 1)
"""Columns and lines from a mark that the mouse still hits it at."""


def palette(variables: Mapping[str, str], background: Color) -> dict[str, Colour]:
    """Chart colours from a theme with RGB colours; a variable that is not an RGB colour is skipped."""
    found: dict[str, Colour] = {}
    for key, (name, strength) in _SHADES.items():
        value = variables.get(name, "")
        if value.startswith("#"):
            found[key] = readable(background.blend(Color.parse(value), strength), background).rgb
    return found


def readable(colour: Color, background: Color) -> Color:
    """The colour, or the nearest one towards black or white that has enough contrast with the background."""
    end = max((Color(0, 0, 0), Color(255, 255, 255)), key=lambda one: contrast(one, background))
    shades = (colour.blend(end, share / 20) for share in range(21))
    return next((one for one in shades if contrast(one, background) >= LEAST_CONTRAST), end)


def contrast(one: Color, other: Color) -> float:
    """The contrast ratio of WCAG 2, from 1 to 21."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Color) -> float:
    parts = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


class Chart(Widget, can_focus=True):
    """Draws a Drawing at its own size, and again when size, theme or marker change; unchanged lines are not sent."""

    DEFAULT_CSS = """
    Chart { width: 1fr; height: 1fr; }
    """

    marker: reactive[Marker] = reactive[Marker]("braille")
    """`ascii` turns every character of the chart into ASCII."""

    @dataclass
    class Drawn(Message):
        """Legend, readings or the count of hidden points changed."""

        chart: Chart
        drawing: Drawing

        @property
        def control(self) -> Chart:
            return self.chart

    @dataclass
    class Picked(Message):
        """A mark was clicked, `index` in what was drawn."""

        chart: Chart
        index: int
        twice: bool

        @property
        def control(self) -> Chart:
            return self.chart

    @dataclass
    class Hovered(Message):
        """The mouse is over this mark, or over none."""

        chart: Chart
        index: int | None

        @property
        def control(self) -> Chart:
            return self.chart

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._hovered: int | None = None
        self._make: Callable[[Look], Drawing] | None = None
        self._empty = ""
        self._strips: dict[int, tuple[tuple[str, tuple[int, int] | None], Strip]] = {}
        self._drawing = Drawing("", drawn=False)
        self._drawn_for: Look | None = None
        self._stale = True
        self._restyled = False

    @property
    def drawing(self) -> Drawing:
        """What was drawn last."""
        return self._drawing

    @property
    def look(self) -> Look:
        """Size, colours and marker that a drawing gets now. With an ANSI theme colours are palette indexes."""
        app = self.app
        return Look(
            width=self.size.width,
            height=self.size.height,
            colour=not app.no_color,
            marker=self.marker,
            palette=None if app.native_ansi_color else palette(app.theme_variables, self.background_colors[1]),
            frame=False,
        )

    def draw(self, make: Callable[[Look], Drawing] | None, *, empty: str = "") -> None:
        """Keep `make` and draw with it; while hidden, only keep it.

        None, and a drawing that is only a sentence, show `empty` (or that sentence). Put the axes' names in the
        border title: the drawing has none.
        """
        self._make, self._empty, self._stale = make, empty, True
        if not self._visible():
            self.refresh()  # the lines that Textual has cached must not be shown again
        elif changed := self._redraw():
            self.refresh(*changed)

    def render(self) -> RenderResult:
        """Never shown: the lines are made in render_line."""
        return ""

    def render_line(self, y: int) -> Strip:
        """One line of the chart, drawn now if that was deferred until visible, or if the look changed."""
        size = self.size
        seen = self._drawn_for
        resized = seen is None or (seen.width, seen.height) != (size.width, size.height)
        if self._stale or resized or (self._restyled and seen != self.look):
            self._redraw()
        self._restyled = False
        _, strip = self._strips.get(y, (None, Strip.blank(size.width)))
        return strip.apply_style(self.rich_style)

    def legend(self, words: Iterable[Word], room: int | None = None) -> Text:
        """These parts of a legend in the colours that they explain; none is cut at the edge of the pane, or after
        `room` cells.
        """
        colours, room = self.look.palette, (self.size.width or 1000) - 4 if room is None else room
        text = Text()
        for word in words:
            if text and text.cell_len + cell_len(word.text) + 2 > room:
                continue  # a shorter one may still fit
            colour = (COLOURS if colours is None else colours).get(word.key)
            paint = Paint.from_rgb(*colour) if isinstance(colour, tuple) else colour
            style = (
                Style() if paint is None else Style(color=Paint.from_ansi(paint) if isinstance(paint, int) else paint)
            )
            text.append("  " if text else "").append(safe_line(word.text, 100), style)
        return text

    def on_click(self, event: events.Click) -> None:
        if (index := self._mark_at(event)) is not None:
            self.post_message(self.Picked(self, index, event.chain == 2))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._hover(self._mark_at(event))

    def on_leave(self) -> None:
        self._hover(None)

    def _hover(self, index: int | None) -> None:
        if index != self._hovered:
            self._hovered = index
            self.post_message(self.Hovered(self, index))

    def _mark_at(self, event: events.MouseEvent) -> int | None:
        """The mark nearest to the mouse, a later one if two share a cell: it is drawn on top."""
        place = event.get_content_offset(self)
        if place is None:
            return None
        near = [
            (abs(x - place.x) + 2 * abs(y - place.y), -index, index)
            for x, y, index in self._drawing.marks
            if abs(x - place.x) <= _REACH[0] and abs(y - place.y) <= _REACH[1]
        ]
        return min(near)[2] if near else None

    def watch_marker(self) -> None:
        self._stale = True

    def notify_style_update(self) -> None:
        """Called for a change of theme, but also of focus, which changes no colour of the chart."""
        super().notify_style_update()
        self._restyled = True

    def _visible(self) -> bool:
        if not (self.is_mounted and self.size):
            return False
        top = self.app.screen  # Textual counts the screen below it as current even if the top one hides it
        return self.is_on_screen and (top is self.screen or (self.screen.is_current and top.styles.background.a < 1))

    def _redraw(self) -> list[Region]:
        """Draw with the current look, notify the owner of changed surroundings, and return the cells that differ."""
        look = self.look
        resized = self._drawn_for is None or self._drawn_for.width != look.width
        self._stale, self._drawn_for = False, look
        before, blank = {} if resized else self._strips, (("", None), Strip.blank(look.width))
        self._strips, changed = {}, []
        lines = [*self._lines(look), *[""] * look.height][: look.height]
        area = {} if look.palette is None else {y: (start, end) for y, start, end in self._drawing.area}
        for y, line in enumerate(lines):
            kept, shaded = before.get(y, blank), area.get(y)
            if kept[0] != (line, shaded):
                old, kept = kept[1], ((line, shaded), self._shade(self._strip(line, look.width), shaded))
                start, end = _differing(old, kept[1])
                changed.append(Region(start, y, end - start, 1))
            self._strips[y] = kept
        return changed

    def _strip(self, line: str, width: int) -> Strip:
        """One line of a drawing in exactly `width` cells; plotext ends the colours of a line on that line."""
        if not line:
            return Strip.blank(width)
        strip = Strip(Text.from_ansi(line).render(self.app.console)).adjust_cell_length(width)
        return Strip(_merged(strip), width)

    def _shade(self, strip: Strip, columns: tuple[int, int] | None) -> Strip:
        """The background of these columns, half-open, faintly in the colour of the frontier."""
        if columns is None or not isinstance(colour := (self.look.palette or {}).get("frontier"), tuple):
            return strip
        start, end = columns
        faint = Style(bgcolor=self.background_colors[1].blend(Color(*colour), _AREA).rich_color)
        parts = strip.crop(0, start), strip.crop(start, end).apply_style(faint), strip.crop(end, strip.cell_length)
        return Strip.join(parts)

    def _lines(self, look: Look) -> list[str]:
        if look.width < LEAST[0] or look.height < LEAST[1]:
            return wrap("too small for a chart", max(1, look.width))
        drawing = self._make(look) if self._make is not None else Drawing(self._empty, drawn=False)
        if _around(drawing) != _around(self._drawing):
            self.post_message(self.Drawn(self, drawing))
        self._drawing = drawing
        if drawing.drawn:
            return drawing.text.split("\n")
        return wrap(self._empty or drawing.text, look.width, initial_indent=" ", subsequent_indent=" ")


def _around(drawing: Drawing) -> Drawing:
    """What its owner shows around it."""
    return replace(drawing, text="", marks=(), area=(), window=None)


def _merged(segments: Iterable[Segment]) -> list[Segment]:
    """Fewer segments that look the same: a space shows no colour, so it takes the preceding style.

    Every segment costs about 40 bytes of colour codes on a terminal.
    """
    merged: list[Segment] = []
    for segment in segments:
        if merged and (segment.text.isspace() or segment.style == merged[-1].style):
            merged[-1] = Segment(merged[-1].text + segment.text, merged[-1].style)
        elif segment.text:
            merged.append(segment)
    return merged


def _differing(old: Strip, new: Strip) -> tuple[int, int]:
    """First and last cell, half-open, in which two lines differ; all of the line where characters are not cells."""
    a, b = _cells(old), _cells(new)
    cells = [x for x, (left, right) in enumerate(zip(a, b, strict=False)) if left != right]
    plain = len(a) == len(b) == new.cell_length
    return (cells[0], cells[-1] + 1) if cells and plain else (0, new.cell_length)


def _cells(strip: Strip) -> list[tuple[str, object]]:
    """Each character with what is seen of its style."""
    return [
        (char, style if char != " " else style.bgcolor if style else None) for text, style, _ in strip for char in text
    ]
