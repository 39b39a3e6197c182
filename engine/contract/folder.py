"""The layout of an attempt's folder, atomic writes that a kill cannot leave half done, and defensive reads.

A worker may put anything in its folder, so readers open only regular files and never block on one.
Standard library only. It does not interpret the files.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import LaunchError

MOST_JSON_BYTES = 16 << 20
"""A larger spec.json, state.json or exit.json was not written by this program."""

PREDICTIONS = "predictions.json"
"""In a best checkpoint: maps the id of every validation example to its answer ("" if abstained) or label."""
STARTS = "starts.json"
"""Next to it: maps the id of every answered question to the answer's character offset in the passage."""
SCORED = "scored.npy"
"""Next to them, where answers are spans: (2, examples) float32, exact match and F1 of every question in their order."""
CLASS_LOGITS = "logits.npy"
"""Next to them, of a classifier: its logits of the validation examples in their order, (examples, labels) float32."""

PRECISIONS = "precisions"
"""Kind of the caches that say which number format is faster on a machine. All its attempts must compute alike."""


@dataclass(frozen=True)
class RunPaths:
    """Every path of one attempt. `folder` is created by the launcher's caller before the attempt starts."""

    folder: Path

    @property
    def spec(self) -> Path:
        return self.folder / "spec.json"

    @cached_property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @cached_property
    def lock(self) -> Path:
        """Held by the shim and all its descendants; once it is released, the device is free."""
        return self.folder / "lock"

    @property
    def state(self) -> Path:
        """Which processes run here: host, boot id, pids with start times. Used only to send signals."""
        return self.folder / "state.json"

    @cached_property
    def exit(self) -> Path:
        """How the attempt ended, written once by the shim; its presence means that the attempt is over."""
        return self.folder / "exit.json"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def last(self) -> Path:
        """Link to the newest checkpoint: weights, optimiser state and position."""
        return self.checkpoints / "last"

    @property
    def best(self) -> Path:
        """Link to the checkpoint with the best score on the validation split: weights only."""
        return self.checkpoints / "best"

    @property
    def predictions(self) -> Path:
        """Of a promotion: predictions on the report split. Those of a trial are in its best checkpoint."""
        return self.folder / PREDICTIONS


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically (temporary file, fsync, rename, fsync of the folder): never a partial file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def open_to_append(path: Path) -> int:
    """A descriptor that appends to `path`, created (0600) if needed; LaunchError if it is not a regular file.

    A link is not followed: whoever can make one here could otherwise have us write to any file of this user.
    """
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        link = " (it is a link)" if path.is_symlink() else ""
        hint = "Remove it, or check who else can write to this folder."
        raise LaunchError(f"{path} cannot be written: {error.strerror}{link}", hint=hint) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LaunchError(f"{path} is not a regular file, so nothing is written to it", hint="Remove it.")
    return descriptor


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power failure."""
    _sync(folder)


def sync_files(folder: Path) -> None:
    """Make everything below `folder`, contents and names, survive a power failure."""
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    import hashlib  # 2 ms of the first paint of the app, which needs none

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: Path) -> int:
    """A descriptor to read a file of a run folder; OSError unless it is a regular file in a folder that is not a link.

    A FIFO would block its reader, a device would never end, and a link may lead to what is not the worker's to show.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        descriptor = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(f"{path} is not a regular file")


def size_of(path: Path) -> int:
    """Bytes of a file of a run folder; 0 if there is none. A link is not followed: it is never read either."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a run folder; empty if there is none, or if it is something else."""
    try:
        with open(open_regular(path), "rb") as file:
            value = json.loads(file.read(MOST_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
