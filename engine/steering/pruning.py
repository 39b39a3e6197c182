"""Free disk space: checkpoints of dominated trials, unused caches, leftovers, and old contents of the bin.

As in `deletion`, what it removes goes into the bin and `undo` restores it. Scores and curves are always kept.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bertdistill.engine.analysis.report_cache import FOLDER
from bertdistill.engine.contract.folder import PRECISIONS
from bertdistill.engine.contract.logged import NAME as LOGGED_RUNS
from bertdistill.engine.contract.sizes import Sizes
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.engine.runner import bin, retention
from bertdistill.engine.runner.bin import CACHE, DAY_SECONDS, KEEP_DAYS, LEFTOVER, Item
from bertdistill.engine.steering.recording import record, writing
from bertdistill.engine.study.outline import outline
from bertdistill.engine.study.student import wanted_pretrain
from bertdistill.store import reads, writes
from bertdistill.store.db import Reading
from bertdistill.store.rows import Binned, Checkpoint, Request, Study, StudyState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

PRUNE = "prune"
CHECKPOINTS, CACHES, LEFTOVERS, BIN = "checkpoints", "caches", "leftovers", "bin"
PARTS = (CHECKPOINTS, CACHES, LEFTOVERS, BIN)
WORDS: Mapping[str, str] = {
    CHECKPOINTS: "checkpoints of dominated trials, which can no longer be promoted; scores and curves are kept",
    CACHES: "caches that no study needs; they are recreated when needed",
    LEFTOVERS: "leftovers of stopped preparations and of runs that belong to no study",
    BIN: "what was deleted earlier; it cannot be restored afterwards",
}
_BUILDING = (".training", ".parts", ".tmp")


@dataclass(frozen=True)
class Pruning:
    """What would be removed, by part, and what is kept, with the reason."""

    items: Mapping[str, tuple[Item, ...]]
    """Of all parts except the bin."""
    checkpoints: tuple[int, ...] = ()
    """Rows of the checkpoints to be removed."""
    emptied: tuple[Binned, ...] = ()
    kept: tuple[str, ...] = ()

    def size_bytes(self, part: str) -> int:
        """The bytes that a part frees: the bin at once, the others when the bin is emptied."""
        found = self.emptied if part == BIN else self.items.get(part, ())
        return sum(one.size_bytes for one in found)

    def count(self, part: str) -> int:
        """The number of folders."""
        return len([one for one in self.emptied if one.path]) if part == BIN else len(self.items.get(part, ()))

    @property
    def anything(self) -> bool:
        return bool(self.emptied) or any(self.items.values())


def plan_prune(
    session: Reading, workspace: Workspace, parts: Collection[str] = PARTS, *, keep_days: float | None = None
) -> Pruning:
    """What can be removed, with sizes. `keep_days` also removes from the bin what has been there for longer."""
    found = _find(session, workspace, parts, keep_days)
    sizes = Sizes()
    measured = {
        part: tuple(replace(one, size_bytes=sizes.of(workspace.absolute(one.path))) for one in items)
        for part, items in found.items.items()
    }
    return replace(found, items=measured)


def prune(
    workspace: Workspace, parts: Collection[str] = PARTS, *, who: str, keep_days: float | None = None
) -> tuple[Request | None, int]:
    """Prune; returns the request that `undo` reverts (None if only the bin was emptied) and the bytes freed now."""
    now = time.time()
    with writing(workspace) as db:
        bin.settle(db, workspace)
        with db.read() as session:
            planned = plan_prune(session, workspace, parts, keep_days=keep_days)
        sizes = {item.path: item.size_bytes for items in planned.items.values() for item in items}
        with db.write() as session:
            found = _find(session, workspace, parts, keep_days)  # as it is now, while holding the write lock
            days = KEEP_DAYS if keep_days is None else keep_days
            request = _put(session, found, sizes, who, now + days * DAY_SECONDS)
        freed = bin.empty(db, workspace, found.emptied)
        with db.read() as session:
            gone = bin.expired(session, now=now) if keep_days == 0 else []
        return request, freed + bin.empty(db, workspace, gone)


def _put(session: Writing, found: Pruning, sizes: Mapping[str, int], who: str, expires_at: float) -> Request | None:
    items = [one for part in found.items.values() for one in part]
    chosen = [replace(one, size_bytes=sizes.get(one.path, 0)) for one in items]
    if not chosen:
        return None
    parts = [part for part in found.items if found.items[part]]
    given = {"parts": parts, "bytes": sum(one.size_bytes for one in chosen), "checkpoints": list(found.checkpoints)}
    request = record(session, who, PRUNE, arguments=given)
    for checkpoint_id in found.checkpoints:
        writes.drop_checkpoint(session, checkpoint_id, now=time.time())
    bin.put(session, request.id, chosen, expires_at=expires_at)
    return request


RESULTS = frozenset({FOLDER, PRECISIONS})
"""Kinds of caches that are never pruned, all small: scores on the report split, lost for good once the checkpoint is,
and in which number format a machine computes."""


PRETRAINED = "pretrained"
"""Kind of the caches that trials make for other trials, which no preparation names."""


def _pretraining(session: Reading) -> str:
    """The name of a study whose trials may still start from such a cache; empty if there is none."""
    unfinished = [one for one in reads.studies(session) if one.kind == "search" and one.state != StudyState.COMPLETE]
    found = ((one, outline(one).spec) for one in unfinished)
    return next((one.name for one, spec in found if spec is not None and wanted_pretrain(spec)), "")


def _find(session: Reading, workspace: Workspace, parts: Collection[str], keep_days: float | None) -> Pruning:
    items: dict[str, tuple[Item, ...]] = {}
    rows: tuple[int, ...] = ()
    kept: list[str] = []
    if CHECKPOINTS in parts:
        chosen = [one for study in reads.studies(session) for one in _dominated(session, study)]
        rows = tuple(one.id for one in chosen)
        items[CHECKPOINTS] = tuple(Item("checkpoint", path) for path in dict.fromkeys(one.folder for one in chosen))
    busy = bin.why_caches_stay(session)
    if busy and {CACHES, LEFTOVERS} & {*parts}:
        kept.append(f"caches and leftovers are kept while {busy}")
    elif CACHES in parts:
        used = bin.caches_in_use(session)
        stay = RESULTS | ({PRETRAINED} if (name := _pretraining(session)) else set())
        kept += [f"weights of pre-training are kept while study {name} is not complete"] if name else []
        unused = [path for path in cache_folders(workspace) if path not in used and path.split("/")[1] not in stay]
        items[CACHES] = tuple(Item(CACHE, path) for path in unused)
    if LEFTOVERS in parts and not busy:
        found, why = leftovers(session, workspace)
        items[LEFTOVERS] = tuple(Item(LEFTOVER, path) for path in found)
        kept += [why] if why else []
    emptied = bin.expired(session, now=time.time(), keep_days=keep_days) if BIN in parts else []
    return Pruning(items, rows, tuple(emptied), tuple(kept))


def _dominated(session: Reading, study: Study) -> list[Checkpoint]:
    """Checkpoints of dominated trials whose folder no other checkpoint shares."""
    chosen = retention.dominated(session, study)
    ids = {one.id for one in chosen}
    others = {one.folder for one in reads.checkpoints(session, study_id=study.id) if one.id not in ids}
    return [one for one in chosen if one.folder not in others]


def cache_folders(workspace: Workspace) -> Iterator[str]:
    """Every finished cache, as `caches/<kind>/<key>`."""
    for path in _entries(workspace.caches):
        for entry in _entries(path):
            if entry.is_dir() and not entry.name.startswith(".") and entry.suffix not in _BUILDING:
                yield f"caches/{path.name}/{entry.name}"


def leftovers(session: Reading, workspace: Workspace) -> tuple[list[str], str]:
    """Interrupted work that nothing will resume, and why some of it is kept.

    Incomplete caches, teacher trainings and labellings that no preparation will resume, and run folders that no row
    names.
    """
    resting = [
        study.name
        for study in reads.studies(session)
        if study.kind == "search" and study.prepared is None and study.state in (StudyState.PAUSED, StudyState.STOPPED)
    ]
    waits = _pretraining(session)
    found: list[str] = []
    begun: list[str] = []
    for path in _entries(workspace.caches):
        for entry in _entries(path):
            if path.name == PRETRAINED and waits:  # its trials continue from it, and may be writing it now
                continue
            if entry.is_dir() and entry.suffix in _BUILDING:
                (found if entry.suffix == ".tmp" else begun).append(f"caches/{path.name}/{entry.name}")
    why = ""
    if resting and begun:
        why = f"{len(begun)} interrupted training or labelling is kept: study {resting[0]} would resume from it"
    return [*found, *(() if resting else begun), *_strays(session, workspace)], why


def _strays(session: Reading, workspace: Workspace) -> Iterator[str]:
    """Run folders that no row names. When a promotion starts, its folder exists before its row names it."""
    versions = reads.model_versions(session, deleted=True)
    if any(one.state == "verifying" and not one.attempt_folder for one in versions):
        return
    known = {one.folder for one in reads.attempts(session)} | {one.attempt_folder for one in versions}
    for study in _entries(workspace.path / "runs"):
        for folder in _entries(study):
            path = f"runs/{study.name}/{folder.name}"
            is_new = study.name == LOGGED_RUNS and not folder.name.startswith(".")  # a logged run, still to be stored
            if folder.is_dir() and path not in known and not is_new and not process.held(folder / "lock"):
                yield path


def _entries(folder: Path) -> list[Path]:
    """The entries of a folder, without links that lead elsewhere."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if not one.is_symlink())
