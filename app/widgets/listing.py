"""What a person wants to see of a list: the filter and the column that sorts it. It draws nothing; its screen does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bertdistill.app.errors import UsageError
from bertdistill.app.text.safe import error_line, safe_line
from bertdistill.app.views.listing import Language, ordered
from bertdistill.app.widgets.columns import Column, arrowed

Item = TypeVar("Item")
KeyFor = Callable[[str], str]
"""The first key of an action, as it is shown."""
LONGEST_SHOWN = 60
"""Characters of a filter in a title."""


@dataclass
class Listing(Generic[Item]):
    """Filter and order of one list; the order that its items come in is the usual one."""

    thing: str
    """What a row is."""
    things: str
    """The plural; also the name under which the order is remembered."""
    language: Language[Item]
    columns: Callable[[], Sequence[str]]
    """Keys of its columns on screen, from left to right."""
    sorts: Callable[[str], bool]
    """Whether a column can sort it."""
    value: Callable[[Item, str], Any]
    """What an item is sorted by in such a column: a number, a word, or None."""
    changed: Callable[[], None]
    """Draws the list again."""
    usual: str = ""
    """The column that the usual order follows, if there is one."""
    text: str = ""
    by: str = ""
    """Key of the column; empty: the usual order."""
    reverse: bool = False
    amount: str = ""
    """How many items matched when they were last shown."""
    _keep: Callable[[Item], bool] | None = None

    # ---------------------------------------------------------------------------------------------------- what is shown

    def matching(self, items: Iterable[Item]) -> list[Item]:
        """The items that the filter keeps, in their order."""
        return [item for item in items if self._keep is None or self._keep(item)]

    def shown(self, items: Sequence[Item], of: int | None = None) -> list[Item]:
        """The same in the order that was chosen. `of`: how many there are, if `items` are not all."""
        found = self.matching(items)
        self.amount = f"{len(found)} of {len(items) if of is None else of} {self.things}"
        if self.by:
            return ordered(found, lambda item: self.value(item, self.by), reverse=self.reverse)
        return found[::-1] if self.reverse else found

    def heads(self, columns: Sequence[Column], *, ascii_only: bool) -> list[Column]:
        """The columns, with an arrow in the head of the one that sorts them."""
        return arrowed(columns, self.by, reverse=self.reverse, ascii_only=ascii_only)

    def title(self, name: str, usual: str, columns: Sequence[Column], key_for: KeyFor) -> str:
        """What stands above the list: how many match, else what it is sorted by."""
        if self.text:  # the numbers first: a narrow border cuts the end
            return f"{self.amount}, {key_for('back')} clears: {safe_line(self.text, LONGEST_SHOWN)}"
        head = next((column.title for column in columns if column.key == self.by), "") or self.by
        return f"{f'{name} by {head}' if self.by else usual}{', reversed' if self.reverse else ''}"

    def no_match(self, key_for: KeyFor) -> str:
        """Why a filtered list is empty."""
        ways = f"{key_for('back')} clears the filter, {key_for('filter')} changes it"
        return f"No {self.thing} matches {safe_line(self.text, LONGEST_SHOWN)}; {ways}."

    # ------------------------------------------------------------------------------------------------------- the filter

    def narrow(self, text: str) -> None:
        """Keep only what matches, without drawing it; "": everything. Raises UsageError and keeps the old filter."""
        keep = self.language.test(text) if text else None
        self.text, self._keep = text if keep is not None else "", keep

    def use_filter(self, text: str) -> None:
        """Show at once what matches. Raises UsageError."""
        self.narrow(text)
        self.changed()

    def filter_as_typed(self, text: str) -> str:
        """Show at once what the finished words match; how many items that is, or what is wrong with them."""
        try:
            self.use_filter(self.language.finished(text))
        except UsageError as error:
            return error_line(error)
        return self.amount

    # -------------------------------------------------------------------------------------------------------- the order

    @property
    def order(self) -> dict[str, Any]:
        """To be remembered."""
        return {"sort": self.by, "reverse": self.reverse}

    def recall(self, order: Mapping[str, Any]) -> None:
        """Sort as it was remembered, if there is such a column."""
        by = order.get("sort")
        self.by = by if isinstance(by, str) and self.sorts(by) else ""
        self.reverse = order.get("reverse") is True

    def next_order(self) -> None:
        """By the next column; after the last one as usual."""
        names = ["", *(name for name in self.columns() if name != self.usual and self.sorts(name))]
        self.by = names[(names.index(self.by) + 1) % len(names)] if self.by in names else ""

    def order_by(self, column: str) -> None:
        """By this column, if it can sort; once more, the other way."""
        if self.sorts(column):
            self.by, self.reverse = column, column == self.by and not self.reverse
