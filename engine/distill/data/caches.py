"""Folders that are built once and shared by all trials and studies: content-named, complete or absent.

It knows how to name and build a folder; what goes into one is the caller's business.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from bertdistill.engine.contract.folder import sync_folder


def cache_key(**parts: Any) -> str:
    """A short name for everything that the content depends on; `parts` are JSON values."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Make `folder` by `build(temporary)` and a rename, unless it exists; a second builder waits for the first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not folder.exists():
            temporary = folder.with_name(f".{folder.name}.tmp")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(mode=0o700)
            build(temporary)
            sync_files(temporary)
            temporary.rename(folder)
            sync_folder(folder.parent)
    return folder


def sync_files(folder: Path) -> None:
    """Make the files of `folder`, and their names, survive a power cut."""
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_folder(folder)
