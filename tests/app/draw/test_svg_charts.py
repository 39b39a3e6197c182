"""SVG charts stand at the places that the scales say, are well-formed whatever the names are, and hide nothing."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from typing import get_args
from xml.etree import ElementTree

import pytest
from tests.app.hostile import HOSTILE

from bertdistill.app.draw.axes import Axis, scale
from bertdistill.app.draw.canvas import Kind
from bertdistill.app.draw.curves import Curve
from bertdistill.app.draw.plane import Point
from bertdistill.app.draw.svg import CHART_STYLE, HEIGHT, SHAPES, Plot
from bertdistill.app.draw.svg_bars import Bar, Bars, bars_svg
from bertdistill.app.draw.svg_charts import curves_svg, frontier_svg
from bertdistill.app.text.format import count

SVG = "{http://www.w3.org/2000/svg}"
X = Axis("params ↓", "minimize", count, log=True)
Y = Axis("exact ↑", "maximize", lines=((50.0, "threshold 50"), (1000.0, "teacher 1000")))
POINTS = [
    Point(14_000, 40, "frontier", "#3", edge=True),
    Point(50_000, 88, "frontier", "#7", edge=True),
    Point(80_000, 60, "dominated", group=0),
    Point(90_000, 95, "baseline", "#0", edge=True),
    Point(30_000, 30, "running", "#12"),
    Point(20_000, 20, "infeasible"),
]
EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)> &amp; ]]> \x1b[31m\x00\ufffe'


def parsed(svg: str) -> ElementTree.Element:
    """The picture as elements; nothing in it is able to run or to load."""
    root = ElementTree.fromstring(svg)
    allowed = {"svg", "title", "desc", "style", "rect", "line", "path", "text", "g", "circle"}
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in allowed
        assert not [name for name in element.attrib if name.startswith("on") or "href" in name]
    assert "url(" not in svg
    return root


def marks(root: ElementTree.Element) -> dict[str, tuple[float, float]]:
    """Where the marks with a title are, by it."""
    found = {}
    for element in root.iter(f"{SVG}path"):
        title, moved = element.find(f"{SVG}title"), element.get("transform", "")
        if title is not None and moved:
            x, y = re.fullmatch(r"translate\((\S+) (\S+)\)", moved).groups()  # type: ignore[union-attr]  # it is one
            found[title.text or ""] = (float(x), float(y))
    return found


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_marks_are_where_the_scales_say() -> None:
    """The same limits as those of the text chart, and values as the axes write them."""
    root = parsed(frontier_svg(POINTS, X, Y, title="demo", groups=("mlp",)))
    x, y = scale((p.x for p in POINTS), X), scale((p.y for p in POINTS), Y)
    plot = Plot(x, y)
    found = marks(root)
    assert len(POINTS) == len(found)
    for point in POINTS:
        left = plot.left + x.share(point.x) * (plot.end - plot.left)
        down = plot.bottom - y.share(point.y) * (plot.bottom - plot.top)
        group = " mlp" if point.group == 0 else ""
        title = f"{point.label or point.kind}{group}: {count(point.x)}, {point.y:g}"
        assert (left, down) == pytest.approx(found[title], abs=0.01)
        assert plot.left <= left <= plot.end
        assert plot.top <= down <= plot.bottom


def test_step_line_and_area() -> None:
    """The line climbs from one frontier point to the next; the area ends at the worse sides, whatever better means."""
    places = {p.label: p for p in POINTS}
    plot = Plot(scale((p.x for p in POINTS), X), scale((p.y for p in POINTS), Y))
    corners = [plot.place(places[label].x, places[label].y) for label in ("#3", "#7", "#0")]
    root = parsed(frontier_svg(POINTS, X, Y, title="demo"))
    [step] = [one.get("d", "") for one in root.iter(f"{SVG}path") if one.get("class") == "step"]
    numbers = [float(one) for one in re.findall(r"-?[\d.]+", step)]
    flat = [*corners[0], corners[1][0], corners[0][1], *corners[1], corners[2][0], corners[1][1], *corners[2]]
    assert flat == pytest.approx(numbers, abs=0.01)
    [area] = [one.get("d", "") for one in root.iter(f"{SVG}path") if one.get("class") == "area"]
    assert [plot.end, plot.bottom] == pytest.approx([float(n) for n in re.findall(r"-?[\d.]+", area)][-2:], abs=0.01)


def test_lines_axes_and_counts_are_in_words() -> None:
    """For eyes and for screen readers."""
    bad = [Point(math.nan, 1, "dominated"), Point(0, 50, "dominated"), Point(1, math.inf, "dominated")]
    root = parsed(frontier_svg([*POINTS, *bad], X, Y, title="demo"))
    assert {"params ↓", "exact ↑", "threshold 50", "teacher 1000 (off the chart)", "#7"} <= set(texts(root))
    out = "3 values are not drawn (no finite value, or not above 0 on a logarithmic axis)"
    desc = root.findtext(f"{SVG}desc", "")
    assert out in texts(root)
    assert "params (lower is better, logarithmic) against exact (higher is better). 6 points: 2 frontier" in desc
    assert "Frontier: #3: 14.0k, 40; #7: 50.0k, 88; #0: 90.0k, 95. Lines: threshold 50" in desc
    assert out in desc
    assert ("img", "frontier-title frontier-desc") == (root.get("role"), root.get("aria-labelledby"))
    assert {"frontier-title", "frontier-desc"} == {one.get("id") for one in root if one.get("id")}


def test_labels_cover_no_mark_and_no_other_label() -> None:
    """One that has no room is left out."""
    crowd = [Point(100 + i, 50 + i % 23, "frontier", f"#{i}", edge=True) for i in range(300)]
    plot = Plot(scale((p.x for p in crowd), X), scale((p.y for p in crowd), Y))
    for point in crowd:
        plot.take(*plot.place(point.x, point.y))
    drawn = [plot.label(p.label, "", [(x + 9, y + 4, "start")]) for p in crowd for x, y in [plot.place(p.x, p.y)]]
    assert (True, True) == (any(drawn), not all(drawn))
    written = plot.taken[len(crowd) :]
    for place, box in enumerate(written):
        for other in [*plot.taken[: len(crowd)], *written[:place]]:
            apart = box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
            assert apart
    shown = [one for one in texts(parsed(frontier_svg(crowd, X, Axis("y", "maximize"), title="t"))) if one[0] == "#"]
    assert 0 < len(shown) < len(crowd)


def test_every_kind_and_group_has_a_shape() -> None:
    """Neither colour nor font carries a meaning alone."""
    points = [Point(10.0 + i, i, kind) for i, kind in enumerate(get_args(Kind))]
    points += [Point(30.0 + i, i, "dominated", group=i) for i in range(8)]
    root = parsed(frontier_svg(points, X, Axis("y", "maximize"), title="t", groups=[f"g{i}" for i in range(8)]))
    shapes = {one.get("d") for one in root.iter(f"{SVG}path") if "mark" in one.get("class", "")}
    assert set(SHAPES.values()) == shapes


@pytest.mark.parametrize("name", [EVIL, HOSTILE, "", "名" * 300, "a" * 10_000])
def test_hostile_names_are_text(name: str) -> None:
    """Everywhere that a name can be."""
    axis = Axis(name, "minimize", lambda value: name, lines=((50.0, name),))
    points = [Point(1, 2, "frontier", name, edge=True), Point(3, 60, "dominated", group=0)]
    for svg in (
        frontier_svg(points, axis, axis, title=name, groups=(name,)),
        curves_svg([Curve(name, [1, 2], [50, 60], name)], name, name, title=name, lines=((55.0, name),)),
        frontier_svg([], axis, axis, title=name),
    ):
        root = parsed(svg)
        assert not [char for char in "".join(root.itertext()) if not (char.isprintable() or char == "\n")]
        assert len(svg) < 20_000


def test_curves_are_where_the_scales_say_and_count_what_is_left_out() -> None:
    """Names stand at the right, none over another, each with the dashes of its curve."""
    curves = [Curve(f"#{i}", [0, 10, 20], [1.0, None, 2.0 + i / 1000], f"#{i}") for i in range(30)]
    curves.append(Curve("bad", [0, 1], [math.nan, math.inf]))
    root = parsed(curves_svg(curves, "step", "accuracy", title="t"))
    names = [one for one in root.iter(f"{SVG}text") if (one.text or "").startswith("#")]
    rows = sorted(float(one.get("y", "")) for one in names)
    assert len(names) == 30
    assert all(after - before >= 15.9 for before, after in pairwise(rows))
    assert rows[-1] < float(root.get("height", ""))
    assert "32 values are not drawn (not finite)" in texts(root)
    x = scale([0, 20], Axis("step", "minimize"), margin=0.0)
    [first, *_] = [one for one in root.iter(f"{SVG}path") if one.findtext(f"{SVG}title") == "#0"]
    ends = [float(one) for one in re.findall(r"-?[\d.]+", first.get("d", ""))]
    plots = [one for one in root.iter(f"{SVG}path") if one.get("class") == "axis"]
    left, _, _, end = (float(one) for one in re.findall(r"-?[\d.]+", plots[0].get("d", "")))
    assert [left + x.share(at) * (end - left) for at in (0, 20)] == pytest.approx(ends[::2], abs=0.01)


def test_nothing_to_draw_says_so() -> None:
    """An empty chart is a sentence."""
    root = parsed(frontier_svg([Point(math.nan, 1, "running")], X, Y, title="t"))
    assert ["no point to draw yet; 1 value is not drawn (no finite value, or not above 0 on a logarithmic axis)"] == (
        texts(root)
    )
    assert ["no value to draw yet"] == texts(parsed(curves_svg([], "step", "y", title="t")))
    assert float(root.get("height", "")) < HEIGHT


@pytest.mark.parametrize("points", [POINTS[:1], [Point(5, 5, "dominated")] * 3, [Point(1e-12, 1e300, "frontier")]])
def test_one_point_constant_points_and_extremes(points: list[Point]) -> None:
    """Spans of zero and huge numbers still make a chart of finite coordinates."""
    svg = frontier_svg(points, X, Axis("y", "maximize"), title="t")
    parsed(svg)
    assert "nan" not in svg
    assert "inf" not in svg.replace("infeasible", "")


def test_intervals_are_lines_within_the_frame() -> None:
    """Of the frontier only, cut at the frame, below its steps; none where two would be close."""
    sure = [Point(p.x, p.y, p.kind, p.label, edge=p.edge, bar=(p.y - 500, p.y + 5)) for p in POINTS]
    root = parsed(frontier_svg(sure, X, Y, title="t"))
    bars = [path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("class") == "bar"]
    assert 3 == len(bars)
    for bar in bars:
        _, top, bottom = map(float, re.findall(r"-?[0-9.]+", bar))
        assert 0 <= top < bottom <= HEIGHT
    assert "lines: 95 % interval" in texts(root)
    classes = [path.get("class") for path in root.iter(f"{SVG}path")]
    assert classes.index("bar") < classes.index("step")
    close = frontier_svg([*sure, replace(sure[0], x=sure[0].x + 1)], X, Y, title="t")
    assert 'class="bar"' not in close
    assert "interval" not in texts(parsed(close))


def test_bars_are_as_long_as_their_shares() -> None:
    """On one scale in all groups; shares and notes are in words, too."""
    groups = [
        Bars("exact", [Bar("layers", 0.75), Bar("alpha", 0.25, "active in 9 trials")], ["few trials " * 20]),
        Bars("params", [Bar("layers", 1.0)]),
    ]
    root = parsed(bars_svg(groups, title="demo"))
    bars = [one for one in root.iter(f"{SVG}rect") if one.get("class") == "share"]
    widths = [float(one.get("width", "")) for one in bars]
    assert [0.75, 0.25, 1.0] == pytest.approx([wide / widths[-1] for wide in widths], abs=0.01)
    assert ["layers: 75%", "alpha: 25%, active in 9 trials", "layers: 100%"] == [
        one.findtext(f"{SVG}title") for one in bars
    ]
    assert 3 == len([said for said in texts(root) if said.startswith("few trials")])
    assert "exact: layers 75%, alpha 25%, active in 9 trials" in (root.findtext(f"{SVG}desc") or "")
    assert ["there is nothing to draw yet"] == texts(parsed(bars_svg([], title="demo")))
    parsed(bars_svg([Bars(EVIL, [Bar(EVIL, 2.0, EVIL)], [EVIL])], title=EVIL))


def test_colours_need_no_browser() -> None:
    """Other programs, such as librsvg, paint black what has a variable of CSS for a colour."""
    assert "var(" not in CHART_STYLE
    assert "fill: #ffffff" in CHART_STYLE
