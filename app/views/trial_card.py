"""A trial in a few facts, beside the list of trials: scores against teacher and baseline, and what it changes. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.certain import interval_words, likely_words
from bertdistill.app.views.rank_card import place, short_gap
from bertdistill.app.views.study_card import smaller
from bertdistill.app.views.trial_columns import value_of
from bertdistill.app.views.view import StudyView, with_spread
from bertdistill.engine.analysis.outcomes import difference
from bertdistill.store.rows import Trial, TrialState


def trial_card(view: StudyView, trial: Trial, *, ascii_only: bool = False) -> list[tuple[str, str]]:
    """Pairs of a name and words."""
    return [(name, safe_line(words, 400)) for name, words in _facts(view, trial, ascii_only=ascii_only) if words]


def _facts(view: StudyView, trial: Trial, *, ascii_only: bool) -> Iterator[tuple[str, str]]:
    if trial.state == TrialState.COMPLETE:
        yield next((fact.name, fact.words) for fact in place(view, trial))
        yield "certainty", likely_words(view, trial)
    else:
        running = f", {trial.progress:.0%}" if trial.state == TrialState.RUNNING else ""
        ended = f": {trial.reason} {trial.detail}".rstrip() if trial.reason else ""
        yield "state", fmt.state(trial.state.value, ascii_only=ascii_only) + running + ended
    yield from _scores(view, trial)
    yield from _settings(view, trial)
    yield "note", trial.note
    yield "tags", " ".join(trial.tags)


def _scores(view: StudyView, trial: Trial) -> Iterator[tuple[str, str]]:
    """Each objective, and its differences from the teacher's and the baseline's."""
    values, baseline = view.values(trial), view.baseline
    others = [("teacher", view.teacher)] if view.teacher else []
    if baseline is not None and baseline.number != trial.number:
        others.append((f"baseline #{baseline.number}", dict(view.values(baseline))))
    for objective in view.objectives:
        name = objective.metric
        words = [_against(name, values.get(name), found.get(name), whose) for whose, found in others]
        group = view.repeats.get(trial.number)
        mean = "" if group is None or name not in group.spreads else with_spread(view, trial, name)
        seeds = f"mean {mean} of {group.seeds} seeds" if group is not None and mean else ""
        certain = f"95 % {ends}" if (ends := interval_words(view, trial, name)) else ""
        yield name, " · ".join(filter(None, [fmt.metric(name, values.get(name)), seeds, certain, *words]))


def _against(name: str, value: float | None, other: float | None, whose: str) -> str:
    """`+1.64 to the teacher`, or as a factor where it is less than half."""
    if times := smaller(name, value, other):
        return f"{times} than the {whose}"
    gap = short_gap(name, difference(name, value, other))
    return f"{gap} to the {whose}" if gap else ""


def _settings(view: StudyView, trial: Trial) -> Iterator[tuple[str, str]]:
    """The searched settings; in brackets what the baseline has instead."""
    baseline = view.baseline
    before = {} if baseline is None else {name: value_of(baseline, name) for name in trial.params}
    words = []
    for name in trial.params:
        value, other = value_of(trial, name), before.get(name)
        differs = other is not None and other != value
        words.append(f"{name} {fmt.setting(value)}" + (f" ({fmt.setting(other)})" if differs else ""))
    yield "settings", " · ".join(words)
