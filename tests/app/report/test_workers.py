"""Slots, workers and queue as text and as the objects that scripts stand on."""

from __future__ import annotations

import csv
import io
import json

import pytest

from bertdistill.app.cli import main
from bertdistill.app.report.shapes import SHAPES
from bertdistill.app.report.workers import load_lines
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.load import GpuLoad, Load
from bertdistill.engine.steering import actions
from bertdistill.store import writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import StudyState, TrialState


def typed(capsys: pytest.CaptureFixture[str], ws: Workspace, *words: str) -> str:
    """What `engine workers` prints."""
    with pytest.raises(SystemExit) as ended:
        main(["engine", "workers", "-w", str(ws.path), *words])
    assert 0 == ended.value.code
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def queued(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial waits; the machine has no GPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    db = open_db(ws.path)
    with db.write() as session:
        writes.create_trial(session, study_id=1, origin="queued", params={}, settings={}, known={}, now=2e9)
        writes.set_attempt_progress(session, 2, phase="\x1b[2Jtrain", done=1, total=4, rate=2.0, unit="steps")
    db.close()


def test_people_read_who_works_and_why_the_rest_waits(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that helps; nothing from a worker can drive the terminal."""
    text = typed(capsys, ws)
    assert text.startswith("no runner has run here yet\nCPU ")
    assert "running  demo/6  ━━──────── 25% train 1/4 steps" in text
    assert "demo/8   no runner is running" in text
    assert "start a runner: " in text
    assert "\x1b" not in text


def test_scripts_get_the_documented_keys(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """The object, its lists, and the workers as CSV."""
    found = json.loads(typed(capsys, ws, "--json"))
    assert ["workspace", "runner", "load", "machines", "slots", "workers", "queue"] == list(found)
    assert list(SHAPES["slot"]) == list(found["slots"][0])
    assert ("cpu0", "working", "demo", 6) == tuple(
        found["slots"][0][key] for key in ("slot", "state", "study", "trial")
    )
    assert [*SHAPES["attempt"], "study", "memory_bytes", "gpu_memory_bytes"] == list(found["workers"][0])
    assert list(SHAPES["waiting"]) == list(found["queue"][0])
    assert ("demo", "trial", 8, "no runner") == tuple(
        found["queue"][0][key] for key in ("study", "item", "trial", "reason")
    )
    rows = list(csv.DictReader(io.StringIO(typed(capsys, ws, "--csv"))))
    assert ["demo"] == [row["study"] for row in rows]


def test_a_diagnosis_is_told_as_the_reason(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A study that the runner paused says why."""
    db = open_db(ws.path)
    with db.write() as session:
        writes.set_study_state(session, 1, StudyState.PAUSED, now=2e9, diagnosis="3 attempts crashed")
    db.close()
    text = typed(capsys, ws)
    assert "demo/8   the study is paused: 3 attempts crashed" in text
    assert "resume a study: " in text


def test_what_was_put_away_does_not_wait(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A failed study stands in the queue until it is archived, and again when it comes back."""
    db = open_db(ws.path)
    with db.write() as session:
        writes.end_attempt(session, 2, now=2e9, exit_class="crashed")
        writes.set_study_state(session, 1, StudyState.FAILED, now=2e9, diagnosis="no data")
    db.close()
    assert "demo/8   the study failed: no data" in typed(capsys, ws)
    actions.archive_study(ws, "demo", who="ada")
    assert "nothing is waiting" in typed(capsys, ws)
    actions.archive_study(ws, "demo", archived=False, who="ada")
    assert "demo/8   the study failed: no data" in typed(capsys, ws)


def test_a_run_that_logs_itself_takes_no_slot(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """No runner started it: it is none of the workers, and nothing waits for it."""
    before = json.loads(typed(capsys, ws, "--json"))
    db = open_db(ws.path)
    with db.write() as session:
        study = writes.create_study(session, name="mine", kind="log", task="", spec={}, now=2e9)
        run = writes.create_trial(
            session, study_id=study.id, origin="logged", params={}, settings={}, known={}, now=2e9,
            state=TrialState.RUNNING,
        )  # fmt: skip
        writes.create_attempt(
            session, study_id=study.id, trial_id=run.id, kind="trial", folder="runs/_logged/mine.a.1", slot="", now=2e9,
            handle={"logged": "a"},
        )  # fmt: skip
    db.close()
    found = json.loads(typed(capsys, ws, "--json"))
    assert (before["slots"], before["queue"]) == (found["slots"], found["queue"])
    assert ["demo"] == [one["study"] for one in found["workers"]]


def test_gpus_have_a_line_each() -> None:
    """What NVML does not tell is a dash."""
    gpus = (
        GpuLoad(0, "GPU-1234567890", "Toy", 94.0, 21_000_000_000, 80_000_000_000),
        GpuLoad(1, "MIG-1", "", None, None, None),
    )
    assert [
        "CPU 50% of 8 cores, memory 1.0 GB of 2.0 GB",
        "GPU0 94%, memory 21.0 GB of 80.0 GB, Toy GPU-12345678",
        "GPU1 –, memory – of –, MIG-1",
    ] == load_lines(Load(50.0, 8, 1_000_000_000, 2_000_000_000, gpus))
