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
from bertdistill.app.views.view import StudyView, read_view
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.load import worker_frozen
from bertdistill.engine.runner.retention import free_bytes
from bertdistill.engine.steering.actions import runner_status
from bertdistill.engine.study.outline import LOG
from bertdistill.engine.study.ranges import range_text
from bertdistill.store import reads
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Notice, StudyState, TrialState

NOTICES = 8
FULL_BYTES = 1 << 20
"""With less free space than this the database cannot grow."""


def read_status(db: Database, ws: Workspace, *, archived: bool = False, sure: bool = False) -> dict[str, Any]:
    """workspace, runner, studies (archived ones only when `archived` or running), live attempts, newest notices.

    `sure` adds how certain the frontiers are, which reads what each checkpoint had right and needs numpy.
    """
    numbers: dict[int | None, int] = {}
    with db.read() as session:
        studies, away = reads.studies(session), reads.archived_studies(session)
        names = {s.id: s.name for s in studies}
        live = reads.live_attempts(session)
        notices = _news(session)
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
            "silence": runner.silence,
            "released": runner.released,
        },
        "disk_full": free_bytes(ws.path) < FULL_BYTES,
        "studies": [study_row(_view(db, ws, s.name, sure=sure), archived=s.id in away) for s in listed],
        "workers": [
            attempt_row(a, numbers.get(a.trial_id or 0), now=now)
            | {"study": names.get(a.study_id), "frozen": worker_frozen(RunPaths(ws.run_folder(a.folder)))}
            for a in live
        ],
        "notices": [
            notice_row(n, study=names.get(n.study_id or 0), trial=numbers.get(n.trial_id or 0))
            for n in sorted(notices, key=lambda n: n.id)
        ],
    }


def _view(db: Database, ws: Workspace, name: str, *, sure: bool) -> StudyView:
    view = read_view(db, name)
    if not sure:
        return view
    from bertdistill.app.views.certain import certain  # numpy, which the text does without

    return certain(db, view, ws)


def _news(session: Reading) -> list[Notice]:
    """The newest notices that are still relevant.

    A problem of a study that was resumed since, or of a trial that has completed since, is resolved.
    """
    resumed = {one.study_id: one.at for one in reads.requests(session) if one.verb in ("resume", "retry")}
    newest = reads.notices(session, limit=10 * NOTICES)
    about = reads.trials_by_id(session, {one.trial_id for one in newest if one.trial_id is not None})
    complete = {trial.id for trial in about if trial.state == TrialState.COMPLETE}

    def is_over(one: Notice) -> bool:
        return one.level != "info" and (one.trial_id in complete or one.at < resumed.get(one.study_id, 0.0))

    return [one for one in newest if not is_over(one)][-NOTICES:]


def status_text(found: Mapping[str, Any], page: Page) -> str:
    """The same for people."""
    idle = not found["runner"]["alive"] and any(
        row["state"] == "running" and row["kind"] != LOG for row in found["studies"]
    )
    parts = [f"workspace {found['workspace']}", _runner_line(found["runner"], idle=idle)]
    if found["disk_full"]:
        parts.append("the disk of the workspace is full: nothing is stored and nothing starts until space is freed")
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
    # Not in the table: it would be truncated where it says what to do.
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
    return fmt.study_state(row["state"], alive=found["runner"]["alive"] or row["kind"] == LOG, kinds=kinds)


def _remarks(row: Mapping[str, Any]) -> list[str]:
    """A study's weak teacher, note, restricted ranges and whether it is archived."""
    name = row["study"]
    lines = [f"{name}: warning: {safe_line(row['weak_teacher'], 1000)}"] if row["weak_teacher"] else []
    lines += [f"{name}: {safe_line(row['ended_early'], 1000)}"] if row["ended_early"] else []
    lines += [f"{name}: note: {safe_line(row['note'], 1000)}"] if row["note"] else []
    if row["ranges"]:
        narrowed = " ".join(f"{key}={range_text(part)}" for key, part in row["ranges"].items())
        lines.append(f"{name}: proposals keep to {safe_line(narrowed, 500)}")
    return lines + ([f"{name}: archived"] if row["archived"] else [])


def _worker_cells(row: Mapping[str, Any]) -> list[str]:
    name = f"{row['study']}/{'prepare' if row['trial'] is None else row['trial']}"
    frozen = "frozen: its process is stopped; " if row["frozen"] else ""
    return [name, row["slot"], fmt.duration(row["seconds"]), frozen + progress_text(row)]


def _notice_line(row: Mapping[str, Any]) -> str:
    place = row["study"] or ""
    if row["trial"] is not None:
        place += f"/{row['trial']}"
    return " ".join(filter(None, (_time(row["at"]), place, f"{row['level']}: {safe_line(row['text'], 300)}")))


def _runner_line(runner: Mapping[str, Any], *, idle: bool) -> str:
    where = f"pid {runner['pid']} on {safe_line(runner['host'])}"
    if runner["silence"] is not None:
        silent = fmt.duration(runner["silence"])
        return f"runner {where} has not answered for {silent}: it is frozen, or the database is locked or its disk full"
    if runner["alive"]:
        return f"runner {where}, heartbeat {fmt.duration(runner['heartbeat_age'])} ago"
    ended = "exited when its work was done or on request" if runner["released"] else "is gone"
    text = f"no runner; the last one ({where}) {ended}" if runner["pid"] else "no runner has run here yet"
    return f"{text}; `run` or `resume` starts one" if idle else text


def _time(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
