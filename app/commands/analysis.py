"""Commands that analyse a study: analysis, compare, errors. They parse, call an analysis and print.

It is longer than 400 lines because one command has a part for each tab of the analysis, with what each prints.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.session import (
    CsvOption,
    JsonOption,
    StudyOption,
    SvgForceOption,
    SvgOption,
    WorkspaceOption,
    find_trial,
    page_of_output,
    workspace,
)
from bertdistill.app.commands.stored import find_study, reading
from bertdistill.app.commands.studies import AnyStudy
from bertdistill.app.commands.trials import TrialArgument
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import colour_ok, say, show

if TYPE_CHECKING:
    from bertdistill.app.report.summary import Page
    from bertdistill.app.views.view import StudyView
    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.engine.search.importances import Importances

METHODS = ("ped-anova", "fanova")
EXCLUSIVE = UsageError("--json and --csv exclude each other", hint="Give one of them.")

Printed = tuple[str, list[dict[str, Any]], Any]
"""Text for people, rows for CSV, value for JSON."""


@dataclass(frozen=True)
class _Asked:
    """One study and what was requested about it."""

    ws: Workspace
    view: StudyView
    page: Page
    method: str
    metrics: Sequence[str]
    params: Sequence[str]
    short: bool
    """Several parts are printed together."""


def _importances(asked: _Asked) -> list[Importances]:
    from bertdistill.engine.search import importances

    method = next(known for known in importances.METHODS if known == asked.method)
    every = importances.read_importances(asked.ws, asked.view.study.name, method)
    return [one for one in every if not asked.metrics or one.objective in asked.metrics]


def _importance(asked: _Asked) -> Printed:
    from bertdistill.app.report.analysis_text import importances_text
    from bertdistill.app.views.analysis import importance_row, importance_rows

    found = _importances(asked)
    return importances_text(found, asked.page), importance_rows(found), [importance_row(one) for one in found]


def _scenarios(asked: _Asked) -> Printed:
    from bertdistill.app.report.analysis_text import scenarios_text
    from bertdistill.app.views.analysis import scenario_rows, study_scenarios

    table = study_scenarios(asked.view)
    rows = scenario_rows(table)
    return scenarios_text(table, asked.page), rows, rows


def _transfer(asked: _Asked) -> Printed:
    from bertdistill.app.report.analysis_text import transfer_text
    from bertdistill.app.views.analysis import study_transfer

    found = study_transfer(asked.view)
    rows = [dataclasses.asdict(one) for one in found]
    return transfer_text(found), rows, rows


def _hypervolume(asked: _Asked) -> Printed:
    from bertdistill.app.report.analysis_text import growth_text
    from bertdistill.app.views.analysis import step_row, study_growth

    steps = study_growth(asked.view)
    rows = [step_row(step) for step in steps]
    known = None if asked.view.certainty is None else asked.view.certainty.hypervolume
    return growth_text(steps, asked.page, known, short=asked.short), rows, rows


def _outlook(asked: _Asked) -> Printed:
    from bertdistill.app.report.analysis_text import outlook_text
    from bertdistill.engine.search.outlook import read_outlook

    found = read_outlook(asked.ws, asked.view.study.name)
    row = {} if found is None else dataclasses.asdict(found)
    complete = sum(trial.state == "complete" for trial in asked.view.trials)
    return outlook_text(found, complete), [row] if row else [], row or None


def _parallel(asked: _Asked) -> Printed:
    from bertdistill.app.report.analysis_text import parallel_text
    from bertdistill.app.views.analysis import line_rows, outcomes, parallel_row
    from bertdistill.engine.analysis.coordinates import parallel

    known = asked.view.outline
    found = parallel(outcomes(asked.view), known.search, known.objectives, params=asked.params, metrics=asked.metrics)
    return parallel_text(found, asked.page), line_rows(found), parallel_row(found)


def _slices(asked: _Asked) -> Printed:
    from bertdistill.app.report.analysis_text import slices_text
    from bertdistill.app.views.analysis import point_rows, study_slices

    every = study_slices(asked.view, asked.metrics)
    found = [one for one in every if not asked.params or one.axis.name in asked.params]
    rows = point_rows(found)
    return slices_text(found), rows, rows


def _overview(asked: _Asked) -> Printed:
    import time

    from bertdistill.app.report.overview_text import overview_text
    from bertdistill.app.views.overview import history, overview_rows, spans
    from bertdistill.store import reads

    with reading(asked.ws) as db, db.read() as session:
        attempts = reads.attempts(session, study_id=asked.view.study.id)
    found, ran = history(asked.view), spans(asked.view, attempts, time.time())
    rows = overview_rows(found, ran)
    return overview_text(asked.view, found, ran, _importances(asked), asked.page), rows, rows


PARTS: dict[str, Callable[[_Asked], Printed]] = {
    "importance": _importance,
    "scenarios": _scenarios,
    "hypervolume": _hypervolume,
    "outlook": _outlook,
    "parallel": _parallel,
    "slices": _slices,
    "transfer": _transfer,
    "overview": _overview,
}
SHORT = ("importance", "scenarios", "hypervolume", "outlook")
"""What is printed when no part is named."""


def analysis(
    study: AnyStudy = "",
    where: WorkspaceOption = None,
    part: Annotated[
        str,
        typer.Option(
            "--part",
            metavar="PART",
            help=f"One of {', '.join(PARTS)}; default: the first four, and transfer if the study has transfer sets.",
        ),
    ] = "",
    method: Annotated[
        str, typer.Option("--method", metavar="METHOD", help="Method of importance: ped-anova or fanova.")
    ] = "ped-anova",
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="Metric of importance, parallel and slices; may be repeated. Default: the objectives.",
        ),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter", metavar="NAME", help="Parameter of parallel and slices; may be repeated. Default: all."
        ),
    ] = None,
    svg: SvgOption = None,
    force: SvgForceOption = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Analyse a study: which parameters mattered, which trial to choose, how the search went.

    Importance of parameters, scenarios against the baseline, hypervolume over trials and worker-hours; parallel
    coordinates and slices on request. --part importance --svg FILE draws the importance. docs/analysis.md explains how
    to read them.
    """
    from bertdistill.app.views.certain import certain
    from bertdistill.app.views.view import read_view

    if part and part not in PARTS:
        raise UsageError(f"there is no part {part!r}", hint=f"Parts: {', '.join(PARTS)}.")
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}", hint=f"Methods: {', '.join(METHODS)}.")
    if as_csv and not part:
        raise UsageError("--csv needs one part", hint="For example --part scenarios.")
    if as_csv and as_json:
        raise EXCLUSIVE
    if svg is not None and part != "importance":
        raise UsageError("--svg draws the importance", hint="Add --part importance.")
    ws = workspace(where)
    with reading(ws) as db:
        view = certain(db, read_view(db, find_study(db, study).name), ws)
    asked = _Asked(ws, view, page_of_output(), method, metrics or [], params or [], short=not part)
    _check_names(asked, part)
    if svg is not None:
        from bertdistill.app.report.picture_files import write_picture
        from bertdistill.app.report.pictures import importance_picture

        say(f"wrote {write_picture(svg, importance_picture(view.study.name, _importances(asked)), force=force)}")
        return
    if part:
        text, rows, value = PARTS[part](asked)
        _print(text, rows, value, as_json=as_json, as_csv=as_csv)
        return
    spec = view.outline.spec
    short = [*SHORT, "transfer"] if spec is not None and spec.transfer else SHORT
    found = {name: PARTS[name](asked) for name in short}
    value = {"study": view.study.name, **{name: one[2] for name, one in found.items()}}
    value["hypervolume_interval"] = None if view.certainty is None else view.certainty.hypervolume
    _print("\n\n".join(one[0] for one in found.values()), [], value, as_json=as_json, as_csv=False)


def _check_names(asked: _Asked, part: str) -> None:
    """UsageError for a metric or parameter that the study does not have."""
    from bertdistill.app.views.view import all_metrics

    known = {objective.metric for objective in asked.view.objectives}
    if part not in ("", "importance"):
        known |= {name for trial in asked.view.trials for name in all_metrics(trial)}
    searched = [parameter.name for parameter in asked.view.outline.search]
    for name in asked.metrics:
        if name not in known:
            raise UsageError(f"there is no metric {name!r} here", hint=f"Metrics: {', '.join(sorted(known))}.")
    for name in asked.params:
        if name not in searched:
            raise UsageError(f"{name!r} is not searched in this study", hint=f"Parameters: {', '.join(searched)}.")


def _print(text: str, rows: list[dict[str, Any]], value: Any, *, as_json: bool, as_csv: bool) -> None:
    from bertdistill.app.text.tables import csv_text, json_text

    if as_json or as_csv:
        show(json_text(value) if as_json else csv_text(rows))
    else:
        show(text, coloured=colour_ok())
    if as_csv and not rows:
        say(text)  # it says why there are none


def compare(
    trials: Annotated[list[str], typer.Argument(metavar="TRIAL...", help="2 to 6 trials; the first is the reference.")],
    study: StudyOption = "",
    where: WorkspaceOption = None,
    every: Annotated[bool, typer.Option("--all", help="Include settings that are the same in all trials.")] = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Compare trials side by side: settings that differ, metrics, differences from the first.

    They may come from different studies; the objectives are those of the first.
    """
    from bertdistill.app.report.analysis_text import comparison_text
    from bertdistill.app.views.analysis import compared, comparison_row, comparison_rows, ties
    from bertdistill.app.views.certain import certain
    from bertdistill.app.views.view import read_view
    from bertdistill.engine.analysis.comparison import compare as side_by_side
    from bertdistill.engine.analysis.outcomes import FEWEST_COMPARED, MOST_COMPARED
    from bertdistill.store import reads

    if as_csv and as_json:
        raise EXCLUSIVE
    if not FEWEST_COMPARED <= len(trials) <= MOST_COMPARED:
        raise UsageError(f"compare takes {FEWEST_COMPARED} to {MOST_COMPARED} trials, not {len(trials)}")
    ws = workspace(where)
    with reading(ws) as db:
        names = [find_trial(db, text, study) for text in trials]
        if len(set(names)) < len(names):
            raise UsageError("a trial is named twice", hint="Name each trial once.")
        views = {name: certain(db, read_view(db, name), ws) for name in dict.fromkeys(one.study for one in names)}
        with db.read() as session:
            rows = [reads.trial(session, views[one.study].study.id, one.number) for one in names]
    found_in = {one: [row for name, row in zip(names, rows, strict=True) if name.study == one] for one in views}
    left = {one: iter(compared(views[one], trials)) for one, trials in found_in.items()}
    chosen = [next(left[name.study]) for name in names]
    first = views[names[0].study]
    tie = ties(first, rows) if len(views) == 1 else None
    found = side_by_side(chosen, first.objectives, tie)
    text = comparison_text(found, page_of_output(), every=every)
    value = comparison_row(found, every=every)
    _print(text, comparison_rows(found, every=every), value, as_json=as_json, as_csv=as_csv)


def errors(
    trial: TrialArgument,
    study: StudyOption = "",
    where: WorkspaceOption = None,
    cut: Annotated[
        float,
        typer.Option(
            "--cut",
            metavar="F1",
            min=0.0,
            max=1.0,
            help="F1 at or above which a wrong answer counts as mostly correct.",
        ),
    ] = 0.5,
    by_article: Annotated[bool, typer.Option("--by-article", help="Classes by article, worst first.")] = False,
    which: Annotated[
        str, typer.Option("--list", metavar="CLASS", help="Also list examples: all, wrong, right or another class.")
    ] = "",
    passages: Annotated[
        bool,
        typer.Option("--passages", help="With listed questions, also show the passage around the answers."),
    ] = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show the errors of a trial on the validation split.

    Question answering: classes of answers, optionally by article. Classification: the confusion table with
    precision and recall. CSV prints the articles with --by-article, else the examples.
    """
    from bertdistill.engine.analysis.predictions import read_predictions
    from bertdistill.engine.contract.errors import InvalidRequest
    from bertdistill.engine.tasks.table import TASKS

    if as_csv and as_json:
        raise EXCLUSIVE
    ws = workspace(where)
    with reading(ws) as db:
        name = find_trial(db, trial, study)
        of = find_study(db, name.study)
    if of.task not in TASKS:
        raise InvalidRequest(
            f"{name.study}/{name.number} is of a study of {of.task or 'logged runs'}: no predictions are stored",
            hint="Only students of a distillation have an error analysis.",
        )
    _check_list(which, by_article=by_article, questions=TASKS[of.task].spans)
    if passages and not (which or as_csv):
        raise UsageError("--passages needs a list of questions", hint="For example --list wrong.")
    found = read_predictions(ws, name.study, name.number)
    value = {"study": name.study, "trial": name.number, "task": found.task, "step": found.step}
    if TASKS[found.task].spans:
        from bertdistill.engine.analysis.error_analysis import question_errors

        text, rows, more = _questions(
            question_errors(found.questions, cut), which, by_article=by_article, passages=passages
        )
    else:
        from bertdistill.engine.analysis.error_analysis import confusion

        text, rows, more = _texts(confusion(found.texts, found.labels), which)
    _print(text, rows, value | more, as_json=as_json, as_csv=as_csv)


def _check_list(which: str, *, by_article: bool, questions: bool) -> None:
    from bertdistill.app.views.analysis import LISTS

    if by_article and not questions:
        raise UsageError("texts to classify have no articles", hint="Leave out --by-article.")
    known = LISTS if questions else ("all", "wrong", "right")
    if which and which not in known:
        raise UsageError(f"there is no class {which!r}", hint=f"Classes: {', '.join(known)}.")


def _questions(found: Any, which: str, *, by_article: bool, passages: bool) -> Printed:
    from bertdistill.app.report.analysis_text import question_errors_text, questions_text
    from bertdistill.app.views.analysis import judged_row, listed_questions, question_errors_row, tally_row

    listed = listed_questions(found, which or "all")
    page = page_of_output()
    text, value = question_errors_text(found, page, by_article=by_article), question_errors_row(found)
    if which:
        text += f"\n\n{questions_text(listed, passages=passages, ascii_only=page.ascii_only)}".rstrip()
        value["questions"] = [judged_row(one, passages=passages) for one in listed]
    every = [tally_row(one) for one in found.articles]
    rows = every if by_article else [judged_row(one, passages=passages) for one in listed]
    return text, rows, value


def _texts(found: Any, which: str) -> Printed:
    from bertdistill.app.report.analysis_text import confusion_text, texts_text
    from bertdistill.app.views.analysis import confusion_row, listed_texts, text_row

    listed = listed_texts(found, which or "all")
    text, value = confusion_text(found, page_of_output()), confusion_row(found)
    if which:
        text += f"\n\n{texts_text(listed)}".rstrip()
        value["texts"] = [text_row(one) for one in listed]
    return text, [text_row(one) for one in listed], value


COMMANDS: dict[str, Any] = {"analysis": analysis, "compare": compare, "errors": errors}
