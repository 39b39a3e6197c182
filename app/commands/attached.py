"""Follow a study until it ends: progress on stderr, then its trials on stdout. It starts and stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from bertdistill.app.commands.session import page_of_output
from bertdistill.app.commands.stored import find_study, reading
from bertdistill.app.terminal.streams import colour_ok, say, show_rows
from bertdistill.app.text.command_line import command_line

if TYPE_CHECKING:
    from bertdistill.app.views.view import StudyView
    from bertdistill.engine.contract.workspace import Workspace

INTERRUPTED = 130


@contextmanager
def detaching(ws: Workspace, name: str) -> Iterator[None]:
    """From here on ctrl-c leaves a study that keeps running, and the message says so."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"detached: study {name} keeps running. Attach: {command_line('watch', name, ws=ws)}")
        say(f"stop it with: {command_line('stop', name, ws=ws)}")
        raise typer.Exit(INTERRUPTED) from None


def followed(ws: Workspace, name: str, plain: bool, every: float = 10.0, since: float = float("inf")) -> StudyView:
    """Report its events until it ends or its runner is gone; `every` in seconds, `since` in Unix time."""
    from bertdistill.app.commands.follow import follow, stage
    from bertdistill.app.views.certain import certain
    from bertdistill.engine.runner.logged import LoggedRuns
    from bertdistill.engine.steering.actions import runner_status
    from bertdistill.engine.study.outline import LOG

    logged = LoggedRuns(ws)
    with reading(ws) as db:
        needs_runner = find_study(db, name).kind != LOG
        target = stage(plain=plain, every=every)

        def is_served() -> bool:
            logged.catch_up()
            return not needs_runner or runner_status(ws).alive

        return certain(db, follow(db, name, target, runner_alive=is_served, since=since), ws)


def conclude(ws: Workspace, view: StudyView, as_json: bool, as_csv: bool) -> None:
    """Print the trials, and what to do next; Exit if the study is not complete."""
    from bertdistill.app.report.records import trial_row

    rows = [trial_row(view, t) for t in view.trials]
    show_rows(rows, _ending(ws, view), json=as_json, csv=as_csv, coloured=colour_ok())
    if problem := _problem(view):
        say(f"error: {problem}")
        if not view.study.diagnosis:  # which already says what to do
            say(f"hint: resume with: {command_line('resume', view.study.name, ws=ws)}")
        raise typer.Exit(1)


def _problem(view: StudyView) -> str:
    """Why a study that was followed is not complete; empty when it is."""
    study = view.study
    if study.state == "complete":
        return ""
    if study.state == "running":
        return f"the runner of study {study.name} is gone; its workers keep running, and nothing is lost"
    return f"study {study.name} is {study.state.value}" + (f": {study.diagnosis}" if study.diagnosis else "")


def _ending(ws: Workspace, view: StudyView) -> str:
    from bertdistill.app.report.summary import chart, headline, ranked_list

    page = page_of_output()
    if not view.trials:
        return "\n\n".join([headline(view, page), "\n".join(_next_steps(ws, view))])
    parts = [headline(view, page), "", ranked_list(view, view.trials, page), "", chart(view, page)]
    return "\n".join([*parts, "", *_next_steps(ws, view)])


def _next_steps(ws: Workspace, view: StudyView) -> list[str]:
    from bertdistill.app.report.summary import one_change

    best = view.frontier[0] if view.frontier else None
    if best is not None and view.outline.spec is None:
        return [f"next: {command_line('show', f'{view.study.name}/{best.number}', ws=ws)}"]
    if best is None:
        return ["next", f"  {command_line('status', ws=ws)}"]
    name = f"{view.study.name}/{best.number}"
    steps = {
        "show its details": command_line("show", name, ws=ws),
        "verify and export it": command_line("promote", name, "my-model", ws=ws),
        "change one parameter": command_line("rerun", name, "--set", one_change(view.spec, best.params), ws=ws),
        "a report to send": command_line("report", view.study.name, "-o", "report.html", ws=ws),
        "the frontier as data": command_line("frontier", view.study.name, "--json", ws=ws),
    }
    if view.spec.program is not None:
        del steps["verify and export it"]
    from bertdistill.app.text.tables import pairs

    return ["next", pairs(steps)]
