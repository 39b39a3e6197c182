"""Which attempt starts, and beside what."""

from __future__ import annotations

from pathlib import Path

from tests.fakes import House, study_spec

from bertdistill.store.rows import StudyState, TrialState


def test_a_trial_that_ran_out_of_main_memory_runs_alone(tmp_path: Path) -> None:
    """Once more, when nothing else runs; nothing starts beside it. Again, and its parameters are to blame."""
    house = House(tmp_path, study_spec(tmp_path), host_oom=[1], host_oom_once=[2]).start()
    try:
        house.run()
        assert StudyState.COMPLETE == house.study().state
        assert (TrialState.INFEASIBLE, "host_oom") == (house.trial(1).state, house.trial(1).reason)
        assert [TrialState.COMPLETE] * 4 == [house.trial(number).state for number in (0, 2, 3, 4)]
        assert [0, 0] == [house.trial(number).failures for number in (1, 2)]
        for number in (1, 2):
            first, second = house.attempts(number)
            assert first.exit_class == "host_oom"
            others = [one for one in house.attempts() if one.trial_id != second.trial_id]
            assert all(one.started_at >= second.ended_at or one.ended_at <= second.started_at for one in others)
        assert any("started once more, alone" in text for text in house.notices())
    finally:
        house.close()
