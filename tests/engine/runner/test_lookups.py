"""What the runner asks again and again is counted, not read."""

from __future__ import annotations

from pathlib import Path

from tests.fakes import Workbench, study_spec

from bertdistill.engine.runner.budget import UNDONE
from bertdistill.store import writes
from bertdistill.store.rows import TrialState


def test_used_trials_are_counted_once(tmp_path: Path) -> None:
    """New ones are added; reruns come on top of the budget; an undo, which is a request, starts the count anew."""
    bench = Workbench(tmp_path, study_spec(tmp_path)).start()
    lookups, study_id = bench.runner._lookups, bench.study().id

    def add(origin: str) -> int:
        with bench.db.write() as session:
            trial = writes.create_trial(
                session, study_id=study_id, origin=origin, params={}, settings={}, known={}, now=1.0
            )
        return trial.id

    def used() -> int:
        with bench.db.read() as session:
            return lookups.used(session, study_id)

    assert 0 == used()
    queued = [add(origin) for origin in ("baseline", "sampler", "rerun", "queued")][-1]
    assert (3, 3) == (used(), used())
    add("sampler")
    assert 4 == used()
    with bench.db.write() as session:
        writes.set_trial_state(session, queued, TrialState.STOPPED, now=2.0, reason=UNDONE)
        writes.add_request(session, who="ada", verb="undo", now=2.0, study_id=study_id, handled=True)
    assert 3 == used()
    assert [0, 1, 2, 4] == [trial.number for trial in lookups.waiting(bench.study())]
    bench.close()
