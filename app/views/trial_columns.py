"""The columns of the list of trials: which there are, and what each sorts and filters by. Pure: it draws nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.app.views.certain import chance
from bertdistill.app.views.view import StudyView, all_metrics
from bertdistill.app.views.view import columns as metric_columns
from bertdistill.store.rows import Trial

FACTS = ("state", "loss", "gain", "p_frontier", "note", "tags", "origin", "time", "parameters")
"""Columns that are neither a metric nor a parameter; `parameters` takes the width that is left."""

_LEADING = {"recipe": 0, "family": 1}
"""Parameters that say what a trial is, in the order of their columns."""


def value_of(trial: Trial, name: str) -> Any:
    """The value of a parameter or setting in a trial; None if its family does not use it."""
    if name in trial.params:
        return trial.params[name]
    if name.rpartition(".")[2] not in trial.settings:
        return None
    from bertdistill.engine.study.scopes import setting_of  # with all families 30 ms: few columns need them

    return setting_of(trial.settings, name)


def known_columns(view: StudyView) -> list[str]:
    """Every column that the study can show."""
    measured = {name for trial in view.trials[:50] for name in all_metrics(trial)}
    searched = view.outline.searched
    return list(dict.fromkeys([*FACTS, *metric_columns(view), *sorted(measured), *searched]))


def default_columns(
    view: StudyView, losses: Mapping[int, float] | None = None, important: Sequence[str] = ()
) -> tuple[str, ...]:
    """State, objectives, what the trials differ in, gain and what else is worth a word.

    Recipe and family come first of the parameters, then the most `important` ones, where that is known; those of one
    family alone share the column `parameters`. A loss is shown where there is no objective to rank by.
    """
    varied = [name for name, choices in view.outline.searched.items() if len(choices) != 1]
    places = {name: len(_LEADING) + place for place, name in enumerate(important)} | _LEADING
    own = sorted((name for name in varied if "." not in name), key=lambda name: places.get(name, math.inf))
    rest = ("parameters",) if len(own) < len(varied) or not varied else ()
    loss = ("loss",) if losses and not view.objectives else ()
    return ("state", *(o.metric for o in view.objectives), *own, *rest, *loss, "gain", "note")


def sort_value(view: StudyView, trial: Trial, name: str, losses: Mapping[int, float]) -> Any:
    """What a column sorts and filters by: a number, a word, or None."""
    match name:
        case "trial":
            return trial.number
        case "state":
            return trial.state.value
        case "loss":
            return losses.get(trial.number)
        case "gain":
            return view.gain.get(trial.number)
        case "p_frontier":
            return chance(view, trial)
        case "time":
            return trial.busy_seconds or None
        case "origin":
            return trial.origin
        case "note":
            return trial.note or None
        case "tags":
            return " ".join(trial.tags) or None
        case "parameters":
            return fmt.settings(trial.params)
    values = view.values(trial)
    return values[name] if name in values else value_of(trial, name)
