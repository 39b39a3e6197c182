"""Beside a list: a chart and a few facts about what the cursor is on. It reads no store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.table import Table
from rich.text import Text
from textual import on
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from bertdistill.app.draw.canvas import Drawing, Look
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.titles import entitle


class Facts(Static):
    """Pairs of a name and words, repainted only when they change; never markup."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__("", markup=False, id=id, classes=classes)
        self._told: Sequence[tuple[str, str]] = ()

    def tell(self, facts: Sequence[tuple[str, str]]) -> None:
        """Show these, the words in as many lines as they need."""
        if facts == self._told:
            return
        self._told = facts
        grid = Table.grid(padding=(0, 2, 0, 0))
        for name, words in facts:
            grid.add_row(Text(name, "dim", no_wrap=True), Text(words))
        self.update(grid)


class Inspector(Vertical):
    """Follows the cursor of the list that it stands beside; it takes no focus."""

    DEFAULT_CSS = """
    Inspector { width: 1fr; height: 1fr; }
    Inspector > Chart { height: 1fr; }
    Inspector > Facts { height: auto; max-height: 60%; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._chart = Chart()
        self._chart.can_focus = False
        self._facts = Facts()

    def compose(self) -> Iterable[Widget]:
        yield self._chart
        yield self._facts

    def inspect(
        self,
        title: str,
        facts: Sequence[tuple[str, str]],
        make: Callable[[Look], Drawing] | None = None,
        *,
        empty: str = "",
    ) -> None:
        """Show these pairs of a name and words, and a chart of its own."""
        entitle(self, title=title)
        self._chart.display = make is not None or bool(empty)
        self._chart.draw(make, empty=empty)
        self._facts.tell(facts)

    @on(Chart.Drawn)
    def _legend(self, event: Chart.Drawn) -> None:
        event.stop()
        entitle(self, subtitle=self._chart.legend(event.drawing.legend))
