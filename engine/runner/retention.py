"""Which checkpoints stay on disk, and what is removed when it is nearly full. It starts and stops nothing.

A row is marked first and its files are removed afterwards: a crash between the two leaves files without a row, which
`sweep` finds, but never a row without files.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.pareto.repeats import ranked_rows
from bertdistill.engine.runner import bin
from bertdistill.engine.study.measured import measured
from bertdistill.engine.study.outline import LOG, outline
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Binned, Checkpoint, Study, Trial, TrialState

FINISHED = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.INFEASIBLE})
"""Trials that never run again. Failed and stopped ones may, from their last checkpoint."""
_AT_REST = FINISHED | {TrialState.FAILED, TrialState.STOPPED}

FreeBytes = Callable[[Path], int]


@dataclass(frozen=True)
class Dropped:
    """What was removed."""

    checkpoints: int = 0
    size_bytes: int = 0

    def __add__(self, other: Dropped) -> Dropped:
        return Dropped(self.checkpoints + other.checkpoints, self.size_bytes + other.size_bytes)


def free_bytes(path: Path) -> int:
    """Bytes that this user may still write below `path`."""
    return shutil.disk_usage(path).free


SHORT = "The disk is too full"
"""How the diagnosis of a study begins that waits for room."""


def short_words(free: int, min_free_gb: float, folder: Path, study: str) -> str:
    """Why a study waits for room and what to do; once there is enough, that it only has to be resumed."""
    resume = f"bertdistill-tui engine resume {study}"
    room = f"{free / 1e9:.2f} GB are free at {folder}, {min_free_gb:g} GB are required"
    if free >= int(min_free_gb * 1e9):
        return f"{SHORT} no longer: {room}. Continue with: {resume}"
    hint = f"Free disk space or lower runner.min_free_gb, then: {resume}"
    return f"{SHORT}: only {room}, and no checkpoint is left that can be removed. {hint}"


def finish(db: Database, workspace: Workspace, trial_id: int, *, now: float) -> Dropped:
    """After a trial has finished: keep its best checkpoint, remove the last ones and what older attempts left."""
    with db.read() as session:
        trial = reads.trial_by_id(session, trial_id)
        lasts = [one for one in reads.checkpoints(session, trial_id=trial_id) if one.role == "last"]
    if trial.state not in FINISHED:
        return Dropped()
    dropped = drop(db, workspace, lasts, now=now)
    sweep(db, workspace, trial_id)
    return dropped


def finish_all(db: Database, workspace: Workspace, *, now: float) -> None:
    """`finish` for every trial that needs it still, a runner may have died before it came to it; and tidy the bin."""
    bin.tidy(db, workspace, now=now)
    with db.read() as session:
        lasts = [one for study in _searches(session) for one in reads.checkpoints(session, study_id=study.id)]
    for trial_id in {one.trial_id for one in lasts if one.role == "last"}:
        finish(db, workspace, trial_id, now=now)


def _searches(session: Reading) -> list[Study]:
    """What the program of a logged run has saved is not ours to remove."""
    return [study for study in reads.studies(session) if study.kind != LOG]


def drop(db: Database, workspace: Workspace, checkpoints: Iterable[Checkpoint], *, now: float) -> Dropped:
    """Mark checkpoints dropped and remove their files, unless another row still needs the same folder.

    Those that were promoted, or whose trial was resumed, since the caller looked stay.
    """
    chosen = list(checkpoints)
    if not chosen:
        return Dropped()
    with db.write() as session:
        promoted = _promoted(session)
        resting = {one.trial_id for one in chosen if reads.trial_by_id(session, one.trial_id).state in _AT_REST}
        chosen = [one for one in chosen if one.id not in promoted and one.trial_id in resting]
        for one in chosen:
            writes.drop_checkpoint(session, one.id, now=now)
        needed = {folder for trial_id in resting for folder in _needed(session, trial_id)}
    for one in chosen:
        folder = workspace.run_folder(one.folder)
        if one.folder not in needed and folder.resolve() == folder:  # never through a link that a worker made
            shutil.rmtree(folder, ignore_errors=True)
    return Dropped(len(chosen), sum(one.size_bytes for one in chosen))


def sweep(db: Database, workspace: Workspace, trial_id: int) -> None:
    """Remove checkpoint folders of a resting trial that no row needs."""
    with db.read() as session:
        if reads.trial_by_id(session, trial_id).state not in _AT_REST:
            return
        needed = {workspace.run_folder(folder) for folder in _needed(session, trial_id)}
        folders = [one.folder for one in reads.attempts(session, trial_id=trial_id)]
    for folder in folders:
        checkpoints = RunPaths(workspace.run_folder(folder)).checkpoints
        inside = checkpoints.is_dir() and checkpoints.resolve() == checkpoints
        for entry in sorted(checkpoints.iterdir()) if inside else []:
            if entry.is_symlink():
                if entry.resolve() not in needed:
                    entry.unlink(missing_ok=True)
            elif entry.is_dir() and entry.resolve() not in needed:
                shutil.rmtree(entry, ignore_errors=True)


def _needed(session: Reading, trial_id: int) -> set[str]:
    """Folders of a trial that a row holds, or that a verification reads although a newer checkpoint took its place."""
    read = _promoted(session, only_verifying=True)
    every = reads.checkpoints(session, trial_id=trial_id, dropped=True)
    return {one.folder for one in every if one.dropped_at is None or one.id in read}


def _promoted(session: Reading, *, only_verifying: bool = False) -> set[int]:
    """Checkpoints that versions of models were made from, both members of cascades."""
    versions = [one for one in reads.model_versions(session) if one.state == "verifying" or not only_verifying]
    return {checkpoint for version in versions for checkpoint in version.checkpoint_ids}


def make_room(
    db: Database, workspace: Workspace, wanted_bytes: int, *, now: float, free: FreeBytes = free_bytes
) -> Dropped:
    """Remove what is not needed, least valuable first, until `wanted_bytes` are free or nothing is left to remove.

    First the bin, then the last checkpoints of trials at rest, then the best ones of trials that are not on the
    frontier, not promoted and not the baseline, the worst ranked first. A notice says what went.
    """
    total = Dropped()
    with db.read() as session:
        deleted = bin.expired(session, now=now, keep_days=0.0)
    if deleted and free(workspace.path) < wanted_bytes:
        _empty_bin(db, workspace, deleted, now=now)
    with db.read() as session:
        spare = [(study, one) for study in _searches(session) for one in _spare(session, study)]
    per_study: dict[int, Dropped] = {}
    for study, checkpoint in spare:
        if free(workspace.path) >= wanted_bytes:
            break
        gone = drop(db, workspace, [checkpoint], now=now)
        total += gone
        per_study[study.id] = per_study.get(study.id, Dropped()) + gone
    if per_study:
        with db.write() as session:
            for study_id, gone in per_study.items():
                writes.add_notice(session, level="warning", text=_said(gone), now=now, study_id=study_id)
    return total


def _empty_bin(db: Database, workspace: Workspace, deleted: Sequence[Binned], *, now: float) -> None:
    if freed := bin.empty(db, workspace, deleted):
        text = f"The disk is nearly full: the bin was emptied ({freed / 1e6:,.0f} MB); its deletions cannot be undone."
        with db.write() as session:
            writes.add_notice(session, level="warning", text=text, now=now)


def _said(gone: Dropped) -> str:
    return (
        f"The disk is nearly full: {gone.checkpoints} checkpoints ({gone.size_bytes / 1e6:,.0f} MB) of trials that are "
        "not on the frontier, not promoted and not the baseline were removed. Their metrics are kept."
    )


def _spare(session: Reading, study: Study) -> list[Checkpoint]:
    """Checkpoints of a study that may go, least valuable first."""
    trials = {trial.id: trial for trial in reads.trials(session, study.id)}
    kept = [one for one in reads.checkpoints(session, study_id=study.id) if trials[one.trial_id].state in _AT_REST]
    promoted = _promoted(session)
    order = worth(list(trials.values()), outline(study).objectives)
    lasts = [one for one in kept if one.role == "last" and one.id not in promoted]
    bests = [one for one in kept if one.role == "best" and one.id not in promoted and one.trial_id in order]
    return lasts + sorted(bests, key=lambda one: order[one.trial_id], reverse=True)


def dominated(session: Reading, study: Study) -> list[Checkpoint]:
    """Best checkpoints of complete trials that are not on the frontier, not promoted and not the baseline."""
    complete = {one.id for one in reads.trials(session, study.id, states=(TrialState.COMPLETE,))}
    return [one for one in _spare(session, study) if one.role == "best" and one.trial_id in complete]


def worth(trials: Sequence[Trial], objectives: Sequence[Objective]) -> dict[int, int]:
    """Place in the ranked list of each trial whose best checkpoint may go: a high place is worth little.

    Frontier trials and the baseline are left out; trials without all objectives come last.
    """
    ranked = ranked_rows([*measured(trials, lambda trial: trial.metrics).values()], objectives)
    place = {one.key: position for position, one in enumerate(ranked)}
    kept = {one.key for one in ranked if one.on_frontier} | {t.number for t in trials if t.origin == "baseline"}
    return {trial.id: place.get(trial.number, len(place)) for trial in trials if trial.number not in kept}
