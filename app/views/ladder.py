"""The ladder of a study for the command line and the screens alike: from a workspace to the value, to JSON and back.

It writes nothing. `quick_ladder` reads no files, so a screen can show it at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.app.views.analysis import outcomes
from bertdistill.app.views.view import StudyView
from bertdistill.engine.analysis.ladder import REPORT, VALIDATION, Effect, Frame, Ladder, Nearest, Rung, ladder
from bertdistill.engine.analysis.outcomes import size_and_score
from bertdistill.engine.analysis.rungs import Chosen, choose, smallest_near
from bertdistill.engine.analysis.scenarios import TEACHER_MARGIN
from bertdistill.engine.analysis.scored import TEACHER, Score, Split
from bertdistill.engine.contract.errors import ActionRefused, WorkerFailed
from bertdistill.engine.contract.events import finite
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.study.config import select_metric
from bertdistill.engine.tasks.table import METRICS, TASKS


def chosen_rungs(view: StudyView) -> list[Chosen]:
    """The trials on the ladder; ActionRefused if no complete trial belongs to a family."""
    score, size = score_and_size(view)
    known, trials = METRICS.get(score), outcomes(view)
    largest = known is None or known.direction == "maximize"
    found = choose(trials, score, largest=largest)
    if not found:
        hint = "Wait for the first one; runs of other programs need a `family` among their settings."
        raise ActionRefused(f"study {view.study.name} has no complete trial with a family and {score}", hint=hint)
    teacher = finite(view.facts.teacher_metrics.get(score))
    if teacher is None:
        return found
    least = teacher - TEACHER_MARGIN if largest else teacher + TEACHER_MARGIN
    small = smallest_near(trials, score, size, least=least, largest=largest)
    known_already = small is None or any(one.trials == small.trials for one in found)
    return found if small is None or known_already else [*found, small]


def score_and_size(view: StudyView) -> tuple[str, str]:
    """The metric that selects checkpoints, and the one that "smallest" refers to: params unless one is minimised."""
    size, score = size_and_score(view.objectives) if view.objectives else ("params", "")
    spec = view.outline.spec
    task = TASKS.get(view.study.task)
    return select_metric(
        spec
    ).name if spec and spec.program is None else score, "params" if task and size in task.scores else size


def quick_ladder(view: StudyView, chosen: Sequence[Chosen] | None = None) -> Ladder:
    """The ladder from the database alone: without stored predictions, so with few intervals."""
    return ladder(chosen_rungs(view) if chosen is None else chosen, _frame(view, {VALIDATION: validation_scores(view)}))


def read_ladder(ws: Workspace, view: StudyView) -> tuple[Ladder, str]:
    """The ladder with everything that is stored, and a remark if predictions could not be read; takes seconds."""
    chosen = chosen_rungs(view)
    splits, remark = read_splits(ws, view, [trial.number for one in chosen for trial in one.trials])
    return ladder(chosen, _frame(view, splits)), remark


def read_splits(ws: Workspace, view: StudyView, numbers: Sequence[int]) -> tuple[dict[str, Split], str]:
    """What is stored of these trials and the teacher on each split, and a remark if predictions could not be read."""
    from bertdistill.engine.analysis import ladder_evidence as evidence

    validation, remark = validation_scores(view), ""
    try:
        found = evidence.validation_statistics(ws, view.study, numbers)
        validation = dataclasses.replace(validation, statistics=found)
    except WorkerFailed as error:
        remark = f"intervals on the validation split are approximate or missing: {error}"
    splits = {VALIDATION: validation}
    if spec := view.outline.spec:
        known = evidence.read_known(ws, view.study.name, numbers)
        models = evidence.scorable(ws, known, spec, view.facts)
        splits[REPORT] = evidence.report_split(ws, known, models, score_and_size(view)[0])
    return splits, remark


def validation_scores(view: StudyView) -> Split:
    """Scores of all trials and the teacher on the validation split, without predictions."""
    score = score_and_size(view)[0]
    scores = {
        number: value for number, values in view.measured.items() if (value := finite(values.get(score))) is not None
    }
    if (teacher := finite(view.facts.teacher_metrics.get(score))) is not None:
        scores[TEACHER] = teacher
    return Split(view.facts.search_examples, scores)


def _frame(view: StudyView, splits: Mapping[str, Split]) -> Frame:
    score, size = score_and_size(view)
    teacher = {"latency_ratio": 1.0, **view.teacher} if view.teacher else {}
    references = {point.name: point.metrics for point in view.outline.references}
    return Frame(view.study.name, score, size, splits, teacher, references)


# ---------------------------------------------------------------------------------------------------------- for scripts


def ladder_row(found: Ladder) -> dict[str, Any]:
    """The whole ladder as JSON values; `read_row` reads it back."""
    return dataclasses.asdict(found)


def rung_rows(found: Ladder) -> list[dict[str, Any]]:
    """One row a rung, for CSV: students, then the teacher, then references."""
    every = (*found.rungs, *([found.teacher] if found.teacher else []), *found.references)
    return [
        {
            "study": found.study,
            "family": one.family,
            "kind": one.kind,
            "is_smallest": one.is_smallest,
            "trials": list(one.numbers),
            "metric": found.score,
            **{split: dataclasses.asdict(one.scores[split]) for split in (VALIDATION, REPORT) if split in one.scores},
            **one.costs,
        }
        for one in every
    ]


def read_row(raw: Mapping[str, Any]) -> Ladder:
    """Back from JSON."""
    near = raw["near"]
    rungs = {name: None if near[name] is None else _rung(near[name]) for name in ("rung", "closest")}
    return Ladder(
        **{name: raw[name] for name in ("study", "score", "size", "split", "examples")},
        rungs=tuple(map(_rung, raw["rungs"])),
        teacher=None if raw["teacher"] is None else _rung(raw["teacher"]),
        references=tuple(map(_rung, raw["references"])),
        effects=tuple(Effect(**one | {"interval": _pair(one["interval"])}) for one in raw["effects"]),
        near=Nearest(near["margin"], **rungs, certain=near["certain"]),
        rival=None if raw["rival"] is None else _rung(raw["rival"]),
    )


def _rung(raw: Mapping[str, Any]) -> Rung:
    scores = {split: read_score(one) for split, one in raw["scores"].items()}
    return Rung(raw["family"], raw["kind"], tuple(raw["numbers"]), scores, raw["costs"], raw["is_smallest"])


def read_score(raw: Mapping[str, Any]) -> Score:
    """A score back from JSON."""
    return Score(**{**raw, **{name: _pair(raw[name]) for name in ("interval", "gap_interval")}})


def _pair(raw: Sequence[float] | None) -> tuple[float, float] | None:
    return None if raw is None else (raw[0], raw[1])
