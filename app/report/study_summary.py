"""The first section of a report: what was searched and what came of it, in sentences. It reads no store."""

from __future__ import annotations

from collections.abc import Iterator

from bertdistill.app.report.study_material import Material
from bertdistill.app.text import format as fmt
from bertdistill.app.text.format import metric
from bertdistill.app.views.study_card import WITHIN, best_trial, smaller, smallest_trial
from bertdistill.app.views.trial_columns import value_of
from bertdistill.app.views.view import StudyView, chart_axes, with_spread
from bertdistill.engine.study.outline import LOG, PROGRAM
from bertdistill.store.rows import Trial, TrialState

SLIGHTLY = 1.005
"""Factor from which a trial is called smaller than the teacher."""


def report_trials(view: StudyView) -> list[Trial]:
    """The trials of a report, in ranked order: all but the archived ones."""
    return [trial for trial in view.trials if not trial.archived]


def plane(view: StudyView) -> tuple[str, str, str]:
    """The metrics of the axes, or why there is no chart of two metrics."""
    if not view.trials:
        return "", "", "No trials yet."
    x, y = chart_axes(view)
    if not x or not y or x == y:
        return "", "", "There is no chart of two metrics: the study has fewer than two."
    return x, y, ""


def summary_lines(found: Material) -> list[str]:
    """A sentence each."""
    return list(_sentences(found))


def _sentences(found: Material) -> Iterator[str]:
    view = found.view
    yield _searched(view)
    yield _objectives(view)
    yield _state(view)
    if view.frontier:
        yield from _results(view)
    if found.failed:
        classes = ", ".join(f"{len(every)} {kind}" for kind, every in found.failed.items())
        yield f"Attempts that failed: {classes}."
    if words := _given_up(view):
        yield words
    for problem in (view.weak_teacher, view.study.diagnosis, "" if view.study.kind == LOG else view.outline.problem):
        if problem:
            yield f"Problem: {problem.rstrip('.')}."
    if view.outline.note:
        yield f"Note: {view.outline.note}"


def _searched(view: StudyView) -> str:
    names = [parameter.name for parameter in view.outline.search]
    count = f"{len(names)} parameter{'' if len(names) == 1 else 's'}" + (f" ({', '.join(names)})" if names else "")
    if view.study.kind == LOG:
        return f"{view.study.name} is a collection of logged runs with {count}."
    if view.study.kind == PROGRAM:
        return f"{view.study.name} searched {count} of a program."
    spec = view.outline.spec
    teacher = f" of {spec.teacher.model}" if spec is not None else ""
    return f"{view.study.name} distilled students{teacher} for {view.study.task} and searched {count}."


def _objectives(view: StudyView) -> str:
    if not view.objectives:
        return "It has no objectives, so its runs are not ranked."
    words = []
    for one in view.objectives:
        bound = "" if one.threshold is None else f", threshold {metric(one.metric, one.threshold)}"
        words.append(f"{one.metric} ({one.direction}{bound})")
    return f"Objectives: {', '.join(words)}."


def _state(view: StudyView) -> str:
    counts = ", ".join(f"{number} {name}" for name, number in view.tally.items())
    budget = f" of {view.outline.trials} in the budget" if view.outline.trials else ""
    took = f" after {fmt.duration(view.study.busy_seconds)}" if view.study.busy_seconds else ""
    trials = f"{len(view.trials)} trials{budget} ({counts})" if view.trials else f"No trials{budget}"
    return f"{trials}." if view.study.kind == LOG else f"{trials}; the study is {view.study.state.value}{took}."


def _results(view: StudyView) -> Iterator[str]:
    size, score = chart_axes(view)
    teacher = view.teacher.get(score)
    yield f"The best {score} is that of {_trial_words(view, best_trial(view), size, score)}."
    if teacher is not None:
        has_size = view.teacher.get(size) is not None and size != score
        cost = f" with {_amount(size, view.teacher.get(size))}" if has_size else ""
        yield f"The teacher has {score} {metric(score, teacher)}{cost}."
    if size != score:
        small, near = smallest_trial(view)
        words = _trial_words(view, small, size, score)
        if near:
            yield f"The smallest trial within {WITHIN:g} point of the teacher is {words}."
        elif teacher is not None:
            yield f"No trial is within {WITHIN:g} point of the teacher; the one with the best {size} is {words}."
        else:
            yield f"The one with the best {size} is {words}."
    repeated = "" if view.points == len(view.ranked) else f" points, which {len(view.ranked)} trials measured"
    yield f"On the frontier: {len(view.frontier)} of {view.points} ranked {repeated.lstrip() or 'trials'}."
    if (certainty := view.certainty) is not None and certainty.hypervolume is not None:
        dominated = [number for number in certainty.on_frontier if not view.ranked[number].on_frontier]
        tied = sum(map(certainty.plausible, dominated))
        low, high = certainty.hypervolume
        yield f"The hypervolume is {view.hypervolume:.3f}; that of true scores is {low:.3f} to {high:.3f} (95 %)."
        if tied > 0:
            yield f"{tied} more point{'' if tied == 1 else 's'} cannot be told apart from the frontier."


def _trial_words(view: StudyView, trial: Trial, size: str, score: str) -> str:
    """`#14 (bilstm): accuracy 88.1, params 1.2M, 18.9 times smaller than the teacher`."""
    values = view.means(trial)
    family = value_of(trial, "family")
    words = [f"{score} {with_spread(view, trial, score)}"]
    if size != score:
        words.append(_amount(size, values.get(size)))
        factor = smaller(size, values.get(size), view.teacher.get(size), least=SLIGHTLY)
        words.append(f"{factor} than the teacher" if factor else "")
    return f"#{trial.number}{f' ({family})' if family else ''}: {', '.join(filter(None, words))}"


def _amount(name: str, value: float | None) -> str:
    return f"{name} {metric(name, value, unit=True)}"


def _given_up(view: StudyView) -> str:
    """How many trials did not end as complete, and why."""
    bad = (TrialState.FAILED, TrialState.INFEASIBLE, TrialState.STOPPED)
    words = []
    for state in bad:
        trials = [trial for trial in view.trials if trial.state == state]
        if trials:
            reasons = ", ".join(dict.fromkeys(trial.reason for trial in trials if trial.reason))
            words.append(f"{len(trials)} {state.value}" + (f" ({reasons})" if reasons else ""))
    return f"Trials without a result: {'; '.join(words)}." if words else ""
