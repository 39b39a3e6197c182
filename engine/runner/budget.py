"""What counts against a study's budget. Pure, and light: the first picture of the app asks it."""

from __future__ import annotations

from collections.abc import Sequence

from bertdistill.store.rows import Trial

BUDGETED = frozenset({"baseline", "sampler", "queued"})
"""Origins that count against budget.trials; reruns do not."""
UNDONE = "undone"
"""Reason of a trial that was removed from the queue before it ran; it counts as never requested."""


def in_budget(trial: Trial) -> bool:
    """Whether the trial counts against budget.trials."""
    return trial.origin in BUDGETED and trial.reason != UNDONE


def used(trials: Sequence[Trial]) -> int:
    """Trials that count against budget.trials."""
    return sum(in_budget(trial) for trial in trials)
