"""Lines become dots and dots become characters."""

from __future__ import annotations

from itertools import pairwise

from bertdistill.app.draw.dots import characters, dashed, extremes, trace


def test_a_column_keeps_its_extremes() -> None:
    """A spike among many values of one column stays."""
    column = [(3, 1)] * 50 + [(3, 9)] + [(3, 2)] * 50
    assert [(2, 0), (3, 1), (3, 9), (3, 2), (4, 4)] == extremes([(2, 0), *column, (4, 4)])


def test_a_line_has_no_holes() -> None:
    """Each dot touches the one before it, and every corner is there."""
    dots = trace([(0, 0), (7, 3), (7, 9)])
    assert all(max(abs(a[0] - b[0]), abs(a[1] - b[1])) == 1 for a, b in pairwise(dots))
    assert {(0, 0), (7, 3), (7, 9)} <= set(dots)


def test_dashes_leave_dots_out_in_turn() -> None:
    """Two drawn, one left out; no dashes draws all."""
    dots = [(x, 0) for x in range(6)]
    assert [(0, 0), (1, 0), (3, 0), (4, 0)] == dashed(dots, (2, 1))
    assert dots == dashed(dots, ())


def test_characters_of_each_marker() -> None:
    """The corners of a cell, from the lower left, in braille, blocks and letters."""
    assert {(0, 0): "⡀", (1, 0): "⢀", (0, 1): "⠁"} == characters([(0, 0), (3, 0), (0, 7)], "braille", "a")
    assert {(0, 0): "▚", (1, 1): "█"} == characters([(0, 1), (1, 0), (2, 2), (2, 3), (3, 2), (3, 3)], "hd", "a")
    assert {(4, 2): "a"} == characters([(4, 2)], "ascii", "a")
