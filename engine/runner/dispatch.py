"""From a study and a trial to a running attempt: its row, its folder, its spec, its start.

It decides neither what runs next nor where; it proposes nothing and settles nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.program import ProgramOrder
from bertdistill.engine.contract.spec import Device, Settings
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.protocol import Handle, Launcher, Slot
from bertdistill.engine.launch.slots import devices_of
from bertdistill.engine.runner.foresight import memory_warning
from bertdistill.engine.runner.rules import HOST_OOM, runs_alone
from bertdistill.engine.runner.smaller import halved, since_halved
from bertdistill.engine.study.config import select_metric
from bertdistill.engine.study.student import (
    may_cut,
    measured,
    prunes_by_importance,
    wanted_families,
    wanted_ngrams,
    wanted_pretrain,
    wanted_signals,
    wanted_transfer,
    wanted_units,
    wanted_vectors,
    wanted_vocabularies,
)
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.study.supernet_space import wanted_nets
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Attempt, AttemptState, Study, StudyState, Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing


def attempt_spec(
    spec: StudySpec,
    workspace: Workspace,
    *,
    kind: str,
    device: Device,
    prepared: Mapping[str, Any] | None = None,
    trial: Trial | None = None,
    attempt: int = 1,
    resume_from: str = "",
    earlier: Sequence[str] = (),
    smaller: bool = False,
) -> AttemptSpec:
    """The spec of an attempt: everything that a worker knows. `smaller`: its trial has run out of memory."""
    select = select_metric(spec)
    settings = (halved(trial.settings) if smaller else trial.settings) if trial else {}
    return AttemptSpec(
        kind=kind,
        study=spec.name,
        task=spec.task,
        data=spec.data,
        teacher=spec.teacher,
        student=spec.student,
        settings=Settings(**settings) if trial else spec.settings,
        device=device,
        caches=str(workspace.caches),
        trial=trial.number if trial else None,
        attempt=attempt,
        prepared=Prepared.from_dict(prepared),
        resume_from=resume_from,
        earlier=list(earlier),
        expected_params=int(trial.known.get("params", 0)) if trial else 0,
        select_metric=select.name,
        select_direction=select.direction,
        transfer=wanted_transfer(spec),
        pretrain=wanted_pretrain(spec),
        supernet=spec.supernet,
        nets=wanted_nets(spec) if kind == "prepare" else [],
        signals=wanted_signals(spec),
        units=wanted_units(spec),
        vocabularies=wanted_vocabularies(spec),
        ngrams=wanted_ngrams(spec),
        vectors=wanted_vectors(spec),
        families=wanted_families(spec),
        importance=prunes_by_importance(spec),
        neurons=may_cut(spec, "ffn_size") or may_cut(spec, "ffn_list"),
        projection=may_cut(spec, "hidden_size"),
        measure=measured(spec),
    )


def program_order(
    spec: StudySpec, trial: Trial, device: Device, *, attempt: int = 1, resume_from: str = ""
) -> ProgramOrder:
    """The spec of an attempt that runs a program; only for a study of one."""
    assert spec.program is not None
    return ProgramOrder(
        study=spec.name,
        trial=trial.number,
        attempt=attempt,
        command=spec.program.command,
        directory=spec.program.directory,
        files=spec.program.files,
        environment=spec.program.environment,
        limit_seconds=spec.program.minutes * 60,
        grace_seconds=spec.runner.grace_seconds,
        params=trial.settings,
        objectives=[objective.metric for objective in spec.objectives],
        device=dataclasses.asdict(device),
        resume_from=resume_from,
    )


def begin(
    db: Database,
    workspace: Workspace,
    launcher: Launcher,
    *,
    study: Study,
    spec: StudySpec,
    trial: Trial | None,
    slot: Slot,
    now: float,
) -> Attempt | None:
    """Start the next attempt of a trial, or (None) of the preparation; returns None if it may no longer start.

    The row is written first, so that after a crash at any point here the next runner finds the attempt. LaunchError if
    it cannot be started; the row then waits to be settled as `launch_failed`.
    """
    warning = _warning(db, trial, slot.device) if trial is not None and spec.program is None else ""
    with db.write() as session:
        fresh = reads.study_by_id(session, study.id)
        if fresh.state != StudyState.RUNNING or _runs(session, fresh, trial):
            return None
        trial_id = trial.id if trial else None
        if trial_id is not None and not _set_running(session, trial_id, now):
            return None
        kind = "trial" if trial else "prepare"
        number = reads.next_attempt_number(session, study_id=study.id, trial_id=trial_id, kind=kind)
        folder = free_folder(workspace.attempt_folder(study.name, trial.number if trial else None, number, kind))
        first = _first_alike(session, trial_id) if trial_id is not None and spec.program is None else 0
        resume_from = resume_folder(session, workspace, trial_id, first) if trial_id is not None else ""
        earlier = best_folders(session, workspace, trial_id, first) if trial_id is not None and resume_from else ()
        attempt = writes.create_attempt(
            session,
            study_id=study.id,
            trial_id=trial_id,
            kind=kind,
            folder=workspace.relative(folder),
            slot=slot.name,
            now=now,
        )
        if warning and not first:  # it is of the trial's own batch
            writes.add_notice(session, level="warning", text=warning, now=now, study_id=study.id, trial_id=trial_id)
        order: AttemptSpec | ProgramOrder
        if trial is not None and spec.program is not None:
            order = program_order(spec, trial, slot.device, attempt=number, resume_from=resume_from)
        else:
            order = attempt_spec(
                spec,
                workspace,
                kind=kind,
                device=slot.device,
                prepared=fresh.prepared if trial else None,
                trial=trial,
                attempt=number,
                resume_from=resume_from,
                earlier=earlier,
                smaller=first > 0,
            )
    handle = write_and_start(launcher, RunPaths(folder), order, slot.device, grace=spec.runner.grace_seconds)
    with db.write() as session:
        writes.set_attempt_handle(session, attempt.id, handle.to_dict())
    return attempt


def _warning(db: Database, trial: Trial, device: Device) -> str:
    """Before the writing transaction: it may ask the driver of a GPU, and no other process can write meanwhile."""
    with db.read() as session:
        return memory_warning(session, trial, device)


def _set_running(session: Writing, trial_id: int, now: float) -> bool:
    """False when a person stopped it meanwhile. The reason to run alone stays with it until this attempt has ended."""
    trial = reads.trial_by_id(session, trial_id)
    reason = HOST_OOM if runs_alone(trial) else ""
    return writes.set_trial_state(session, trial_id, TrialState.RUNNING, now=now, reason=reason)


def write_and_start(
    launcher: Launcher, paths: RunPaths, order: AttemptSpec | ProgramOrder, device: Device, *, grace: float
) -> Handle:
    """Make the folder, write spec.json, start; returns the handle. LaunchError if that fails."""
    try:
        paths.folder.mkdir(mode=0o700, parents=True)
        order.write(paths.spec)
    except OSError as error:
        raise LaunchError(f"cannot write {paths.spec}: {error.strerror}", hint="Free disk space.") from error
    handle = launcher.start(paths, device, grace=grace)
    return dataclasses.replace(handle, device=device)


def free_folder(wanted: Path) -> Path:
    """`wanted`, or the first name after it that does not exist: a lost database must not block the folders it named."""
    folder, n = wanted, 1
    while folder.exists():
        n += 1
        folder = wanted.with_name(f"{wanted.name}.{n}")
    return folder


def _first_alike(session: Reading, trial_id: int) -> int:
    """Id of the first attempt of a trial with the batch that its next one has, or of one before it: checkpoints of
    another batch count other steps. 0 as long as it has its own.
    """
    attempts = reads.attempts(session, trial_id=trial_id)
    before = since_halved([one.exit_class for one in attempts])
    return 0 if before is None else attempts[before - 1].id + 1


def resume_folder(session: Reading, workspace: Workspace, trial_id: int, first: int = 0) -> str:
    """Absolute folder of the newest last checkpoint of a trial that is there; empty without one.

    Only of attempts from the id `first` on.
    """
    every = reads.checkpoints(session, trial_id=trial_id)
    lasts = [one for one in every if one.role == "last" and one.attempt_id >= first]
    found = (workspace.absolute(one.folder) for one in reversed(lasts))
    return next((str(folder) for folder in found if folder.is_dir()), "")


def best_folders(session: Reading, workspace: Workspace, trial_id: int, first: int = 0) -> list[str]:
    """Absolute folders of the best checkpoints of a trial that are there; the last one may refer to one of them.

    Only of attempts from the id `first` on.
    """
    every = reads.checkpoints(session, trial_id=trial_id)
    found = [one.folder for one in every if one.role == "best" and one.attempt_id >= first]
    folders = (workspace.absolute(one) for one in dict.fromkeys(found))
    return [str(folder) for folder in folders if folder.is_dir()]


def _runs(session: Reading, study: Study, trial: Trial | None) -> bool:
    """Whether an attempt of the trial (or of the preparation) is unsettled, or the preparation is done."""
    if trial is None:
        live = reads.attempt_for_prepare(session, study.id)
        return study.prepared is not None or (live is not None and live.state == AttemptState.RUNNING)
    return any(one.state == AttemptState.RUNNING for one in reads.attempts(session, trial_id=trial.id))


def devices_in_use(db: Database, workspace: Workspace, launcher: Launcher) -> list[Device]:
    """What the verifications that run just now were given."""
    with db.read() as session:
        found = [one for one in reads.model_versions(session) if one.state == "verifying" and one.attempt_folder]
    return devices_of(
        one
        for one in found
        if launcher.alive(RunPaths(workspace.absolute(one.attempt_folder)), Handle.from_dict(one.handle))
    )
