"""Which columns of a table are on screen."""

from __future__ import annotations

from bertdistill.app.widgets.columns import Column, lay_out

COLUMNS = (Column("name", "", 10), Column("0", "reference", 16, "right", pinned=True), Column("1", "#1", 16, "right"))


def test_a_pinned_column_stays_beside_the_first() -> None:
    """Whatever is scrolled away: a difference is read against its reference."""
    columns = (*COLUMNS, Column("2", "#2", 16, "right"), Column("3", "#3", 16, "right"))
    assert [0, 1, 2] == [index for index, *_ in lay_out(columns, 48, 0).places]
    assert [0, 1, 4] == [index for index, *_ in lay_out(columns, 48, 2).places]
    assert lay_out(columns, 48, 2).left
    assert [0] == [index for index, *_ in lay_out(columns[:1], 48, 0).places]
    assert () == lay_out((), 48, 0).places
