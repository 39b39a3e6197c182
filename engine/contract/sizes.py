"""How much of the disk folders hold. Standard library only; it follows no link and changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

BLOCK = 512
"""Unit of `st_blocks`, whatever the file system's own blocks are (POSIX)."""


class Sizes:
    """Measures folders one after another. What was counted before, under this name or as a hard link, counts 0."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def of(self, path: Path) -> int:
        """Bytes that `path` and all below it occupy; 0 where nothing is, and for what cannot be read."""
        try:
            status = path.lstat()
        except OSError:
            return 0
        total = self._count(status)
        if path.is_dir() and not path.is_symlink():
            total += self._below(path)
        return total

    def _below(self, folder: str | os.PathLike[str]) -> int:
        total = 0
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    total += self._count(entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        total += self._below(entry.path)
        except OSError:  # it went away while it was measured, or is somebody else's
            return total
        return total

    def _count(self, status: os.stat_result) -> int:
        key = (status.st_dev, status.st_ino)
        if key in self._seen:
            return 0
        self._seen.add(key)
        return status.st_blocks * BLOCK
