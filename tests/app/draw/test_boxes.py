"""A stair of box-drawing characters has a corner where it turns and ends that are open to one side."""

from __future__ import annotations

from bertdistill.app.draw.boxes import stairs


def test_a_stair_turns_at_its_corners() -> None:
    """Right, up, right: each cell continues those beside it."""
    assert {(0, 0): "━", (1, 0): "━", (2, 0): "┛", (2, 1): "┃", (2, 2): "┏", (3, 2): "━"} == {
        cell: char.replace("╺", "━") for cell, char in stairs([(0, 0), (2, 0), (2, 2), (3, 2)]).items()
    }


def test_a_stair_to_the_left_mirrors_one_to_the_right() -> None:
    """Where more is better on x, the line goes to the left."""
    assert "┗" == stairs([(3, 0), (1, 0), (1, 2)])[1, 0]
    assert "┏" == stairs([(3, 2), (1, 2), (1, 0)])[1, 2]


def test_nothing_to_join() -> None:
    """One corner, or the same twice, is no line."""
    assert {} == stairs([(1, 1)])
    assert {} == stairs([(1, 1), (1, 1)])
