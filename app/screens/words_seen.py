"""Which explained words stand on a screen, and which one is under the mouse: read from what its widgets draw.

It changes nothing, and runs only when the help is opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len
from textual.geometry import Offset, Region
from textual.screen import Screen
from textual.widget import Widget

from bertdistill.app.screens.live_screen import Keys
from bertdistill.app.text.glossary import Entry
from bertdistill.app.views.terms import explain, explained, occurrences
from bertdistill.app.widgets.log import LogPane
from bertdistill.app.widgets.table import LineTable


def words_seen(screen: Screen[Any]) -> list[Entry]:
    """Those of the focused pane first, heads before cells, then those of the others from top to bottom."""
    panes = sorted(_drawn(screen), key=lambda pane: pane is not screen.focused)
    return list(dict.fromkeys(entry for pane in panes for entry in _seen_in(pane)))


def word_at(screen: Screen[Any], at: Offset) -> Entry | None:
    """The word under the mouse, in a head, a title or anywhere else; None without an explained one."""
    pane = next((pane for pane in reversed(_drawn(screen)) if pane.region.contains_point(at)), None)
    if pane is None:
        return None
    inside, content = at - pane.region.offset, at - pane.content_region.offset
    if isinstance(pane, LineTable) and content.y == 0:
        head = pane.head_at(content.x)
        return explain(head.title) if head else None
    line = _lines(pane)[inside.y]
    places = ((cell_len(line[:start]), cell_len(line[:end]), entry) for start, end, entry in occurrences(line))
    return next((entry for start, end, entry in places if start <= inside.x < end), None)


def _drawn(screen: Screen[Any]) -> list[Widget]:
    """What has words, in the order of the screen; not the footer and logs, whose words are keys and prose."""
    widgets = (one for one in screen.walk_children(Widget) if one.is_on_screen and one.region)
    return [one for one in widgets if (one.border_title or not one.children) and not isinstance(one, Keys | LogPane)]


def _seen_in(pane: Widget) -> Iterable[Entry]:
    if isinstance(pane, LineTable):
        yield from filter(None, map(explain, pane.heads))
    yield from explained("\n".join(_lines(pane)))


def _lines(pane: Widget) -> list[str]:
    """What it draws, with its border and the titles in that."""
    return [strip.text for strip in pane.render_lines(Region(0, 0, *pane.outer_size))]
