"""The command that prints ladders: the best student of every family up to the teacher. It computes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.session import CsvOption, JsonOption, WorkspaceOption, page_of_output, workspace
from bertdistill.app.commands.stored import find_study, reading
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import colour_ok, say, show

if TYPE_CHECKING:
    from bertdistill.engine.analysis.ladder import Ladder
    from bertdistill.engine.contract.workspace import Workspace

FORMATS = ("text", "md", "html", "json", "csv")
VerifyOption = Annotated[
    bool, typer.Option("--verify", help="First score every row and the teacher on the report split.")
]
FormatOption = Annotated[str, typer.Option("--format", metavar="FORMAT", help="text, md, html, json or csv.")]
HtmlOption = Annotated[bool, typer.Option("--html", help="Print a self-contained HTML page to stdout.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Output file; default: stdout.")
]


def ladder(
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="[STUDY]...", help="Names of studies; default: the newest.")
    ] = None,
    where: WorkspaceOption = None,
    verify: VerifyOption = False,
    kind: FormatOption = "",
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    as_html: HtmlOption = False,
    output: OutputOption = None,
) -> None:
    """The best student of every family, plain and distilled, beside the teacher and published models.

    Rows are chosen by their score on the validation split, repeats over seeds are averaged, and a sentence says which
    trial of all is the smallest within 1 point of the teacher. --verify scores the rows on the report split, on which
    nothing was selected, in one worker; the results are kept. md is for a document.
    """
    chosen = chosen_format(kind, as_json=as_json, as_csv=as_csv, as_html=as_html)
    ws = workspace(where)
    with reading(ws) as db:
        names = [find_study(db, name).name for name in dict.fromkeys(studies or [""])]
    if verify:
        for name in names:
            _verify(ws, name)
    text = _printed([_ladder(ws, name) for name in names], chosen)
    deliver(text, output, coloured=chosen == "text")


def deliver(text: str, output: Path | None, *, coloured: bool) -> None:
    """Print the text, or write it into a file and say so."""
    if output is None:
        show(text, coloured=coloured and colour_ok())
    else:
        output.write_text(text + "\n", encoding="utf-8")
        say(f"wrote {output}")


def chosen_format(kind: str, **flags: bool) -> str:
    """The one format that was asked for; UsageError for two different ones."""
    asked = {name.removeprefix("as_") for name, given in flags.items() if given} | ({kind} if kind else set())
    if unknown := asked - set(FORMATS):
        raise UsageError(f"there is no format {min(unknown)!r}", hint=f"Formats: {', '.join(FORMATS)}.")
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(sorted(asked))} exclude each other", hint="Ask for one format.")
    return next(iter(asked), "text")


def _ladder(ws: Workspace, name: str) -> Ladder:
    from bertdistill.app.views.ladder import read_ladder
    from bertdistill.app.views.view import read_view

    with reading(ws) as db:
        view = read_view(db, name)
    found, remark = read_ladder(ws, view)
    if remark:
        say(f"note: {name}: {remark}")
    return found


def _verify(ws: Workspace, name: str) -> None:
    from bertdistill.app.views.ladder import chosen_rungs
    from bertdistill.app.views.view import read_view

    with reading(ws) as db:
        chosen = chosen_rungs(read_view(db, name))
    verify_trials(ws, name, [trial.number for one in chosen for trial in one.trials])


def verify_trials(ws: Workspace, name: str, numbers: list[int]) -> None:
    """Score what has no result yet on the report split, saying what happens."""
    from bertdistill.app.text.safe import safe_line
    from bertdistill.engine.steering.report_scores import score_on_report

    say(f"{name}: scoring {len(numbers)} trials and the teacher on the report split; rows were chosen without it")
    try:
        found = score_on_report(ws, name, numbers, say=lambda text: say(safe_line(text, 500)))
    except KeyboardInterrupt:
        say("stopped; what was scored is kept")
        raise typer.Exit(130) from None
    say(f"{name}: {found.now} scored now, {found.before} before")
    if found.gone:
        listed = ", ".join(f"#{number}" for number in found.gone)
        say(f"note: {name}: the best checkpoint of {listed} was removed; rerun the trial to score it")


def _printed(found: list[Ladder], kind: str) -> str:
    from bertdistill.app.report.ladder_text import ladder_markdown, ladder_text, ladders_html
    from bertdistill.app.text.tables import csv_text, json_text
    from bertdistill.app.views.ladder import ladder_row, rung_rows

    match kind:
        case "json":
            return json_text([ladder_row(one) for one in found])
        case "csv":
            return csv_text([row for one in found for row in rung_rows(one)])
        case "html":
            return ladders_html(found)
        case "md":
            return "\n\n".join(map(ladder_markdown, found))
        case _:
            return "\n\n".join(ladder_text(one, page_of_output()) for one in found)


COMMANDS: dict[str, Any] = {"ladder": ladder}
