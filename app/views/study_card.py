"""A study in a few facts, beside the list of studies: what it found so far and what it does now. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from bertdistill.app.draw.sparks import sparkline
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.trial_columns import value_of
from bertdistill.app.views.view import StudyView, chart_axes, with_spread
from bertdistill.engine.analysis.outcomes import ROUNDING
from bertdistill.engine.study.outline import LOG, PROGRAM
from bertdistill.engine.tasks.table import METRICS
from bertdistill.store.rows import StudyState, Trial

SEPARATOR = " · "
ENDED_KEYS = ("promote", "analysis", "settings", "copy")
DIAGNOSED_KEYS = ("pause-study", "settings")
RESUME = re.compile(r"(?:bertdistill-tui )?engine resume \S+")
LIMIT = "runner.min_free_gb"
MOST_RUNNING = 3
WITHIN = 1.0
"""Points of the teacher's score within which a student counts as good as it."""


def study_card(view: StudyView, *, ascii_only: bool = False) -> list[tuple[str, str]]:
    """Pairs of a name and words."""
    return [(name, safe_line(words, 300)) for name, words in _facts(view, ascii_only=ascii_only) if words]


def _facts(view: StudyView, *, ascii_only: bool) -> Iterator[tuple[str, str]]:
    size, score = chart_axes(view)
    teacher = view.teacher.get(score)
    if view.frontier:
        yield "best", _trial_words(view, best_trial(view), score, size)
        small, near = smallest_trial(view)
        yield f"within {WITHIN:g} of teacher" if near else "smallest", _trial_words(view, small, score, size)
    if teacher is not None:
        sizes = fmt.metric(size, view.teacher.get(size)) if view.teacher.get(size) is not None else ""
        yield "teacher", SEPARATOR.join(filter(None, (fmt.metric(score, teacher), sizes)))
    yield "running", SEPARATOR.join(_running(view, trial) for trial in view.running[:MOST_RUNNING])
    yield "trials", ", ".join(f"{number} {state}" for state, number in view.tally.items())
    if growth := list(itertools.accumulate(view.gain.values())):
        yield "hypervolume", f"{view.hypervolume:.3f} {sparkline(growth, 16, ascii_only=ascii_only)}"
    yield "time", fmt.duration(view.study.busy_seconds) if view.study.busy_seconds else ""
    yield "note", view.outline.note
    yield "ended", view.cause
    yield "problem", view.study.diagnosis or view.weak_teacher


def diagnosis_words(diagnosis: str, keys: Mapping[str, str]) -> str:
    """Why a study is paused or failed, with keys in place of the shell commands that the record names.

    `keys` are those of the actions `DIAGNOSED_KEYS`.
    """
    words = RESUME.sub(f"{keys['pause-study']} resumes it", diagnosis)
    return words.replace(LIMIT, f"{LIMIT} ({keys['settings']})")


def named_setting(diagnosis: str) -> str:
    """The setting that a diagnosis tells to change; empty if it names none."""
    return LIMIT if LIMIT in diagnosis else ""


def ended_words(view: StudyView, keys: Mapping[str, str]) -> str:
    """What came of a search that is complete, and what to do next, in a line; empty for any other study.

    `keys` are those of the actions `ENDED_KEYS`.
    """
    if view.study.state != StudyState.COMPLETE or view.study.kind == LOG:
        return ""
    complete = view.cause or "Complete."
    if not view.ranked:
        return f"{complete} No trial has scores for every objective."
    if not view.frontier:
        return f"{complete} No trial meets every threshold: {keys['settings']} changes them."
    size, score = chart_axes(view)
    best = safe_line(_trial_words(view, best_trial(view), score, size), 120)
    small, near = smallest_trial(view)
    if near and small.number != best_trial(view).number:
        best += f". Smallest within {WITHIN:g} of the teacher: {safe_line(_trial_words(view, small, score, size), 120)}"
    promotes = f"{keys['promote']} promotes the trial under the cursor, " if view.study.kind != PROGRAM else ""
    return f"{complete} Best: {best}. {promotes}{keys['analysis']} analyses all, {keys['copy']} writes a report."


def best_trial(view: StudyView) -> Trial:
    """The feasible trial with the best score, the smallest of several; there must be one."""
    size, score = chart_axes(view)
    return min(_feasible(view), key=lambda t: (_loss(view, t, score), _cost(view, t, size)))


def smallest_trial(view: StudyView) -> tuple[Trial, bool]:
    """The smallest of the trials near the teacher, or of all if none is, and whether it is near."""
    size, score = chart_axes(view)
    teacher, ranked = view.teacher.get(score), _feasible(view)
    least = None if teacher is None else _sign(view, score) * teacher + WITHIN + ROUNDING
    near = [t for t in ranked if least is not None and _loss(view, t, score) <= least]
    return min(near or ranked, key=lambda t: (_cost(view, t, size), _loss(view, t, score))), bool(near)


def _feasible(view: StudyView) -> list[Trial]:
    return [t for t in view.trials if (row := view.ranked.get(t.number)) and row.feasible and view.leads(t)]


def _sign(view: StudyView, metric: str) -> int:
    return -1 if _better(view, metric) == "maximize" else 1


def _loss(view: StudyView, trial: Trial, score: str) -> float:
    return _sign(view, score) * _value(view, trial, score)


def _cost(view: StudyView, trial: Trial, size: str) -> float:
    return (1 if _better(view, size) == "minimize" else -1) * _value(view, trial, size)


def _better(view: StudyView, metric: str) -> str:
    return next((o.direction for o in view.objectives if o.metric == metric), "maximize")


def _value(view: StudyView, trial: Trial, metric: str) -> float:
    return view.means(trial).get(metric) or 0.0


def _trial_words(view: StudyView, trial: Trial, score: str, size: str) -> str:
    """`#12 mlp · 89.10 · 20.9M · 4.3 times smaller` than the teacher."""
    values: Mapping[str, float | None] = view.means(trial)
    family = f" {value_of(trial, 'family')}" if _several(view) else ""
    words = [f"#{trial.number}{family}", with_spread(view, trial, score), fmt.metric(size, values.get(size))]
    words.append(smaller(size, values.get(size), view.teacher.get(size)))
    return SEPARATOR.join(filter(None, words))


def smaller(metric: str, value: float | None, other: float | None, *, least: float = 2.0) -> str:
    """`4.3 times smaller`; empty below `least`, and for what is not a size or a cost."""
    known = METRICS.get(metric)
    if known is None or known.direction != "minimize" or not value or not other or other / value < least:
        return ""
    times = other / value
    return f"{times:,.0f} times smaller" if times >= 100 else f"{times:.3g} times smaller"


def _several(view: StudyView) -> bool:
    return len(view.outline.searched.get("family", ())) > 1


def _running(view: StudyView, trial: Trial) -> str:
    family = f" {value_of(trial, 'family')}" if _several(view) else ""
    return f"#{trial.number}{family}" + (f" {trial.progress:.0%}" if trial.progress else "")
