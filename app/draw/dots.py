"""Turns lines into dots and dots into characters: 2×4 dots per braille cell, 2×2 per block. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

Marker = Literal["braille", "hd", "ascii"]
Dot = tuple[int, int]
"""Column and row, counted in dots from the lower left corner."""

DOTS: dict[Marker, tuple[int, int]] = {"braille": (2, 4), "hd": (2, 2), "ascii": (1, 1)}
"""Dots in one cell, across and up."""

_BRAILLE = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Bit of each dot by column, then by row from the foot."""

_BLOCKS = " ▖▘▌▗▄▚▙▝▞▀▛▐▟▜█"
"""By bits: 1 lower left, 2 upper left, 4 lower right, 8 upper right."""


def extremes(dots: Sequence[Dot]) -> list[Dot]:
    """Reduce consecutive dots of one column to the first, lowest, highest and last: it looks the same and keeps every
    spike.

    Columns are fixed to screen cells, so the dots of a growing curve stay where they are.
    """
    kept: list[Dot] = []
    start = 0
    while start < len(dots):
        column, end = dots[start][0], start + 1
        while end < len(dots) and dots[end][0] == column:
            end += 1
        stretch = dots[start:end]
        kept += dict.fromkeys((stretch[0], min(stretch), max(stretch), stretch[-1]))
        start = end
    return kept


def trace(corners: Sequence[Dot]) -> list[Dot]:
    """Every dot on the line segments between corners, each corner once."""
    dots = list(corners[:1])
    for (ax, ay), (bx, by) in pairwise(corners):
        length = max(abs(bx - ax), abs(by - ay))
        dots += [(ax + round((bx - ax) * i / length), ay + round((by - ay) * i / length)) for i in range(1, length + 1)]
    return dots


def dashed(dots: Sequence[Dot], dashes: Sequence[int]) -> list[Dot]:
    """The dots that remain with alternating runs of `dashes` dots drawn and omitted; all of them without dashes."""
    period = [turn % 2 == 0 for turn, length in enumerate(dashes) for _ in range(length)] or [True]
    return [dot for i, dot in enumerate(dots) if period[i % len(period)]]


def characters(dots: Iterable[Dot], marker: Marker, letter: str) -> dict[Dot, str]:
    """The character of each cell that has dots; always `letter` if the marker is ASCII."""
    across, up = DOTS[marker]
    bits: dict[Dot, int] = {}
    for x, y in dots:
        cell = x // across, y // up
        bits[cell] = bits.get(cell, 0) | (_BRAILLE[x % 2][y % 4] if up == 4 else 1 << (x % 2 * 2 + y % 2))
    if marker == "ascii":
        return dict.fromkeys(bits, letter)
    return {cell: chr(0x2800 + b) if marker == "braille" else _BLOCKS[b] for cell, b in bits.items()}
