"""Charts draw what is finite, at the size asked for, with and without Unicode and colour."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest

from bertdistill.app.draw.axes import Axis, Scale, drawable, thin, ticks
from bertdistill.app.draw.canvas import GLYPHS, Look, Word, canvas_of
from bertdistill.app.draw.curves import Curve, curves_chart, curves_drawing
from bertdistill.app.draw.dots import Marker
from bertdistill.app.draw.parallel import Strand, parallel_drawing
from bertdistill.app.draw.plane import Point, frontier_chart, frontier_drawing, slice_drawing
from bertdistill.app.text.format import count

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
    assert [True] * 5 == [label in text for label in ("#3★", "#7★", "#0◆", "▷#12", "★ frontier  ◆ baseline  ▷ running")]
    assert "infeasible" not in text


def test_steps_pass_through_frontier_points_only() -> None:
    """The step line climbs at each point of the edge, a baseline among them, and needs two points."""
    stepped = frontier_chart(POINTS, X, Y, Look(ascii_only=True))
    alone = frontier_chart([*POINTS[:1], *POINTS[2:3]], X, Y, Look(ascii_only=True))
    assert "#3*====" in stepped
    assert "#7*====" in stepped
    assert "====" not in alone


def test_the_edge_passes_by_what_is_on_the_frontier_for_a_third_objective() -> None:
    """With three objectives the line still only climbs; every mark is there."""
    third = Point(70_000, 30, "frontier", "#5", edge=True)
    with_it, without = (frontier_drawing(p, X, Y, Look(marker="ascii")).text for p in ([*POINTS, third], POINTS))
    assert "#5" in with_it
    assert without.count("=") == with_it.count("=")


def test_every_mark_and_line_in_ascii_has_its_own_character() -> None:
    """A dominated point is no piece of the step line, and the legend names both."""
    drawing = frontier_drawing(POINTS, X, Y, Look(marker="ascii"))
    glyphs = [plain for _, plain in GLYPHS.values()]
    assert len({*glyphs, "=", "-", "|"}) == len(glyphs) + 3
    assert ("= frontier's edge", ". dominated") == tuple(w.text for w in reversed(drawing.legend) if w.text[0] in "=.")
    assert not any(word.text.startswith("=") for word in frontier_drawing(POINTS, X, Y, Look()).legend)


def test_a_point_left_out_has_no_mark_but_stays_a_corner_of_the_edge() -> None:
    """So a filter changes what is marked and not what was reached."""
    left_out = [replace(point, outside=True) if point.label == "#3" else point for point in POINTS]
    whole, part = (frontier_drawing(points, X, Y, Look(marker="ascii")) for points in (POINTS, left_out))
    row, column = _cell(whole.text, "#3*")
    assert "=" == part.text.split("\n")[row][column + 2]
    assert ("#3" in whole.text, "#3" in part.text) == (True, False)
    nothing = frontier_drawing([replace(point, outside=True) for point in POINTS], X, Y, Look())
    assert not nothing.drawn


def test_ascii_chart_is_ascii() -> None:
    """Every character is ASCII and nothing is lost."""
    text = frontier_chart(POINTS, X, Y, Look(ascii_only=True))
    assert text.isascii()
    assert "#3*" in text
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
        "from bertdistill.app.draw.axes import *; from bertdistill.app.draw.plane import *\n"
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


# ------------------------------------------------------------------------------------------------------------ drawings


def _cell(text: str, label: str) -> tuple[int, int]:
    """Row and column where a label begins."""
    return next((y, line.index(label)) for y, line in enumerate(text.split("\n")) if label in line)


@pytest.mark.parametrize("frame", [True, False])
@pytest.mark.parametrize("size", [(20, 6), (33, 7), (78, 18), (150, 45)])
def test_drawings_keep_to_their_size(size: tuple[int, int], frame: bool) -> None:
    """Frontier, curves and parallel axes fill at most the cells that they were given, legend apart."""
    look = Look(*size, frame=frame)
    drawings = [
        frontier_drawing(POINTS, X, Y, look, cursor=1),
        curves_drawing([Curve("train/loss", [1, 2, 3], [3.0, 2.0, 1.0])], "step", look, crosshair=2),
        parallel_drawing([X, Y], [Strand((1.0, 2.0), "frontier", "#1")], look, cursor=0),
    ]
    for drawing in drawings:
        lines = drawing.text.split("\n")
        assert (True, True) == (len(lines) <= size[1], max(map(len, lines)) <= size[0])


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (19, 30), (80, 5)])
def test_drawings_without_room_say_so(size: tuple[int, int]) -> None:
    """A sentence cut to the width instead of a chart, and nothing raised."""
    look = Look(*size)
    for drawing in (
        frontier_drawing(POINTS, X, Y, look),
        curves_drawing([Curve("a", [1, 2], [1.0, 2.0])], "step", look),
        slice_drawing(POINTS, X, Y, look),
        parallel_drawing([X, Y], [Strand((1.0, 2.0), "frontier")], look),
    ):
        assert (False, True) == (drawing.drawn, len(drawing.text) <= size[0])


BAD = [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e300, -1e300, 5e-324, 1.0]


@pytest.mark.parametrize("marker", ["braille", "hd", "ascii"])
@pytest.mark.parametrize("log", [False, True])
def test_no_value_breaks_a_chart(marker: Marker, log: bool) -> None:
    """Every pair of odd values is drawn or counted, alone and together."""
    look = Look(40, 12, marker=marker, colour=True)
    x, y = Axis("x", "minimize", log=log), Axis("y", "maximize", log=log, lines=((math.inf, "no"), (1.0, "one")))
    points = [Point(a, b, "dominated", "#1", edge=True) for a in BAD for b in BAD]
    for chosen in [points, *([p] for p in points)]:
        drawing = frontier_drawing(chosen, x, y, look, cursor=0)
        assert drawing.hidden == sum(not (drawable(p.x, log=log) and drawable(p.y, log=log)) for p in chosen)
    curve = Curve("a", BAD, list(reversed(BAD)))
    assert curves_drawing([curve], "step", look, log=log, crosshair=math.nan, smoothing=0.5).hidden > 0
    strands = [Strand((a, b), "dominated") for a in BAD for b in [*BAD, None]]
    assert parallel_drawing([x, y], strands, look, cursor=3).drawn


def test_the_cursor_is_told_without_colour() -> None:
    """The chosen point stands in brackets with its label, and its values are the readings."""
    drawing = frontier_drawing(POINTS, X, Y, Look(), cursor=2)
    assert "[●]" in drawing.text
    assert (("params", 80_000), ("exact", 60)) == drawing.readings
    below = frontier_drawing(POINTS, X, Y, Look(), cursor=0).text  # left and right of it are the axis and the edge
    assert all(words in below for words in ("[★]", "#3"))
    assert "#0[◆]" in frontier_drawing(POINTS, X, Y, Look(), cursor=3).text


@pytest.mark.parametrize("cursor", [-1, 99, None])
def test_a_cursor_that_points_nowhere_is_left_out(cursor: int | None) -> None:
    """No brackets and no readings."""
    drawing = frontier_drawing(POINTS, X, Y, Look(), cursor=cursor)
    assert (False, ()) == ("[" in drawing.text, drawing.readings)


def test_labels_never_cover_marks_or_each_other() -> None:
    """Of many points in a heap every mark stays, and each label that is there is whole."""
    heap = [Point(i % 4, i // 4, "running", f"#{i:03}") for i in range(32)]
    text = frontier_drawing(heap, Axis("x", "minimize"), Axis("y", "maximize"), Look(30, 20, frame=False)).text
    assert 32 == text.count("▷")
    assert all(text[at + 1 : at + 4].isdigit() for at, char in enumerate(text) if char == "#")


def test_the_label_of_the_cursor_wins() -> None:
    """Where labels compete, the one under the cursor is shown."""
    near = [Point(50, 50 + i / 100, "frontier", f"#{i}") for i in range(9)]
    far = [Point(0, 0, "dominated"), Point(100, 100, "dominated")]
    axes = Axis("x", "minimize"), Axis("y", "maximize")
    for cursor in range(9):
        assert f"[★]#{cursor}" in frontier_drawing([*near, *far], *axes, Look(), cursor=cursor).text


def test_steps_meet_their_marks() -> None:
    """The step line rises in the column of the mark that it leads to."""
    text = frontier_drawing(POINTS[:2], X, Y, Look(marker="ascii")).text
    row, column = _cell(text, "#7*")
    assert "=" == text.split("\n")[row + 1][column + 2]


def test_lines_up_and_off_the_chart() -> None:
    """A limit on x is a line up with its label; what is far off is told in the legend."""
    x = Axis("params", "minimize", count, lines=((60_000, "limit 60k"), (9e9, "moon")))
    drawing = frontier_drawing(POINTS, x, Y, Look())
    assert "limit 60k" in drawing.text
    assert ("┆ limit 60k", "┆ moon (off the chart)") == tuple(word.text for word in drawing.legend[-2:])


def test_colours_come_from_the_palette() -> None:
    """An entry of the palette replaces the index; the others keep theirs."""
    look = Look(colour=True, palette={"frontier": (1, 2, 3)})
    text = frontier_drawing(POINTS, X, Y, look).text
    assert [True, True, False] == [code in text for code in ("38;2;1;2;3m", "38;5;14m", "38;5;10m")]


def test_a_slice_has_no_steps() -> None:
    """The same marks, not joined; words stand on the axis of a choice."""
    choices = Axis("layers kept", "minimize", choices=("even", "first", "last"))
    points = [Point(0, 40, "frontier", "#1", edge=True), Point(2, 60, "frontier", "#2", edge=True)]
    text = slice_drawing(points, choices, Y, Look(marker="ascii")).text
    assert "==" not in text
    assert [True] * 3 == [word in text for word in ("even", "first", "last")]


def test_curves_end_in_their_labels() -> None:
    """Each label stands behind the last point of its curve, moved where two curves end together."""
    curves = [Curve(f"#{n} loss", [0, 100], [5.0, 1.0 + n / 1000], f"#{n}") for n in range(4)]
    text = curves_drawing(curves, "step", Look()).text
    cells = [_cell(text, f"#{n}") for n in range(4)]
    assert (4, 1) == (len({row for row, _ in cells}), len({column for _, column in cells}))


def test_curves_differ_without_colour() -> None:
    """A dashed curve has fewer dots than the solid one, and the legend shows which is which."""
    flat = [[float(v)] * 50 for v in (1, 2)]
    drawing = curves_drawing([Curve(f"{i}", range(50), v) for i, v in enumerate(flat)], "step", Look(frame=False))
    rows = [line for line in drawing.text.split("\n") if any("\u2801" <= c <= "\u28ff" for c in line)]
    dashed, solid = ([c for c in line if "\u2800" <= c <= "\u28ff"] for line in rows)
    assert 0 < len(dashed) < 0.8 * len(solid)
    assert ("━━ 0 1", "╍╍ 1 2") == tuple(word.text for word in drawing.legend)


@pytest.mark.parametrize(("values", "marks"), [(3, 3), (19, 19), (60, 0)])
def test_few_values_are_marked(values: int, marks: int) -> None:
    """Else a line between three evaluations looks like sixty; smoothed ones were not measured."""
    curve = Curve("accuracy", range(values), [float(v % 7) for v in range(values)])
    assert marks == curves_drawing([curve], "step", Look()).text.count("●")
    assert marks == curves_drawing([curve], "", Look(marker="ascii")).text.count("o")
    assert "●" not in curves_drawing([curve], "step", Look(), smoothing=0.6).text
    assert "●" not in curves_drawing([replace(curve, measured=False)], "step", Look()).text


@pytest.mark.parametrize("width", range(40, 60))
def test_marks_are_on_their_curve(width: int) -> None:
    """The mark of its first value is where it begins, of its last where it ends, however the width rounds."""
    curve = Curve("accuracy", [107, 216, 326], [84.0, 84.1, 85.9])
    lines = curves_drawing([curve], "", Look(width, 12, frame=False)).text.split("\n")
    drawn = [at for line in lines for at, c in enumerate(line) if c == "●" or "\u2801" <= c <= "\u28ff"]
    marks = [at for line in lines for at, c in enumerate(line) if c == "●"]
    assert (min(drawn), max(drawn)) == (min(marks), max(marks))


def test_labels_do_not_read_as_one() -> None:
    """A label has a cell between itself and the next where there is room for it."""
    axis = Scale(Axis("", "minimize"), 0.0, 1.0)
    with canvas_of(Look(30, 8, colour=False, frame=False), axis, axis, bare=True) as canvas:
        assert canvas.write("linear", "line", [(2, 3, "left")])
        assert canvas.write("mlp", "line", [(8, 3, "left"), (8, 5, "left")])
        assert canvas.write("bilstm", "line", [(8, 3, "left")]), "there is no other room"
        text = canvas.text()
    assert ("linearbilstm" in text, "linearmlp" in text) == (True, False)


def test_a_single_curve_needs_no_name_at_its_end() -> None:
    """The owner names it, and the curve takes the whole width."""
    look = Look(60, 14, frame=False)
    lines = curves_drawing([Curve("accuracy", [107, 216, 326], [1.0, 2.0, 3.0])], "", look).text.split("\n")
    assert not any("accuracy" in line for line in lines)
    assert max(map(len, lines)) - 2 <= max(line.rfind("●") for line in lines)


def test_lines_across_curves_say_what_they_are() -> None:
    """The teacher's score near the values; chance far below is left out."""
    curve = Curve("accuracy", [1, 2, 3], [84.0, 86.0, 88.0])
    text = curves_drawing([curve], "step", Look(), lines=((88.4, "teacher 88.40"), (50.0, "chance 50.00"))).text
    assert "teacher 88.40" in text
    assert "┄" in text
    assert "chance" not in text


def test_a_curve_keeps_its_colour_where_another_has_no_value() -> None:
    """The charts of a grid have the same colours."""
    curves = [Curve("#1", [], []), Curve("#2", [1, 2], [1.0, 2.0])]
    assert (Word("#2 2", "series1"),) == curves_drawing(curves, "step", Look(colour=True)).legend


def test_crosshair_reads_every_curve() -> None:
    """The nearest value of each curve; None where a curve has not come or is over."""
    curves = [Curve("a", [0, 10, 20], [1.0, 2.0, 3.0]), Curve("b", [15, 20], [7.0, 8.0])]
    drawing = curves_drawing(curves, "step", Look(), crosshair=11)
    assert (("a", 2.0), ("b", None)) == drawing.readings
    assert 10 < drawing.text.count("┆")
    assert "┆" not in curves_drawing(curves, "step", Look(), crosshair=99).text


def test_a_smoothed_curve_reads_smooth() -> None:
    """Legend and crosshair tell what is drawn."""
    drawing = curves_drawing([Curve("a", [0, 1], [0.0, 3.0])], "step", Look(), smoothing=0.5, crosshair=1)
    assert (("a", pytest.approx(2.0)),) == drawing.readings
    assert ("a 2",) == tuple(word.text for word in drawing.legend)


@pytest.mark.parametrize("marker", ["braille", "hd", "ascii"])
def test_ascii_is_ascii_for_every_chart(marker: Marker) -> None:
    """Foreign names too; the other markers keep one cell a character."""
    look = Look(60, 14, marker=marker)
    name = "日本 café…"
    texts = [
        frontier_drawing(
            [Point(1, 1, "reference", name), *POINTS], X, Axis("exact ↑", "maximize"), look, cursor=0
        ).text,
        curves_drawing([Curve(name, [1, 2], [1.0, 2.0])], "step", look).text,
        parallel_drawing([X, Axis(name, "minimize")], [Strand((1, 2), "frontier")], look).text,
    ]
    assert [marker == "ascii"] * 3 == [text.isascii() for text in texts]
    assert all("日" not in text for text in texts)


def test_plotext_is_loaded_by_the_first_chart() -> None:
    """A command without a chart does not wait for it."""
    code = (
        "import sys; from bertdistill.app.draw.curves import *; before = 'plotext' in sys.modules\n"
        "curves_drawing([Curve('a', [1, 2], [1.0, 2.0])], '', Look()); print(before, 'plotext' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert "False True" == done.stdout.strip()


def test_intervals_lie_behind_all_else() -> None:
    """Lines through the marks that cut no step, no line across and no label."""
    sure = [replace(p, bar=(p.y - 8, p.y + 8)) for p in POINTS]
    drawing = frontier_drawing(sure, X, Y, Look(marker="ascii"))
    assert drawing.text.count(":") >= 4
    assert Word(": 95 % interval", "line") in drawing.legend
    without = frontier_drawing(POINTS, X, Y, Look(marker="ascii")).text
    assert without == drawing.text.replace(":", " ")


def test_close_intervals_give_way_to_that_of_the_chosen_point() -> None:
    """Two within 5 columns hide the frontier."""
    close = [replace(POINTS[0], x=14_000 + x, y=40 + n, bar=(20, 70)) for n, x in enumerate((0, 40_000, 43_000))]
    chosen = frontier_drawing(close, X, Y, Look(), cursor=1)
    assert "│ 95 % interval of #3" in [word.text for word in chosen.legend]
    assert "interval" not in str(frontier_drawing(close, X, Y, Look()).legend)
    assert "│ 95 % interval" in [word.text for word in frontier_drawing(close[:2], X, Y, Look()).legend]


def test_a_repeat_of_the_chosen_point_is_not_named() -> None:
    """They share a mark."""
    twins = [*POINTS, replace(POINTS[0], label="#4")]
    drawing = frontier_drawing(twins, X, Y, Look(), cursor=len(POINTS))
    assert ("#4[★]" in drawing.text or "[★]#4" in drawing.text, "#3" in drawing.text) == (True, False)


def test_what_is_outside_the_limits_is_counted_at_the_edge() -> None:
    """The steps go on beyond it, and no mark can be hit there."""
    part = frontier_drawing(
        POINTS, replace(X, limits=(40_000, 95_000)), replace(Y, limits=(50, 90)), Look(ascii_only=True)
    )
    assert {1, 2} == {index for _, _, index in part.marks}
    assert ["1 above" in part.text, "2 below" in part.text] == [True, True]
    assert "=" in part.text
    far = replace(X, limits=(1e-9, 2e-9))
    assert frontier_drawing(POINTS, far, Y, Look()).marks == ()


def test_few_poor_points_do_not_squeeze_the_rest() -> None:
    """Unless one is chosen, on the frontier, or they are many."""
    good = [Point(10_000 * n, 80 + n, "frontier", edge=True) for n in range(1, 9)]
    poor = [Point(50_000, 10, "dominated"), Point(60_000, 12, "baseline")]
    drawing = frontier_drawing([*good, *poor], X, Y, Look())
    assert (8, "2 below" in drawing.text) == (len(drawing.marks), True)
    assert 10 == len(frontier_drawing([*good, *poor], X, Y, Look(), cursor=8).marks)
    assert 11 == len(frontier_drawing([*good, *poor, replace(poor[0], x=7e4)], X, Y, Look()).marks)
    assert 10 == len(frontier_drawing([*good, poor[0], replace(poor[1], edge=True)], X, Y, Look()).marks)
    high = [replace(p, y=200 - p.y) for p in (*good, *poor)]
    assert "2 above" in frontier_drawing(high, X, replace(Y, better="minimize"), Look()).text


def test_curves_within_a_part_of_x() -> None:
    """The line reaches both edges, y is that of the part, and a part between two values still shows the line."""
    curve = Curve("loss", range(100), [float(v) for v in range(100)])
    drawing = curves_drawing([curve], "step", Look(60, 14), within=(40.0, 50.0))
    assert drawing.window is not None
    assert drawing.window.y.high < 60
    few = curves_drawing([Curve("a", [0, 100], [1.0, 2.0])], "step", Look(60, 14), within=(40.0, 50.0))
    assert any("\u2801" <= char <= "\u28ff" for char in few.text)
    assert "●" not in few.text


def test_labels_of_the_frontier_cut_no_step() -> None:
    """One without room is left out."""
    steep = [Point(14_000 + n, 40 + 4 * n, "frontier", f"#{n}-long-name", edge=True) for n in range(12)]
    bare = [replace(p, label="") for p in steep]
    steps = [frontier_drawing(points, X, Y, Look(marker="ascii")).text.count("=") for points in (steep, bare)]
    assert steps[0] == steps[1] > 12


def test_a_point_that_may_be_on_the_frontier_has_a_mark_of_its_own() -> None:
    """Whatever its group."""
    tied = Point(60_000, 85, "tied", "#9", group=1)
    text = frontier_chart([*POINTS, tied], X, Y, Look(), groups=("a", "b"))
    assert (2, True) == (text.count("☆"), "☆ tied" in text)  # in the plane and in the legend
