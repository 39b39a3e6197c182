"""Bars and sparklines are lines of plain characters that fit."""

from __future__ import annotations

import math

import pytest

from bertdistill.app.draw.sparks import Bar, bars, narrowed, sparkline

ITEMS = [Bar("learning_rate", 0.5), Bar("alpha", 0.25), Bar("layers", -0.125), Bar("gone", math.nan)]


def test_bars_are_as_long_as_their_values() -> None:
    """Half the value is half the bar; a negative one is hatched, a missing one has no bar and no number."""
    lines = bars(ITEMS, 41)
    assert [20, 10, 5, 0] == [sum(c in "█░" for c in line) for line in lines]
    assert ["0.5", "0.25", "-0.125", "–"] == [line.split()[-1] for line in lines]


def test_parts_of_a_cell_show() -> None:
    """A bar ends in eighths of a cell."""
    assert "▌" in bars([Bar("a", 1.0, "x"), Bar("b", 0.35, "x")], 14)[1]


def test_ascii_bars_are_ascii() -> None:
    """Nothing but ASCII, sign and length still told."""
    lines = bars(ITEMS, 41, ascii_only=True)
    assert all(line.isascii() for line in lines)
    assert "#" * 20 in lines[0]
    assert "-----" in lines[2]


@pytest.mark.parametrize("width", [-1, 0, 1, 5, 200])
def test_bars_fit_any_width(width: int) -> None:
    """Never longer than asked for, also without room for a bar, and none at all for no items."""
    assert all(len(line) <= max(0, width) for line in bars(ITEMS, width))
    assert [] == bars([], width)


def test_sparkline_runs_from_low_to_high() -> None:
    """The extremes take the lowest and the highest glyph; a gap is a space."""
    assert "▁▅ █" == sparkline([0.0, 4.0, None, 7.0], 10)
    assert "_= #" == sparkline([0.0, 4.0, math.inf, 7.0], 10, ascii_only=True)


def test_sparkline_shortens_long_series() -> None:
    """A thousand values in twelve cells still rise."""
    line = sparkline([float(i) for i in range(1000)], 12)
    assert (12, "▁", "█") == (len(line), line[0], line[-1])


@pytest.mark.parametrize("values", [[], [None], [math.nan] * 3, [2.0] * 3, [1e300, 1e300]])
@pytest.mark.parametrize("width", [0, 1, 2, 9])
def test_sparkline_of_nothing_and_constants(values: list[float | None], width: int) -> None:
    """No crash and never too long."""
    assert len(sparkline(values, width)) <= width


def test_labels_take_one_cell_a_character() -> None:
    """Wide, combining and control characters become a mark, long ones end in an ellipsis."""
    assert ["a??b", "xy", "abc…", ""] == [
        narrowed("a日本b", 9),
        narrowed("x\x1b[31my", 9),
        narrowed("abcdef", 4),
        narrowed("abc", 0),
    ]
    assert "exact ^ caf? ab~" == narrowed("exact ↑ café abc…", 16, ascii_only=True)
