"""What the tabs of the analysis share: how it gets its values, and what is under its cursor. It knows no analysis.

A tab computes in `read`, in a thread, and draws in `show`; looks that take a process of their own rest in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, cast

from rich.text import Text
from textual import on
from textual.containers import Vertical
from textual.widget import Widget

from bertdistill.app.draw.canvas import Drawing, Kind
from bertdistill.app.reader import Reader
from bertdistill.app.screens.host import Hosted
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.text.safe import safe
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.listing import Listing
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.text_pane import TextPane
from bertdistill.app.widgets.titles import entitle

T = TypeVar("T")

REST = 5.0
"""A refresh that took one second is not repeated for five: automatic refreshes use at most a sixth of a core."""


@dataclass(frozen=True)
class _Kept:
    """What a tab made of the trials that ended, with everything that it could follow from."""

    ranked: Mapping[int, Any]
    asked: tuple[Any, ...]
    ended: tuple[Any, ...]
    made: Any


class Tab(Hosted, Vertical):
    """One tab. Subclasses define NAME, `read` and `show`, and what their keys do."""

    NAME: ClassVar[str] = ""
    """In the line of tabs and in the key table."""
    FIRST: ClassVar[str] = "LineTable"
    """Which of its widgets has the focus first."""

    _made: _Kept | None = None
    listing: Listing[Any] | None = None
    """How its list is filtered and sorted, where that is to be chosen."""

    def made_once(self, view: StudyView, make: Callable[[], T], *asked: Any) -> T:
        """What `make` gives, kept until a trial ends, one that ended changes, or the study or `asked` is another.

        Starting a trial or asking for something makes a new view of the same trials: that computes nothing again.
        """
        kept, asked = self._made, (*asked, view.outline, view.facts.teacher_metrics)
        if kept is not None and kept.ranked is view.ranked and kept.asked == asked:
            return cast(T, kept.made)
        ended = tuple(
            (trial.number, trial.params, view.values(trial), trial.state, trial.finished_at, trial.busy_seconds)
            for trial in view.trials
            if trial.finished_at is not None or trial.number in view.ranked
        )
        same = kept is not None and kept.asked == asked and kept.ended == ended
        self._made = _Kept(view.ranked, asked, ended, kept.made if kept is not None and same else make())
        return cast(T, self._made.made)

    def look(self, reader: Reader, view: StudyView) -> Any:
        """What `read` gives, for tabs that need more of the workspace than the study; in the same thread."""
        return self.read(view)

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

    def sort(self) -> None:
        """By the next of what it can be sorted by, unless its list says so itself."""

    def toggle(self) -> None:
        """The other way to look at it."""

    def turn(self, by: int) -> None:
        """The next or the one before of what it goes through."""

    def leave(self) -> bool:
        """Undo what was narrowed down; False if there is nothing, and the screen is left."""
        return False

    def maximised(self, *, on: bool) -> None:
        """One of its widgets gets, or has lost, the room of the others."""

    def again(self) -> None:
        """Draw at once, for another size or after a change of the view."""

    def at_rest(self, follow: Callable[[], None]) -> None:
        """Do this once the cursor stands still."""
        if isinstance(self.screen, LiveScreen):
            self.screen.at_rest(follow)


class ChartTab(Tab):
    """A chart above, or beside, the list of its trials; the trial under the cursor stands out in the chart."""

    def __init__(
        self, study_name: str, kind: str, table: type[LineTable] = LineTable, chart: type[Chart] = Chart
    ) -> None:
        super().__init__(id=f"tab-{self.NAME}")
        self._study = study_name
        self._chart = chart(id=f"{kind}-chart", classes="pane")
        self._chart.can_focus = False
        self._table = table(id=f"{kind}-trials", classes="pane")
        self._wanted: int | None = None
        self._drawn: tuple[Any, tuple[Any, ...]] = (None, ())

    def compose(self) -> Iterable[Widget]:
        yield self._chart
        yield self._table

    def draw(self) -> None:
        """Draw the chart for the trial under the cursor."""
        raise NotImplementedError

    @on(LineTable.Moved)
    def _moved(self) -> None:
        self.at_rest(self.draw)

    def is_drawn(self, content: Any, *how: Any) -> bool:
        """Whether the chart shows this very content in this way; from now on it does. It follows its look by itself."""
        same = self._drawn[0] is content and self._drawn[1] == how
        self._drawn = (content, how)
        return same

    @on(Chart.Drawn)
    def _subtitle(self, event: Chart.Drawn) -> None:
        entitle(self._chart, subtitle=self.subtitle(event.drawing))

    def subtitle(self, drawing: Drawing) -> str | Text:
        """Below the chart: what its marks mean."""
        return self._chart.legend(drawing.legend)

    @property
    def number(self) -> int | None:
        key = self._table.cursor_key
        return key if isinstance(key, int) else None

    def go_to(self, number: int | None) -> None:
        self._wanted = number
        if number is not None:
            self._table.move_to(number)

    def go_where_wanted(self) -> None:
        """Put the cursor where `go_to` wanted it, once the list holds that trial."""
        if self._wanted is not None:
            self._table.move_to(self._wanted)
            self._wanted = None


class Words(TextPane):
    """Some lines of foreign text, never markup; the arrow keys scroll what can have the focus."""

    DEFAULT_CSS = """
    Words { height: auto; max-height: 4; padding: 0 1; }
    Words.-empty { display: none; }
    """

    def __init__(self, *, id: str, can_focus: bool = False) -> None:
        super().__init__(id=id, classes="-empty pane" if can_focus else "-empty")
        self.can_focus = can_focus
        self._said: str | Text = ""

    def say(self, text: str | Text, limit: int = 4000) -> None:
        """Show this text: a str is made harmless here, a Text is harmless already."""
        if text != self._said:
            self._said = text
            self.set_class(not text, "-empty")
            self.tell(safe(text, limit) if isinstance(text, str) else text)
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
