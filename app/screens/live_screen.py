"""What every full screen shares: its place in the key table, the header and the footer, and how it is updated.

It knows no store: the App calls `read` in a thread and then `show` on the UI thread, whenever something changed.
It is longer than 400 lines because it is one class: header, footer, panes and lists share the keys that it hands out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult, RenderResult
from textual.events import Click
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from bertdistill.app.bindings import LEAST, does, footer, key_of
from bertdistill.app.keymap import PLACES, of
from bertdistill.app.reader import Reader
from bertdistill.app.screens.host import Hosted
from bertdistill.app.text.safe import safe_line
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.listing import Listing
from bertdistill.app.widgets.search import Searching, open_search
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle

if TYPE_CHECKING:
    from bertdistill.app.widgets.filter_line import FilterLine

Item = TypeVar("Item")
PAUSED = "screen paused, {} resumes"
"""In front of the footer while no news is shown."""
OUTCOME_SECONDS = 12.0
"""How long the outcome of an action stays visible."""
INSPECTOR = "inspector"
"""Remembered: whether inspectors are shown."""
SPLIT = "split"
"""Remembered: the share of the first pane, by the id of the split."""
FOOTER_SECONDS = 1.0
"""After this time the keys are shown even if nothing could be read yet."""
REST_SECONDS = 0.04
"""How long the cursor of a list stands still before what lies beside the list follows it."""

OF_LISTS = ("filter", "sort", "sort_reverse")
"""Actions that a screen with a list has."""


class Line(Static):
    """Text that is never parsed as markup and repaints only when it changes; one line, or what its style says."""

    DEFAULT_CSS = "Line { height: 1; width: 1fr; }"

    def __init__(self, **options: Any) -> None:
        super().__init__("", markup=False, **options)
        self._text = Text()

    def say(self, text: Text) -> None:
        """Show this text."""
        if text != self._text:
            self._text = text
            self.update(text, layout=not self._is_single)  # a single line moves nothing else

    @property
    def _is_single(self) -> bool:
        height = self.styles.height
        return height is None or not height.is_auto

    def render(self) -> RenderResult:
        """A single line is cut with a sign for it; Textual would break it and hide the rest."""
        room = self.content_size.width
        if not self._is_single or self._text.cell_len <= room:
            return super().render()
        cut = self._text.copy()
        cut.truncate(max(0, room - 1))
        while cut.plain.endswith((" ", "…")):  # the glyph of what waits would read as a second sign
            cut.right_crop()
        return cut.append("~" if getattr(self.app, "ascii_only", False) else "…")


class Keys(Line):
    """The footer; a click on a key does what the key does."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--key"}
    DEFAULT_CSS = "Keys > .keys--key { color: $text-accent; text-style: bold; }"

    spans: tuple[tuple[int, int, str], ...] = ()
    """First and last cell, half-open, of each key with its word."""

    def on_click(self, event: Click) -> None:
        word = next((word for start, end, word in self.spans if start <= event.x < end), None)
        if word is not None and (found := does(self.screen, word)) is not None:
            action, target = found
            self.call_later(self.app.run_action, action.name, target)


class LiveScreen(Hosted, Screen[Any]):
    """A screen that shows what the database says. Subclasses define PLACE, `body`, `read` and `show`."""

    PLACE: ClassVar[str] = ""
    """Name in the key table; `BINDINGS = bindings(PLACE)` belongs next to it."""
    HELP: ClassVar[str] = ""
    """Markdown for the help: what the screen is for, in a few sentences."""
    panes: ClassVar[Mapping[str, str]] = {}
    """Panes of which a small window shows one, by class `-show-<name>`: their names and the ids of their widgets."""
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (LEAST[0], "-narrow"), (100, "-wide")]  # noqa: RUF012 - as Textual types it
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (LEAST[1], "-low"), (30, "-tall")]  # noqa: RUF012 - as Textual types it

    tells: ClassVar[bool] = False
    """Whether the outcome of an action is shown in a line above the footer: a toast would hide the end of the page."""
    listings: Mapping[str, Listing[Any]] = {}
    """How its lists are filtered and sorted, by the ids of their tables."""
    _list_last = ""
    """Id of the list that had the focus last."""
    diagnosis = ""
    """What is wrong with what the screen shows, empty when nothing is; `show` sets it."""
    ending = ""
    """What is to be known before anything else: what the program is for, or what came of a study; `show` sets it."""
    _trouble = Text()
    _footed = False
    """Whether the footer is shown: it is made once there is something that its keys act on, and not for each step of
    the opening."""
    _quiet: Timer | None = None
    _rest: Timer | None = None

    news: Any
    """What `read` returned last; None until then."""

    def __init__(self) -> None:
        super().__init__()
        self.made = time.monotonic()
        self.outcome = ""
        """The last message that is still visible."""

    def compose(self) -> ComposeResult:
        self.add_class(*self._shape())  # now: each class that comes after the widgets styles all of them once more
        yield Line(id="header")
        yield Static("", id="trouble", markup=False)
        yield from self.body()
        if self.tells:
            yield Line(id="outcome")
        yield Keys(id="keys")
        yield Static(f"Make the window at least {LEAST[0]} by {LEAST[1]}", id="too-small", markup=False)

    def _shape(self) -> Iterator[str]:
        """Classes that a window of this size gives it, and the inspector."""
        size = self.app.size
        for edges, length in ((self.HORIZONTAL_BREAKPOINTS, size.width), (self.VERTICAL_BREAKPOINTS, size.height)):
            yield next(name for least, name in reversed(edges) if length >= least)
        if self.ui.memory.recall(INSPECTOR, True):
            yield "-inspected"

    def body(self) -> Iterable[Widget]:
        """The widgets between header and footer."""
        raise NotImplementedError

    def read(self, reader: Reader) -> Any:
        """Everything that the screen shows now, as values. Runs in a thread, perhaps when the screen is gone already.

        So it touches no widget and not the app; the workspace is `reader.workspace`.
        """
        raise NotImplementedError

    def show(self, news: Any) -> None:
        """Put what `read` returned on the screen."""
        raise NotImplementedError

    def copies(self) -> list[tuple[str, str]]:
        """What `copy` offers here: pairs of (what it is, the text)."""
        return []

    def files(self) -> list[tuple[str, str, Callable[[], Path]]]:
        """What else it offers: (what it is, in words, how the file is written in a thread)."""
        return []

    def why_not(self, action: str) -> str:
        """Why an action is unavailable now and what to do instead, in one line; empty if it is available.

        Footer and palette leave such an action out; its key says this.
        """
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in OF_LISTS and self.listing is None:
            return False
        return not self.why_not(action)

    def acted(self, action: str) -> None:
        """An action was done by a key, the palette or the footer while this screen was on top."""

    def header(self, text: Text) -> None:
        """The top line."""
        self.query_one("#header", Line).say(text)

    def trouble(self, words: str = "") -> None:
        """Show under the header why nothing can be read now; without words, what `diagnosis` or `ending` says."""
        if not self._footed:
            self._show_footer()
        wrong = words or self.diagnosis
        text = Text(safe_line(wrong or self.ending, 600))
        if text != self._trouble:
            self._trouble = text
            line = self.query_one("#trouble", Static)
            line.set_class(bool(text), "-told")
            line.set_class(not wrong, "-ended")
            line.update(text)

    def under_cursor(self, items: Iterable[Item], key: Callable[[Item], Any], table: str = "LineTable") -> Item | None:
        """The one of `items` whose row has the cursor in a table (a selector); None without any."""
        at = self.query_one(table, LineTable).cursor_key if self.is_mounted else None
        return next((one for one in items if key(one) == at), None) if at is not None else None

    def tell(self, words: str) -> bool:
        """Show this in the screen's own line for a while; False if it has none, or none any more."""
        if not self.query("#outcome"):
            return False
        self.outcome = safe_line(words, 600)
        self.query_one("#outcome", Line).say(Text(self.outcome, "bold"))
        self.set_class(bool(words), "-told")
        if self._quiet is not None:
            self._quiet.stop()
        self._quiet = self.set_timer(OUTCOME_SECONDS, lambda: self.tell("")) if words else None
        return True

    def at_rest(self, follow: Callable[[], None]) -> None:
        """Do this once the cursor stands still: charts that follow each key would hold up the next one."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST_SECONDS, follow)

    @property
    def inspected(self) -> bool:
        """Whether the inspector is on screen."""
        return self.has_class("-inspected") and self.has_class("-wide")

    def follow(self) -> None:
        """Fill the inspector again, which was hidden."""

    def action_inspector(self) -> None:
        """Show or hide it, here and on every other screen."""
        shown = not self.ui.memory.recall(INSPECTOR, True)
        self.ui.memory.keep(INSPECTOR, shown)
        self.set_class(shown, "-inspected")
        if shown and not self.has_class("-wide"):
            self.ui.tell("The inspector is shown in windows of at least 100 columns.")
        self.call_after_refresh(self.follow)

    @on(Searching)
    async def search_in(self, event: Searching) -> None:
        await open_search(self, event.pane)

    def jumps(self) -> list[tuple[int, int, Callable[[], object]]]:
        """Where a letter may lead: column and line of its label, in front of a title, and what goes there."""
        return [(one.region.x, one.region.y, partial(self.set_focus, one)) for one in self.focus_chain]

    def _use_panes(self) -> None:
        """Inspector and sizes of panes as they are remembered."""
        self.set_class(self.ui.memory.recall(INSPECTOR, True), "-inspected")
        for split in self.query(Split):
            split.give(self.ui.memory.recall(f"{SPLIT}.{split.id}", 0))

    @on(Split.Moved)
    def keep_sizes(self, event: Split.Moved) -> None:
        self.ui.memory.keep(f"{SPLIT}.{event.split.id}", event.split.share)

    def action_resize(self, way: str, steps: int) -> None:
        """Move the border beside (`way` is x) or above or below (y) the focused pane, or the nearest; 0: as usual."""
        around = [one for one in (self.focused.ancestors if self.focused else ()) if isinstance(one, Split)]
        shown = [one for one in (*around, *self.query(Split)) if one.is_shown]
        found = [one for one in shown if not steps or one.upright == (way == "y")]
        if not found:
            self.ui.tell("No two panes share a border here that could be moved.")
        elif steps:
            found[0].shift(steps)
        else:
            for split in dict.fromkeys(found):
                split.shift(0)

    def on_mount(self) -> None:
        self._use_panes()
        for listing in self.listings.values():
            self.recall_order(listing)
        self.use_marker()
        self.header(Text("Reading the workspace …", "dim"))  # `show` says what it is
        self._name_panes()
        self.set_timer(FOOTER_SECONDS, self._show_footer)
        self.ui.look_again()

    def _name_panes(self) -> None:
        """What the first picture says before anything is read: names from the key table, and the keys."""
        named = {action.name.partition("'")[2].rstrip("')"): action.words for action in of(self.PLACE) if action.leads}
        names = {widget: named[pane] for pane, widget in self.panes.items() if pane in named}
        first = next(iter(self.query(LineTable)), None)
        if not names and first is not None and first.id:
            names = {first.id: PLACES.get(self.PLACE, "")}
        for widget, title in names.items():
            entitle(self.query_one(f"#{widget}"), title=title)
        self._write_keys()

    def _show_footer(self) -> None:
        self._footed = True
        self.refresh_keys()

    def use_marker(self) -> None:
        """Give the app's chart marker to the charts and tables of this screen."""
        for chart in self.query(Chart):
            chart.marker = self.ui.marker
        for table in self.query(LineTable):
            table.ascii_only = self.ui.ascii_only

    def on_screen_resume(self) -> None:
        self._use_panes()
        self.use_marker()
        self.refresh_keys()
        self.ui.look_again()

    def on_descendant_focus(self) -> None:
        self._list_last = self.list_used
        self.show_pane()
        self.refresh_keys()

    def show_pane(self) -> None:
        """Where only one pane fits, now or after the window shrinks, it is the one with the focus."""
        found = [name for name, widget in self.panes.items() if self.focused is not None and self.focused.id == widget]
        if found:
            for name in self.panes:
                self.set_class(name == found[0], f"-show-{name}")

    def refresh_keys(self) -> None:
        """Rewrite the footer: the available keys may have changed."""
        if self._footed:
            self._write_keys()

    def _write_keys(self) -> None:
        keys = footer(self, self.ui.options.keymap, ascii_only=self.ui.ascii_only)
        text, spans = Text(no_wrap=True, overflow="ellipsis"), []
        if self.ui.paused:  # else a screen that stands still looks like a study that does
            text.append(f" {PAUSED.format(key_of('pause-view', self.ui.options.keymap))} ", "bold reverse")
        while len(keys) > 2 and text.cell_len + sum(len(key) + len(word) + 3 for key, word in keys) > self.size.width:
            del keys[-3]  # help and quit are the last two
        line = self.query_one("#keys", Keys)
        style = "bold reverse" if self.ui.is_plain else line.get_component_rich_style("keys--key", partial=True)
        for key, word in keys:
            start = text.cell_len
            text.append(f" {key} ", style)
            text.append(f"{word} ")
            spans.append((start, text.cell_len, word))
        line.spans = tuple(spans)
        line.say(text)

    def on_resize(self) -> None:
        self.refresh_keys()
        self.call_after_refresh(self.refresh_keys)  # which panes fit is known then

    # --------------------------------------------------------------------------------------------------- its lists

    @property
    def list_used(self) -> str:
        """Id of the list that has the focus or, while something else has it, had it last; empty before any had it."""
        here = self.focused.id if self.focused is not None else None
        return here if here in self.listings and here else self._list_last

    @property
    def listing(self) -> Listing[Any] | None:
        """The list that filter and sort act on; before one had the focus, the first."""
        return self.listings.get(self.list_used) or next(iter(self.listings.values()), None)

    def recall_order(self, listing: Listing[Any]) -> None:
        """Sort a list as it was sorted last."""
        listing.recall(self.ui.memory.recall(listing.things, {}))

    def keep_order(self, listing: Listing[Any]) -> None:
        """Remember how a list is sorted."""
        self.ui.memory.keep(listing.things, listing.order)

    async def action_filter(self) -> None:
        if self.listing is not None:
            from bertdistill.app.widgets.filter_line import open_filter

            await open_filter(self, self.listing)

    def action_sort(self) -> None:
        if self.listing is not None:
            self.listing.next_order()
            self._reordered(self.listing)

    def action_sort_reverse(self) -> None:
        if self.listing is not None:
            self.listing.reverse = not self.listing.reverse
            self._reordered(self.listing)

    @on(LineTable.Headed)
    def sort_by_head(self, event: LineTable.Headed) -> None:
        """By that column; again, the other way."""
        listing = self.listings.get(event.table.id or "")
        if listing is not None:
            listing.order_by(event.column)
            self._reordered(listing)

    def _reordered(self, listing: Listing[Any]) -> None:
        self.keep_order(listing)
        listing.changed()

    def clear_filter(self) -> bool:
        """Show all of a list again, of the one that is used first; whether anything was hidden or being typed."""
        left = [line for line in self.query("#filter-line") if not line.has_class("-closed")]
        for line in left:
            cast("FilterLine", line).close()
        used = [self.listing] if self.listing is not None else []
        narrowed = [listing for listing in (*used, *self.listings.values()) if listing.text]
        for listing in narrowed[:1]:
            listing.use_filter("")
        return bool(left or narrowed)

    def action_back(self) -> None:
        """The filter first, then the screen."""
        if not self.clear_filter():
            self.ui.leave_screen()
