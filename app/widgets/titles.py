"""Titles in the borders of panes: foreign text, never markup, set only when they change. It draws nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

from rich.text import Text
from textual.widget import Widget

from bertdistill.app.text.safe import safe_line

_SHOWN: WeakKeyDictionary[Widget, dict[str, str | Text]] = WeakKeyDictionary()
_BORDER = {"title": "border_title", "subtitle": "border_subtitle"}


def in_line(parts: Iterable[Text], width: int, *, gap: int = 3) -> Text:
    """The parts that fit into `width`, the most important first: a number that is cut misleads.

    The first two, a name and its state, are there in any case.
    """
    text = Text(no_wrap=True, overflow="ellipsis")
    for place, part in enumerate(parts):
        if place > 1 and text.cell_len + part.cell_len + gap > width:
            break
        text.append(" " * gap if text else "")
        text.append_text(part)
    return text


def entitle(widget: Widget, **titles: str | Text) -> None:
    """Set `title` and `subtitle` of a pane. Textual repaints the pane for each; here unchanged text costs nothing.

    A `Text` has colours and is safe already.
    """
    shown = _SHOWN.setdefault(widget, {})
    for which, words in titles.items():
        if shown.get(which) != words:
            shown[which] = words
            text = words if isinstance(words, Text) else Text(safe_line(words, 200))
            setattr(widget, _BORDER[which], text)
