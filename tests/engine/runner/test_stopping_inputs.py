"""What early stopping sees of long curves."""

from __future__ import annotations

from pathlib import Path

from tests.kept import new_db

from bertdistill.engine.runner.stopping_inputs import Overtaking
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database
from bertdistill.store.metrics import Point
from bertdistill.store.rows import TrialState

STEPS = range(12_000)


def made(folder: Path) -> StudySpec:
    raw = {
        "name": "prog",
        "program": {"command": ["train"], "directory": str(folder)},
        "search": {"a": {"choices": [1, 2]}},
        "objectives": [{"metric": "acc"}, {"metric": "size", "direction": "minimize"}],
        "budget": {"trials": 6},
        "stopping": {"rule": "frontier", "min_trials": 2},
    }
    return study_from_dict(raw, where="test")


def new_trial(db: Database, study_id: int, points: list[Point]) -> int:
    with db.write() as session:
        found = writes.create_trial(
            session, study_id=study_id, origin="sampler", params={}, settings={}, known={}, now=1.0
        )
        writes.set_trial_state(session, found.id, TrialState.RUNNING, now=1.0)
        writes.store_points(session, study_id, found.id, points)
    return found.id


def test_a_program_is_judged_by_its_last_step_however_many_it_has(tmp_path: Path) -> None:
    """Beyond 10,000 points, of the running trial and of the complete one that it is compared with."""
    db, spec = new_db(tmp_path / "ws"), made(tmp_path)
    with db.write() as session:
        study = writes.create_study(session, name="prog", task="", spec=dump(spec), now=1.0)
    finished = [new_trial(db, study.id, [("acc", step, step / 1000, 1.0) for step in STEPS]) for _ in range(2)]
    running = new_trial(db, study.id, [("acc", step, 10.0, 1.0) for step in STEPS[:10_500]])
    with db.write() as session:
        for one in finished:
            writes.set_trial_metrics(session, one, {"acc": 11.999, "size": 5.0})
            writes.set_trial_state(session, one, TrialState.COMPLETE, now=2.0)
        writes.store_points(session, study.id, running, [("size", 0, 7.0, 1.0), ("size", 10_499, 6.0, 1.0)])
        attempt = writes.create_attempt(
            session, study_id=study.id, trial_id=running, kind="trial", folder="x", slot="", now=1.0
        )
    overtaking = Overtaking(db)
    for step, value in ((10_500, 15.0), (11_000, None)):
        with db.write() as session:
            writes.store_points(session, study.id, running, [("acc", step, value, 1.0)])
        assert "" == overtaking.judge(attempt, spec, now=3.0)
    with db.write() as session:
        writes.store_points(session, study.id, running, [("acc", 11_500, 10.0, 1.0)])
    why = overtaking.judge(attempt, spec, now=3.0)
    assert "acc 10 at step 11500 may reach 10.26; trial 0 has 12 and is no worse in size" == why
    with db.read() as session:
        assert f"pruned: {why}" == reads.attempt_by_id(session, attempt.id).stop_reason
