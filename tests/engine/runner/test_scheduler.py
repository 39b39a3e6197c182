"""Which attempt starts, and beside what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import CPU, FixedSlots, Workbench, study_spec

from bertdistill.engine.launch.protocol import Slot
from bertdistill.engine.study.config import dump
from bertdistill.store import writes
from bertdistill.store.rows import StudyState, TrialState


def test_a_trial_that_ran_out_of_main_memory_runs_alone(tmp_path: Path) -> None:
    """Once more, when nothing else runs; nothing starts beside it. Then once with half of its batch."""
    bench = Workbench(tmp_path, study_spec(tmp_path), host_oom=[1], host_oom_once=[2]).start()
    try:
        bench.run()
        assert StudyState.COMPLETE == bench.study().state
        assert (TrialState.INFEASIBLE, "host_oom") == (bench.trial(1).state, bench.trial(1).reason)
        assert [TrialState.COMPLETE] * 4 == [bench.trial(number).state for number in (0, 2, 3, 4)]
        assert [0, 0] == [bench.trial(number).failures for number in (1, 2)]
        for number in (1, 2):
            first, second, *smaller = bench.attempts(number)
            assert first.exit_class == "host_oom"
            assert len(smaller) == (number == 1)
            others = [one for one in bench.attempts() if one.trial_id != second.trial_id]
            assert all(one.started_at >= second.ended_at or one.ended_at <= second.started_at for one in others)
        assert any("started once more, alone" in text for text in bench.notices())
        assert any(
            "out of main memory. It is started once more, from its beginning" in text for text in bench.notices()
        )
    finally:
        bench.close()


def test_slow_starts_leave_time_for_the_rest_of_the_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop must not wait until every job of a batch system is submitted."""
    bench, started = Workbench(tmp_path, study_spec(tmp_path)).start(), []
    scheduler = bench.runner._scheduler

    def start(*_: Any) -> bool:
        started.append(1)
        return len(started) < 4

    try:
        monkeypatch.setattr(scheduler, "_start_one", start)
        monkeypatch.setattr(scheduler, "steady", lambda: 1.5 * len(started))
        scheduler.launch(0.0)
        assert len(started) == 2
    finally:
        bench.close()


def test_a_preparation_that_ran_out_of_main_memory_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the workers of all studies, goes before what they want next, and nothing starts beside it."""
    bench = Workbench(tmp_path, study_spec(tmp_path)).start()
    first, spec = bench.study(), dump(bench.spec)
    given: dict[str, Any] = {"trial_id": None, "kind": "prepare", "slot": "cpu0", "now": 1.0}
    tried: list[str] = []

    def start(study: Any, *_: Any) -> bool:
        tried.append(study.name)
        return False

    def launch() -> list[str]:
        tried.clear()
        bench.runner._scheduler.launch(0.0)
        return tried

    try:
        monkeypatch.setattr(bench.runner._scheduler, "_start_one", start)
        with bench.db.write() as session:
            large = writes.create_study(session, name="large", task="", spec=spec | {"name": "large"}, now=1.0)
            ended = writes.create_attempt(session, study_id=large.id, folder="runs/large/prepare-1", **given)
            writes.end_attempt(session, ended.id, now=1.0, exit_class="host_oom")
            beside = writes.create_attempt(session, study_id=first.id, folder="runs/toy/prepare-1", **given)
        assert [] == launch()
        with bench.db.write() as session:
            writes.end_attempt(session, beside.id, now=1.0, exit_class="stopped")
        assert ["large"] == launch()
        with bench.db.write() as session:
            again = writes.create_attempt(session, study_id=large.id, folder="runs/large/prepare-2", **given)
        assert [] == launch()
        with bench.db.write() as session:
            writes.end_attempt(session, again.id, now=1.0, exit_class="complete")
            writes.set_prepared(session, large.id, {"labels": []})
        assert {"toy", "large"} == set(launch())
    finally:
        with bench.db.write() as session:
            writes.end_attempt(session, beside.id, now=1.0, exit_class="stopped")
        bench.close()


def test_nobody_waits_for_a_machine_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What must run alone there cannot start, for hours perhaps: until then the others have their slots."""

    class TwoMachines(FixedSlots):
        def among(self, machines: Sequence[str]) -> FixedSlots:
            return replace(self, given=(Slot("b/cpu0" if machines else "cpu0", CPU),))

    bench, tried = Workbench(tmp_path, study_spec(tmp_path)).start(), list[str]()
    spec = dump(study_spec(tmp_path, runner={"machines": ["b"], "prepare_on": "b"}))

    def start(study: Any, *_: Any) -> bool:
        tried.append(study.name)
        return False

    try:
        bench.launcher = TwoMachines(given=(), reasons={"b/cpu0": "b has not answered"})
        bench.renew()
        monkeypatch.setattr(bench.runner._scheduler, "_start_one", start)
        with bench.db.write() as session:
            far = writes.create_study(session, name="far", task="", spec=spec | {"name": "far"}, now=1.0)
            given: dict[str, Any] = {"trial_id": None, "kind": "prepare", "slot": "b/cpu0", "now": 1.0}
            ended = writes.create_attempt(session, study_id=far.id, folder="runs/far/prepare-1", **given)
            writes.end_attempt(session, ended.id, now=1.0, exit_class="host_oom")
        bench.runner._scheduler.launch(0.0)
        assert {"toy", "far"} == set(tried)
        tried.clear()
        monkeypatch.setattr(bench.runner._scheduler, "launcher", replace(bench.launcher, reasons={}))
        bench.runner._scheduler.launch(0.0)
        assert ["far"] == tried
    finally:
        bench.close()
