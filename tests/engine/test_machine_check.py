"""The checks of a machine, on one that is a folder of this machine: one real run, and what each finds wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from bertdistill.engine import machine_check
from bertdistill.engine.launch.link import Link, link_to
from bertdistill.engine.launch.machines import Machine, Machines
from bertdistill.engine.machine_check import check_machine


def machines(tmp_path: Path) -> tuple[Machine, Machines]:
    machine = Machine("b", folder=str(tmp_path / "far"))
    return machine, Machines("0" * 12, (machine,))


def test_a_machine_that_is_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its toy attempt outlives a closed connection, is killed, and nothing of it is lost or left."""
    monkeypatch.setattr(machine_check, "AWAY_SECONDS", 0.0)
    found = list(check_machine(*machines(tmp_path), tmp_path / "ws"))
    assert {one.check: one.state for one in found if one.state == "problem"} == {}
    assert [one.check for one in found][-1] == "kill a worker"
    assert "none lost, none duplicated" in found[-1].detail
    assert list((tmp_path / "far" / ("0" * 12)).iterdir()) == []
    assert list((tmp_path / "ws").iterdir()) == []


def test_one_that_does_not_answer(tmp_path: Path) -> None:
    """What ssh says is the finding."""

    def connect(folder: str, environ: Mapping[str, str]) -> Link:
        machine = Machine("b", python="/nowhere/python")
        return link_to(machine, folder, environ)

    [found] = check_machine(*machines(tmp_path), tmp_path / "ws", connect)
    assert (found.check, found.state, "/nowhere/python" in found.detail) == ("connection", "problem", True)


def test_what_would_spoil_results_is_said() -> None:
    """Another version, a wrong clock, a systemd that ends workers, no torch."""
    hello = {"python": "3.11.1", "version": "0", "time": time.time() + 90, "kill_user_processes": True, "torch": ""}
    checks = [
        machine_check._check_version(hello),
        machine_check._check_clock(hello, time.time(), 0.1),
        machine_check._check_sessions(hello),
        machine_check._check_torch(hello),
        machine_check._check_torch({"torch": "1.0"}),
        machine_check._check_disk({"free": 1e6}),
    ]
    assert ["problem", "warning", "problem", "problem", "warning", "warning"] == [one.state for one in checks]
    assert all(one.hint for one in checks)
