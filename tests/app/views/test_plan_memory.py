"""How much memory a study needs is estimated only where somebody measured."""

from __future__ import annotations

import dataclasses
import json

from bertdistill.app.views.plan_memory import measured_memory, memory_text
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.db import Database, open_db

SHAPE = bert_shape(vocab_size=800, positions=512, hidden_size=64, ffn_size=256, layers=2, head_size=16, pad_id=0)


def peaks(ws: Workspace, megabytes: float) -> None:
    """As if every trial had needed so much."""
    db, facts = open_db(ws.path), Prepared(init_shape=SHAPE.to_dict(), mean_length=60.0).to_dict()
    with db.write() as session:
        connection = session.connection()
        connection.exec_driver_sql(f"UPDATE trial SET metrics = json_set(metrics, '$.peak_memory_mb', {megabytes})")
        connection.exec_driver_sql("UPDATE trial SET known = json_set(known, '$.gflops', 0.01)")
        connection.exec_driver_sql("UPDATE study SET prepared = ?", (json.dumps(facts),))
    db.close()


def test_nothing_measured_nothing_told(db: Database, spec: StudySpec) -> None:
    """No guess from sizes alone."""
    assert measured_memory(db, spec) is None


def test_the_largest_student_needs_more_than_those_that_were_measured(ws: Workspace, spec: StudySpec) -> None:
    """By its weights; what does not depend on the size is the same. Other data says nothing."""
    peaks(ws, 500.0)
    other = dataclasses.replace(spec, data=dataclasses.replace(spec.data, max_length=32, doc_stride=8))
    db = open_db(ws.path, read_only=True)
    found, none = (measured_memory(db, each) for each in (spec, other))
    db.close()
    assert none is None
    assert found is not None
    assert ("demo", 6) == (found["study"], found["trials"])
    assert 500.0 <= found["mb"] < 5000.0


def test_more_than_the_machine_has_is_said(spec: StudySpec) -> None:
    """All slots together."""
    two = dataclasses.replace(spec, runner=dataclasses.replace(spec.runner, slots=2))
    found = {"mb": 600.0, "study": "demo", "trials": 6}
    assert "at most about 600 MB a worker, 1.2 GB in 2 slots (6 trials of demo)" == memory_text(two, found, 10**10)
    assert "this machine has 1.0 GB: use fewer slots" in memory_text(two, found, 10**9)
