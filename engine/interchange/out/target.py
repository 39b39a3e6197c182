"""Where an export goes: it is in its place when it is complete or not at all, and replaces only what it may."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bertdistill.engine.contract.errors import InvalidRequest
from bertdistill.engine.interchange.out.tables import STUDY_FILE, WRITTEN_BY

_FILES = (".csv", ".json", ".jsonl", ".parquet", ".db", ".sqlite", ".sqlite3")


@contextmanager
def new_target(path: Path, *, folder: bool, force: bool, workspace: Path) -> Iterator[Path]:
    """A path to write to, which is moved to `path` when the block ends without an error, and removed otherwise.

    Raises InvalidRequest before anything is written: for a path inside of the workspace, an existing one (unless
    `force`), and a folder that is no export.
    """
    path = path.expanduser().absolute()
    _check(path, folder=folder, force=force, workspace=workspace)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the move is a rename.
    own = Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent))
    try:
        written = own / path.name
        yield written
        _check(path, folder=folder, force=force, workspace=workspace)
        _move(written, path, own / "replaced")
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _move(written: Path, path: Path, aside: Path) -> None:
    """Put what was written in its place, and what was there before `aside`; on an error that one stays."""
    if not (path.exists() or path.is_symlink()):
        written.rename(path)
        return
    path.rename(aside)
    try:
        written.rename(path)
    except OSError:
        aside.rename(path)
        raise


def _check(path: Path, *, folder: bool, force: bool, workspace: Path) -> None:
    if path.resolve().is_relative_to(workspace.resolve()):
        raise InvalidRequest(
            f"{path} is inside of the workspace", hint="Choose another place; the workspace is only read."
        )
    if folder and path.suffix in _FILES and not path.is_dir():
        raise InvalidRequest(
            f"{path} looks like a file, and this form is a folder", hint=f"Name a folder, as {path.with_suffix('')}."
        )
    if not (path.exists() or path.is_symlink()):
        return
    if not force:
        raise InvalidRequest(f"{path} exists", hint="Choose another path, or replace it with --force.")
    if path.is_dir() and not path.is_symlink() and not (folder and _is_export(path)):
        raise InvalidRequest(f"{path} is a folder that is not such an export", hint="Choose another path.")


def _is_export(path: Path) -> bool:
    """Whether the folder is empty or an export of ours: --force must not remove a home directory."""
    if not any(path.iterdir()):
        return True
    page = path / STUDY_FILE
    return page.is_file() and f'"written_by": "{WRITTEN_BY}' in page.read_text(encoding="utf-8", errors="replace")[:200]
