"""The plane of two metrics: groups, the area that the frontier dominates, and where marks and labels are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bertdistill.app.draw.axes import Axis
from bertdistill.app.draw.canvas import GROUPS, Drawing, Look
from bertdistill.app.draw.plane import Point, frontier_drawing

LOW, HIGH = Axis("params", "minimize"), Axis("exact", "maximize")
BARE = Look(60, 16, frame=False)
POINTS = [
    Point(10, 20, "frontier", "#1", edge=True, group=0),
    Point(50, 80, "frontier", "#2", edge=True, group=1),
    Point(60, 40, "dominated", group=0),
    Point(80, 30, "dominated", group=1),
]


def lines(drawing: Drawing) -> list[str]:
    return drawing.text.split("\n")


@pytest.mark.parametrize("look", [BARE, replace(BARE, frame=True), replace(BARE, marker="ascii")])
def test_every_mark_is_where_it_is_said_to_be(look: Look) -> None:
    """A click on that cell finds the right trial, with a frame and without."""
    drawing = frontier_drawing(POINTS, LOW, HIGH, look, groups=("mlp", "bilstm"))
    star = "*" if look.plain else "★"
    expected = [star, star, GROUPS[0][look.plain], GROUPS[1][look.plain]]
    assert expected == [lines(drawing)[line][column] for column, line, _ in drawing.marks]
    assert [0, 1, 2, 3] == [index for _, _, index in drawing.marks]


def test_groups_have_a_glyph_and_a_name() -> None:
    """Of the dominated; the frontier keeps its star. Groups without a mark are not in the legend."""
    drawing = frontier_drawing(POINTS, LOW, HIGH, BARE, groups=("mlp", "bilstm", "linear"))
    assert ["★ frontier", "● mlp", "■ bilstm"] == [word.text for word in drawing.legend]
    assert ["series0", "series1"] == [word.key for word in drawing.legend[1:]]


def test_more_groups_than_glyphs() -> None:
    """They repeat rather than fail."""
    many = [Point(i, i, "dominated", group=i) for i in range(1, 20)]
    drawing = frontier_drawing(many, LOW, HIGH, BARE, groups=[f"g{i}" for i in range(20)])
    assert 19 == len(drawing.legend)


@pytest.mark.parametrize("across", ["minimize", "maximize"])
@pytest.mark.parametrize("up", ["minimize", "maximize"])
def test_the_area_is_what_the_frontier_dominates(across: str, up: str) -> None:
    """A mark lies in it exactly if some frontier point is better in both metrics, whatever better means."""
    x, y = replace(LOW, better=across), replace(HIGH, better=up)  # type: ignore[arg-type]
    sx, sy = (1 if across == "minimize" else -1), (1 if up == "maximize" else -1)
    edge = [(10, 20), (50, 80)] if sx * sy > 0 else [(10, 80), (50, 20)]
    spread = [(a, b) for a in (5, 25, 70) for b in (8, 50, 92)]
    points = [
        *(Point(a, b, "frontier", edge=True) for a, b in edge),
        *(Point(a, b, "dominated") for a, b in spread),
    ]
    drawing = frontier_drawing(points, x, y, replace(BARE, colour=True))
    inside = {(line, column) for line, start, end in drawing.area for column in range(start, end)}
    found = {(points[i].x, points[i].y) for column, line, i in drawing.marks if (line, column) in inside and i > 1}
    assert {(a, b) for a, b in spread if any(sx * a > sx * p and sy * b < sy * q for p, q in edge)} == found


def test_the_cursor_reads_its_values_where_there_is_room() -> None:
    """Else its label alone, which is always there; neither covers a mark."""
    roomy = frontier_drawing(POINTS, LOW, HIGH, BARE, cursor=1, detail="#2 80.00, 50")
    assert "#2 80.00, 50" in roomy.text
    tight = frontier_drawing(POINTS, LOW, HIGH, replace(BARE, width=24), cursor=1, detail="#2 " + "x" * 30)
    assert "#2" in tight.text
    assert "xxx" not in tight.text


def test_axes_are_named_where_no_frame_does() -> None:
    """In the corners, if there is room."""
    text = lines(frontier_drawing(POINTS, LOW, HIGH, BARE))
    assert "exact" in text[0]
    assert any(line.endswith("params") for line in text)
