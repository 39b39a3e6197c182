"""Fields that people paste into: what a web page put into the clipboard cannot drive the terminal. They check nothing.

Textual draws the characters of a field as they are, so escape sequences must not get in.
"""

from __future__ import annotations

from textual.events import Paste
from textual.widgets import Input, TextArea

from bertdistill.app.text.safe import safe, safe_line

MOST_PASTED = 200_000
"""Characters; the longest passages of SQuAD have 4,000."""


class Field(Input):
    """One line."""

    def on_paste(self, event: Paste) -> None:
        """Before Input inserts it; the lines of a text become one."""
        event.text = safe_line(event.text, MOST_PASTED)


class TextField(TextArea):
    """Many lines."""

    def on_paste(self, event: Paste) -> None:
        """Before TextArea inserts it."""
        event.text = safe(event.text, MOST_PASTED)
