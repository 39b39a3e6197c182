"""A long text that scrolls and can be searched: help, report, remarks. It parses no markup and reads no file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.containers import VerticalScroll
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from bertdistill.app.bindings import bindings
from bertdistill.app.widgets.search import Searching
from bertdistill.app.widgets.sought import Sought
from bertdistill.app.widgets.titles import entitle

HIT, HERE = Style(bold=True, underline=True), Style(bold=True, reverse=True)
"""What is found, and what of it the keys have come to; both are seen without colour."""


class Lines(Static):
    """The text itself, with what is found in it standing out."""

    sought = Sought()
    at: int | None = None
    """The hit that the keys have come to."""

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        return _lit(strip, self.sought.text, HERE if y == self.at else HIT) if y in self.sought.lines else strip

    @property
    def lines(self) -> list[str]:
        """As they are drawn at this width."""
        return [strip.text for strip in self.render_lines(Region(0, 0, self.size.width, self.size.height))]


class TextPane(VerticalScroll):
    """Arrow keys scroll it, `/` searches it, `n` and `N` go from hit to hit."""

    PLACE: ClassVar[str] = "text"
    BINDINGS: ClassVar = bindings("text")
    DEFAULT_CSS = """
    TextPane > Lines { width: 1fr; height: auto; }
    """

    def __init__(self, content: Any = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._inner = Lines(content, markup=False)
        self._title = ""

    def compose(self) -> Iterator[Widget]:
        yield self._inner

    def tell(self, content: Any) -> None:
        """Show this instead, from its beginning; a search is over."""
        self.seek("")
        self._inner.update(content)

    def call_it(self, title: str) -> None:
        """What stands above it unless something is searched for."""
        self._title = title
        self._count()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("next_hit", "end_search"):
            return bool(self._inner.sought.text)
        return super().check_action(action, parameters)

    def on_resize(self) -> None:
        """The lines are others now."""
        if self._inner.sought.text:
            self.call_after_refresh(self.seek, self._inner.sought.text)

    def action_search(self) -> None:
        self.post_message(Searching(self))

    def action_next_hit(self, by: int) -> None:
        at = self._inner.at
        self._go(self._inner.sought.beside(self._top if at is None else at, by))

    def action_end_search(self) -> None:
        self.seek("")

    def seek(self, text: str) -> None:
        """Mark what holds this text, whatever its case, and go to the first from the top on; "": nothing."""
        if text or self._inner.sought.text:
            self._inner.sought = Sought.among(text, self._inner.lines if text else ())
            self._go(self._inner.sought.here(self._top))

    @property
    def _top(self) -> int:
        return self.scroll_offset.y

    def _go(self, line: int | None) -> None:
        self._inner.at = line
        self._inner.refresh()
        if line is not None and not self._top <= line < self._top + self.size.height:
            self.scroll_to(y=max(0, line - self.size.height // 3), animate=False)
        self._count()

    def _count(self) -> None:
        found = self._inner.sought
        entitle(self, title=found.title(self._inner.at) if found.text else self._title)


def _lit(strip: Strip, sought: str, style: Style) -> Strip:
    """The strip with every place of a text in this style; all of it where its letters change with their case."""
    text, low = strip.text, strip.text.casefold()
    if len(low) != len(text):
        return strip.apply_style(style)
    lit, at = [False] * len(text), low.find(sought)
    while at >= 0:
        lit[at : at + len(sought)] = [True] * len(sought)
        at = low.find(sought, at + len(sought))
    return Strip(_pieces(strip, lit, style), strip.cell_length)


def _pieces(strip: Strip, lit: list[bool], style: Style) -> Iterator[Segment]:
    """Segments cut where what is found begins and ends."""
    start = 0
    for text, own, control in strip:
        begun = 0
        for place in range(1, len(text) + 1):
            if place == len(text) or lit[start + place] != lit[start + begun]:
                both = (own or Style()) + style if lit[start + begun] else own
                yield Segment(text[begun:place], both, control)
                begun = place
        start += len(text)
