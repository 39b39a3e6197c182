"""The command that prints surveys: scores against compression by method. It computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.ladder import (
    FormatOption,
    HtmlOption,
    OutputOption,
    VerifyOption,
    chosen_format,
    deliver,
    verify_trials,
)
from bertdistill.app.commands.session import (
    CsvOption,
    JsonOption,
    SvgForceOption,
    SvgOption,
    WorkspaceOption,
    page_of_output,
    workspace,
)
from bertdistill.app.commands.stored import find_study, reading
from bertdistill.app.terminal.streams import say

if TYPE_CHECKING:
    from bertdistill.engine.analysis.survey import Survey
    from bertdistill.engine.contract.workspace import Workspace


def survey(
    study: Annotated[str, typer.Argument(metavar="[STUDY]", help="Name of a study; default: the newest.")] = "",
    where: WorkspaceOption = None,
    verify: VerifyOption = False,
    published: Annotated[
        str, typer.Option("--published", metavar="DATA", help="Published points of this data set; none omits them.")
    ] = "",
    kind: FormatOption = "",
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    as_html: HtmlOption = False,
    output: OutputOption = None,
    svg: SvgOption = None,
    force: SvgForceOption = False,
) -> None:
    """Which small model is the best: every method's score against its compression, beside published points.

    A method is a recipe of the study, or else the compressions that a trial's settings use. The second table names the
    best method of those at least 2, 5, 10, 20 and 60 times smaller than the teacher, how much of the teacher's score it
    keeps, and which methods tie with it. Rows are chosen on the validation split; --verify scores them on the report
    split.
    """
    chosen = chosen_format(kind, as_json=as_json, as_csv=as_csv, as_html=as_html)
    ws = workspace(where)
    with reading(ws) as db:
        name = find_study(db, study).name
    if verify:
        verify_trials(ws, name, _numbers(ws, name))
    found, data = _survey(ws, name, published)
    if svg is not None:
        from bertdistill.app.report.picture_files import write_picture
        from bertdistill.app.report.survey_text import survey_picture

        say(f"wrote {write_picture(svg, survey_picture(found, data), force=force)}")
        return
    deliver(_printed(found, data, chosen), output, coloured=chosen == "text")


def _numbers(ws: Workspace, name: str) -> list[int]:
    from bertdistill.app.views.survey import chosen_configurations
    from bertdistill.app.views.view import read_view

    with reading(ws) as db:
        chosen = chosen_configurations(read_view(db, name))
    return [number for one in chosen for number in one.numbers]


def _survey(ws: Workspace, name: str, published: str) -> tuple[Survey, str]:
    """The survey, and the data set of the published points beside it."""
    from bertdistill.app.views.survey import published_data, published_rows, read_survey
    from bertdistill.app.views.view import read_view

    with reading(ws) as db:
        view = read_view(db, name)
    data = "" if published == "none" else published or published_data(view)
    if data:
        published_rows(data)  # refused here, before predictions are read
    found, remark = read_survey(ws, view)
    if remark:
        say(f"note: {name}: {remark}")
    return found, data


def _printed(found: Survey, data: str, kind: str) -> str:
    from bertdistill.app.report.survey_text import survey_html, survey_markdown, survey_text
    from bertdistill.app.text.tables import csv_text, json_text
    from bertdistill.app.views.survey import entry_rows, survey_row

    match kind:
        case "json":
            return json_text(survey_row(found, data))
        case "csv":
            return csv_text(entry_rows(found))
        case "html":
            return survey_html(found, data)
        case "md":
            return survey_markdown(found, data)
        case _:
            return survey_text(found, data, page_of_output())


COMMANDS: dict[str, Any] = {"survey": survey}
