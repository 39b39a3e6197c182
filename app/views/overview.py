"""A study on one page: the score of every trial and the best so far, and when each ran, where, and how it ended. Pure.

It draws nothing; `draw.timeline` and `draw.plane` do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bertdistill.app.draw.axes import Axis
from bertdistill.app.draw.canvas import Kind
from bertdistill.app.draw.plane import Point
from bertdistill.app.draw.timeline import Span
from bertdistill.app.views.points import chart_axis
from bertdistill.app.views.view import StudyView
from bertdistill.engine.search.importances import Importances
from bertdistill.store.rows import Attempt, Trial, TrialState

ENDED = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.INFEASIBLE, TrialState.FAILED})
"""States of a trial that say how its last attempt ended."""
NO_HISTORY = "The history begins with the first trial that has a score."
NO_TIME = "Nothing has run yet."


@dataclass(frozen=True)
class Best:
    """A trial with its score, and the best score of all up to it."""

    number: int
    score: float
    best: float
    kind: Kind


def first_objective(view: StudyView) -> str:
    """The metric whose history is shown; empty where there is nothing to rank by."""
    return view.objectives[0].metric if view.objectives else ""


def history(view: StudyView) -> list[Best]:
    """Every complete trial by number; only those that reach every threshold count as the best."""
    metric = first_objective(view)
    if not metric:
        return []
    best = max if view.objectives[0].direction == "maximize" else min
    found, leading = list[Best](), None
    for trial in sorted(view.trials, key=lambda one: one.number):
        score, row = view.values(trial).get(metric), view.ranked.get(trial.number)
        if score is None or row is None or trial.archived:
            continue
        if row.feasible:
            leading = score if leading is None else best(leading, score)
        found.append(Best(trial.number, score, score if leading is None else leading, _kind(view, trial)))
    return found


def _kind(view: StudyView, trial: Trial) -> Kind:
    row = view.ranked[trial.number]
    if trial.number == view.baseline_number:
        return "baseline"
    return "frontier" if row.on_frontier else "dominated" if row.feasible else "infeasible"


def history_points(found: Sequence[Best]) -> list[Point]:
    """As marks over the numbers of the trials; the step line passes through those that were the best so far."""
    points, leading = list[Point](), None
    for one in found:
        leads = one.kind != "infeasible" and one.score == one.best and one.best != leading
        points.append(Point(float(one.number), one.score, one.kind, f"#{one.number}" if leads else "", edge=leads))
        leading = one.best if leads else leading
    return points


def history_axes(view: StudyView, *, ascii_only: bool = False) -> tuple[Axis, Axis]:
    """Trials by number, and the score with its lines."""
    across = Axis("trial", "minimize", lambda value: f"{value:.0f}" if value == int(value) else "")
    return across, chart_axis(view, first_objective(view), ascii_only=ascii_only)


def spans(view: StudyView, attempts: Iterable[Attempt], now: float) -> list[Span]:
    """Every attempt of a study, oldest first: when it ran, in which slot, and how it ended."""
    trials = {trial.id: trial for trial in view.trials}
    every = sorted(attempts, key=lambda one: (one.started_at, one.id))
    newest = {one.trial_id: one.id for one in every}
    found = []
    for one in every:
        trial = None if one.trial_id is None else trials.get(one.trial_id)
        if one.trial_id is not None and trial is None:
            continue  # deleted
        last = trial is not None and newest[one.trial_id] == one.id
        end = max(one.started_at, now if one.ended_at is None else one.ended_at)
        front = trial is not None and last and _is_best(view, trial)
        number = None if trial is None else trial.number
        found.append(Span(one.slot, number, one.started_at, end, _ended(one, trial if last else None), front))
    return _in_lanes(found)


def _is_best(view: StudyView, trial: Trial) -> bool:
    row = view.ranked.get(trial.number)
    return bool(row and row.on_frontier)


def _ended(attempt: Attempt, trial: Trial | None) -> str:
    """What became of it: of the last attempt of a trial the state of the trial."""
    if attempt.ended_at is None:
        return TrialState.RUNNING.value
    if trial is not None and trial.state in ENDED:
        return trial.state.value
    known = (TrialState.COMPLETE.value, TrialState.STOPPED.value)
    return attempt.exit_class if attempt.exit_class in known else TrialState.FAILED.value


def _in_lanes(found: Sequence[Span]) -> list[Span]:
    """Runs without a slot, logged ones, side by side in as few lanes as hold them."""
    free, placed = dict[str, float](), []
    for one in found:
        if not one.slot:
            lane = next((name for name, end in free.items() if end <= one.start), f"run {len(free) + 1}")
            free[lane] = one.end
            one = replace(one, slot=lane)
        placed.append(one)
    return placed


def by_importance(found: Iterable[Importances]) -> list[str]:
    """The parameters of a study, the one with the largest share for any objective first."""
    shares: dict[str, float] = {}
    for weight in (weight for one in found for weight in one.weights):
        shares[weight.parameter] = max(weight.share, shares.get(weight.parameter, 0.0))
    return sorted(shares, key=lambda name: (-shares[name], name))


def overview_rows(found: Sequence[Best], ran: Sequence[Span]) -> list[dict[str, Any]]:
    """What scripts read: an attempt a row, the last one of a trial with its score and the best score up to it."""
    scores: Mapping[int | None, Best] = {one.number: one for one in found}
    last = {one.number: place for place, one in enumerate(ran)}
    rows = []
    for place, one in enumerate(ran):
        row = asdict(one)
        best = scores.get(one.number) if last[one.number] == place else None
        known = {"score": best.score, "best": best.best} if best is not None else {"score": None, "best": None}
        rows.append({"trial": row.pop("number"), **row, **known})
    return rows
