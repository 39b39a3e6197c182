"""Files below the folder of an agent: what is there, parts of them, and copies that nothing uses any more.

Standard library only. It decides nothing: the runner says what is removed.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from bertdistill.engine.contract.folder import open_regular

PARTS = ".parts"
"""Folder for what is being copied here."""
_COPIES = ("inputs/*", "caches/*/*", "runs/*/*", f"{PARTS}/*/*")
"""What was sent here, or is here as well as at the runner; attempts that ran here have a spec.json."""


def touch(path: Path) -> bool:
    """Whether it exists; it counts as used now."""
    try:
        os.utime(path, follow_symlinks=False)
    except OSError:
        return os.path.lexists(path)
    return True


def idle_copies(root: Path, seconds: float) -> list[Path]:
    """Files and folders that can be sent again, and of which nothing was changed or used for so long."""
    before = time.time() - seconds
    found = [path for pattern in _COPIES for path in root.glob(pattern) if not (path / "spec.json").exists()]
    return sorted(path for path in found if _last_used(path) < before)


def _last_used(path: Path) -> float:
    inside = (Path(place, name) for place, folders, names in os.walk(path) for name in (*folders, *names))
    return max(one.lstat().st_mtime for one in (path, *inside))


def files_of(folder: Path) -> list[tuple[str, int]]:
    """Relative names and sizes of the regular files below a folder; links are not followed."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                found.append((path.relative_to(folder).as_posix(), path.stat().st_size))
    return sorted(found)


def changed(folder: Path) -> list[int]:
    """When its files were changed, in their order."""
    return [(folder / name).stat().st_mtime_ns for name, _ in files_of(folder)]


def link_or_copy(source: str, target: str) -> None:
    """A link costs no disk; not every filesystem has them."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def read_part(path: Path, offset: int, most: int) -> tuple[int, bytes]:
    """The size of a regular file, and its bytes after `offset`; (0, b"") if it is not one."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            return size, file.read(min(most, max(0, size - offset)))
    except OSError:
        return 0, b""
