"""The list of studies: what each can be found and sorted by, and which changed last. Pure: it draws nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertdistill.app.views.study_card import best_trial
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.store.rows import Study, Trial

UNITS = ((86400 * 7, "w"), (86400, "d"), (3600, "h"), (60, "m"))
"""Seconds of the units of an age, the longest first."""


def changed_at(view: StudyView) -> float:
    """When anything last happened in a study: a trial was made, begun or ended, or the study itself."""
    return max(_newest(view.study), *(map(_newest, view.trials)), 0.0)


def _newest(one: Study | Trial) -> float:
    return max(one.created_at, one.started_at or 0.0, one.finished_at or 0.0)


def age(seconds: float) -> str:
    """`now`, `12m`, `3h`, `2d`, `5w`: the largest whole unit."""
    return next((f"{int(seconds // length)}{unit}" for length, unit in UNITS if seconds >= length), "now")


def _score(view: StudyView) -> float | None:
    return view.means(best_trial(view)).get(chart_axes(view)[1]) if view.frontier else None


def _smallest(view: StudyView) -> float | None:
    size, _ = chart_axes(view)
    return min((v for t in view.frontier if (v := view.means(t).get(size)) is not None), default=None)


ORDERS: Mapping[str, Callable[[StudyView], Any]] = {
    "study": lambda view: view.study.name.casefold(),
    "state": lambda view: view.study.state.value,
    "changed": lambda view: -changed_at(view),
    "trials": lambda view: view.finished,
    "top": _score,
    "smallest": _smallest,
    "progress": lambda view: view.progress(),
    "frontier": lambda view: len(view.frontier),
    "hypervolume": lambda view: view.hypervolume,
}
"""What a column sorts by; those that hold sentences sort nothing."""


def newest_first(views: Sequence[StudyView]) -> list[StudyView]:
    """The one that changed last first."""
    return sorted(views, key=lambda view: (changed_at(view), view.study.id), reverse=True)


def held(view: StudyView) -> str:
    """What a study can be found by: its name, state, task, note and diagnosis."""
    study = view.study
    return " ".join((study.name, study.state.value, study.task, view.outline.note, study.diagnosis))
