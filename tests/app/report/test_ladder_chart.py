"""The ladder as a chart."""

from __future__ import annotations

from dataclasses import replace

from tests.app.report.test_ladder_text import FOUND, MLP, PLAIN

from bertdistill.app.draw.canvas import Look
from bertdistill.app.report.ladder_chart import ladder_axes, ladder_drawing, ladder_points
from bertdistill.engine.analysis.ladder import VALIDATION, Rung
from bertdistill.engine.analysis.scored import Score

LSTM = Rung("bilstm", "transfer", (5,), {VALIDATION: Score(86.0)}, {"params": 2_000_000.0})
WIDE = replace(FOUND, rungs=(PLAIN, MLP, LSTM))


def test_rungs_are_points_grouped_by_what_they_learn_from() -> None:
    """The best score of each size is on the frontier; a rung without a score is not there."""
    points, rungs, groups = ladder_points(replace(WIDE, rungs=(*WIDE.rungs, replace(PLAIN, scores={}))))
    assert ([PLAIN, MLP, LSTM], ("plain", "distilled", "transfer set")) == (rungs, groups)
    assert [(0, False), (1, True), (2, False)] == [(point.group, point.edge) for point in points]


def test_sizes_far_apart_are_drawn_on_a_logarithmic_axis() -> None:
    """Beside the line of the teacher's score."""
    x, y = ladder_axes(WIDE, ascii_only=True)
    assert (True, "params min", ((89.0, "teacher 89.00"),)) == (x.log, x.title, y.lines)
    assert not ladder_axes(FOUND)[0].log


def test_the_chosen_rung_has_the_cursor() -> None:
    """In brackets."""
    assert "[▲]" in ladder_drawing(WIDE, Look(80, 16), chosen=LSTM).text
    assert "[" not in ladder_drawing(WIDE, Look(80, 16)).text
