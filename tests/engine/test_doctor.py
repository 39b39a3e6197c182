"""The doctor finds what is wrong, and its proof kills a real process."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from bertdistill.engine import doctor
from bertdistill.engine.launch.local import COMMAND_VARIABLE, LocalLauncher
from bertdistill.store.db import DATABASE_NAME, open_db


def test_kill_proof_loses_nothing(tmp_path: Path) -> None:
    """A worker killed in mid-stream: every step that it had reported is stored, none twice."""
    environ = {**os.environ, COMMAND_VARIABLE: doctor.toy_command(sys.executable)}
    noted, stored, end = doctor.kill_proof(tmp_path, LocalLauncher(environ=environ))
    assert "killed_by_signal_9" == end.kind
    assert doctor.PROOF_STEPS <= noted <= stored <= noted + 1  # it may die between a report and its note


def test_kill_check_leaves_nothing_behind(tmp_path: Path) -> None:
    """The proof's folder is gone afterwards, and the workspace was not made."""
    check = doctor.check_kill(tmp_path / "workspace")
    assert ("ok", []) == (check.state, list(tmp_path.iterdir())), check.detail


def test_kill_check_reports_lost_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If rows were missing, it would say so."""
    real = doctor.kill_proof
    monkeypatch.setattr(doctor, "kill_proof", lambda *a: (real(*a)[0], 3, real(tmp_path / "again", a[1])[2]))
    assert "problem" == doctor.check_kill(tmp_path).state


def test_a_worker_that_cannot_start_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The complaint of the toy is the finding; no waiting for the deadline."""
    monkeypatch.setattr(doctor, "_TOY", "raise SystemExit('no luck')")
    monkeypatch.setattr(doctor, "PROOF_SECONDS", 5.0)
    check = doctor.check_kill(tmp_path)
    assert ("problem", True) == (check.state, "no luck" in check.detail or "crashed" in check.detail), check.detail


@pytest.mark.parametrize(
    ("version", "state"), [((3, 40, 1), "warning"), ((3, 51, 2), "warning"), ((3, 51, 3), "ok"), ((3, 53, 0), "ok")]
)
def test_sqlite_versions(version: tuple[int, int, int], state: str) -> None:
    """The WAL-reset bug ends with 3.51.3."""
    assert state == doctor.check_sqlite(version).state


@pytest.mark.parametrize(("version", "state"), [((3, 10, 14), "problem"), ((3, 11, 0), "ok"), ((3, 14, 1), "ok")])
def test_python_versions(version: tuple[int, ...], state: str) -> None:
    """3.11 or newer."""
    assert state == doctor.check_python(version).state


def test_torch_is_asked_in_a_process_of_its_own() -> None:
    """What it prints is read back; what it complains of is the finding."""
    found = {"torch": "2.13.0", "cuda": "13.0", "gpus": ["NVIDIA H200"], "threads": 8}
    good = doctor.check_torch((sys.executable, "-c", f"print({json.dumps(json.dumps(found))})"))
    assert ("ok", "2.13.0, CUDA 13.0, NVIDIA H200") == (good.state, good.detail)
    bad = doctor.check_torch((sys.executable, "-c", "raise ImportError('libcudart is missing')"))
    assert ("problem", True) == (bad.state, "libcudart is missing" in bad.detail)


def test_low_disk_is_a_warning(tmp_path: Path) -> None:
    """Below five gigabytes, measured where the workspace will be."""
    new = tmp_path / "new"
    assert "warning" == doctor.check_disk(new, free=lambda path: int(1e9)).state
    assert "ok" == doctor.check_disk(new, free=lambda path: int(9e9)).state


def test_network_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WAL does not work there; the hint says what to do."""
    monkeypatch.setattr(doctor, "network_filesystem", lambda path: "nfs4")
    check = doctor.check_filesystem(tmp_path)
    assert ("problem", True, True) == (check.state, "nfs4" in check.detail, "--workspace" in check.hint)


def test_database_states(tmp_path: Path) -> None:
    """None yet, sound, and not a database at all."""
    assert "none yet" == doctor.check_database(tmp_path).detail
    open_db(tmp_path).close()
    assert "ok" == doctor.check_database(tmp_path).state
    (tmp_path / DATABASE_NAME).write_bytes(b"this is no database" * 100)
    assert "problem" == doctor.check_database(tmp_path).state
