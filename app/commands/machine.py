"""The command about this machine: doctor. It runs the checks and prints them."""

from __future__ import annotations

import dataclasses
from typing import Any

import typer

from bertdistill.app.session import JsonOption, WorkspaceOption, say, show, unicode_ok, workspace


def doctor(where: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Check this machine and workspace.

    Python, torch, GPUs, disk, SQLite, the database; and a toy worker is killed to prove that nothing is lost.
    """
    from bertdistill.app.summary import checks_text
    from bertdistill.app.tables import json_text
    from bertdistill.engine.doctor import run_checks

    rows = []
    for check in run_checks(workspace(where).path):
        rows.append(dataclasses.asdict(check))
        if not as_json:
            show(checks_text(rows[-1:], ascii_only=not unicode_ok()))
    if as_json:
        show(json_text(rows))
    bad = [row["check"] for row in rows if row["state"] == "problem"]
    if bad:
        say(f"error: {len(bad)} problem(s): {', '.join(bad)}")
        raise typer.Exit(1)


COMMANDS: dict[str, Any] = {"doctor": doctor}
