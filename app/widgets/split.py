"""Two panes side by side, or one above the other, whose border a person moves. It knows neither screen nor panes."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.containers import Container
from textual.message import Message
from textual.widget import Widget

LEAST, MOST = 15, 85
"""Percent that the first pane gets, so that neither vanishes."""
WIDEST = 60
"""Percent that the first pane gets at most for its content."""
STEP = 5
"""Percent by which a key moves the border."""


class Split(Container):
    """Drag the border between the panes, or click it twice for the usual sizes; `shift` does the same for keys."""

    DEFAULT_CSS = """
    Split { layout: horizontal; width: 1fr; height: 1fr; }
    Split.-upright { layout: vertical; }
    """

    @dataclass
    class Moved(Message):
        """A person moved the border; `split.share` says where it is now."""

        split: Split

        @property
        def control(self) -> Split:
            return self.split

    def __init__(self, *children: Widget, id: str, upright: bool = False) -> None:
        super().__init__(*children, id=id, classes="-upright" if upright else None)
        self.upright = upright
        self.share = 0
        """Percent of the first pane; 0: what the styles say."""
        self._dragged = False
        self._wanted, self._most = 0, WIDEST

    def suit(self, cells: int, most: int = WIDEST) -> None:
        """The first pane wants so many cells: it gets them, up to `most` percent, until a person moves the border."""
        self._wanted, self._most = cells, most
        self._fit()

    @property
    def room(self) -> int:
        """The most cells that the first pane can have; 0 before it has a size."""
        if not all(pane.display for pane in self.children[:2]):
            return self.size.width
        return self.children[0].size.width if self.share else self.size.width * self._most // 100

    def _fit(self) -> None:
        """The width is that of the second pane, while both are there: alone, each of them fills all."""
        if not self._wanted or not self.size.width or self.share:
            return
        second = self.children[1]
        rest = self.size.width - min(self._wanted, self.room)
        if not all(pane.display for pane in self.children[:2]):
            second.styles.clear_rule("width")
        elif second.styles.width is None or second.styles.width.cells != rest:
            second.styles.width = rest

    def on_resize(self) -> None:
        self._fit()

    def give(self, share: int) -> None:
        """The first pane gets this share of both, in percent, within `LEAST` and `MOST`; 0 leaves it to the styles."""
        before, self.share = self.share, share and max(LEAST, min(MOST, share))
        if self.share == before:  # styles that are set again are laid out again
            return
        edge = "height" if self.upright else "width"
        for pane, part in zip(self.children[:2], (self.share, 100 - self.share), strict=False):
            if self.share:
                setattr(pane.styles, edge, f"{part}fr")
            else:
                pane.styles.clear_rule(edge)
                pane.refresh(layout=True)
        self._fit()

    def shift(self, steps: int) -> None:
        """Move the border by `STEP` percent to the right, or down; by 0 back to where the styles have it."""
        self.give(self._now() + steps * STEP if steps else 0)
        self.post_message(self.Moved(self))

    @property
    def is_shown(self) -> bool:
        """Whether there is a border to move: both panes are on screen."""
        return len(self.children) > 1 and all(pane.display and pane.is_on_screen for pane in self.children[:2])

    def _now(self) -> int:
        first, second = (pane.size.height if self.upright else pane.size.width for pane in self.children[:2])
        return self.share or round(100 * first / max(1, first + second))

    def _at_border(self, event: events.MouseEvent) -> bool:
        """Whether the mouse is on one of the two lines that meet; panes without a border have none."""
        if not self.is_shown:
            return False
        first, second = (pane.region for pane in self.children[:2])
        ends = (first.bottom - 1, second.y) if self.upright else (first.right - 1, second.x)
        if (event.screen_y if self.upright else event.screen_x) not in ends:
            return False
        styles = self.screen.get_widget_at(event.screen_x, event.screen_y)[0].styles
        sides = (styles.border_top, styles.border_bottom) if self.upright else (styles.border_left, styles.border_right)
        return any(side not in ("", "none") for side, _ in sides)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if self._at_border(event):
            event.stop()
            self._dragged = True
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragged:
            event.stop()
            at = event.screen_y - self.region.y if self.upright else event.screen_x - self.region.x
            share = round(100 * at / max(1, self.size.height if self.upright else self.size.width))
            if share != self.share:
                self.give(max(1, share))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._dragged:
            event.stop()
            self._dragged = False
            self.release_mouse()
            self.post_message(self.Moved(self))

    def on_click(self, event: events.Click) -> None:
        if event.chain == 2 and self._at_border(event):
            event.stop()
            self.shift(0)
