"""The shapes that scripts stand on have exactly the documented keys."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from bertdistill.app.report import records
from bertdistill.app.report.details import read_details
from bertdistill.app.text.tables import json_text
from bertdistill.app.views.view import read_view
from bertdistill.engine.analysis.certainty import Certainty
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.rows import Checkpoint, ModelAlias, ModelVersion


def test_trial_shape(db: Database) -> None:
    """Keys in the documented order, for every state; JSON reads back."""
    view = read_view(db, "demo")
    rows = [records.trial_row(view, t) for t in view.trials]
    assert [list(records.SHAPES["trial"])] * 8 == [list(row) for row in rows]
    assert rows == json.loads(json_text(rows))


def test_trial_values(db: Database) -> None:
    """A rerun behind its parent."""
    view = read_view(db, "demo")
    row = records.trial_row(view, view.trials[3])
    expected = {
        "trial": 7,
        "study": "demo",
        "state": "complete",
        "origin": "rerun",
        "parent": 1,
        "params": {"layers": 1, "hidden_size": 64, "learning_rate": 0.002},
        "rank": 4,
        "frontier": False,
        "feasible": True,
        "dominated_by": 1,
        "gain": 0.0,
    }
    assert expected == {key: row[key] for key in expected}


def test_what_is_known_of_noise_is_of_the_point(db: Database) -> None:
    """As `show` says it in words; null without."""
    view = read_view(db, "demo")
    sure = Certainty(
        intervals={7: {"exact": (60.0, 64.0)}}, on_frontier={7: 0.3}, luck={7: 0.6}, errors={"exact": np.eye(1)}
    )
    keys = ("p_frontier", "luck", "intervals")
    found = [records.trial_row(one, view.trials[3]) for one in (view, dataclasses.replace(view, certainty=sure))]
    assert [[None, None, {}], [0.3, 0.6, {"exact": [60.0, 64.0]}]] == [[row[key] for key in keys] for row in found]


def test_failed_trial_has_null_for_what_it_lacks(db: Database) -> None:
    """No rank, no feasibility, no gain, no score: null rather than a made-up value."""
    view = read_view(db, "demo")
    failed = view.trial(5)
    assert failed is not None
    row = records.trial_row(view, failed)
    assert (None, None, None, None) == (row["rank"], row["feasible"], row["gain"], row["metrics"]["exact"])


def test_study_attempt_and_notice_shapes(db: Database) -> None:
    """The same for studies, attempts and notices."""
    view = read_view(db, "demo")
    with db.read() as session:
        attempt = reads.attempts(session, study_id=view.study.id)[0]
        notice = reads.notices(session)[0]
    assert list(records.SHAPES["study"]) == list(records.study_row(view))
    assert list(records.SHAPES["attempt"]) == list(records.attempt_row(attempt, 5, now=0.0))
    assert list(records.SHAPES["notice"]) == list(records.notice_row(notice, study="demo", trial=None))


def test_checkpoint_and_model_shapes(tmp_path: Path) -> None:
    """The same for checkpoints and model versions."""
    checkpoint = Checkpoint(
        id=1, trial_id=1, attempt_id=1, role="best", step=3, folder="f", sha256="s", size_bytes=4, created_at=0.0
    )
    version = ModelVersion(id=9, name="m", version=2, trial_id=1, checkpoint_id=1, folder="models/m/v2", created_at=0.0)
    aliases = [
        ModelAlias(name="m", alias="production", version_id=9, set_at=0.0),
        ModelAlias(name="m", alias="old", version_id=8, set_at=0.0),
    ]
    row = records.model_row(version, aliases, study="demo", trial=7, workspace=tmp_path)
    assert list(records.SHAPES["checkpoint"]) == list(records.checkpoint_row(checkpoint))
    assert list(records.SHAPES["model"]) == list(row)
    assert ("m:2", ["production"], str(tmp_path / "models/m/v2")) == (row["model"], row["aliases"], row["folder"])


def test_details_add_to_the_trial(db: Database) -> None:
    """`show --json` is a trial with settings, differences, lineage, attempts, checkpoints and series."""
    view = read_view(db, "demo")
    _, details = read_details(db, view, 1)
    assert set(records.SHAPES["trial"]) < set(details)
    assert (["layers", "hidden_size"][:1], [], [7]) == (
        details["differs_from_baseline"],
        details["differs_from_parent"],
        details["children"],
    )
    _, rerun = read_details(db, view, 7)
    assert ["learning_rate"] == rerun["differs_from_parent"]
    _, running = read_details(db, view, 6)
    assert [("train/loss", 2, 1)] == [(s["name"], s["points"], s["not_finite"]) for s in running["series"]]
