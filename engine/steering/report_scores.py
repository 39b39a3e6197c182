"""Score the trials of a ladder on the report split, in one worker. The results are cached by content; nothing else is
written: no row, no model, and the worker's folder goes once it has succeeded.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bertdistill.engine.analysis.ladder_evidence import read_known, scorable
from bertdistill.engine.analysis.report_cache import read_scores
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.events import ENDED, NOTICE, PROGRESS, first_event, newest_event
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.report import ReportOrder
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.launchers import make_launcher
from bertdistill.engine.launch.protocol import Exit, Handle, Launcher
from bertdistill.engine.runner import dispatch
from bertdistill.engine.runner.settle import last_line
from bertdistill.engine.steering.promotions import free_device
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.rows import Study

POLL_SECONDS = 0.3


@dataclass(frozen=True)
class ReportRun:
    """What became of the models: how many were scored now and before, and the trials whose checkpoint was removed."""

    now: int
    before: int
    gone: tuple[int, ...]


def score_on_report(
    workspace: Workspace,
    study: str,
    numbers: Sequence[int],
    *,
    launcher: Launcher | None = None,
    say: Callable[[str], None] = lambda text: None,
    sleep: Callable[[float], None] = time.sleep,
) -> ReportRun:
    """Score the teacher and these trials where they have no result yet; waits for the worker.

    Raises WorkerFailed with what the worker said; an interrupt stops it, and what was scored stays.
    """
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            found = reads.study(session, study)
        device = free_device(db, workspace, launcher := launcher or make_launcher())
    finally:
        db.close()
    known, spec = read_known(workspace, study, numbers), study_from_dict(found.spec, where=f"study {study}")
    models = scorable(workspace, known, spec, Prepared.from_dict(found.prepared))
    wanted = [one for one in models.values() if read_scores(workspace.caches, one.key) is None]
    gone = tuple(number for number in numbers if number not in known.checkpoints)
    if wanted:
        _score(workspace, found, spec, wanted, device, launcher, say, sleep)
    return ReportRun(len(wanted), len(models) - len(wanted), gone)


def _score(
    workspace: Workspace,
    study: Study,
    spec: StudySpec,
    wanted: Sequence[ReportOrder],
    device: Device,
    launcher: Launcher,
    say: Callable[[str], None],
    sleep: Callable[[float], None],
) -> None:
    order = dispatch.attempt_spec(spec, workspace, kind="report", device=device, prepared=study.prepared)
    order = dataclasses.replace(order, report=tuple(wanted))
    paths = RunPaths(dispatch.free_folder(workspace.attempt_folder(study.name, None, 1, "report")))
    handle = dispatch.write_and_start(launcher, paths, order, order.device, grace=spec.runner.grace_seconds)
    try:
        ended = _followed(launcher, paths, handle, say, sleep)
    except KeyboardInterrupt:
        launcher.stop(paths, handle)
        raise
    if first_event(paths.events, ENDED).get("status") != "complete":
        raise WorkerFailed(_complaint(paths, ended), hint=f"Its log: {paths.log}")
    shutil.rmtree(paths.folder, ignore_errors=True)


def _followed(
    launcher: Launcher,
    paths: RunPaths,
    handle: Handle,
    say: Callable[[str], None],
    sleep: Callable[[float], None],
) -> Exit:
    """How the worker ended; each of its phases is reported once."""
    told = ""
    while True:
        ended = launcher.ended(paths, handle)
        event = newest_event(paths.events, PROGRESS, NOTICE)
        news = str(event.get("text", event.get("phase", "")))
        if news and news != told:
            told = news
            say(f"  {news}")
        if ended is not None:
            return ended
        sleep(POLL_SECONDS)


def _complaint(paths: RunPaths, ended: Exit) -> str:
    detail = str(first_event(paths.events, ENDED).get("detail") or last_line(ended.log_tail))
    return detail or f"the worker that scores the report split ended with {ended.kind}"
