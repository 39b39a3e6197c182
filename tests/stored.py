"""Rows that tests of finished studies need. It writes no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bertdistill.store import writes
from bertdistill.store.rows import Checkpoint, Trial


def best_checkpoint(
    session: Any,
    trial: Trial,
    run: str,
    folder: str,
    *,
    step: int = 1,
    metrics: Mapping[str, float] | None = None,
    sha256: str = "0",
) -> Checkpoint:
    """The best checkpoint of a trial in `folder`, and the attempt in `run` that wrote it; relative to the workspace."""
    attempt = writes.create_attempt(
        session, study_id=trial.study_id, trial_id=trial.id, kind="trial", folder=run, slot="cpu0", now=1.0
    )
    return writes.add_checkpoint(
        session,
        trial_id=trial.id,
        attempt_id=attempt.id,
        role="best",
        step=step,
        folder=folder,
        sha256=sha256,
        size_bytes=1,
        metrics=dict(metrics or {}),
        now=2.0,
    )
