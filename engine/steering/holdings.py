"""What uses the disk space of a workspace: studies, trials, caches, models, leftovers, the bin. It changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.sizes import Sizes
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner import bin
from bertdistill.engine.steering import pruning
from bertdistill.store import reads
from bertdistill.store.db import Reading
from bertdistill.store.rows import Attempt, ModelVersion, Study

STUDY, TRIAL, PREPARATION, PROMOTION = "study", "trial", "preparation", "promotion"
MODEL, BIN, DATABASE, OTHER = "model", "bin", "database", "other"
KINDS = {"teachers": "teacher", "outputs": "teacher outputs"}
"""What a cache folder contains, where its name does not say so."""


@dataclass(frozen=True)
class Holding:
    """An item on disk and what needs it. A file with several hard links counts for the first holding that has it."""

    what: str
    """trial, preparation, promotion, teacher, teacher outputs, features, importance …, leftover, model, bin, database
    or other."""
    name: str
    """As users write it: `demo/3`, `qa:1`, the key of a cache, else the path."""
    path: str
    """Relative to the workspace."""
    size_bytes: int
    checkpoint_bytes: int = 0
    """Bytes of it that are checkpoints."""
    studies: tuple[str, ...] = ()
    """Studies that own or need it."""
    needed: bool = True
    """Whether something needs it; `prune` removes what is not needed."""
    note: str = ""


@dataclass(frozen=True)
class Report:
    """All holdings and the free disk space."""

    holdings: tuple[Holding, ...]
    free_bytes: int

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.holdings)


def who_holds_what(session: Reading, workspace: Workspace) -> Report:
    """Measure the whole workspace, counting each file once."""
    sizes = Sizes()
    found = [
        *_runs(session, workspace, sizes),
        *_caches(session, workspace, sizes),
        *_models(session, workspace, sizes),
        *_leftovers(session, workspace, sizes),
        *_bin(session, workspace, sizes),
        *_database(workspace, sizes),
        *_rest(workspace, sizes),
    ]
    return Report(tuple(found), shutil.disk_usage(workspace.path).free)


def _runs(session: Reading, workspace: Workspace, sizes: Sizes) -> Iterator[Holding]:
    kept = {checkpoint for one in reads.model_versions(session) for checkpoint in one.checkpoint_ids}
    for study in reads.studies(session):
        numbers = {one.id: one.number for one in reads.trials(session, study.id)}
        promoted = {one.trial_id for one in reads.checkpoints(session, study_id=study.id) if one.id in kept}
        for attempt in reads.attempts(session, study_id=study.id):
            if attempt.trial_id is None or attempt.trial_id in numbers:
                yield _run(workspace, sizes, study, attempt, numbers, promoted)


def _run(
    workspace: Workspace, sizes: Sizes, study: Study, attempt: Attempt, numbers: dict[int, int], promoted: set[int]
) -> Holding:
    folder = workspace.absolute(attempt.folder)
    weights = sizes.of(RunPaths(folder).checkpoints)
    trial = attempt.trial_id
    return Holding(
        what=PREPARATION if trial is None else TRIAL,
        name=study.name if trial is None else f"{study.name}/{numbers[trial]}",
        path=attempt.folder,
        size_bytes=weights + sizes.of(folder),
        checkpoint_bytes=weights,
        studies=(study.name,),
        note="a model was promoted from it" if trial in promoted else "",
    )


def _caches(session: Reading, workspace: Workspace, sizes: Sizes) -> Iterator[Holding]:
    used = bin.caches_in_use(session)
    for path in pruning.cache_folders(workspace):
        users = used.get(path, [])
        kind, key = path.split("/")[1:]
        deleted = bool(users) and all(one.deleted_at is not None for one in users)
        yield Holding(
            what=KINDS.get(kind, kind),
            name=key,
            path=path,
            size_bytes=sizes.of(workspace.absolute(path)),
            studies=tuple(one.name for one in users),
            needed=bool(users) or kind in pruning.RESULTS,
            note="used only by studies in the bin" if deleted else _unneeded(kind, users),
        )


def _unneeded(kind: str, users: Sequence[Study]) -> str:
    if kind in pruning.RESULTS:
        return "scores on the report split, kept"
    return "" if users else "no study needs it"


def _models(session: Reading, workspace: Workspace, sizes: Sizes) -> Iterator[Holding]:
    studies = {one.id: one.name for one in reads.studies(session, deleted=True)}
    aliases = reads.aliases(session)
    for version in reads.model_versions(session):
        of = (studies[reads.trial_by_id(session, version.trial_id).study_id],)
        name = f"{version.name}:{version.version}"
        if version.folder:
            words = ", ".join(f"@{one.alias}" for one in aliases if one.version_id == version.id)
            size = sizes.of(workspace.absolute(version.folder))
            yield Holding(MODEL, name, version.folder, size, studies=of, note=words)
        if version.attempt_folder:
            yield _promotion(workspace, sizes, version, name, of)


def _promotion(workspace: Workspace, sizes: Sizes, version: ModelVersion, name: str, of: tuple[str, ...]) -> Holding:
    return Holding(
        PROMOTION, name, version.attempt_folder, sizes.of(workspace.absolute(version.attempt_folder)), studies=of
    )


def _leftovers(session: Reading, workspace: Workspace, sizes: Sizes) -> Iterator[Holding]:
    busy = bin.why_caches_stay(session)
    paths, _ = pruning.leftovers(session, workspace)
    for path in paths:
        note = f"in use: {busy}" if busy else ""
        yield Holding("leftover", path, path, sizes.of(workspace.absolute(path)), needed=bool(busy), note=note)


def _bin(session: Reading, workspace: Workspace, sizes: Sizes) -> Iterator[Holding]:
    for one in reads.binned(session, states=bin.HELD):
        if one.path:
            size = sizes.of(workspace.absolute(one.folder)) or sizes.of(workspace.absolute(one.path))
            yield Holding(BIN, one.path, one.folder, size, needed=False, note=f"request #{one.request_id}")


def _database(workspace: Workspace, sizes: Sizes) -> Iterator[Holding]:
    files = sorted(workspace.path.glob(f"{workspace.database.name}*"))
    yield Holding(DATABASE, workspace.database.name, workspace.database.name, sum(sizes.of(one) for one in files))


def _rest(workspace: Workspace, sizes: Sizes) -> Iterator[Holding]:
    """One holding for each entry of the workspace not counted yet: logs, pictures, unrelated folders."""
    for entry in _sorted(workspace.path):
        size = sizes.of(entry)
        if size:
            yield Holding(OTHER, entry.name, entry.name, size)


def _sorted(folder: Path) -> Sequence[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()
