"""Commands about this machine: workers and doctor. They read and print; they change nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from bertdistill.app.commands.session import CsvOption, JsonOption, WorkspaceOption, workspace
from bertdistill.app.commands.stored import reading
from bertdistill.app.terminal.streams import say, show, show_rows, unicode_ok
from bertdistill.app.text.command_line import command_line

if TYPE_CHECKING:
    from bertdistill.engine.doctor import Check

CPU_SECONDS = 0.2
"""How long the CPU load is measured."""


def workers(where: WorkspaceOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> None:
    """Slots and their workers, the load of this machine, and why each waiting item waits."""
    import time

    from bertdistill.app.commands.session import page_of_output
    from bertdistill.app.report.workers import (
        gather,
        look_at_slots,
        wanted,
        worker_row,
        workers_object,
        workers_text,
    )
    from bertdistill.app.text.tables import json_text
    from bertdistill.app.views.view import read_view
    from bertdistill.engine.launch.fleet import onlooker
    from bertdistill.engine.launch.launchers import make_launcher
    from bertdistill.engine.launch.load import read_load
    from bertdistill.engine.runner.waiting import StudyNow
    from bertdistill.engine.steering.actions import runner_status
    from bertdistill.store import reads

    ws = workspace(where)
    with reading(ws) as db:
        with db.read() as session:
            live = reads.live_attempts(session)
            names = [study.name for study in wanted(reads.studies(session), live)]
        views = [read_view(db, name) for name in names]
        studies = [StudyNow(view.study, view.spec, view.trials) for view in views if view.outline.spec]
        runner = runner_status(ws)
        capacity = look_at_slots(onlooker(ws.path, make_launcher()), studies, live, runner.host if runner.alive else "")
        with db.read() as session:
            load = read_load(CPU_SECONDS)
            now = gather(session, ws, studies, runner=runner, load=load, capacity=capacity, now=time.time())
    if as_json and not as_csv:
        show(json_text(workers_object(now, ws)))
        return
    remedies = {
        "no runner": f"start a runner: {command_line('resume', ws=ws)}",
        "paused": f"resume a study: {command_line('resume', 'STUDY', ws=ws)}",
        "stopped": f"resume a study: {command_line('resume', 'STUDY', ws=ws)}",
        "slots": f"more workers: {command_line('set', 'STUDY', 'runner.slots=N', ws=ws)}",
    }
    text = workers_text(now, page_of_output(), remedies)
    show_rows([worker_row(now, one) for one in now.workers], text, json=as_json, csv=as_csv)


def doctor(where: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Check this machine and workspace.

    Checks Python, torch, GPUs, disk, SQLite and the database, and kills a toy worker to verify that nothing is lost.
    """
    from bertdistill.engine.doctor import run_checks

    show_checks(run_checks(workspace(where).path), as_json=as_json)


def show_checks(checks: Iterable[Check], *, as_json: bool) -> None:
    """Print each check as soon as it is done; exit status 1 if one found a problem."""
    from bertdistill.app.report.summary import checks_text
    from bertdistill.app.text.tables import json_text

    rows = []
    for check in checks:
        rows.append(dataclasses.asdict(check))
        if not as_json:
            show(checks_text(rows[-1:], ascii_only=not unicode_ok()))
    if as_json:
        show(json_text(rows))
    bad = [row["check"] for row in rows if row["state"] == "problem"]
    if bad:
        say(f"error: {len(bad)} problem(s): {', '.join(bad)}")
        raise typer.Exit(1)


COMMANDS: dict[str, Any] = {"workers": workers, "doctor": doctor}
