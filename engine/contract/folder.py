"""The layout of an attempt's folder, and atomic file writes that a kill cannot leave half done.

Standard library only. It reads none of an attempt's files.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREDICTIONS = "predictions.json"
"""In a best checkpoint: maps the id of every validation example to its answer ("" if abstained) or label."""
STARTS = "starts.json"
"""Next to it: maps the id of every answered question to the answer's character offset in the passage."""


@dataclass(frozen=True)
class RunPaths:
    """Every path of one attempt. `folder` is created by the launcher's caller before the attempt starts."""

    folder: Path

    @property
    def spec(self) -> Path:
        return self.folder / "spec.json"

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def lock(self) -> Path:
        """Held by the shim and all its descendants; once it is released, the device is free."""
        return self.folder / "lock"

    @property
    def state(self) -> Path:
        """Which processes run here: host, boot id, pids with start times. Used only to send signals."""
        return self.folder / "state.json"

    @property
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


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
