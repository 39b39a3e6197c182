"""Disk usage of folders. Standard library only; it follows no links and changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

BLOCK = 512
"""Unit of `st_blocks`, independent of the file system's block size (POSIX)."""


class Sizes:
    """Measures folders one after another. Files already counted, by this name or as a hard link, count 0."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def of(self, path: Path) -> int:
        """Bytes occupied by `path` and everything below it; 0 if it does not exist or cannot be read."""
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
        except OSError:  # it was removed meanwhile, or belongs to another user
            return total
        return total

    def _count(self, status: os.stat_result) -> int:
        key = (status.st_dev, status.st_ino)
        if key in self._seen:
            return 0
        self._seen.add(key)
        return status.st_blocks * BLOCK
