"""The line in which a person types which rows a list shows. It matches nothing itself: the listing does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.containers import Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from bertdistill.app.bindings import bindings
from bertdistill.app.errors import UsageError
from bertdistill.app.text.safe import LONGEST_LINE, error_line, safe_line
from bertdistill.app.views.query import last_word
from bertdistill.app.widgets.listing import Listing

TYPING_SECONDS = 0.08
"""How long the typing rests before the list follows it: a burst of characters filters once."""
SHOWN_COMPLETIONS = 8


class FilterField(Input):
    """The field itself; its keys are those of its line."""

    PLACE: ClassVar[str] = "filter"
    BINDINGS: ClassVar = bindings("filter")

    def __init__(self, line: FilterLine) -> None:
        super().__init__(compact=True, select_on_focus=False, max_length=LONGEST_LINE)
        self._line = line

    def action_apply(self) -> None:
        self._line.apply()

    def action_complete(self) -> None:
        """Replace the last word with the first completion; a key without a colon waits for an operator."""
        if found := self._line.completions:
            self.value = self.value[: len(self.value) - len(last_word(self.value))] + found[0]
            self.cursor_position = len(self.value)

    def action_cancel(self) -> None:
        self._line.cancel()


class FilterLine(Vertical):
    """Above the footer, made when it is asked for: what is typed filters the list at once.

    A term that is still being typed is not wrong yet; what is wrong is said when it is to be used.
    """

    DEFAULT_CSS = """
    FilterLine { height: 2; dock: bottom; margin-bottom: 1; background: $surface; }
    FilterLine.-closed { display: none; }
    FilterLine > Static { height: 1; width: 1fr; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    FilterLine > FilterField { height: 1; border: none; padding: 0 1; }
    """

    def __init__(self, listing: Listing[Any]) -> None:
        super().__init__(id="filter-line")
        self._listing, self._field = listing, FilterField(self)
        self._words = Static("", markup=False)
        self._before = ""
        self._origin: Widget | None = None
        self._rest: Timer | None = None
        self.completions: Sequence[str] = ()

    def compose(self) -> Iterable[Widget]:
        yield self._field
        yield self._words

    def open(self, listing: Listing[Any]) -> None:
        """Take the focus, with the filter of that list as it is."""
        self._origin, self._listing = self.screen.focused, listing
        text = self._before = listing.text
        self._field.placeholder = listing.language.example
        self.remove_class("-closed")  # `display` itself would also show it in a window that is too small
        with self.prevent(Input.Changed):
            self._field.value = text
        self._field.cursor_position = len(text)
        self.screen.set_focus(self._field)
        self._follow()

    def close(self) -> None:
        """Give the focus back."""
        self._hold()
        if self._field.has_focus:
            self.screen.set_focus(self._origin)
        self.add_class("-closed")

    def apply(self) -> None:
        """Use what is typed, or say what is wrong with it."""
        self._hold()
        try:
            self._listing.use_filter(self._field.value.strip())
        except UsageError as error:
            self._say(error_line(error), wrong=True)
        else:
            self.close()

    def cancel(self) -> None:
        """Back to the filter that there was before."""
        self.close()
        self._listing.use_filter(self._before)

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        """The list follows once the typing rests; completions are those of each letter."""
        event.stop()
        self.completions = self._listing.language.complete(event.value)
        self._hold()
        self._rest = self.set_timer(TYPING_SECONDS, self._follow)

    def _follow(self) -> None:
        self.completions = self._listing.language.complete(self._field.value)
        words = [self._listing.filter_as_typed(self._field.value), "  ".join(self.completions[:SHOWN_COMPLETIONS])]
        more = len(self.completions) - SHOWN_COMPLETIONS
        self._say("   ".join(filter(None, words)) + (f" and {more} more" if more > 0 else ""))

    def _say(self, words: str, *, wrong: bool = False) -> None:
        self.set_class(wrong, "-wrong")
        self._words.update(Text(safe_line(words, 400), "bold red" if wrong else "dim"))

    def _hold(self) -> None:
        if self._rest is not None:
            self._rest.stop()
            self._rest = None


async def open_filter(screen: Screen[Any], listing: Listing[Any]) -> None:
    """Show the line of a screen for one of its lists and give it the focus; the first time it is made."""
    line = next(iter(screen.query(FilterLine)), None)
    if line is None:
        line = FilterLine(listing)
        await screen.mount(line)
    line.open(listing)
