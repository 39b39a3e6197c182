"""The parts of the form of a study file: its lines, the box that follows the focus, completion of paths.

It knows no study file: lines are made from `study_form` values.
"""

from __future__ import annotations

import asyncio

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text
from textual.containers import Horizontal, VerticalScroll
from textual.strip import Strip
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input, Label

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import LONGEST_LINE, safe_line
from bertdistill.app.views.configs import completion
from bertdistill.app.views.study_form import Field


class PathSuggester(Suggester):
    """The first folder or TOML file that begins with what was typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(completion, value)


class Value(Input):
    """The value of a line. Of a path that is too long it shows the end, with its name, until it is typed in."""

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if y or self.has_focus or "/" not in self.value or cell_len(self.value) <= width:
            return super().render_line(y)
        return Strip([Segment(fmt.end_of_path(self.value, width), self.rich_style)]).extend_cell_length(width + 1)


class Form(VerticalScroll, can_focus=False, inherit_bindings=False):
    """The lines of the form. Arrows go from line to line, so it has no keys to scroll with; it follows the focus."""


class FieldLabel(Label):
    """The dotted key of a line, with a sign before it if it needs fixing."""

    def __init__(self, key: str, words: str = "") -> None:
        super().__init__("", markup=False)
        self.key, self._words = key, words or key

    def on_mount(self) -> None:
        self.tell(" ", wrong=False)

    def tell(self, sign: str, *, wrong: bool) -> None:
        """Show the key with this sign."""
        self.set_class(wrong, "-wrong")
        self.update(Text(f"{sign} {safe_line(self._words)}", no_wrap=True, overflow="ellipsis"))


def field_line(field: Field, value: str, longest: int) -> Widget:
    """One line: the key and its value, with its default dimmed if empty. `longest` is the length of the longest key.

    Keys of one family are long (`search.transformer.learning_rate`), and their end is what tells them apart.
    """
    default = f"{field.key.default} by default" if field.key.default else "empty"
    name = field.key.name
    field_input = Value(
        value,
        name=name,
        classes="value",
        placeholder=default,
        compact=True,
        select_on_focus=False,
        max_length=LONGEST_LINE,
    )
    label = FieldLabel(name, field.key.label)
    label.styles.width = longest + 3  # the glyph and a gap around it
    return Horizontal(label, field_input, classes="field")
