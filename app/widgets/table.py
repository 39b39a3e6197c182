"""A table that repaints only the cells that changed, for lists that stream. It reads no store and reads no markup.

Textual's DataTable repaints every visible cell for any change; here a line is drawn when it differs from the last one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap
from typing import ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from bertdistill.app.bindings import bindings
from bertdistill.app.text.format import brief
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column, Layout, fit, is_whole, joined, lay_out, pinned_count

MOVEMENTS = frozenset({"step", "end", "page", "shift"})
"""Actions that only move the cursor."""
GUTTERS: dict[str, tuple[str, str]] = {
    "cursor": ("›", ">"),
    "mark": ("•", "*"),
    "cursor mark": ("»", "#"),
    "left": ("‹", "<"),
    "right": ("›", ">"),
}
"""Glyphs beside the rows and at the ends of the header where columns are hidden, and those for ASCII."""


class LineTable(ScrollView, can_focus=True):
    """Rows of cells under a header line, with a cursor that stays on its row's key when rows move."""

    HELP = "`j` `k` or arrows move, `g` `G` go to the ends, `left` `right` show hidden columns, `enter` opens."

    PLACE: ClassVar[str] = "table"
    BINDINGS: ClassVar = bindings("table")

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line-table--header",
        "line-table--cursor",
        "line-table--dim",
        "line-table--bright",
        "line-table--good",
        "line-table--warn",
        "line-table--bad",
        "line-table--accent",
    }

    DEFAULT_CSS = """
    LineTable {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        & > .line-table--header { text-style: bold; color: $text-primary; }
        & > .line-table--cursor {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
        }
        &:focus > .line-table--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: $block-cursor-text-style;
        }
        &:ansi:focus > .line-table--cursor {
            background: ansi_default;
            color: ansi_default;
            text-style: reverse;
        }
        & > .line-table--dim { color: $text-muted; }
        & > .line-table--bright { text-style: bold; }
        & > .line-table--good { color: $text-success; }
        & > .line-table--warn { color: $text-warning; }
        & > .line-table--bad { color: $text-error; }
        & > .line-table--accent { color: $text-accent; }
        &:ansi > .line-table--dim { text-style: dim; }
    }
    """

    ascii_only: reactive[bool] = reactive(False)
    """Gutter glyphs and ellipsis in ASCII."""

    @dataclass
    class Moved(Message):
        """The cursor moved to another row; of several pending ones only the last matters."""

        table: LineTable
        key: Hashable

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LineTable.Moved) and message.table is self.table

        @property
        def control(self) -> LineTable:
            return self.table

    @dataclass
    class Chosen(Message):
        """A row was opened by enter or a double click."""

        table: LineTable
        key: Hashable

        @property
        def control(self) -> LineTable:
            return self.table

    @dataclass
    class Headed(Message):
        """The head of a column was clicked."""

        table: LineTable
        column: str

        @property
        def control(self) -> LineTable:
            return self.table

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._columns: tuple[Column, ...] = ()
        self._rows: tuple[Row, ...] = ()
        self._index: dict[Hashable, int] = {}
        self._cursor = 0
        self._first = 0
        self._height = 0
        self._empty = ""
        self._laid_out: tuple[int, Layout] = (-1, Layout())
        self._styles: dict[str, Style] = {}
        self._strips: dict[Hashable, tuple[Row, Strip]] = {}

    opens = True
    """Whether something opens from the row under the cursor; where not, enter is a key of the screen."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to open in an empty table."""
        return bool(self._rows) and self.opens if action == "choose" else True

    # ------------------------------------------------------------------------------------------------------- content

    def show(self, columns: Sequence[Column], rows: Sequence[Row], *, empty: str = "") -> None:
        """Show new content; row keys must be unique. Sends no message: `cursor_key` says where the cursor is now.

        The cursor stays on its key, or on its position if that row is gone; it stays in view if it was.
        """
        before, key, seen = self._window(), self.cursor_key, self._cursor_in_view()
        columns_changed = self._columns != tuple(columns)
        resized = len(rows) != len(self._rows) or (not rows and self._empty != empty)
        self._columns, self._rows, self._empty = tuple(columns), tuple(rows), empty
        self._index = {row.key: index for index, row in enumerate(self._rows)}
        self._cursor = self._index.get(key, max(0, min(self._cursor, len(rows) - 1)))
        if columns_changed or resized:
            if columns_changed:
                self._first = min(self._first, max(0, len(columns) - 1 - pinned_count(columns)))
                self._forget()
            self._strips = {k: v for k, v in self._strips.items() if k in self._index}
            self.virtual_size = Size(0, len(rows) + 1)
            self.refresh()
        else:
            self._repaint(before)
        if seen:
            self._bring_into_view()

    @property
    def cursor_key(self) -> Hashable | None:
        """Key of the row under the cursor; None when there are no rows."""
        return self._rows[self._cursor].key if self._rows else None

    def move_to(self, key: Hashable) -> None:
        """Put the cursor on a row and scroll it into view; an unknown key changes nothing, `Moved` follows a change."""
        if key in self._index:
            self._go(self._index[key])

    def show_column(self, index: int) -> None:
        """Scroll until the column at `index` (from 0) is entirely on screen, if it fits at all."""
        last = max(0, index - pinned_count(self._columns))
        first = min(self._first, last)
        while first < last and not is_whole(lay_out(self._columns, self._width, first), self._columns, index):
            first += 1
        if first != self._first:
            self._first = first
            self._forget()
            self.refresh()

    @property
    def heads(self) -> list[str]:
        """The titles of the columns on screen, whole even where one is cut."""
        return [self._columns[index].title for index, *_ in self._layout().places]

    def head_at(self, x: int) -> Column | None:
        """The column whose head is at this cell of the first line."""
        return next((self._columns[i] for i, at, wide in self._layout().places if at <= x <= at + wide), None)

    # ------------------------------------------------------------------------------------------------------- actions

    def action_step(self, by: int) -> None:
        self._go(self._cursor + by)

    def action_end(self, side: int) -> None:
        self._go(0 if side < 0 else len(self._rows) - 1)

    def action_page(self, by: int) -> None:
        self._go(self._cursor + by * max(1, self.size.height - 2))

    def action_shift(self, by: int) -> None:
        """Show columns further right or left; the first column stays."""
        layout = self._layout()
        if layout.right if by > 0 else layout.left:
            self._first += by
            self._forget()
            self.refresh()

    def action_choose(self) -> None:
        if self._rows:
            self.post_message(self.Chosen(self, self._rows[self._cursor].key))

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y == 0:
            if column := self.head_at(at.x):
                self.post_message(self.Headed(self, column.key))
            return
        row = at.y - 1 + self.scroll_offset.y
        if row < len(self._rows):
            self._go(row)
            if event.chain == 2:
                self.action_choose()

    def _go(self, row: int) -> None:
        if not self._rows:
            return
        before, old = self._window(), self._cursor
        self._cursor = max(0, min(row, len(self._rows) - 1))
        self._repaint(before)
        self._bring_into_view()
        if self._cursor != old:
            self.post_message(self.Moved(self, self._rows[self._cursor].key))

    def on_resize(self) -> None:
        """A cursor that was in view stays there when the table becomes lower."""
        seen = 0 <= self._cursor - self.scroll_offset.y < self._height - 1
        self._height = self.size.height
        if seen:
            self._bring_into_view()

    def _cursor_in_view(self) -> bool:
        return 0 <= self._cursor - self.scroll_offset.y < self.size.height - 1

    def _bring_into_view(self) -> None:
        top, height = self.scroll_offset.y, self.size.height - 1
        if height > 0 and not self._cursor_in_view():
            to = self._cursor if self._cursor < top else self._cursor - height + 1
            self.scroll_to(y=to, animate=False, force=True)

    # ------------------------------------------------------------------------------------------------------ painting

    def _window(self) -> list[tuple[Row, bool]]:
        """The rows on screen from the top, each with whether the cursor is on it."""
        top = self.scroll_offset.y
        rows = self._rows[top : top + max(0, self.size.height - 1)]
        return [(row, top + index == self._cursor) for index, row in enumerate(rows)]

    def _repaint(self, before: list[tuple[Row, bool]]) -> None:
        """Refresh what differs from `before`: one cell's span where only cells changed, else the line."""
        regions = []
        for line, (old, new) in enumerate(zip(before, self._window(), strict=False), start=1):
            if old != new:
                start, end = self._changed_span(old, new)
                if end > start:
                    regions.append(Region(start, line, end - start, 1))
        if regions:
            self.refresh(*regions)

    def _changed_span(self, old: tuple[Row, bool], new: tuple[Row, bool]) -> tuple[int, int]:
        """First and last cell, half-open, that two states of one line do not share."""
        (row, cursor), (other, other_cursor) = old, new
        if (cursor, row.dim, row.mark) != (other_cursor, other.dim, other.mark) or len(row.cells) != len(other.cells):
            return 0, self._width
        if row.wide or other.wide:
            return 0, self._width
        changed = {i for i, (a, b) in enumerate(zip(row.cells, other.cells, strict=True)) if a != b}
        spans = [(at, at + width) for index, at, width in self._layout().places if index in changed]
        return (min(a for a, _ in spans), max(b for _, b in spans)) if spans else (0, 0)

    def render_line(self, y: int) -> Strip:
        """One line of the viewport: the header, a row, or a line of the text for an empty table."""
        width = self._width
        if y == 0:
            return self._header(width)
        row = y - 1 + self.scroll_offset.y
        if row < len(self._rows):
            return self._strip(row, width)
        words = wrap(self._empty, max(1, width - 2)) if not self._rows else []
        text = f" {words[y - 1]}" if y - 1 < len(words) else ""
        return Strip([Segment(fit(text, width, "left"), self._style("dim"))], width)

    def _header(self, width: int) -> Strip:
        layout = self._layout()
        side = int(self.ascii_only)
        room = {index: cells for index, _, cells in layout.places}
        titles = [brief(c.title, room.get(i, 0), ascii_only=self.ascii_only) for i, c in enumerate(self._columns)]
        line = self._line(titles, layout, GUTTERS["left"][side] if layout.left else " ")
        text = fit(line, width, "left", ascii_only=self.ascii_only)
        if layout.right:
            text = set_cell_size(text, max(0, width - 1)) + GUTTERS["right"][side]
        return Strip([Segment(text, self._style("header"))], width)

    def _line(self, texts: Sequence[str], layout: Layout, gutter: str) -> str:
        columns = self._columns
        parts = [
            fit(texts[i] if i < len(texts) else "", width, columns[i].align, ascii_only=self.ascii_only)
            for i, _, width in layout.places
        ]
        return gutter + " ".join(parts)

    def _strip(self, index: int, width: int) -> Strip:
        """A row's line; the one under the cursor is rebuilt, the others are kept until their row changes."""
        row, cursor = self._rows[index], index == self._cursor
        layout = self._layout()  # also forgets strips of another width
        kept = None if cursor else self._strips.get(row.key)
        if kept is not None and kept[0] == row:
            return kept[1]
        runs = groupby(self._pieces(row, layout, width, cursor=cursor), key=lambda piece: piece[1])
        strip = Strip([Segment("".join(text for text, _ in run), style) for style, run in runs], width)
        if not cursor:
            self._strips[row.key] = (row, strip)
        return strip

    def _pieces(self, row: Row, layout: Layout, width: int, *, cursor: bool) -> list[tuple[str, Style]]:
        """Texts with their styles from the gutter to the right edge.

        Spaces take the preceding style and an empty gutter that of the first cell: each change of style costs about
        40 bytes on a terminal.
        """
        plain = self._tone("dim" if row.dim else "plain", cursor=cursor)
        glyph = f"{'cursor' if cursor else ''} {'mark' if row.mark else ''}".strip()
        pieces = [(GUTTERS[glyph][int(self.ascii_only)] if glyph else " ", self._tone("accent", cursor=cursor))]
        used = 1
        for index, at, size in joined(layout, width) if row.wide else layout.places:
            cell = row.cells[index] if index < len(row.cells) else Cell("")
            align = "left" if row.wide else self._columns[index].align
            text = fit(cell.text, size, align, ascii_only=self.ascii_only)
            pieces.append((" " * (at - used), pieces[-1][1]))
            pieces.append((text, plain if cell.tone == "plain" else self._tone(cell.tone, cursor=cursor)))
            used = at + size
        if not glyph and len(pieces) > 2:
            pieces[0] = (" ", pieces[2][1])  # the first cell's text; between them stands a gap of no width
        pieces.append((" " * (width - used), pieces[-1][1]))
        return [piece for piece in pieces if piece[0]]

    # -------------------------------------------------------------------------------------------------- kept between

    @property
    def _width(self) -> int:
        """Cells of a line, without the scrollbar."""
        return self.scrollable_size.width

    def _layout(self) -> Layout:
        (known, layout), width = self._laid_out, self._width
        if known != width:
            self._strips.clear()
            layout = lay_out(self._columns, width, self._first)
            self._laid_out = (width, layout)
        return layout

    def _forget(self) -> None:
        self._laid_out = (-1, Layout())
        self._strips.clear()

    def _style(self, name: str) -> Style:
        if name not in self._styles:
            plain = name == "plain"
            self._styles[name] = self.rich_style if plain else self.get_component_rich_style(f"line-table--{name}")
        return self._styles[name]

    def _tone(self, tone: str, *, cursor: bool) -> Style:
        """Style of a tone; under a focused cursor its own colours, which are the ones that its background allows."""
        if not cursor:
            return self._style(tone)
        under = self._style("cursor")
        if self.has_focus or tone == "plain":
            return under
        return self._style(tone) + Style(bgcolor=under.bgcolor)

    def notify_style_update(self) -> None:
        """Styles of the theme or of the focus changed."""
        self._styles.clear()
        self._strips.clear()
        super().notify_style_update()

    def watch_ascii_only(self) -> None:
        self._forget()
