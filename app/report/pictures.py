"""The charts of a study as SVG, with the points and axes of the text charts. It reads no store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bertdistill.app.draw.curves import Curve
from bertdistill.app.draw.svg_bars import Bar, Bars, bars_svg
from bertdistill.app.draw.svg_charts import curves_svg, frontier_svg
from bertdistill.app.report.analysis_text import importance_notes, importance_words
from bertdistill.app.views.cascades import cascade_points
from bertdistill.app.views.colours import frontier_points
from bertdistill.app.views.points import chart_axis
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.engine.analysis.joined import Joined
from bertdistill.engine.search.importances import Importances


def frontier_picture(
    view: StudyView,
    *,
    x: str = "",
    y: str = "",
    log: bool | None = None,
    cascades: Sequence[Joined] = (),
    name: str = "frontier",
    styled: bool = True,
) -> str:
    """The plane of two metrics; see `summary.chart`."""
    x_name, y_name = chart_axes(view, x, y)
    axis_x, axis_y = chart_axis(view, x_name), chart_axis(view, y_name)
    if log is not None:
        axis_x = replace(axis_x, log=log)
    points, groups = frontier_points(view, x_name, y_name)
    points += cascade_points(view, cascades, x_name, y_name)
    title = f"{view.study.name}: {y_name} against {x_name}"
    return frontier_svg(points, axis_x, axis_y, title=title, groups=groups, name=name, styled=styled)


def score_picture(
    view: StudyView, metric: str, curves: Sequence[Curve], *, name: str = "curves", styled: bool = True
) -> str:
    """One metric over the steps of some trials, with its threshold, chance and the teacher's score."""
    axis, title = chart_axis(view, metric), f"{view.study.name}: {metric} over steps"
    return curves_svg(curves, "step", axis.title, title=title, lines=axis.lines, name=name, styled=styled)


def importance_picture(study: str, found: Sequence[Importances], *, styled: bool = True) -> str:
    """The share of each parameter in each objective, as bars."""
    groups = [
        Bars(
            importance_words(one),
            [
                Bar(each.parameter, each.share, f"active in {each.trials} trials" if each.conditional else "")
                for each in one.weights
            ],
            importance_notes(one),
        )
        for one in found
    ]
    return bars_svg(groups, title=f"{study}: importance of parameters", name="importance", styled=styled)
