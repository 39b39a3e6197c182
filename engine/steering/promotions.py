"""Promote a checkpoint: start the worker that verifies and exports it, and record its result. Aliases of models.

The worker does the work (`distill.promotion`); this starts it as a separate process and writes the model's row. Any
process may settle a promotion, and it is settled once.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ActionRefused, LaunchError
from bertdistill.engine.contract.events import ENDED, RESULT, STARTED, first_event
from bertdistill.engine.contract.folder import RunPaths, file_sha256, read_object
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.contract.workspace import Workspace, checked
from bertdistill.engine.launch.devices import cores
from bertdistill.engine.launch.launchers import make_launcher
from bertdistill.engine.launch.protocol import Exit, Handle, Launcher
from bertdistill.engine.launch.slots import devices_of, fits, gpu_loads
from bertdistill.engine.runner import dispatch
from bertdistill.engine.runner.dispatch import devices_in_use
from bertdistill.engine.runner.settle import last_line
from bertdistill.engine.steering.integrity import FILES, fingerprints
from bertdistill.engine.steering.recording import record, refuse_logged, refuse_program, writing
from bertdistill.engine.study.outline import outline
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Attempt, Checkpoint, ModelVersion, Study, Trial, TrialState

AT_REST = frozenset(TrialState) - {TrialState.WAITING, TrialState.RUNNING}
START_SECONDS = 60.0
"""Seconds without a started worker after which the promoting process is considered dead."""


def promote(
    workspace: Workspace,
    study: str,
    number: int,
    name: str,
    *,
    who: str,
    alias: str = "",
    note: str = "",
    force: bool = False,
    checkpoint: str = "best",
    launcher: Launcher | None = None,
) -> ModelVersion:
    """Create a version of model `name` from a trial's checkpoint, in state verifying, and start its worker.

    `alias` is set once it is verified. `force` exports even if the repeated score differs from the recorded one.
    """
    checked(name, "model name")
    if alias:
        checked(alias, "alias")
    launcher = launcher or make_launcher()
    now = time.time()
    with writing(workspace) as db:
        with db.write() as session:
            found = reads.study(session, study)
            refuse_logged(found)
            refuse_program(found)
            trial = reads.trial(session, found.id, number)
            chosen = kept_checkpoint(session, trial, checkpoint)
            version = writes.create_model_version(
                session,
                name=name,
                trial_id=trial.id,
                checkpoint_id=chosen.id,
                who=who,
                now=now,
                note=note,
                forced=force,
            )
            refuse_existing(workspace, version)
            origin = reads.attempt_by_id(session, chosen.attempt_id)
            order = order_of(workspace, trial, chosen, version, origin, alias)
            arguments = {"name": name, "version": version.version, "alias": alias, "force": force}
            record(session, who, "promote", found.id, trial.id, arguments=arguments)
        return start(workspace, db, launcher, found, trial, version, order)


def refuse_existing(workspace: Workspace, version: ModelVersion) -> None:
    """ActionRefused if the folder of a new version exists."""
    if (target := workspace.models_folder(version.name, version.version)).exists():
        hint = "It is not in this workspace's database: move it elsewhere, or choose another name."
        raise ActionRefused(f"{target} already exists", hint=hint)


def start(
    workspace: Workspace,
    db: Database,
    launcher: Launcher,
    study: Study,
    trial: Trial,
    version: ModelVersion,
    order: Promotion,
) -> ModelVersion:
    """Start the worker that verifies a new version."""
    spec = outline(study).whole
    device = free_device(db, workspace, launcher)
    paths = RunPaths(dispatch.free_folder(workspace.promotion_folder(study.name, version.name, version.version)))
    told = dispatch.attempt_spec(
        spec, workspace, kind="promote", device=device, prepared=study.prepared, trial=trial, attempt=version.version
    )
    try:
        told = dataclasses.replace(told, promote=order)
        handle = dispatch.write_and_start(launcher, paths, told, told.device, grace=spec.runner.grace_seconds)
    except LaunchError as error:
        with db.write() as session:
            writes.finish_model_version(
                session, version.id, state="failed", now=time.time(), detail=f"{error} {error.hint}".strip()
            )
        raise
    with db.write() as session:
        folder = workspace.relative(paths.folder)
        writes.set_model_handle(session, version.id, attempt_folder=folder, handle=handle.to_dict())
    return _version(db, version.id)


def kept_checkpoint(session: Reading, trial: Trial, role: str) -> Checkpoint:
    """The newest checkpoint of that role on disk, of a trial that is not running; ActionRefused if there is none."""
    if trial.state not in AT_REST:
        raise ActionRefused(f"trial {trial.number} is {trial.state}", hint="Wait until it has ended, or stop it.")
    kept = [one for one in reads.checkpoints(session, trial_id=trial.id) if one.role == role]
    if not kept:
        hint = "It was never written or its files were removed; run the trial again: bertdistill-tui engine rerun"
        raise ActionRefused(f"trial {trial.number} has no {role} checkpoint on disk", hint=hint)
    return kept[-1]


def order_of(
    workspace: Workspace, trial: Trial, checkpoint: Checkpoint, version: ModelVersion, origin: Attempt, alias: str
) -> Promotion:
    """`AttemptSpec.promote`."""
    begun = first_event(RunPaths(workspace.absolute(origin.folder)).events, STARTED)
    device = Handle.from_dict(origin.handle).device
    return Promotion(
        checkpoint=workspace.absolute(checkpoint.folder),
        sha256=checkpoint.sha256,
        target=workspace.models_folder(version.name, version.version),
        name=version.name,
        version=version.version,
        recorded={**trial.metrics, **checkpoint.metrics},
        force=version.forced,
        precision=str(begun.get("precision", "")),
        device=device.kind if device else "",
        alias=alias,
        note=version.note,
    )


def free_device(db: Database, workspace: Workspace, launcher: Launcher) -> Device:
    """A GPU that is not in use, else a fair share of the CPU."""
    with db.read() as session:
        used = devices_of(reads.live_attempts(session))
    used += devices_in_use(db, workspace, launcher)
    for slot in launcher.slots():
        if slot.device.kind == "cuda" and fits(slot.device, gpu_loads(used)) and not launcher.busy(slot):
            return slot.device
    return Device("cpu", max(1, cores() // (1 + len(used))))


def settle_promotion(workspace: Workspace, version_id: int) -> ModelVersion:
    """Record how a verification ended, if it has; returns the updated version."""
    with writing(workspace) as db:
        version = _version(db, version_id)
        if version.state != "verifying":
            return version
        now = time.time()
        if not version.attempt_folder:
            if now - version.created_at > START_SECONDS:
                with db.write() as session:
                    detail = "its verification was never started; promote again"
                    writes.finish_model_version(session, version_id, state="failed", now=now, detail=detail)
            return _version(db, version_id)
        paths = RunPaths(workspace.absolute(version.attempt_folder))
        ended = make_launcher().ended(paths, Handle.from_dict(version.handle))
        if ended is not None:
            _finish(workspace, db, version, paths, ended, now)
        return _version(db, version_id)


def _finish(
    workspace: Workspace, db: Database, version: ModelVersion, paths: RunPaths, ended: Exit, now: float
) -> None:
    result, word = first_event(paths.events, RESULT), first_event(paths.events, ENDED)
    report = result.get("report") or read_object(paths.folder / "report.json")
    target = workspace.models_folder(version.name, version.version)
    verified = word.get("status") == "complete" and bool(result) and target.is_dir()
    if verified:
        report = {**report, FILES: fingerprints(target)}
    with db.write() as session:
        if verified:
            order = AttemptSpec.read(paths.spec).promote
            alias = order.alias if order else ""
            fresh = writes.finish_model_version(
                session,
                version.id,
                state="verified",
                now=now,
                folder=workspace.relative(target),
                sha256=str(report.get("sha256") or _checksum(target / "model.safetensors")),
                metrics=result.get("metrics", {}),
                report=report,
            )
            if fresh and alias:
                writes.set_alias(session, name=version.name, alias=alias, version_id=version.id, now=now)
            return
        refused = word.get("status") == "refused" or ended.kind == "refused"
        detail = str(word.get("detail") or last_line(ended.log_tail) or f"the worker ended with {ended.kind}")
        state = "refused" if refused else "failed"
        writes.finish_model_version(session, version.id, state=state, now=now, report=report, detail=detail)


def set_alias(workspace: Workspace, name: str, alias: str, version: int, *, who: str) -> None:
    """Point `alias` to a verified version of a model; the previous version is remembered."""
    checked(alias, "alias")
    with writing(workspace) as db, db.write() as session:
        chosen = reads.model_version(session, f"{name}:{version}")
        if chosen.state != "verified":
            hint = "Only a verified version can have an alias."
            raise ActionRefused(f"{name}:{version} is {chosen.state}", hint=hint)
        before = [one.version_id for one in reads.aliases(session, name) if one.alias == alias]
        writes.set_alias(session, name=name, alias=alias, version_id=chosen.id, now=time.time())
        trial = reads.trial_by_id(session, chosen.trial_id)
        arguments = {"name": name, "alias": alias, "version": version}
        past = {"version_id": before[0] if before else None}
        record(session, who, "alias", trial.study_id, trial.id, arguments=arguments, before=past)


def undo_alias(workspace: Workspace, name: str, alias: str, *, who: str) -> None:
    """Point an alias to its previous version again; a new alias is removed."""
    with writing(workspace) as db, db.write() as session:
        chosen = reads.model_version(session, f"{name}@{alias}")
        writes.undo_alias(session, name=name, alias=alias, now=time.time())
        trial = reads.trial_by_id(session, chosen.trial_id)
        arguments, past = {"name": name, "alias": alias}, {"version_id": chosen.id}
        record(session, who, "undo_alias", trial.study_id, trial.id, arguments=arguments, before=past)


def _checksum(weights: Path) -> str:
    return file_sha256(weights) if weights.is_file() else ""


def _version(db: Database, version_id: int) -> ModelVersion:
    with db.read() as session:
        return next(one for one in reads.model_versions(session) if one.id == version_id)
