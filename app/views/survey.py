"""The survey of a study for the command line and the screens alike: from a workspace to the value, to JSON and back.

It writes nothing. `quick_survey` reads no files, so a screen can show it at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bertdistill.app.views.analysis import outcomes
from bertdistill.app.views.ladder import read_score, read_splits, score_and_size, validation_scores
from bertdistill.app.views.view import StudyView
from bertdistill.engine.analysis.published import data_sets, kept, points_of
from bertdistill.engine.analysis.scored import Split
from bertdistill.engine.analysis.survey import (
    VALIDATION,
    Best,
    Configuration,
    Entry,
    Frame,
    Survey,
    configurations,
    survey,
)
from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.tasks.table import METRICS


def chosen_configurations(view: StudyView) -> list[Configuration]:
    """The configurations in the survey; ActionRefused if there is none."""
    found = configurations(outcomes(view), _frame(view, {VALIDATION: validation_scores(view)}))
    if not found:
        reason = f"study {view.study.name} has no complete trial with a score and a size"
        raise ActionRefused(reason, hint="Wait for the first one; the teacher's size must be known.")
    return found


def quick_survey(view: StudyView) -> Survey:
    """The survey from the database alone: without stored predictions, so without ties."""
    return survey(chosen_configurations(view), _frame(view, {VALIDATION: validation_scores(view)}))


def read_survey(ws: Workspace, view: StudyView) -> tuple[Survey, str]:
    """The survey with everything that is stored, and a remark if predictions could not be read; takes seconds."""
    chosen = chosen_configurations(view)
    splits, remark = read_splits(ws, view, [number for one in chosen for number in one.numbers])
    return survey(chosen, _frame(view, splits)), remark


def published_data(view: StudyView) -> str:
    """The published data set most like that of the study."""
    task, score = view.study.task, score_and_size(view)[0]
    if task == "question-answering":
        abstains = any(scores.get("no_answer_f1") is not None for scores in view.measured.values())
        return "SQuAD 2.0" if abstains else "SQuAD 1.1"
    if score == "matthews":
        return "CoLA"
    return "MNLI-m" if view.facts.pairs else "SST-2"


def published_rows(data: str) -> list[dict[str, Any]]:
    """Published points on a data set; ActionRefused for one without any."""
    if data not in data_sets():
        raise ActionRefused(f"there are no published points on {data!r}", hint=f"Use {', '.join(data_sets())}.")
    return [dataclasses.asdict(one) | {"kept": kept(one)} for one in points_of(data)]


def _frame(view: StudyView, splits: Mapping[str, Split]) -> Frame:
    score = score_and_size(view)[0]
    known = METRICS.get(score)
    params = view.teacher.get("params") if view.teacher else None
    return Frame(view.study.name, score, splits, params, known is None or known.direction == "maximize")


# ---------------------------------------------------------------------------------------------------------- for scripts


def survey_row(found: Survey, data: str) -> dict[str, Any]:
    """The whole survey as JSON values, with published points; `read_row` reads it back."""
    points = published_rows(data) if data else []
    return dataclasses.asdict(found) | {"published": {"data": data, "points": points}}


def entry_rows(found: Survey) -> list[dict[str, Any]]:
    """One row an entry, for CSV."""
    return [{"study": found.study, "metric": found.score, **dataclasses.asdict(one)} for one in found.entries]


def read_row(raw: Mapping[str, Any]) -> Survey:
    """Back from JSON."""
    return Survey(
        **{name: raw[name] for name in ("study", "score", "split", "examples", "by_bytes")},
        entries=tuple(map(_entry, raw["entries"])),
        best=tuple(
            Best(one["factor"], None if one["entry"] is None else _entry(one["entry"]), tuple(one["ties"]))
            for one in raw["best"]
        ),
        teacher=None if raw["teacher"] is None else read_score(raw["teacher"]),
    )


def _entry(raw: Mapping[str, Any]) -> Entry:
    scores = {split: read_score(one) for split, one in raw["scores"].items()}
    return Entry(raw["method"], tuple(raw["numbers"]), raw["compression"], scores, raw["costs"], raw["kept"])
