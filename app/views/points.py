"""What of a study stands in its charts: the axes, a point for each trial, and the lines they are seen against. Pure.

`view` has the study itself; nothing is drawn here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bertdistill.app.draw.axes import Axis
from bertdistill.app.draw.canvas import Kind
from bertdistill.app.draw.plane import Point
from bertdistill.app.text.format import arrow, metric, value_of
from bertdistill.app.views.view import WHOLE, StudyView
from bertdistill.engine.pareto.frontier import is_wide
from bertdistill.engine.study.outline import LOG
from bertdistill.engine.tasks.table import usual_direction
from bertdistill.store.rows import Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.engine.study.study_spec import ReferencePoint

_ZEROS = re.compile(r"\.0+(?!\d)|(\.\d*[1-9])0+(?!\d)")
"""Zeros at the end of a decimal fraction, behind the part that counts."""


def no_point(view: StudyView) -> str:
    """Why a chart of two metrics has no point."""
    if view.objectives or view.study.kind != LOG:
        return "The first point appears when a trial has both metrics of the axes."
    return "Nothing to rank by: give bertdistill.start() objectives, or finish() a score."


def chart_points(view: StudyView, x: str, y: str) -> list[Point]:
    """Every trial that has both values; a running one stands at its known size with its newest score."""
    return [point for _, point in chart_trials(view, x, y)]


def chart_trials(
    view: StudyView, x: str, y: str, trials: Sequence[Trial] | None = None
) -> list[tuple[Trial | None, Point]]:
    """The same, each with its trial (all of them, or those given); None stands for a reference point."""
    found: list[tuple[Trial | None, Point]] = []
    for trial in view.trials if trials is None else trials:
        values = view.means(trial)  # repeats share one place: a lucky seed does not stand above the frontier
        at_x, at_y = values.get(x), values.get(y)
        if at_x is not None and at_y is not None and not trial.archived:
            kind = _kind(view, trial)
            label = "" if kind in ("tied", "dominated", "infeasible") or not view.leads(trial) else f"#{trial.number}"
            label += " at chance" if label and kind != "running" and view.at_chance(trial) else ""
            row = view.ranked.get(trial.number)
            bar = _bar(view, trial, y) if kind in ("frontier", "baseline", "tied") and view.leads(trial) else None
            found.append((trial, Point(at_x, at_y, kind, label, edge=bool(row and row.on_frontier), bar=bar)))
    if trials is None:
        found += [(None, _reference(r, x, y)) for r in view.outline.references if x in r.metrics and y in r.metrics]
    return found


def chart_axis(view: StudyView, name: str, *, ascii_only: bool = False) -> Axis:
    """Title, direction, tick text and lines (threshold, teacher) of one axis.

    It is logarithmic for sizes and times that vary widely: the small students of a mixed study would share one cell.
    """
    objective = next((o for o in view.objectives if o.metric == name), None)
    better = objective.direction if objective else usual_direction(name)
    seen = [v for t in view.trials if not t.archived and (v := view.values(t).get(name)) is not None] or [0.0]
    title = f"{name} {arrow(better, ascii_only=ascii_only)}"
    log = is_wide(name, min(seen), max(seen))
    return Axis(title, better, lambda v: _tick(name, v), log=log, lines=chart_lines(view, name))


def chart_lines(view: StudyView, name: str) -> tuple[tuple[float, str], ...]:
    """The values of a metric that trials are seen against: its threshold, chance and the teacher."""
    objective = next((o for o in view.objectives if o.metric == name), None)
    better = objective.direction if objective else usual_direction(name)
    lines = []
    if objective and objective.threshold is not None:
        lines.append((objective.threshold, f"threshold {metric(name, objective.threshold)}"))
    if (level := view.chance.get(name)) is not None:
        lines.append((level, f"chance {metric(name, level)}"))
    teacher = value_of(view.facts.teacher_metrics, name)
    if teacher is not None and better == "maximize":
        lines.append((teacher, f"teacher {metric(name, teacher)}"))
    return tuple(lines)


def _tick(name: str, value: float) -> str:
    """A round value as a person writes it: `1M`, not `1.00M`."""
    return _ZEROS.sub(r"\1", metric(name, value)) if name in WHOLE else f"{value:.4g}"


def _kind(view: StudyView, trial: Trial) -> Kind:
    if trial.origin == "baseline" and trial.state == TrialState.COMPLETE:
        return "baseline"
    row = view.ranked.get(trial.number)
    if row is None:
        if trial.state in (TrialState.RUNNING, TrialState.WAITING):
            return "running"
        return "dominated" if trial.state == TrialState.COMPLETE and not view.objectives else "infeasible"
    if row.on_frontier or not row.feasible:
        return "frontier" if row.on_frontier else "infeasible"
    return "tied" if view.certainty is not None and view.certainty.plausible(leader(view, trial)) else "dominated"


def leader(view: StudyView, trial: Trial) -> int:
    """The trial that stands for its point."""
    group = view.repeats.get(trial.number)
    return trial.number if group is None else group.first


def _bar(view: StudyView, trial: Trial, metric_name: str) -> tuple[float, float] | None:
    """The interval of its score."""
    found = view.certainty
    return None if found is None else found.intervals.get(leader(view, trial), {}).get(metric_name)


def _reference(reference: ReferencePoint, x: str, y: str) -> Point:
    return Point(reference.metrics[x], reference.metrics[y], "reference", reference.name)
