"""A study's view with how sure its scores and its frontier are. Needs numpy, so the first picture does without.

It writes nothing; `engine.analysis.certainty` computes.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bertdistill.app.text.format import metric
from bertdistill.app.views.points import leader
from bertdistill.app.views.view import StudyView
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.pareto.frontier import optimised
from bertdistill.engine.pareto.repeats import Repeats
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Trial

if TYPE_CHECKING:
    from bertdistill.engine.analysis.noise_inputs import Kept


def points_of(view: StudyView) -> list[Repeats[int]]:
    """Every ranked point, in ranked order."""
    leading = [t for t in view.trials if t.number in view.ranked and view.leads(t)]
    return [view.repeats.get(t.number) or Repeats((t.number,), 1, view.measured[t.number], {}) for t in leading]


def with_certainty(view: StudyView, session: Reading, workspace: Workspace, kept: Kept | None = None) -> StudyView:
    """The same view; unchanged if nothing is known of its noise. `kept` are influences read before."""
    from bertdistill.engine.analysis.certainty import certainty
    from bertdistill.engine.analysis.noise_inputs import read_moves

    points = points_of(view)
    if not points or not optimised(view.objectives):
        return view
    trials = {trial.number: trial for trial in view.trials}
    moves = read_moves(
        session, workspace, view.study, trials, points, optimised(view.objectives), {} if kept is None else kept
    )
    return dataclasses.replace(view, certainty=certainty(points, view.objectives, moves, seed=view.study.id))


def certain(db: Database, view: StudyView, workspace: Workspace) -> StudyView:
    """The same, for one look."""
    with db.read() as session:
        return with_certainty(view, session, workspace)


def chance(view: StudyView, trial: Trial) -> float | None:
    """The probability that its point is on the frontier."""
    return None if view.certainty is None else view.certainty.on_frontier.get(leader(view, trial))


def tied(view: StudyView, trial: Trial) -> bool:
    """Whether others dominate its point, which may well be on the frontier of true scores."""
    row, found = view.ranked.get(trial.number), view.certainty
    return found is not None and row is not None and not row.on_frontier and found.plausible(leader(view, trial))


def chance_words(view: StudyView, trial: Trial) -> str:
    """`83 %`; empty if it is not known."""
    found = chance(view, trial)
    if found is None:
        return ""
    return "< 1 %" if found < 0.01 else "> 99 %" if found > 0.99 else f"{found:.0%}".replace("%", " %")


def likely_words(view: StudyView, trial: Trial) -> str:
    """`45 % likely to be on the frontier`, and if that says nothing about its score; empty if it is not known."""
    words = chance_words(view, trial)
    small = ", for its size alone: always answering one label scores as much" if view.at_chance(trial) else ""
    return f"{words} likely to be on the frontier{small}" if words else ""


def interval_words(view: StudyView, trial: Trial, name: str) -> str:
    """`85.1 to 89.5`; empty if it is not known."""
    found = interval(view, trial, name)
    return "" if found is None else f"{metric(name, found[0])} to {metric(name, found[1])}"


def interval(view: StudyView, trial: Trial, name: str) -> tuple[float, float] | None:
    """95 % of the score of its point."""
    return None if view.certainty is None else view.certainty.intervals.get(leader(view, trial), {}).get(name)


def luck(view: StudyView, trial: Trial) -> float | None:
    """How far its point's first uncertain objective is expected to fall when it is measured again."""
    return None if view.certainty is None else view.certainty.luck.get(leader(view, trial))


def luck_words(view: StudyView, trial: Trial) -> str:
    """`expect about 87.30 when measured again (best of 40)`; empty where little of it is luck, or that is not known."""
    found, fall = view.certainty, luck(view, trial)
    value = None if found is None else view.means(trial).get(found.metric)
    if found is None or value is None or fall is None or fall < 0.005:
        return ""
    upwards = any(o.metric == found.metric and o.direction == "maximize" for o in view.objectives)
    expected = metric(found.metric, value - fall if upwards else value + fall)
    place = "best" if trial.number in view.ranked and view.ranked[trial.number].on_frontier else "one"
    return f"expect about {expected} when measured again ({place} of {view.points})"
