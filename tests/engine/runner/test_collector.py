"""Stopping a worker at once, with real processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes import Workbench, study_spec

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.launch.protocol import Handle
from bertdistill.engine.steering import actions
from bertdistill.store import reads, writes
from bertdistill.store.rows import StudyState, TrialState


def test_a_trial_can_be_stopped_at_once(tmp_path: Path) -> None:
    """A worker that heeds nothing is gone long before its grace time; the trial is stopped and not tried again."""
    hold = tmp_path / "hold"
    hold.touch()
    spec = study_spec(tmp_path, runner={"slots": 1, "grace_seconds": 600.0})
    bench = Workbench(tmp_path, spec, hold=str(hold), ignore_term=True).start()
    try:
        bench.tick_until(lambda: bench.at_half(1), "a worker at half of its steps")
        number = next(trial.number for trial in bench.trials() if trial.state == TrialState.RUNNING)
        bench.ask("stop_trial", study_id=bench.study().id, trial_id=bench.trial(number).id)
        bench.tick_until(lambda: bench.live()[0].stop_reason == "trial", "the polite stop to be asked")
        assert bench.launcher.alive(bench.paths(bench.live()[0]), Handle.from_dict(bench.live()[0].handle))
        bench.ask("stop_trial", study_id=bench.study().id, trial_id=bench.trial(number).id, arguments={"now": True})
        bench.tick_until(lambda: bench.trial(number).state != TrialState.RUNNING, "the worker to be gone")
        assert (TrialState.STOPPED, "trial") == (bench.trial(number).state, bench.trial(number).reason)
        assert "without a checkpoint, as requested" == bench.trial(number).detail
        assert "killed_by_signal_9" == bench.attempts(number)[0].exit_class
        assert 0 == bench.trial(number).failures
    finally:
        bench.close()


def test_stopping_at_once_is_a_request_with_a_record(tmp_path: Path) -> None:
    """A trial that waits is stopped in the same way; who asked for what is kept."""
    bench = Workbench(tmp_path, study_spec(tmp_path)).start()
    try:
        with bench.db.write() as session:
            writes.create_trial(
                session, study_id=bench.study().id, origin="queued", params={}, settings={}, known={}, now=1.0
            )
        actions.stop_trial(bench.workspace, "toy", 0, at_once=True, who="ada")
        with bench.db.read() as session:
            request = reads.requests(session)[-1]
        assert ("ada", "stop_trial", {"now": True}) == (request.who, request.verb, request.arguments)
        assert "stopped before it ran" == request.outcome
        assert TrialState.STOPPED == bench.trial(0).state
    finally:
        bench.close()


def _fifo(paths: RunPaths, outside: Path) -> None:
    paths.events.unlink()
    os.mkfifo(paths.events)


def _device(paths: RunPaths, outside: Path) -> None:
    paths.events.unlink()
    paths.events.symlink_to("/dev/zero")


def _folder(paths: RunPaths, outside: Path) -> None:
    shutil.move(paths.folder, outside)
    paths.folder.symlink_to(outside, target_is_directory=True)


def _lock(paths: RunPaths, outside: Path) -> None:
    paths.lock.unlink()
    os.mkfifo(paths.lock)


@pytest.mark.parametrize("damage", [_fifo, _device, _folder, _lock])
def test_a_damaged_folder_stops_no_runner(tmp_path: Path, damage: Callable[[RunPaths, Path], None]) -> None:
    """What a worker does to its own folder costs its own trial at most: rounds go on, and the others complete."""
    hold = tmp_path / "hold"
    hold.touch()
    spec = study_spec(tmp_path, runner={"retries": 0}, budget={"trials": 3})
    bench = Workbench(tmp_path, spec, hold=str(hold)).start()
    try:
        bench.tick_until(lambda: bench.at_half(2), "two workers at half of their steps")
        sick = bench.live()[0]
        damage(bench.paths(sick), tmp_path / "outside")
        for _ in range(3):
            bench.runner.tick()
        assert [sick.id] == [one.id for one in bench.live() if one.id == sick.id]  # its processes live
        hold.unlink()
        bench.run()
        assert StudyState.COMPLETE == bench.study().state
        assert [TrialState.COMPLETE] * 2 == [bench.trial(number).state for number in (1, 2)]
    finally:
        bench.close()


def test_a_stop_that_fails_counts_against_its_own_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some failures in a row the runner pauses the study at hand; without one it would pause them all."""
    bench = Workbench(tmp_path, study_spec(tmp_path)).start()
    study = bench.study()

    class Broken(LocalLauncher):
        def stop(self, paths: RunPaths, handle: Handle) -> None:
            raise OSError("no signal can be sent")

    try:
        with bench.db.write() as session:
            one = writes.create_attempt(
                session, study_id=study.id, trial_id=None, kind="prepare", folder="runs/toy/0", slot="", now=1.0
            )
            writes.set_attempt_stop_reason(session, one.id, "study")
        monkeypatch.setattr(bench.runner._collector, "launcher", Broken())
        with pytest.raises(OSError, match="no signal"):
            bench.runner._collector.pass_on_stops(bench.live())
        assert study.id == bench.runner.current
    finally:
        with bench.db.write() as session:
            writes.end_attempt(session, one.id, now=1.0, exit_class="stopped")
        bench.close()


def test_checkpoints_behind_a_link_are_never_removed(tmp_path: Path) -> None:
    """A worker that lets its folder of checkpoints lead elsewhere has nothing of that swept away."""
    hold = tmp_path / "hold"
    hold.touch()
    bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 1}), hold=str(hold)).start()
    try:
        bench.tick_until(lambda: bench.at_half(1), "a worker at half of its steps")
        paths, precious = bench.paths(bench.live()[0]), tmp_path / "precious"
        shutil.move(paths.checkpoints, precious)
        (precious / "thesis").mkdir()
        paths.checkpoints.symlink_to(precious, target_is_directory=True)
        hold.unlink()
        bench.run()
        assert (precious / "thesis").is_dir()
    finally:
        bench.close()
