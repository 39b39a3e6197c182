"""Commands about trials: trials, show, frontier, rerun, export. They parse, call an action and print."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
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
from bertdistill.app.commands.studies import AnyStudy, StudyName
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import say, show, show_rows, who
from bertdistill.app.text.command_line import command_line

if TYPE_CHECKING:
    from bertdistill.app.views.view import StudyView
    from bertdistill.engine.analysis.joined import Joined
    from bertdistill.engine.contract.workspace import Workspace

TrialArgument = Annotated[str, typer.Argument(metavar="TRIAL", help="STUDY/NUMBER, or the number with --study.")]
FORMATS = ("csv", "json", "md", "toml")


def trials(
    study: AnyStudy = "",
    where: WorkspaceOption = None,
    state: Annotated[str, typer.Option("--state", metavar="STATE", help="Only trials in this state.")] = "",
    words: Annotated[
        str,
        typer.Option("--filter", metavar="TEXT", help="Only matching trials, such as 'layers<=4 exact>65 -tag:old'."),
    ] = "",
    archived: Annotated[bool, typer.Option("--archived", help="Include archived trials.")] = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """The ranked list of a study.

    Frontier first, then by distance to it, then unranked trials. The filter is that of the app: docs/guide/filter.md.
    """
    from bertdistill.app.reader import Reader
    from bertdistill.app.report.records import trial_row
    from bertdistill.app.report.summary import headline, ranked_list
    from bertdistill.store.rows import TrialState

    if state and state not in list(TrialState):
        raise UsageError(f"there is no state {state!r}", hint=f"States: {', '.join(TrialState)}.")
    ws = workspace(where)
    with reading(ws) as db:
        name = find_study(db, study).name
    with closing(Reader(ws)) as reader:
        view, losses = reader.certain(name), reader.losses(name)
    chosen = [t for t in view.trials if (archived or not t.archived) and state in ("", t.state.value)]
    if words.strip():
        from bertdistill.app.views.query import keys_of, parse  # brings the widgets along, and with them textual

        query = parse(words, keys_of(view))
        chosen = [t for t in chosen if query.matches(view, t, losses)]
    page = page_of_output()
    text = f"{headline(view, page)}\n\n{ranked_list(view, chosen, page)}".rstrip()
    show_rows([trial_row(view, t) for t in chosen], text, json=as_json, csv=as_csv)


def frontier(
    study: AnyStudy = "",
    where: WorkspaceOption = None,
    x: Annotated[str, typer.Option("--x", metavar="METRIC", help="Metric on the x axis; default: an objective.")] = "",
    y: Annotated[str, typer.Option("--y", metavar="METRIC", help="Metric on the y axis; default: an objective.")] = "",
    log: Annotated[
        bool | None,
        typer.Option("--log/--linear", help="Scale of the x axis; default: log for sizes that vary widely."),
    ] = None,
    svg: SvgOption = None,
    force: SvgForceOption = False,
    screened: Annotated[
        bool, typer.Option("--screened", help="List the sub-networks that were evaluated without training instead.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """The frontier trials of a study, with a chart of all trials.

    Where x is a cost, the chart also marks cascades that nothing beats; `engine cascade` lists them. Of a study with a
    supernet, hollow marks are sub-networks that were evaluated without training, which are no trials.
    Of logged runs, --x and --y together choose the two metrics of the frontier itself.
    """
    from bertdistill.app.report.records import trial_row
    from bertdistill.app.report.summary import chart, ranked_list
    from bertdistill.app.views.analysis import over
    from bertdistill.app.views.certain import certain
    from bertdistill.app.views.screened import screened_rows, screened_text
    from bertdistill.app.views.view import all_metrics, read_view
    from bertdistill.engine.study.outline import LOG

    ws = workspace(where)
    with reading(ws) as db:
        view = certain(db, read_view(db, find_study(db, study).name), ws)
    if screened:
        show_rows(screened_rows(view), screened_text(view), json=as_json, csv=as_csv)
        return
    known = {name for t in view.trials for name in all_metrics(t)}
    for name in (x, y):
        if name and known and name not in known:
            raise UsageError(f"no trial has a metric {name!r}", hint=f"Metrics: {', '.join(sorted(known))}.")
    if x and y and view.study.kind == LOG:
        view = over(view, x, y)
    if svg is not None:
        from bertdistill.app.report.picture_files import write_picture
        from bertdistill.app.report.pictures import frontier_picture

        picture = frontier_picture(view, x=x, y=y, log=log, cascades=_cascades(ws, view, x, y))
        say(f"wrote {write_picture(svg, picture, force=force)}")
        return
    page = page_of_output()
    drawn = chart(view, page, x=x, y=y, log=log, cascades=_cascades(ws, view, x, y))
    text = f"{ranked_list(view, view.frontier, page, means=True)}\n\n{drawn}".strip()
    rows = [trial_row(view, t) for t in view.frontier]
    show_rows(rows, text, json=as_json, csv=as_csv, coloured=page.colour)


def _cascades(ws: Workspace, view: StudyView, x: str, y: str) -> list[Joined]:
    """What the chart of these metrics may mark beside the trials."""
    from bertdistill.app.reader import Reader
    from bertdistill.app.views.view import chart_axes
    from bertdistill.engine.analysis.joined import is_plane

    if not view.classifies or not is_plane(*chart_axes(view, x, y)):
        return []
    with closing(Reader(ws)) as reader:
        return reader.cascades(view)


def show_trial(
    trial: TrialArgument, study: StudyOption = "", where: WorkspaceOption = None, as_json: JsonOption = False
) -> None:
    """Everything about one trial.

    Rank, metrics, settings that differ, attempts with their exit causes, checkpoints, curves.
    """
    from bertdistill.app.report.details import read_details
    from bertdistill.app.report.summary import details_text
    from bertdistill.app.text.tables import json_text
    from bertdistill.app.views.certain import certain
    from bertdistill.app.views.view import read_view

    ws = workspace(where)
    with reading(ws) as db:
        name = find_trial(db, trial, study)
        view = certain(db, read_view(db, name.study), ws)
        found, details = read_details(db, view, name.number)
    show(json_text(details) if as_json else details_text(view, found, details, page_of_output()))


def rerun(
    trial: TrialArgument,
    changes: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="One change.")],
    study: StudyOption = "",
    where: WorkspaceOption = None,
) -> None:
    """Run a trial again with exactly one parameter changed.

    Refused when that trial already ran. Prints the name of the new trial.
    """
    from bertdistill.engine.steering import actions

    if len(changes) != 1:
        raise UsageError(
            f"a rerun changes one parameter, not {len(changes)}", hint="Rerun the result for the next one."
        )
    change = changes[0]
    key, equals, value = change.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {change!r} is not KEY=VALUE", hint="For example --set learning_rate=3e-5.")
    ws = workspace(where)
    with reading(ws) as db:
        name = find_trial(db, trial, study)
        state = find_study(db, name.study).state.value
    made = actions.rerun(ws, name.study, name.number, key.strip(), value.strip(), who=who())
    status = actions.ensure_runner(ws)
    say(f"rerun of {name.study}/{name.number} with {key.strip()}={value.strip()}; runner: pid {status.pid}")
    if state in ("paused", "stopped", "failed"):
        say(f"it waits: study {name.study} is {state}; resume with: {command_line('resume', name.study, ws=ws)}")
    say(f"show it with: {command_line('show', f'{name.study}/{made.number}', ws=ws)}")
    show(f"{name.study}/{made.number}")


def export(
    study: StudyName,
    kind: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="csv or json (all trials), md (ranked), toml (study).")
    ] = "",
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FORM", help="With all curves: optuna, mlflow, tensorboard, parquet, csv or json; needs -o."
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Output file, or folder; default of --format: stdout."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what --to has written there before.")] = False,
    where: WorkspaceOption = None,
) -> None:
    """A study as a file: its trials, its study file, or all of it in the form of another program.

    --format prints the trials with parameters and metrics; md is a table for a document, in the order of the ranking;
    toml is the study file in force, with the changes made while it ran. --to writes trials, curves and tags for
    optuna-dashboard, MLflow, TensorBoard, DuckDB and others, also while the study runs: docs/export.md.
    """
    if to and kind:
        raise UsageError("--to and --format exclude each other", hint="Give one of them.")
    if to:
        _export_to(study, to, output, force, workspace(where))
    else:
        _export_text(study, kind or "csv", output, workspace(where))


def _export_to(study: str, form: str, output: Path | None, force: bool, ws: Workspace) -> None:
    from bertdistill.engine.interchange.out.export import export_study
    from bertdistill.engine.interchange.out.forms import FORMS

    if form not in FORMS:
        raise UsageError(f"there is no form {form!r}", hint=f"Forms: {', '.join(FORMS)}.")
    if output is None:
        raise UsageError(f"--to {form} writes {FORMS[form].what}", hint="Name the path with --output.")
    done = export_study(ws, study, form, output, force=force, say=say)
    say(f"wrote {output}: {done.trials} trials and {done.points:,} points read, {done.seconds:.1f} s")
    for loss in done.losses:
        say(f"note: not as it was: {loss}")
    if FORMS[form].opens:
        say(f"open it with: {FORMS[form].opens.format(path=output)}")


def _export_text(study: str, kind: str, output: Path | None, ws: Workspace) -> None:
    from bertdistill.app.report.records import trial_row
    from bertdistill.app.report.summary import markdown_list
    from bertdistill.app.text.tables import csv_text, json_text
    from bertdistill.app.views.certain import certain
    from bertdistill.app.views.view import read_view
    from bertdistill.engine.study.config import to_toml

    if kind not in FORMATS:
        raise UsageError(f"there is no format {kind!r}", hint=f"Formats: {', '.join(FORMATS)}.")
    with reading(ws) as db:
        view = certain(db, read_view(db, study), ws)
    if kind in ("toml", "md"):
        text = to_toml(view.spec) if kind == "toml" else markdown_list(view)
    else:
        rows = [trial_row(view, t) for t in sorted(view.trials, key=lambda t: t.number)]
        text = json_text(rows) if kind == "json" else csv_text(rows)
    if output is None:
        show(text.rstrip("\n"))
    else:
        output.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        say(f"wrote {output}")


COMMANDS: dict[str, Any] = {
    "trials": trials,
    "show": show_trial,
    "frontier": frontier,
    "rerun": rerun,
    "export": export,
}
