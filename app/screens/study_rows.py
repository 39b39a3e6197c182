"""Columns and cells of the list of studies: the state of each, its best trials, the time that is left. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.study_card import best_trial
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.app.widgets.cells import Cell
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.trial_table import TONES
from bertdistill.store.rows import Attempt

COLUMNS = (
    Column("study", "study", 20),
    Column("state", "state", 12),
    Column("trials", "trials", 7, "right"),
    Column("changed", "changed", 7, "right"),
    Column("top", "best", 16),
    Column("smallest", "smallest", 8, "right"),
    Column("progress", "progress", 15, "right"),
    Column("left", "left", 8, "right"),
    Column("frontier", "frontier", 8, "right"),
    Column("best", "best points", 24, grow=True),
    Column("hypervolume", "hypervolume", 14),
    Column("note", "note", 20),
)
LISTED = ("study", "state", "trials", "changed", "top", "smallest", "progress", "left")
"""The columns beside an inspector, which says the rest; the first ones are those that fit."""
WHOLE_NAME = 24
"""Cells of a name up to which it is whole, whatever else fits."""


def state_of(view: StudyView, live: Sequence[Attempt], *, alive: bool, ascii_only: bool) -> Cell:
    """What the study does now."""
    state = fmt.study_state(view.study.state.value, alive=alive or not view.needs_runner, kinds=[a.kind for a in live])
    return Cell(fmt.state(state, ascii_only=ascii_only), TONES.get(state, "warn"))


def left_of(view: StudyView, live: Sequence[Attempt]) -> str:
    """Time to the end of the budget with the current number of workers, if it can be estimated."""
    left = view.seconds_left(sum(a.kind == "trial" for a in live) or view.outline.slots or 1)
    return "" if left is None else fmt.duration(left)


def top_of(view: StudyView, *, named: bool) -> str:
    """The best score, and its name where there is room: `92.26 accuracy`."""
    if not view.frontier:
        return ""
    _, score = chart_axes(view)
    best = f"{fmt.metric(score, view.means(best_trial(view)).get(score)):>6}"
    return f"{best} {safe_line(score, 20)}" if named else best


def shared_score_of(views: Sequence[StudyView]) -> str:
    """The score of all studies that have a best trial; empty if they have several."""
    scores = {chart_axes(view)[1] for view in views if view.frontier}
    return safe_line(scores.pop(), 20) if len(scores) == 1 else ""


def smallest_of(view: StudyView) -> str:
    """The smallest size on the frontier."""
    size, _ = chart_axes(view)
    values = [value for trial in view.frontier if (value := view.means(trial).get(size)) is not None]
    return fmt.metric(size, min(values)) if values else ""


def best_of(view: StudyView) -> str:
    """The frontier's points, best first, as far as they fit."""
    words = []
    for trial in view.frontier[:4]:
        values = view.means(trial)
        pair = " ".join(fmt.metric(o.metric, values.get(o.metric)) for o in view.objectives[:2])
        words.append(f"#{trial.number} {pair}")
    return "  ".join(words)


def growth_of(view: StudyView) -> list[float]:
    """Hypervolume after each finished trial."""
    return list(itertools.accumulate(view.gain.values()))  # the gains are in the order of finishing
