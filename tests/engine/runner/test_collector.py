"""Stopping a worker at once, with real processes."""

from __future__ import annotations

from pathlib import Path

from tests.fakes import House, study_spec

from bertdistill.engine.steering import actions
from bertdistill.store import reads, writes
from bertdistill.store.rows import TrialState


def test_a_trial_can_be_stopped_at_once(tmp_path: Path) -> None:
    """A worker that heeds nothing is gone long before its grace time; the trial is stopped and not tried again."""
    hold = tmp_path / "hold"
    hold.touch()
    spec = study_spec(tmp_path, runner={"slots": 1, "grace_seconds": 600.0})
    house = House(tmp_path, spec, hold=str(hold), ignore_term=True).start()
    try:
        house.tick_until(lambda: house.at_half(1), "a worker at half of its steps")
        number = next(trial.number for trial in house.trials() if trial.state == TrialState.RUNNING)
        house.ask("stop_trial", study_id=house.study().id, trial_id=house.trial(number).id)
        house.tick_until(lambda: house.live()[0].stop_reason == "trial", "the polite stop to be asked")
        assert house.launcher.alive(house.paths(house.live()[0]), house.live()[0].handle)
        house.ask("stop_trial", study_id=house.study().id, trial_id=house.trial(number).id, arguments={"now": True})
        house.tick_until(lambda: house.trial(number).state != TrialState.RUNNING, "the worker to be gone")
        assert (TrialState.STOPPED, "trial") == (house.trial(number).state, house.trial(number).reason)
        assert "without a checkpoint, as asked" == house.trial(number).detail
        assert "killed_by_signal_9" == house.attempts(number)[0].exit_class
        assert 0 == house.trial(number).failures
    finally:
        house.close()


def test_stopping_at_once_is_a_request_with_a_record(tmp_path: Path) -> None:
    """A trial that waits is stopped in the same way; who asked for what is kept."""
    house = House(tmp_path, study_spec(tmp_path)).start()
    try:
        with house.db.write() as session:
            writes.create_trial(
                session, study_id=house.study().id, origin="queued", params={}, settings={}, known={}, now=1.0
            )
        actions.stop_trial(house.workspace, "toy", 0, at_once=True, who="ada")
        with house.db.read() as session:
            request = reads.requests(session)[-1]
        assert ("ada", "stop_trial", {"now": True}) == (request.who, request.verb, request.arguments)
        assert "stopped before it ran" == request.outcome
        assert TrialState.STOPPED == house.trial(0).state
    finally:
        house.close()
