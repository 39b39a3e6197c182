"""What is looked for is found whatever its case, and the keys go around the end."""

from __future__ import annotations

import pytest

from bertdistill.app.widgets.sought import Sought

FOUND = Sought.among("OOM", ["oom", "fine", "Room", "x", "boom"])


def test_lines_that_hold_a_text() -> None:
    assert FOUND.lines == (0, 2, 4)
    assert Sought.among("", ["oom"]).lines == ()


@pytest.mark.parametrize(("at", "here", "after", "before"), [(0, 0, 2, 4), (1, 2, 2, 0), (4, 4, 0, 2), (9, 0, 0, 4)])
def test_from_line_to_line(at: int, here: int, after: int, before: int) -> None:
    assert (FOUND.here(at), FOUND.beside(at, 1), FOUND.beside(at, -1)) == (here, after, before)


def test_where_it_stands() -> None:
    assert FOUND.title(2) == "/oom: 2 of 3 (n N esc)"
    assert FOUND.title(1) == "/oom: 3 lines (n N esc)"
    assert Sought("gone").title(None) == "/gone: not found (n N esc)"
    assert Sought("gone").beside(0, 1) is None
