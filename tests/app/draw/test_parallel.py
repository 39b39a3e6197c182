"""Parallel axes: their ends, and what is missing."""

from __future__ import annotations

from bertdistill.app.draw.axes import Axis
from bertdistill.app.draw.canvas import Look
from bertdistill.app.draw.parallel import Strand, parallel_drawing


def test_parallel_axes_name_their_ends() -> None:
    """Titles above, then the highest values; the lowest below; a constant stands alone."""
    axes = [Axis("layers", "minimize"), Axis("alpha", "minimize"), Axis("exact", "maximize")]
    strands = [Strand((4, 0.5, 60.0), "dominated"), Strand((6, 0.5, 70.0), "frontier", "#2")]
    drawing = parallel_drawing(axes, strands, Look(60, 12), cursor=1)
    lines = [line.split() for line in drawing.text.split("\n")]
    assert (["layers", "alpha", "exact"], ["6", "70"], ["4", "0.5", "60"]) == (lines[0], lines[1], lines[-1])
    assert 3 == drawing.text.count("◉")
    assert (("layers", 6), ("alpha", 0.5), ("exact", 70.0)) == drawing.readings


def test_parallel_axes_skip_what_is_missing() -> None:
    """A strand without a value on one axis has no mark there and is counted."""
    axes = [Axis("a", "minimize"), Axis("b", "minimize"), Axis("c", "minimize")]
    drawing = parallel_drawing(axes, [Strand((1, None, 2), "frontier"), Strand((2, 1, 1), "dominated")], Look(60, 12))
    assert (2, 3, 1) == (drawing.text.count("★"), drawing.text.count("●"), drawing.hidden)
