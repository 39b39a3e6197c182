"""Charts draw what is finite, at the size asked for, with and without Unicode and colour."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from bertdistill.app.charts import Axis, Curve, Look, Point, curves_chart, frontier_chart, thin, ticks
from bertdistill.app.format import count

X = Axis("params", "minimize", count)
Y = Axis("exact", "maximize")
POINTS = [
    Point(14_000, 40, "frontier", "#3", edge=True),
    Point(50_000, 88, "frontier", "#7", edge=True),
    Point(80_000, 60, "dominated"),
    Point(90_000, 95, "baseline", "#0", edge=True),
    Point(30_000, 30, "running", "#12"),
]


def test_frontier_chart_names_points_and_kinds() -> None:
    """Labels stand at the points, the legend names only the kinds that are there."""
    text = frontier_chart(POINTS, X, Y, Look())
    assert [True] * 5 == [label in text for label in ("★#3", "★#7", "#0◆", "▷#12", "★ frontier  ◆ baseline  ▷ running")]
    assert "infeasible" not in text


def test_steps_pass_through_frontier_points_only() -> None:
    """The step line climbs at each point of the edge, a baseline among them, and needs two points."""
    stepped = frontier_chart(POINTS, X, Y, Look(ascii_only=True))
    alone = frontier_chart([*POINTS[:1], *POINTS[2:3]], X, Y, Look(ascii_only=True))
    assert "*#3...." in stepped
    assert "*#7...." in stepped
    assert "...." not in alone


def test_ascii_chart_is_ascii() -> None:
    """Every character is ASCII and nothing is lost."""
    text = frontier_chart(POINTS, X, Y, Look(ascii_only=True))
    assert text.isascii()
    assert "*#3" in text
    assert "B baseline" in text


def test_plain_chart_has_no_escape() -> None:
    """Without colour there is no escape sequence; with colour there is."""
    assert (
        "\x1b" in frontier_chart(POINTS, X, Y, Look()),
        "\x1b" in frontier_chart(POINTS, X, Y, Look(colour=True)),
    ) == (
        False,
        True,
    )


def test_points_that_cannot_be_drawn_are_counted() -> None:
    """NaN, infinities and, on a log axis, zero and below are left out and said."""
    bad = [Point(math.nan, 1, "dominated"), Point(1, math.inf, "dominated"), Point(0, 50, "dominated")]
    text = frontier_chart([*POINTS, *bad], Axis("params", "minimize", count, log=True), Y, Look())
    assert "3 points cannot be drawn" in text


def test_nothing_to_draw_says_so() -> None:
    """An empty study is a sentence, not an empty frame."""
    assert "no point to draw yet" == frontier_chart([Point(math.nan, 1, "running")], X, Y, Look())


@pytest.mark.parametrize(
    "points", [POINTS[:1], [Point(5, 5, "dominated")] * 3, [Point(1e-12, 1e300, "frontier", "#1")]]
)
def test_one_point_constant_points_and_extremes(points: list[Point]) -> None:
    """Spans of zero and huge numbers still make a chart."""
    assert "┌" in frontier_chart(points, X, Y, Look())


def test_lines_are_labelled() -> None:
    """Thresholds and the teacher are lines with their names."""
    y = Axis("exact", "maximize", lines=((50.0, "threshold 50"), (97.0, "teacher 97")))
    text = frontier_chart(POINTS, X, y, Look())
    assert "threshold 50┄" in text
    assert "teacher 97┄" in text
    assert "┄ threshold 50  ┄ teacher 97" == text.split("\n")[-1]  # also where no mark can lie over it


def test_size_is_what_was_asked_for() -> None:
    """No cut to the terminal of the process (80×24 in a pipe): 150 columns are 150 columns."""
    text = frontier_chart(POINTS, X, Y, Look(150, 40))
    lines = text.split("\n")
    assert (150, 41) == (max(len(line) for line in lines), len(lines))


def test_size_holds_in_a_pipe_without_a_terminal() -> None:
    """The same in a process whose streams are pipes."""
    code = (
        "from bertdistill.app.charts import *\n"
        "a=Axis('x','minimize')\n"
        "print(max(map(len, frontier_chart([Point(1,1,'frontier','#1')],a,a,Look(130,30)).split(chr(10)))))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert "130" == done.stdout.strip()


def test_curves_hide_and_count_what_is_not_finite() -> None:
    """A diverged loss is drawn as far as it goes; infinity would raise in plotext."""
    text = curves_chart([Curve("train/loss", [1, 2, 3, 4], [3.0, math.nan, math.inf, 1.5])], "step", Look())
    assert text.startswith("train/loss 1.5 (2 points not finite, hidden)")


def test_curves_without_values_say_so() -> None:
    """Only NaN is a sentence."""
    assert "no value to draw yet; 1 points are not finite" == curves_chart(
        [Curve("a", [1], [math.nan])], "step", Look()
    )


def test_curves_on_a_log_axis() -> None:
    """Values at or below zero are hidden and counted; the axis shows the values, not their logarithms."""
    text = curves_chart([Curve("a", [1, 2, 3, 4], [1000.0, 10.0, 0.0, 1.0])], "step", Look(), log=True)
    assert "(1 points not finite, hidden)" in text
    assert "1000" in text


def test_curves_differ_by_letter_in_ascii() -> None:
    """Without braille each line has its letter."""
    text = curves_chart([Curve("x", [1, 2], [1.0, 2.0]), Curve("y", [1, 2], [2.0, 1.0])], "step", Look(ascii_only=True))
    assert text.isascii()
    assert text.startswith("a = x 2, b = y 1")


def test_thin_keeps_spikes() -> None:
    """Lowest and highest of each stretch stay."""
    pairs = [(float(i), 0.0) for i in range(10_000)]
    pairs[5_003] = (5_003.0, 9.0)
    thinned = thin(pairs, 200)
    assert (5_003.0, 9.0) in thinned
    assert len(thinned) <= 200


@pytest.mark.parametrize(
    ("low", "high", "most", "log", "expected"),
    [
        (0.0, 100.0, 5, False, [0, 20, 40, 60, 80, 100]),
        (13.0, 97.0, 4, False, [25, 50, 75]),
        (1.0, 1000.0, 4, True, [1, 10, 100, 1000]),
        (5.0, 5.0, 4, False, [5]),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, log: bool, expected: list[float]) -> None:
    """Ticks are round numbers inside the range."""
    assert expected == ticks(low, high, most, log=log)
