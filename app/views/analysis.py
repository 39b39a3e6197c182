"""The analyses of a study for the command line and the screens alike: from a view to values, and to what scripts read.

It writes nothing, and it never computes importances: they need a library that the app must not load.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.app.views.view import StudyView, all_metrics, make_view
from bertdistill.engine.analysis.comparison import Comparison, MetricRow, Tie
from bertdistill.engine.analysis.coordinates import Parallel, Slice, slices
from bertdistill.engine.analysis.error_analysis import CLASSES, Classified, Confusion, Judged, QuestionErrors, Tally
from bertdistill.engine.analysis.growth import Step, growth
from bertdistill.engine.analysis.outcomes import Difference, Outcome
from bertdistill.engine.analysis.passages import Passage
from bertdistill.engine.analysis.scenarios import NEAR_TEACHER, Scenario, ScenarioTable, scenarios
from bertdistill.engine.analysis.transfer import TransferGain, transfer_gain
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.search.importances import Importances
from bertdistill.engine.study.outline import SEARCH
from bertdistill.engine.tasks.table import METRICS, usual_direction
from bertdistill.store.rows import Trial, TrialState

# ------------------------------------------------------------------------------------------------------ from a view


def outcome(view: StudyView, trial: Trial) -> Outcome:
    """One trial as the analyses see it."""
    row, group = view.ranked.get(trial.number), view.repeats.get(trial.number)
    return Outcome(
        number=trial.number,
        params=trial.params,
        values=all_metrics(trial),
        settings=trial.settings,
        complete=trial.state == TrialState.COMPLETE,
        frontier=bool(row and row.on_frontier),
        feasible=bool(row and row.feasible),
        baseline=trial.origin == "baseline",
        finished_at=trial.finished_at,
        hours=trial.busy_seconds / 3600,
        study=view.study.name,
        point=None if group is None else group.first,
    )


def point_outcome(view: StudyView, trial: Trial) -> Outcome:
    """The same with the means over the repeats of its point."""
    one, group = outcome(view, trial), view.repeats.get(trial.number)
    if group is None:
        return one
    baseline = view.baseline_number in group.members
    return dataclasses.replace(one, values=group.means, baseline=baseline, seeds=group.seeds, spreads=group.spreads)


def compared(view: StudyView, trials: Sequence[Trial]) -> list[Outcome]:
    """Trials to be compared: by the means of their points, but repeats of one point by what each of them scored."""
    groups = [view.repeats.get(trial.number) for trial in trials]
    firsts = [group.first for group in groups if group is not None]
    one_point = len(set(firsts)) < len(firsts)
    return [outcome(view, trial) if one_point else point_outcome(view, trial) for trial in trials]


def ties(view: StudyView, trials: Sequence[Trial]) -> Tie | None:
    """Whether differences of these trials' points are within their noise; None where that is not known.

    Of repeats of one point it is not: each has the noise of its seed, of which one says little.
    """
    firsts = [group.first if (group := view.repeats.get(t.number)) else t.number for t in trials]
    found = view.certainty
    if found is None or len(set(firsts)) < len(firsts):
        return None
    return lambda metric, one, other, gap: found.tie(metric, firsts[one], firsts[other], gap)


def points(view: StudyView) -> list[Outcome]:
    """Every point, by the number of the trial that stands for it."""
    return [point_outcome(view, trial) for trial in sorted(view.trials, key=lambda t: t.number) if view.leads(trial)]


def outcomes(view: StudyView) -> list[Outcome]:
    """All trials by number."""
    return [outcome(view, trial) for trial in sorted(view.trials, key=lambda trial: trial.number)]


def study_scenarios(view: StudyView) -> ScenarioTable:
    """The scenario table against the baseline and the teacher: its size, and its scores on the validation split."""
    has_baseline = view.outline.spec is not None and view.outline.spec.baseline is not None
    found = points(view)
    table = scenarios(found, view.objectives, view.teacher, chance=view.chance, has_baseline=has_baseline)
    if view.study.kind == SEARCH:
        return table
    rows = [row for row in table.rows if row.number is not None or (has_baseline and row.name != NEAR_TEACHER)]
    return dataclasses.replace(table, rows=tuple(rows))


def study_transfer(view: StudyView) -> list[TransferGain]:
    """What the transfer set brought, for each objective that training decides; empty without trials of both kinds."""
    found = outcomes(view)
    trained = [o.metric for o in view.objectives if o.metric in METRICS and not METRICS[o.metric].known_before]
    return [gain for metric in trained if (gain := transfer_gain(found, metric)) is not None]


def study_growth(view: StudyView) -> list[Step]:
    """The hypervolume after every trial that ended."""
    return growth(outcomes(view), view.objectives)


def study_slices(view: StudyView, metrics: Sequence[str] = ()) -> list[Slice]:
    """The slices of every parameter, for these metrics or for the objectives."""
    found = outcomes(view)
    chosen = [as_objective(view, name) for name in metrics or [o.metric for o in view.objectives]]
    return [one for objective in chosen for one in slices(found, view.outline.search, objective)]


def over(view: StudyView, x: str, y: str) -> StudyView:
    """The same study ranked by these two metrics."""
    chosen = tuple(as_objective(view, name) for name in dict.fromkeys((x, y)))
    return make_view(view.study, dataclasses.replace(view.outline, objectives=chosen), view.trials)


def as_objective(view: StudyView, metric: str) -> Objective:
    """The objective of that metric, or a metric that is none with its own better side."""
    other = Objective(metric, usual_direction(metric))
    return next((one for one in view.objectives if one.metric == metric), other)


# ----------------------------------------------------------------------------------------------------- for scripts


def importance_row(found: Importances) -> dict[str, Any]:
    """One objective."""
    return {
        "objective": found.objective,
        "method": found.method,
        "trials": found.trials,
        "missed": found.missed,
        "weights": [dataclasses.asdict(weight) for weight in found.weights],
        "without_effect": list(found.without_effect),
        "problem": found.problem,
    }


def importance_rows(found: Iterable[Importances]) -> list[dict[str, Any]]:
    """One row a parameter and objective, for CSV."""
    return [
        {"objective": one.objective, "method": one.method, **dataclasses.asdict(weight)}
        for one in found
        for weight in one.weights
    ]


def scenario_row(found: Scenario) -> dict[str, Any]:
    """One scenario."""
    return {
        "scenario": found.name,
        "rule": found.rule,
        "trial": found.number,
        "metrics": dict(found.values),
        "differences": {name: dataclasses.asdict(gap) for name, gap in found.differences.items()},
        "remark": found.remark,
    }


def scenario_rows(table: ScenarioTable) -> list[dict[str, Any]]:
    """The baseline, then every scenario."""
    first = Scenario("baseline", "what the others are compared with", table.baseline, table.baseline_values)
    return [scenario_row(one) for one in (first, *table.rows)]


def step_row(step: Step) -> dict[str, Any]:
    """The hypervolume after one trial."""
    return {
        "trial": step.number,
        "finished_at": step.finished_at,
        "trials": step.trials,
        "worker_hours": step.worker_hours,
        "gain": step.gain,
        "hypervolume": step.hypervolume,
    }


def parallel_row(found: Parallel) -> dict[str, Any]:
    """Axes and lines."""
    return {
        "axes": [dataclasses.asdict(axis) | {"choices": list(axis.choices)} for axis in found.axes],
        "lines": line_rows(found),
    }


def line_rows(found: Parallel) -> list[dict[str, Any]]:
    """One row a trial: its values and places by the names of the axes."""
    names = [axis.name for axis in found.axes]
    return [
        {
            "trial": line.number,
            "frontier": line.frontier,
            "feasible": line.feasible,
            "values": dict(zip(names, line.values, strict=True)),
            "places": dict(zip(names, line.places, strict=True)),
        }
        for line in found.lines
    ]


def point_rows(found: Iterable[Slice]) -> list[dict[str, Any]]:
    """One row a trial, parameter and objective."""
    return [
        {
            "objective": one.objective.metric,
            "parameter": one.axis.name,
            "trial": point.number,
            "value": point.value,
            "place": point.place,
            "score": point.score,
            "frontier": point.frontier,
            "feasible": point.feasible,
        }
        for one in found
        for point in one.points
    ]


def comparison_row(found: Comparison, *, every: bool = False) -> dict[str, Any]:
    """Trials side by side; settings that are the same in all of them only with `every`."""
    names = trial_names(found)
    return {
        "trials": names,
        "seeds": dict(zip(names, found.seeds, strict=True)),
        "settings": [
            {"name": row.name, "same": row.same, "searched": row.searched}
            | {"values": dict(zip(names, row.values, strict=True))}
            for row in (found.settings if every else found.differing)
        ],
        "metrics": [
            {
                "name": row.name,
                "objective": row.objective,
                "values": dict(zip(names, row.values, strict=True)),
                "spreads": dict(zip(names, row.spreads, strict=True)),
                "differences": {name: _gap(gap) for name, gap in zip(names, row.differences, strict=True)},
                "verdicts": dict(zip(names, row.verdicts, strict=True)),
            }
            for row in found.metrics
        ],
    }


def mean_texts(row: MetricRow) -> list[str]:
    """The value of each trial; `87.30 ± 0.41` where it is a mean over seeds."""
    spreads = row.spreads or (None,) * len(row.values)
    texts = [fmt.metric(row.name, value) for value in row.values]
    return [
        text if spread is None else f"{text} ± {fmt.spread(row.name, spread)}"
        for text, spread in zip(texts, spreads, strict=True)
    ]


def comparison_rows(found: Comparison, *, every: bool = False) -> list[dict[str, Any]]:
    """One row a setting, then one row a metric, for CSV."""
    row = comparison_row(found, every=every)
    settings = [{"kind": "setting", "name": one["name"], "values": one["values"]} for one in row["settings"]]
    metrics = [
        {"kind": "metric", "name": one["name"], "values": one["values"]}
        | {"differences": {name: gap and gap["absolute"] for name, gap in one["differences"].items()}}
        for one in row["metrics"]
    ]
    return [*settings, *metrics]


def trial_names(found: Comparison) -> list[str]:
    """`study/number` of each trial."""
    return [f"{study}/{number}" for study, number in zip(found.studies, found.numbers, strict=True)]


def _gap(gap: Difference | None) -> dict[str, Any] | None:
    return None if gap is None else dataclasses.asdict(gap)


# ------------------------------------------------------------------------------------------------------- error analysis


def question_errors_row(found: QuestionErrors) -> dict[str, Any]:
    """The error analysis of a question answering trial."""
    return {
        "cut": found.cut,
        "total": found.overall.total,
        "classes": dict(found.overall.counts),
        "histogram": list(found.histogram),
        "articles": [tally_row(tally) for tally in found.articles],
    }


def tally_row(tally: Tally) -> dict[str, Any]:
    """One article."""
    return {"article": tally.article, "total": tally.total, "classes": dict(tally.counts)}


def judged_row(one: Judged, *, passages: bool = False) -> dict[str, Any]:
    """One question, with the marked part of its passage where that is asked for."""
    asked = one.question
    part = {"passage": passage_row(asked.passage)} if passages and asked.passage else {}
    return {
        "id": asked.id,
        "article": asked.article,
        "class": one.kind,
        "f1": one.f1,
        "question": asked.question,
        "prediction": asked.prediction,
        "golds": list(asked.golds),
        **part,
    }


def passage_row(passage: Passage) -> dict[str, Any]:
    """Part of a passage with the places of the answers in it."""
    return {
        "text": passage.text,
        "golds": [list(span) for span in passage.golds],
        "given": None if passage.given is None else list(passage.given),
        "places": passage.places,
    }


def confusion_row(found: Confusion) -> dict[str, Any]:
    """The error analysis of a classifier."""
    return {
        "accuracy": found.accuracy,
        "total": len(found.texts),
        "labels": list(found.labels),
        "confusion": [list(row) for row in found.counts],
        "classes": [dataclasses.asdict(one) for one in found.classes],
    }


def text_row(one: Classified) -> dict[str, Any]:
    """One classified text."""
    return {"id": one.id, "label": one.label, "prediction": one.prediction, "text": one.text}


LISTS = ("all", "wrong", *CLASSES)
"""What can be listed of a question answering trial; of a classifier: all, wrong and right."""


def listed_questions(found: QuestionErrors, which: str) -> list[Judged]:
    """The questions of a class, all of them or the wrong ones, in the order of the data."""
    return [one for one in found.judged if which in ("all", one.kind) or (which == "wrong" and one.kind != "right")]


def listed_texts(found: Confusion, which: str) -> list[Classified]:
    """The same of a classifier."""
    return [one for one in found.texts if which == "all" or (which == "right") == (one.label == one.prediction)]
