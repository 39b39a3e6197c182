"""A list is filtered as typed and sorted by its columns; the screens that have one share this."""

from __future__ import annotations

from typing import Any

import pytest

from bertdistill.app.views.listing import WordFilter
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.listing import Listing

PAIRS = [("a", 2), ("b", 3), ("ab", 1)]
COLUMNS = (Column("name", "name", 4), Column("size", "size", 4, "right"), Column("note", "note", 9))


def a_list(drawn: list[Any]) -> Listing[tuple[str, int]]:
    """A list of these pairs; what it shows is added to `drawn`."""
    found: Listing[tuple[str, int]] = Listing(
        "pair",
        "pairs",
        WordFilter("one", lambda pair: pair[0], tuple),
        columns=lambda: [column.key for column in COLUMNS],
        sorts=("name", "size").__contains__,
        value=lambda pair, column: pair[column == "size"],
        changed=lambda: drawn.append(found.shown(PAIRS)),
        usual="name",
    )
    return found


def test_a_list_is_narrowed_and_ordered() -> None:
    """The next column is one that sorts and says something new; the head of it has the arrow, once more turns it."""
    drawn = list[Any]()
    found = a_list(drawn)
    assert found.shown(PAIRS) == PAIRS
    assert found.filter_as_typed(" a ") == "2 of 3 pairs"
    assert found.title("Pairs", "Pairs", COLUMNS, {"back": "esc"}.__getitem__) == "2 of 3 pairs, esc clears: a"
    found.next_order()
    assert (found.by, found.shown(PAIRS)) == ("size", [("ab", 1), ("a", 2)])
    found.order_by("size")
    found.order_by("note")
    assert [column.title for column in found.heads(COLUMNS, ascii_only=True)] == ["name", "size ^", "note"]
    found.use_filter("")
    assert found.title("Pairs", "Pairs", COLUMNS, str) == "Pairs by size, reversed"
    assert drawn == [[("a", 2), ("ab", 1)], [("b", 3), ("a", 2), ("ab", 1)]]
    found.next_order()
    assert found.by == ""


@pytest.mark.parametrize("order", [{"sort": "note"}, {"sort": 3}, {}])
def test_an_order_that_means_nothing_is_forgotten(order: dict[str, Any]) -> None:
    found = a_list([])
    found.recall(order)
    assert (found.by, found.reverse) == ("", False)
    found.recall({"sort": "size", "reverse": True})
    assert {"sort": "size", "reverse": True} == found.order
