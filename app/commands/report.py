"""The command that writes the report of a study: one file to send or to print. It computes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bertdistill.app.commands.session import WorkspaceOption, workspace
from bertdistill.app.commands.stored import find_study, reading
from bertdistill.app.commands.studies import AnyStudy
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import say, show


def report(
    study: AnyStudy = "",
    where: WorkspaceOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write, of charts a folder; default: stdout."),
    ] = None,
    kind: Annotated[
        str,
        typer.Option("--format", metavar="FORMAT", help="html, md, or svg or png for the charts alone; default: html."),
    ] = "html",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """A study as one page to send or to print: results in sentences, charts, tables, settings, digests.

    The page needs no network and runs no script; it is light or dark as its reader prefers. Without the addresses of
    [notify] and the environment of a program, which may be secret. See docs/report.md.
    """
    from bertdistill.app.report.picture_files import write_picture
    from bertdistill.app.report.study_material import read_material
    from bertdistill.app.report.study_pages import CHARTS, FORMATS, charts_of, check_target, report_page, write_whole

    if kind not in (*FORMATS, *CHARTS):
        raise UsageError(f"there is no format {kind!r}", hint=f"Formats: {', '.join((*FORMATS, *CHARTS))}.")
    if kind in CHARTS and output is None:
        raise UsageError("charts are several files", hint="Name a folder: -o FOLDER.")
    if output is not None and kind not in CHARTS:
        check_target(output, force=force)
    ws = workspace(where)
    with reading(ws) as db:
        found = read_material(db, ws, find_study(db, study).name)
    if kind in CHARTS and output is not None:
        for name, picture in charts_of(found).items():
            say(f"wrote {write_picture(output / f'{name}.{kind}', picture, force=force)}")
        return
    text = report_page(found, kind)
    if output is None:
        show(text)
    else:
        say(f"wrote {write_whole(output, text, force=force)}")


COMMANDS: dict[str, Any] = {"report": report}
