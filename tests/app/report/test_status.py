"""The state of a workspace as text: nothing that says what to do is cut or left out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests import joined_study

from bertdistill.app.report import status as status_module
from bertdistill.app.report.status import read_status, status_text
from bertdistill.app.report.summary import Page
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner import lease
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.rows import StudyState


def pause(ws: Workspace, diagnosis: str) -> None:
    """Pause the study with a diagnosis, as a runner would."""
    writer = open_db(ws.path)
    with writer.write() as session:
        study = reads.study(session, "demo")
        writes.set_study_state(session, study.id, StudyState.PAUSED, now=2e9, diagnosis=diagnosis)
    writer.close()


def test_a_diagnosis_is_whole_on_a_narrow_terminal(ws: Workspace, db: Database) -> None:
    """It ends with what to do, so no width cuts it."""
    diagnosis = f"Three attempts ended badly. {'Why. ' * 60}Then: bertdistill-tui engine resume demo"
    pause(ws, diagnosis)
    assert f"demo: {diagnosis}" in status_text(read_status(db, ws), Page(width=80)).splitlines()


def test_a_study_without_a_runner_is_told_how_to_go_on(ws: Workspace, db: Database) -> None:
    """A study that says running while nobody works needs a runner; a paused one does not."""
    line = status_text(read_status(db, ws), Page()).splitlines()[1]
    assert "no runner has run here yet; `run` or `resume` starts one" == line
    pause(ws, "")
    assert "no runner has run here yet" == status_text(read_status(db, ws), Page()).splitlines()[1]


def test_notices_name_their_study(ws: Workspace, db: Database) -> None:
    """With several studies a notice would otherwise belong to none."""
    assert status_text(read_status(db, ws), Page()).endswith(" demo warning: disk is low")


def test_data_say_how_certain_a_frontier_is(tmp_path: Path) -> None:
    """The text does without: it is polled."""
    ws = joined_study.make(tmp_path).workspace
    db = open_db(ws.path, read_only=True)
    [row], [plain] = (read_status(db, ws, sure=sure)["studies"] for sure in (True, False))
    db.close()
    low, high = row["hypervolume_interval"]
    assert 0 <= low < high <= 1
    assert {str(number) for number in row["frontier"]} <= row["p_frontier"].keys()
    assert all(0.05 <= chance <= 1 for chance in row["p_frontier"].values())
    assert plain["hypervolume_interval"] is plain["p_frontier"] is None


def test_complaints_that_were_dealt_with_are_left_out(ws: Workspace, db: Database) -> None:
    """A study that was resumed since; what came afterwards is said."""
    writer = open_db(ws.path)
    with writer.write() as session:
        study = reads.study(session, "demo")
        writes.add_notice(session, level="error", text="before", now=3e9, study_id=study.id)
        writes.add_request(session, who="ada", verb="resume", now=3e9 + 1, study_id=study.id, handled=True)
        writes.add_notice(session, level="error", text="after", now=3e9 + 2, study_id=study.id)
        writes.add_notice(session, level="error", text="elsewhere", now=3e9)
    writer.close()
    found = [row["text"] for row in read_status(db, ws)["notices"]]
    assert ["after", "elsewhere"] == found


def test_how_the_last_runner_ended(ws: Workspace, db: Database) -> None:
    """One that left because its work was done is not said to be gone."""
    writer = open_db(ws.path)
    with lease.hold(ws, writer, time.time) as held:
        assert held is not None
        with writer.write() as session:
            writes.beat_lease(session, now=time.time() - 61)
        assert "has not answered for" in status_text(read_status(db, ws), Page())
    writer.close()
    assert "exited when its work was done" in status_text(read_status(db, ws), Page())


def test_a_full_disk_is_said(ws: Workspace, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner cannot write it down: who asks is told."""
    assert "disk" not in status_text(read_status(db, ws), Page()).splitlines()[2]
    monkeypatch.setattr(status_module, "free_bytes", lambda path: 0)
    assert "the disk of the workspace is full" in status_text(read_status(db, ws), Page())


def test_a_study_that_ended_early_says_why(ws: Workspace, db: Database) -> None:
    """As its runner noted at that moment; what it noted at another time is no cause."""
    why = "The study is complete after 6 of 8 trials: no other values are left."
    writer = open_db(ws.path)
    with writer.write() as session:
        study = reads.study(session, "demo")
        writes.add_notice(session, level="info", text="earlier", now=4e9, study_id=study.id)
        writes.add_notice(session, level="info", text=why, now=5e9, study_id=study.id)
        writes.set_study_state(session, study.id, StudyState.COMPLETE, now=5e9)
    writer.close()
    found = read_status(db, ws)
    assert [why] == [row["ended_early"] for row in found["studies"]]
    assert f"demo: {why}" in status_text(found, Page()).split("\n")
