"""What the tabs of the analysis share: how it gets its values, and what is under its cursor. It knows no analysis.

A tab computes in `read`, in a thread, and draws in `show`; looks that take a process of their own rest in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from bertdistill.app.charts import Kind
from bertdistill.app.safe import safe
from bertdistill.app.screens.live_screen import Ours
from bertdistill.app.view import StudyView

REST = 5.0
"""A look that took a second is not repeated for five: looks that nobody asked for take a sixth of a core at most."""


class Tab(Ours, Vertical):
    """One tab. Subclasses define NAME, `read` and `show`, and what their keys do."""

    NAME: ClassVar[str] = ""
    """In the line of tabs and in the key table."""
    FIRST: ClassVar[str] = "LineTable"
    """Which of its widgets has the focus first."""

    def read(self, view: StudyView) -> Any:
        """The values to show; in a thread, so it touches plain attributes only. Cheap while no trial has ended."""
        raise NotImplementedError

    def show(self, view: StudyView, content: Any) -> None:
        """Put them on the widgets."""
        raise NotImplementedError

    @property
    def number(self) -> int | None:
        """The trial that the cursor is on."""
        return None

    def go_to(self, number: int | None) -> None:
        """Put the cursor on a trial, as soon as it is shown."""

    def headline(self) -> str:
        """What the tab shows, for the top line."""
        return self.NAME

    def can(self, action: str) -> bool:
        """Whether one of its keys makes sense now."""
        return False

    def commands(self) -> list[tuple[str, ...]]:
        """The words of the commands that print the same."""
        return []

    def toggle(self) -> None:
        """The other way to look at it."""

    def turn(self, by: int) -> None:
        """The next or the one before of what it goes through."""

    def maximised(self, *, on: bool) -> None:
        """One of its widgets gets, or has lost, the room of the others."""

    def again(self) -> None:
        """Draw at once, for another size or after a change of the view."""


class Words(VerticalScroll):
    """Some lines of foreign text, never markup; the arrow keys scroll what can have the focus."""

    DEFAULT_CSS = """
    Words { height: auto; max-height: 4; padding: 0 1; }
    Words.-empty { display: none; }
    Words Static { height: auto; width: 1fr; }
    """

    def __init__(self, *, id: str, can_focus: bool = False) -> None:
        super().__init__(id=id, classes="-empty pane" if can_focus else "-empty", can_focus=can_focus)
        self._inner = Static("", markup=False)
        self._said: str | Text = ""

    def compose(self) -> Any:
        yield self._inner

    def say(self, text: str | Text, limit: int = 4000) -> None:
        """Show this text: a str is made harmless here, a Text is harmless already."""
        if text != self._said:
            self._said = text
            self.set_class(not text, "-empty")
            self._inner.update(safe(text, limit) if isinstance(text, str) else text)
            self.scroll_home(animate=False)


@dataclass
class Rest:
    """When a look in a process of its own may begin again: after five times as long as the last one took."""

    began: float = 0.0
    ended: float = 0.0

    def over(self, now: float) -> bool:
        """`now` is of a monotonic clock, in seconds."""
        return now >= self.ended + REST * (self.ended - self.began)


def baseline_of(view: StudyView) -> int | None:
    """Number of the baseline; looked for once, among all trials."""
    return None if view.baseline is None else view.baseline.number


def kind_of(number: int, baseline: int | None, *, frontier: bool, feasible: bool) -> Kind:
    """How a complete trial is marked in charts."""
    if number == baseline:
        return "baseline"
    return "frontier" if frontier else "dominated" if feasible else "infeasible"


def numbered(number: int, *, frontier: bool, ascii_only: bool) -> str:
    """`★9` on the frontier, `9` else."""
    return f"{'*' if ascii_only else '★'}{number}" if frontier else str(number)
