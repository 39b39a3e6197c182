"""The state of a whole workspace, as the object that `status --json` prints and as text. It writes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bertdistill.app.report.records import attempt_row, notice_row, study_row
from bertdistill.app.report.summary import Page, progress_text
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import text_table
from bertdistill.app.views.view import read_view
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering.actions import runner_status
from bertdistill.engine.study.ranges import range_text
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.rows import StudyState

NOTICES = 8


def read_status(db: Database, ws: Workspace, *, archived: bool = False) -> dict[str, Any]:
    """workspace, runner, studies (those put away only when `archived` or running), live attempts, newest notices."""
    numbers: dict[int | None, int] = {}
    with db.read() as session:
        studies, away = reads.studies(session), reads.archived_studies(session)
        names = {s.id: s.name for s in studies}
        live = reads.live_attempts(session)
        notices = reads.notices(session, limit=NOTICES)
        for trial_id in {a.trial_id for a in live} | {n.trial_id for n in notices}:
            if trial_id is not None:
                numbers[trial_id] = reads.trial_by_id(session, trial_id).number
    listed = [s for s in studies if archived or s.id not in away or s.state == StudyState.RUNNING]
    runner = runner_status(ws)
    now = time.time()
    return {
        "workspace": str(ws.path),
        "runner": {
            "alive": runner.alive,
            "host": runner.host,
            "pid": runner.pid,
            "since": runner.since,
            "heartbeat_age": runner.heartbeat_age,
        },
        "studies": [study_row(read_view(db, s.name), archived=s.id in away) for s in listed],
        "workers": [
            attempt_row(a, numbers.get(a.trial_id or 0), now=now) | {"study": names.get(a.study_id)} for a in live
        ],
        "notices": [
            notice_row(n, study=names.get(n.study_id or 0), trial=numbers.get(n.trial_id or 0))
            for n in sorted(notices, key=lambda n: n.id)
        ],
    }


def status_text(found: Mapping[str, Any], page: Page) -> str:
    """The same for people."""
    idle = not found["runner"]["alive"] and any(row["state"] == "running" for row in found["studies"])
    parts = [f"workspace {found['workspace']}", _runner_line(found["runner"], idle=idle)]
    studies = [
        [
            row["study"],
            fmt.state(_state(row, found), ascii_only=page.ascii_only),
            f"{fmt.bar(row['progress'], 10, ascii_only=page.ascii_only)} {row['progress']:.0%}",
            ", ".join(f"{number} {name}" for name, number in row["trials"].items()),
            str(len(row["frontier"])),
        ]
        for row in found["studies"]
    ]
    titles = ["study", "state", "progress", "trials", "frontier"]
    parts += ["", text_table(titles, studies, right=["frontier"], width=page.width) or "no study in the list"]
    # Not in the table: it would be cut where it says what to do.
    diagnoses = [f"{row['study']}: {safe_line(row['diagnosis'], 1000)}" for row in found["studies"] if row["diagnosis"]]
    parts += ["", *diagnoses] if diagnoses else []
    remarks = [line for row in found["studies"] for line in _remarks(row)]
    parts += ["", *remarks] if remarks else []
    if found["workers"]:
        workers = [_worker_cells(row) for row in found["workers"]]
        parts += ["", text_table(["worker", "slot", "time", "progress"], workers, width=page.width)]
    if found["notices"]:
        parts += ["", *(_notice_line(row) for row in found["notices"])]
    return "\n".join(parts)


def _state(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What the study does now, as the app says it."""
    kinds = [worker["kind"] for worker in found["workers"] if worker["study"] == row["study"]]
    return fmt.study_state(row["state"], alive=found["runner"]["alive"], kinds=kinds)


def _remarks(row: Mapping[str, Any]) -> list[str]:
    """What people wrote about a study, what they narrowed, that they put it away."""
    name = row["study"]
    lines = [f"{name}: warning: {safe_line(row['weak_teacher'], 1000)}"] if row["weak_teacher"] else []
    lines += [f"{name}: note: {safe_line(row['note'], 1000)}"] if row["note"] else []
    if row["ranges"]:
        narrowed = " ".join(f"{key}={range_text(part)}" for key, part in row["ranges"].items())
        lines.append(f"{name}: proposals keep to {safe_line(narrowed, 500)}")
    return lines + ([f"{name}: put away"] if row["archived"] else [])


def _worker_cells(row: Mapping[str, Any]) -> list[str]:
    name = f"{row['study']}/{'prepare' if row['trial'] is None else row['trial']}"
    return [name, row["slot"], fmt.duration(row["seconds"]), progress_text(row)]


def _notice_line(row: Mapping[str, Any]) -> str:
    place = row["study"] or ""
    if row["trial"] is not None:
        place += f"/{row['trial']}"
    return " ".join(filter(None, (_time(row["at"]), place, f"{row['level']}: {safe_line(row['text'], 300)}")))


def _runner_line(runner: Mapping[str, Any], *, idle: bool) -> str:
    where = f"pid {runner['pid']} on {safe_line(runner['host'])}"
    if runner["alive"]:
        return f"runner {where}, heartbeat {fmt.duration(runner['heartbeat_age'])} ago"
    text = f"no runner; the last one ({where}) is gone" if runner["pid"] else "no runner has worked here yet"
    return f"{text}; `run` or `resume` starts one" if idle else text


def _time(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
