"""One trial with its attempts, checkpoints and curves, as the object that `show --json` prints. It writes nothing."""

from __future__ import annotations

import time
from typing import Any

from bertdistill.app.report.records import attempt_row, checkpoint_row, trial_row
from bertdistill.app.views.view import StudyView, differences
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.rows import Trial


def read_details(db: Database, view: StudyView, number: int) -> tuple[Trial, dict[str, Any]]:
    """The trial and its object; NotFound when the study has no such trial."""
    with db.read() as session:
        trial = reads.trial(session, view.study.id, number)
        attempts = reads.attempts(session, trial_id=trial.id)
        checkpoints = reads.checkpoints(session, trial_id=trial.id, dropped=True)
        series = reads.series(session, view.study.id, trial_id=trial.id)
    baseline, parent = view.baseline, view.parent(trial)
    details = trial_row(view, trial) | {
        "settings": trial.settings,
        "differs_from_baseline": _changed(trial, baseline),
        "differs_from_parent": _changed(trial, parent),
        "children": [t.number for t in view.trials if t.parent_id == trial.id],
        "sampler": trial.sampler,
        "proposal_seed": trial.proposal_seed,
        "attempts": [attempt_row(a, number, now=time.time()) for a in attempts],
        "checkpoints": [checkpoint_row(c) for c in checkpoints],
        "series": [
            {"name": s.name, "points": s.points, "last_step": s.last_step, "last": s.last_value, "min": s.min_value}
            | {"max": s.max_value, "not_finite": s.not_finite}
            for s in series
        ],
    }
    return trial, details


def _changed(trial: Trial, other: Trial | None) -> list[str]:
    """Names of settings that differ from another trial."""
    return list(differences(trial.settings, other.settings)) if other and other.id != trial.id else []
