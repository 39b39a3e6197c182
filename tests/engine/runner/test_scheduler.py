"""Which attempt starts, and beside what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, study_spec

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
