"""How long a study takes is told only where somebody measured."""

from __future__ import annotations

import dataclasses

from bertdistill.app.views.plan_time import measured_time, time_text
from bertdistill.engine.contract.terms import passes
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.db import Database, open_db


def busy(ws: Workspace, seconds: float) -> None:
    """As if every trial had worked so long."""
    db = open_db(ws.path)
    with db.write() as session:
        session.connection().exec_driver_sql(f"UPDATE trial SET busy_seconds = {seconds}")
    db.close()


def test_nothing_measured_nothing_told(db: Database, spec: StudySpec) -> None:
    """No guess from sizes."""
    assert measured_time(db, spec) is None


def test_the_median_of_trials_on_the_same_data(ws: Workspace, spec: StudySpec) -> None:
    """Longer by its epochs; all of the budget in the slots that the file gives, else only one trial."""
    busy(ws, 60.0)
    twice = dataclasses.replace(
        spec,
        settings=dataclasses.replace(spec.settings, epochs=4.0),
        runner=dataclasses.replace(spec.runner, slots=2),
    )
    other = dataclasses.replace(spec, data=dataclasses.replace(spec.data, max_length=32, doc_stride=8))
    db = open_db(ws.path, read_only=True)
    one, both, none = (measured_time(db, each) for each in (spec, twice, other))
    db.close()
    assert {"trial_seconds": 60.0, "pass_seconds": 30.0, "seconds": None, "study": "demo", "trials": 6} == one
    assert {"trial_seconds": 120.0, "pass_seconds": 30.0, "seconds": 480.0, "study": "demo", "trials": 6} == both
    assert none is None
    assert [2.0, 4.0, 2.0] == [
        passes({"epochs": 2.0, "batch_size": 8, "alpha": alpha, "transfer_share": share})
        for alpha, share in ((0.5, 0.0), (0.5, 0.5), (0.0, 0.5))
    ]
    assert both is not None
    assert "about 8m 00s in 2 slots, a trial about 2m 00s (median of 6 trials of demo)" == time_text(twice, both)
