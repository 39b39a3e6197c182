"""The overview of a study as plain text: history, timeline, importance and frontier. It reads no store."""

from __future__ import annotations

from collections.abc import Sequence

from bertdistill.app.draw.canvas import Look
from bertdistill.app.draw.plane import frontier_chart
from bertdistill.app.draw.timeline import Span, timeline_chart
from bertdistill.app.report.analysis_text import importances_text
from bertdistill.app.report.summary import Page, chart
from bertdistill.app.views.overview import (
    NO_HISTORY,
    NO_TIME,
    Best,
    first_objective,
    history_axes,
    history_points,
)
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.engine.search.importances import Importances

WIDTH, HEIGHT = 78, 14
"""Cells and lines of a chart where the window does not say."""


def overview_text(
    view: StudyView, found: Sequence[Best], ran: Sequence[Span], weighed: Sequence[Importances], page: Page
) -> str:
    """One below another, each under what it is."""
    look = Look(min(page.width or WIDTH, 110), HEIGHT, page.colour, page.ascii_only)
    x, y = chart_axes(view)
    parts = [
        (
            f"History of {first_objective(view) or 'the score'}; the line is the best so far",
            _history(view, found, look),
        ),
        ("When each trial ran, by slot, and how it ended", timeline_chart(ran, look) if ran else NO_TIME),
        ("Importance of parameters", importances_text(weighed, page)),
        ("Frontier", chart(view, page, x=x, y=y)),
    ]
    return "\n\n".join(f"{title}\n{text}" for title, text in parts)


def _history(view: StudyView, found: Sequence[Best], look: Look) -> str:
    if not found:
        return NO_HISTORY
    return frontier_chart(history_points(found), *history_axes(view, ascii_only=look.ascii_only), look)
