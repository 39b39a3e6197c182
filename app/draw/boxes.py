"""Solid lines of box-drawing characters between cells. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Cell = tuple[int, int]
"""Column and row, counted in cells from the lower left corner."""

_LEFT, _RIGHT, _DOWN, _UP = 1, 2, 4, 8
_BOXES = "╺━━━┃┓┏┳┃┛┗┻┃┫┣╋"
"""By the sides that a line leaves the cell on."""


def stairs(corners: Sequence[Cell]) -> dict[Cell, str]:
    """The character of each cell on a line whose segments run along rows and columns."""
    sides: dict[Cell, int] = {}
    for start, end in pairwise(corners):
        cells = _between(start, end)
        for (ax, ay), (bx, by) in pairwise(cells):
            there, back = (_RIGHT, _LEFT) if bx > ax else (_LEFT, _RIGHT) if bx < ax else (0, 0)
            if by != ay:
                there, back = (_UP, _DOWN) if by > ay else (_DOWN, _UP)
            sides[ax, ay] = sides.get((ax, ay), 0) | there
            sides[bx, by] = sides.get((bx, by), 0) | back
    return {cell: _BOXES[bits] for cell, bits in sides.items()}


def _between(start: Cell, end: Cell) -> list[Cell]:
    """Both cells and those between them, which share a row or a column."""
    (ax, ay), (bx, by) = start, end
    length = max(abs(bx - ax), abs(by - ay))
    return [(ax + (bx - ax) * i // max(1, length), ay + (by - ay) * i // max(1, length)) for i in range(length + 1)]
