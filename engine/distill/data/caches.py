"""Cache folders, built once and shared by all trials and studies: named by content, complete or absent, checksummed.

It names, builds and checks folders; their content is up to the caller.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import sync_files, sync_folder

MANIFEST = "manifest.json"
"""In every cache folder: size and SHA-256 of its files. A folder without it was built by an older version."""

Say = Callable[[str], None]


def cache_key(**parts: Any) -> str:
    """A short key for everything that the content depends on; `parts` are JSON values."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


LOCK_SECONDS = 0.5
"""How often a builder that waits for another one may look whether it should stop."""


def build_once(
    folder: Path,
    build: Callable[[Path], None],
    say: Say = lambda text: None,
    waiting: Callable[[], None] = lambda: None,
) -> Path:
    """Create `folder` with `build(temporary)` and a rename, unless it exists intact; other builders wait for it.

    A damaged folder is rebuilt, and the damaged file is reported to `say`. `waiting` is called again and again while
    another process builds it; what it raises ends the wait.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(FileLock(lock_of(folder)), waiting):
        if found := damage(folder):
            say(f"{found}; it is rebuilt")
            shutil.rmtree(folder)  # processes that have it mapped keep the old files
        if not folder.exists():
            temporary = folder.with_name(f".{folder.name}.tmp")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(mode=0o700)
            build(temporary)
            write_manifest(temporary)
            sync_files(temporary)
            temporary.rename(folder)
            sync_folder(folder.parent)
    return folder


def lock_of(folder: Path) -> Path:
    """The lock that is held while a cache folder is built or checked."""
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def _locked(lock: FileLock, waiting: Callable[[], None]) -> Iterator[None]:
    while True:
        try:
            lock.acquire(timeout=LOCK_SECONDS)
            break
        except Timeout:
            waiting()
    try:
        yield
    finally:
        lock.release()


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write one part of a cache that is being built: after a kill the file is whole or not there."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


# ----------------------------------------------------------------------------------------------------------- integrity


def write_manifest(folder: Path) -> None:
    """Record size and SHA-256 of every file of `folder`."""
    files = {path.name: _facts(path) for path in sorted(folder.iterdir()) if path.is_file()}
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")


def damage(folder: Path) -> str:
    """What is wrong with a cache folder, naming the file; "" if it is intact, absent, or has no manifest.

    Sizes first, then every byte: 1.6 s per gigabyte on a busy core, about 1 s per trial for all of SQuAD 2.0.
    """
    path = folder / MANIFEST
    if not path.exists():
        return ""
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        expected = {str(name): (int(fact["size"]), str(fact["sha256"])) for name, fact in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{path} is damaged: {error}"
    for name, (size, _) in expected.items():
        if not (folder / name).is_file():
            return f"{folder / name} is missing"
        if (found := (folder / name).stat().st_size) != size:
            return f"{folder / name} is damaged: it has {found:,} bytes, but {size:,} were written"
    changed = (name for name, (_, digest) in expected.items() if _sha256(folder / name) != digest)
    return next((f"{folder / name} is damaged: its content does not match its checksum" for name in changed), "")


def refuse_damage(folders: Iterable[Path]) -> None:
    """Raise ConfigError for the first damaged cache folder: an attempt would train on noise or crash midway."""
    for folder in folders:
        if found := damage(folder):
            raise ConfigError(
                found,
                hint=f"delete {folder}, run the study file again under another name, which rebuilds it, and then "
                "resume this study with --retry-failed",
            )


def _facts(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
