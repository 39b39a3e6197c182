"""The bin: folders removed by a delete or a prune, and their way into it, back, or off the disk.

A row records what is to happen and the folder follows, so the next `settle` recovers from a crash between the two. What
goes is decided in `steering`; here only what has come into use again meanwhile is kept. Folders move by rename, under
the write lock of the database: nothing can start to use one in between.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Binned, BinState, Study, StudyState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

KEEP_DAYS = 7.0
DAY_SECONDS = 86_400.0
POINTS_AT_ONCE = 50_000
"""Points of curves that are removed in one transaction: about 0.1 s in which no other process can write."""
ROWS = "rows"
"""The entry of a deleted study, trial or model itself, which has no folder: it keeps its curves until it expires."""
CACHE, LEFTOVER = "cache", "leftover"
SHARED = (CACHE, LEFTOVER)
"""Kinds of folders that a study started meanwhile may need."""
HELD = (BinState.GOING, BinState.BINNED)


@dataclass(frozen=True)
class Item:
    """A folder or file to be removed. `what`: rows, attempt, checkpoint, model, cache or leftover."""

    what: str
    path: str = ""
    """Relative to the workspace; empty for rows."""
    size_bytes: int = 0


def put(session: Writing, request_id: int, items: Iterable[Item], *, expires_at: float) -> None:
    """Record that these go into the bin; `settle` moves them once this is committed."""
    for item in items:
        writes.add_binned(
            session,
            request_id=request_id,
            what=item.what,
            path=item.path,
            folder=f"bin/{secrets.token_hex(8)}" if item.path else "",
            size_bytes=item.size_bytes,
            expires_at=expires_at,
        )


def settle(db: Database, workspace: Workspace) -> None:
    """Move what is to go into the bin, and remove what has left it."""
    with db.read() as session:
        pending = reads.binned(session, states=(BinState.GOING, BinState.LEAVING))
    for one in pending:
        if one.state == BinState.GOING:
            _move(db, workspace, one)
        else:
            _remove(db, workspace, one)


def _move(db: Database, workspace: Workspace, one: Binned) -> None:
    home, target = workspace.absolute(one.path), workspace.absolute(one.folder)
    with db.write() as session:
        if reads.binned_by_id(session, one.id) != one:
            return  # another process was faster
        nothing = one.path and not home.exists() and not target.exists()
        if nothing or (one.path and _needed_again(session, one)):
            writes.move_binned(session, one.id, BinState.HOME)
            return
        if one.path and home.exists() and not target.exists():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                home.rename(target)
            except OSError:
                return  # it is on another disk: it stays where it is until it is removed for good
        writes.move_binned(session, one.id, BinState.BINNED)
    remove_if_empty(home.parent, workspace)


def _needed_again(session: Reading, one: Binned) -> bool:
    if one.what in SHARED and (why_caches_stay(session) or one.path in caches_in_use(session)):
        return True
    return any(f"{attempt.folder}/".startswith(f"{one.path}/") for attempt in reads.live_attempts(session))


def _remove(db: Database, workspace: Workspace, one: Binned) -> None:
    if one.what == ROWS:
        _remove_rows(db, one)
    else:
        remove(workspace.absolute(one.folder))
    with db.write() as session:
        writes.move_binned(session, one.id, BinState.GONE)


def _remove_rows(db: Database, one: Binned) -> None:
    """Curves are nearly all that a study holds; what stays is a name, settings and scores that no list shows."""
    more = True
    while more:
        with db.write() as session:
            request = reads.request_by_id(session, one.request_id)
            if request.study_id is None or "version" in request.arguments:
                return
            more = writes.delete_points(session, request.study_id, request.trial_id, most=POINTS_AT_ONCE)
            if request.trial_id is None:
                writes.set_prepared(session, request.study_id, {})  # its caches are needed no longer


def remove(path: Path) -> None:
    """Remove a folder or a file permanently; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_if_empty(folder: Path, workspace: Workspace) -> None:
    """Remove the empty folder of a study or model of which nothing is left."""
    roots = [workspace.absolute(name) for name in ("runs", "models")]
    if folder.parent in roots and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


# -------------------------------------------------------------------------------------------------------- back and gone


def lost(workspace: Workspace, items: Iterable[Binned]) -> list[str]:
    """What cannot be restored: it was removed, or something else has taken its place."""
    found = []
    for one in items:
        home, target = workspace.absolute(one.path), workspace.absolute(one.folder)
        if one.state in (BinState.LEAVING, BinState.GONE):
            found.append(f"{one.path or 'its curves'} was removed from the bin")
        elif one.path and one.state in HELD and target.exists() and home.exists():
            found.append(f"{one.path} exists again")
        elif one.path and one.state in HELD and not target.exists() and not home.exists():
            found.append(f"{one.path} is no longer in the bin")
    return found


def loosen(db: Database, request_id: int) -> None:
    """Before folders are restored: record that those of a request may no longer be in the bin.

    If the process dies while they move back, before their rows are visible again, `settle` moves them again.
    """
    with db.write() as session:
        for one in reads.binned(session, request_id=request_id, states=(BinState.BINNED,)):
            writes.move_binned(session, one.id, BinState.GOING)


def bring_back(session: Writing, workspace: Workspace, items: Iterable[Binned]) -> None:
    """Put folders back where they were, in the transaction that makes their rows visible again. See `loosen`."""
    for one in items:
        if one.state not in HELD:
            continue
        home, target = workspace.absolute(one.path), workspace.absolute(one.folder)
        if one.path and target.exists() and not home.exists():
            home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.rename(home)
        writes.move_binned(session, one.id, BinState.HOME)


def expired(session: Reading, *, now: float, keep_days: float | None = None) -> list[Binned]:
    """What has expired in the bin or, if given, has been there for longer than `keep_days`."""
    held = reads.binned(session, states=HELD)
    since: dict[int, float] = {}
    if keep_days is not None:
        since = {one: reads.request_by_id(session, one).at for one in {binned.request_id for binned in held}}
    limit = now - (keep_days or 0.0) * DAY_SECONDS
    return [one for one in held if one.expires_at <= now or since.get(one.request_id, now + 1) <= limit]


def empty(db: Database, workspace: Workspace, gone: Collection[Binned]) -> int:
    """Remove these permanently; returns the bytes freed. They cannot be restored, so they are marked first."""
    settle(db, workspace)
    ids, freed = {one.id for one in gone}, 0
    with db.write() as session:
        leaving = [one for one in reads.binned(session, states=HELD) if one.id in ids]
        for one in leaving:
            if one.state == BinState.GOING:  # it could not be moved
                remove(workspace.absolute(one.path))
            writes.move_binned(session, one.id, BinState.LEAVING)
            freed += one.size_bytes
    settle(db, workspace)
    return freed


def tidy(db: Database, workspace: Workspace, *, now: float) -> None:
    """At the start of a runner: finish interrupted moves and remove what has expired in the bin."""
    settle(db, workspace)
    with db.read() as session:
        gone = expired(session, now=now)
    if gone:
        empty(db, workspace, gone)


# --------------------------------------------------------------------------------------------------------------- caches


def why_caches_stay(session: Reading) -> str:
    """Why no cache may be removed now: something writes or reads caches that no row names yet. Empty if they may be."""
    for study in reads.studies(session):
        if study.kind == "search" and study.prepared is None and study.state == StudyState.RUNNING:
            return f"study {study.name} is being prepared"
    if any(attempt.kind != "trial" for attempt in reads.live_attempts(session)):
        return "a preparation is running"
    verifying = [one for one in reads.model_versions(session) if one.state == "verifying"]
    return f"{verifying[0].name}:{verifying[0].version} is being verified" if verifying else ""


def caches_in_use(session: Reading) -> dict[str, list[Study]]:
    """Folders `caches/<kind>/<key>` that the preparation of a study names, with the studies that do.

    Deleted studies count until they leave the bin: an undo must find everything where it was.
    """
    found: dict[str, list[Study]] = {}
    for study in reads.studies(session, deleted=True):
        for path in sorted({*_cache_paths(study.prepared or {})}):
            found.setdefault(path, []).append(study)
    return found


def _cache_paths(facts: Any) -> Iterator[str]:
    """Every cache folder among the values of nested facts, whatever they are called and wherever the workspace was."""
    if isinstance(facts, Mapping):
        for value in facts.values():
            yield from _cache_paths(value)
    elif isinstance(facts, (list, tuple)):
        for value in facts:
            yield from _cache_paths(value)
    elif isinstance(facts, str) and "/caches/" in facts:
        parts = Path(facts.rpartition("/caches/")[2]).parts
        if len(parts) > 1:
            yield f"caches/{parts[0]}/{parts[1]}"
