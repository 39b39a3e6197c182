"""Who is the runner of a workspace, and when it must leave."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import Workbench, fake_environment, study_spec, wait_for

from bertdistill.engine.launch import process
from bertdistill.engine.runner import lease, requests
from bertdistill.engine.runner.lease import RunnerStatus, runner_status
from bertdistill.engine.steering import actions
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import StudyState, TrialState


class Held:
    """A study whose worker waits at half of its steps, and its runner as a process of its own."""

    def __init__(self, tmp_path: Path) -> None:
        self.hold = tmp_path / "hold"
        self.hold.touch()
        self.bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 1}), hold=str(self.hold)).start()
        self.environ = fake_environment(tmp_path, hold=str(self.hold))
        self.runner = self.spawn()
        wait_for(lambda: self.bench.at_half(1), "a worker at half of its steps")

    def spawn(self, workspace: Path | None = None) -> subprocess.Popen[bytes]:
        place = str(workspace or self.bench.workspace.path)
        command = [sys.executable, "-P", "-m", "bertdistill.engine.runner.runner", place]
        return subprocess.Popen(command, env=self.environ, stderr=subprocess.DEVNULL)

    def close(self) -> None:
        self.hold.unlink(missing_ok=True)
        if self.runner.poll() is None:
            self.runner.send_signal(signal.SIGCONT)
            self.runner.terminate()
            self.runner.wait(30)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    one = Held(tmp_path)
    yield one
    one.close()
    one.bench.db.close()


def test_a_runner_leaves_when_its_database_is_deleted(held: Held) -> None:
    """Its worker continues and its lock is free."""
    held.bench.workspace.database.unlink()
    assert held.runner.wait(30) == 0
    assert not process.held(held.bench.workspace.runner_lock)
    assert "was removed, replaced or moved" in held.bench.workspace.runner_log.read_text()


def test_a_runner_leaves_when_its_database_is_replaced(held: Held, tmp_path: Path) -> None:
    """By a copy, as when a backup is put back."""
    shutil.copy(held.bench.workspace.database, tmp_path / "copy.db")
    (tmp_path / "copy.db").replace(held.bench.workspace.database)
    assert held.runner.wait(30) == 0


def test_a_moved_workspace_gets_a_runner_of_its_own(held: Held, tmp_path: Path) -> None:
    """The old one leaves, the truth is told of the new place, and the study ends there."""
    held.bench.db.close()
    moved = dataclasses.replace(held.bench.workspace, path=tmp_path / "moved")
    held.bench.workspace.path.rename(moved.path)
    assert held.runner.wait(30) == 0
    assert not runner_status(moved).alive
    held.hold.unlink()
    held.runner = held.spawn(moved.path)
    assert held.runner.wait(60) == 0
    db = open_db(moved.path, read_only=True)
    with db.read() as session:
        study = reads.study(session, "toy")
        assert (StudyState.COMPLETE, [TrialState.COMPLETE]) == (
            study.state,
            [trial.state for trial in reads.trials(session, study.id)],
        )
    db.close()


def test_a_deleted_runner_lock_is_taken_again(held: Held) -> None:
    """So that no second runner works beside the first for longer than a moment."""
    held.bench.workspace.runner_lock.unlink()
    wait_for(lambda: process.held(held.bench.workspace.runner_lock), "the lock to be taken again")
    assert held.spawn().wait(30) == 75
    assert held.runner.poll() is None


def test_a_runner_whose_lock_another_took_leaves(tmp_path: Path) -> None:
    """The newer one stays."""
    bench = Workbench(tmp_path, study_spec(tmp_path))
    with lease.hold(bench.workspace, bench.db, time.time) as first:
        assert first is not None
        assert first.lost() == ""
        bench.workspace.runner_lock.unlink()
        other = process.try_lock(bench.workspace.runner_lock)
        assert other is not None
        assert "another runner took its place" in first.lost()
        os.close(other)
        assert first.lost() == ""
    bench.close()


def test_a_stop_that_was_meant_for_an_earlier_runner_stops_no_later_one(tmp_path: Path) -> None:
    """It died before it read the request; who starts a runner afterwards wants it to work."""
    bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 1})).start()
    with bench.db.write() as session:
        writes.take_lease(session, host="here", pid=1, start_time=1, boot_id="", now=2.0)
        writes.add_request(session, who="ada", verb="stop_runner", now=1.5, arguments={"since": 1.0})
    bench.run()
    assert (StudyState.COMPLETE, False) == (bench.study().state, bench.runner.draining)
    with bench.db.read() as session:
        assert requests.LEFT_BEFORE == reads.requests(session)[-1].outcome
    bench.close()


def test_a_silent_runner_is_not_said_to_have_answered(held: Held) -> None:
    """SIGSTOP, as a debugger or a suspended terminal does: the request stays open, and people are told since when."""
    held.runner.send_signal(signal.SIGSTOP)
    with held.bench.db.write() as session:
        writes.beat_lease(session, now=time.time() - 45)
    status = runner_status(held.bench.workspace)
    assert status.silence is not None
    assert "has not answered for 4" in actions.pause_study(held.bench.workspace, "toy", who="ada")
    assert "has not answered for 4" in actions.stop_study(held.bench.workspace, "toy", who="ada")
    assert StudyState.RUNNING == held.bench.study().state


@pytest.mark.parametrize(
    ("alive", "age", "silent"), [(True, 29.0, False), (True, 30.0, True), (False, 90.0, False), (True, None, False)]
)
def test_silence_begins_after_thirty_seconds(alive: bool, age: float | None, silent: bool) -> None:
    """A heartbeat is due every five; one that has left is gone, not silent."""
    assert silent == (RunnerStatus(alive, heartbeat_age=age).silence is not None)


def test_the_database_is_whole_when_the_runner_has_left(tmp_path: Path) -> None:
    """Others may read it meanwhile: its write-ahead log is empty, and the file alone has every trial."""
    bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 2})).start()
    command = [sys.executable, "-P", "-m", "bertdistill.engine.runner.runner", str(bench.workspace.path)]
    with bench.db.read():
        pass  # a connection that stays open, as that of an attached `run`
    assert subprocess.run(command, env=fake_environment(tmp_path), check=False).returncode == 0
    (tmp_path / "copy").mkdir()
    shutil.copy(bench.workspace.database, tmp_path / "copy" / "tracker.db")
    db = open_db(tmp_path / "copy", read_only=True)
    with db.read() as session:
        study = reads.study(session, "toy")
        assert (StudyState.COMPLETE, 2) == (study.state, len(reads.trials(session, study.id)))
    db.close()
    bench.close()
