"""Beside a list: a chart and a few facts about what the cursor is on. It reads no store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import on
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from bertdistill.app.draw.canvas import Drawing, Look
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.titles import entitle

MOST_NARROW = 8
"""Cells that the words get at least."""


def at_slashes(words: str, room: int) -> str:
    """The words, paths that are longer than a line broken after a slash where they have one."""
    return re.sub(r"\S*/\S*", lambda found: _broken(found[0], room), words)


def _broken(path: str, room: int) -> str:
    lines = [""]
    for part in re.findall(r"[^/]*/|[^/]+$", path):
        if lines[-1] and cell_len(lines[-1] + part) > room:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


class Facts(Static):
    """Pairs of a name and words, repainted only when they change; never markup.

    It wraps the words itself: other widgets move only when it needs more lines, or fewer.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__("", markup=False, id=id, classes=classes)
        self._told: Sequence[tuple[str, str]] = ()
        self._high = 0

    def tell(self, facts: Sequence[tuple[str, str]]) -> None:
        """Show these, the words in as many lines as they need."""
        if facts != self._told:
            self._told = facts
            self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        lines = [line for fact in self._told for line in self._lines(*fact)]
        high, self._high = self._high, len(lines)
        self.update(Text("\n").join(lines), layout=high != len(lines))

    def _lines(self, name: str, words: str) -> Iterable[Text]:
        """The name, and beside it the words."""
        indent = 2 + max(cell_len(name) for name, _ in self._told)
        room = max(MOST_NARROW, self.content_size.width - indent)
        for place, line in enumerate(Text(at_slashes(words, room)).wrap(self.app.console, room)):
            line.rstrip()
            yield Text.assemble((set_cell_size("" if place else name, indent), "dim"), line)


class Inspector(Vertical):
    """Follows the cursor of the list that it stands beside; it takes no focus."""

    DEFAULT_CSS = """
    Inspector { width: 1fr; height: 1fr; }
    Inspector > Chart { height: 1fr; }
    Inspector > Facts { height: auto; max-height: 60%; padding: 0 1; }
    Inspector.-words > Facts { max-height: 100%; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._chart = Chart()
        self._chart.can_focus = False
        self._facts = Facts()
        self._mark: object = None

    def compose(self) -> Iterable[Widget]:
        yield self._chart
        yield self._facts

    def inspect(
        self,
        title: str,
        facts: Sequence[tuple[str, str]],
        make: Callable[[Look], Drawing] | None = None,
        mark: object = None,
        *,
        empty: str = "",
    ) -> None:
        """Show these pairs of a name and words, and a chart of its own, drawn again only if `mark` is another."""
        entitle(self, title=title)
        self._chart.display = make is not None or bool(empty)
        self.set_class(not self._chart.display, "-words")
        if mark is None or mark != self._mark:
            self._mark = mark
            self._chart.draw(make, empty=empty)
        self._facts.tell(facts)

    @on(Chart.Drawn)
    def _legend(self, event: Chart.Drawn) -> None:
        event.stop()
        entitle(self, subtitle=self._chart.legend(event.drawing.legend))
