"""What stays on disk, over a study that really ran (with fake workers) and real folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import Workbench, study_spec

from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.runner import retention
from bertdistill.engine.steering.changes import change_study
from bertdistill.store import reads, writes
from bertdistill.store.rows import StudyState, TrialState


@pytest.fixture
def done(tmp_path: Path) -> Iterator[Workbench]:
    """Six complete trials."""
    bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 6})).start().finish()
    yield bench
    bench.close()


def kept(of: Workbench, number: int) -> set[str]:
    """Names of the checkpoint folders of a trial."""
    return {path.name for one in of.attempts(number) for path in of.paths(one).checkpoints.iterdir()}


def best_rows(of: Workbench) -> set[int]:
    with of.db.read() as session:
        return {reads.trial_by_id(session, c.trial_id).number for c in reads.checkpoints(session, study_id=1)}


def frontier(of: Workbench) -> set[int]:
    places = retention.worth(of.trials(), of.spec.objectives)
    return {trial.number for trial in of.trials() if trial.id not in places and trial.origin != "baseline"}


def test_a_finished_trial_keeps_only_its_best(done: Workbench) -> None:
    """The last checkpoint goes, in the rows and on disk; nothing else is there."""
    assert [{"best-000006"}] * 6 == [kept(done, trial.number) for trial in done.trials()]
    with done.db.read() as session:
        assert {"best"} == {one.role for one in reads.checkpoints(session, study_id=1)}


def test_older_attempts_are_swept(tmp_path: Path) -> None:
    """What a crashed attempt left goes when the trial has finished."""
    bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 1}), crash_once=[0]).start().run()
    assert [set(), {"best-000006"}] == [
        {path.name for path in bench.paths(one).checkpoints.iterdir()} for one in bench.attempts(0)
    ]
    bench.close()


def test_room_is_made_from_the_least_valuable(done: Workbench) -> None:
    """Without limit everything goes but frontier and baseline, and a notice says how much."""
    gone = retention.make_room(done.db, done.workspace, 10**9, now=1.0, free=lambda _: 0)
    expected = frontier(done) | {0}
    assert expected == best_rows(done)
    assert expected == {trial.number for trial in done.trials() if kept(done, trial.number)}
    assert [6 - len(expected), 64 * (6 - len(expected))] == [gone.checkpoints, gone.size_bytes]
    assert any(f"{gone.checkpoints} checkpoints" in text for text in done.notices())


def test_no_more_goes_than_needed(done: Workbench) -> None:
    """It stops as soon as enough is free."""
    free = iter([0, 0, 10**9, 10**9])
    gone = retention.make_room(done.db, done.workspace, 10**9, now=1.0, free=lambda _: next(free))
    assert gone.checkpoints == 2


@pytest.mark.parametrize("second", [False, True])
def test_promoted_checkpoints_stay(done: Workbench, second: bool) -> None:
    """Whatever its rank, a checkpoint behind a model version is kept, also as the second member of a cascade."""
    spare = next(trial for trial in done.trials() if trial.number not in frontier(done) | {0})
    with done.db.write() as session:
        best = reads.best_checkpoint(session, spare.id)
        assert best is not None
        first = reads.best_checkpoint(session, done.trial(0).id) if second else best
        assert first is not None
        writes.create_model_version(
            session,
            name="m",
            trial_id=first.trial_id,
            checkpoint_id=first.id,
            who="test",
            now=1.0,
            second=(spare.id, best.id) if second else None,
        )
    retention.make_room(done.db, done.workspace, 10**9, now=1.0, free=lambda _: 0)
    assert spare.number in best_rows(done)
    with done.db.read() as session:
        assert best.id not in [one.id for one in retention.dominated(session, reads.study(session, "toy"))]


def test_what_changed_since_the_look_stays(tmp_path: Path) -> None:
    """Between the look and the removal a person retries one trial and promotes another: both keep their files."""
    spec = study_spec(tmp_path, budget={"trials": 3}, runner={"retries": 0})
    bench = Workbench(tmp_path, spec, crash=[1]).start().run()
    with bench.db.read() as session:
        seen = reads.checkpoints(session, study_id=1)
    best = next(one for one in seen if one.trial_id == bench.trial(2).id)
    with bench.db.write() as session:
        writes.set_trial_state(session, bench.trial(1).id, TrialState.WAITING, now=1.0)
        given = {"trial_id": best.trial_id, "checkpoint_id": best.id, "who": "test", "now": 1.0}
        writes.create_model_version(session, name="m", **given)
    gone = retention.drop(
        bench.db, bench.workspace, [one for one in seen if one.trial_id != bench.trial(0).id], now=2.0
    )
    assert (gone.checkpoints, kept(bench, 1), kept(bench, 2)) == (0, {"best-000002", "last-000002"}, {"best-000006"})
    bench.close()


def test_what_a_verification_reads_is_not_swept(done: Workbench) -> None:
    """The trial was resumed meanwhile and has a newer best checkpoint; the older goes when the promotion is over."""
    with done.db.write() as session:
        best = reads.best_checkpoint(session, done.trial(1).id)
        assert best is not None
        given = {"trial_id": best.trial_id, "checkpoint_id": best.id, "who": "test", "now": 1.0}
        version = writes.create_model_version(session, name="m", **given)
        writes.drop_checkpoint(session, best.id, now=2.0)
    retention.sweep(done.db, done.workspace, done.trial(1).id)
    assert kept(done, 1) == {"best-000006"}
    with done.db.write() as session:
        writes.finish_model_version(session, version.id, state="failed", now=3.0)
    retention.sweep(done.db, done.workspace, done.trial(1).id)
    assert kept(done, 1) == set()


def test_last_checkpoints_go_before_best_ones(tmp_path: Path) -> None:
    """A failed trial may be tried again from its last checkpoint, but that is the first thing to go."""
    spec = study_spec(tmp_path, budget={"trials": 2}, runner={"retries": 0})
    bench = Workbench(tmp_path, spec, crash=[1]).start().run()
    assert kept(bench, 1) == {"best-000002", "last-000002"}
    free = iter([0, 10**9])
    retention.make_room(bench.db, bench.workspace, 10**9, now=1.0, free=lambda _: next(free))
    assert kept(bench, 1) == {"best-000002"}
    bench.close()


def test_a_full_disk_pauses_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing left to drop, nothing is started; the diagnosis says how much is free and wanted."""
    spec = study_spec(tmp_path, runner={"min_free_gb": 1.0})
    bench = Workbench(tmp_path, spec).start()
    monkeypatch.setattr(retention, "free_bytes", lambda _: 5 * 10**8)
    bench.run()
    assert (bench.study().state, bench.attempts()) == (StudyState.PAUSED, [])
    assert "only 0.50 GB are free" in bench.study().diagnosis
    assert "engine resume toy" in bench.study().diagnosis
    change_study(bench.workspace, "toy", {"runner.min_free_gb": 0.6}, who="ada")
    assert "0.6 GB are required, and no checkpoint is left" in bench.study().diagnosis
    change_study(bench.workspace, "toy", {"runner.min_free_gb": 0.2}, who="ada")
    assert "0.2 GB are required. Continue with" in bench.study().diagnosis
    bench.close()


def test_a_death_before_the_clean_up_is_made_good(done: Workbench) -> None:
    """Rows of last checkpoints of finished trials are found at the next start."""
    folder = done.paths(done.attempts(1)[0]).checkpoints / "last-000006"
    folder.mkdir()
    with done.db.write() as session:
        given = {"trial_id": done.trial(1).id, "attempt_id": done.attempts(1)[0].id, "sha256": "", "metrics": {}}
        relative = done.workspace.relative(folder)
        writes.add_checkpoint(session, role="last", step=7, folder=relative, size_bytes=1, now=1.0, **given)
    retention.finish_all(done.db, done.workspace, now=2.0)
    assert kept(done, 1) == {"best-000006"}
    assert done.trial(1).state == TrialState.COMPLETE


def test_repeats_keep_or_lose_their_checkpoints_together(done: Workbench) -> None:
    """The mean of a point decides: a lucky seed is not kept without the others, nor an unlucky one lost."""
    aims = (Objective("exact", "maximize"), Objective("params", "minimize"))
    first = done.trial(0)
    rows = [
        replace(
            first,
            id=number,
            number=number,
            origin="sampler",
            settings={"family": "mlp", "hidden_size": size, "seed": seed},
            metrics={"exact": exact, "params": 10.0},
        )
        for number, (size, seed, exact) in enumerate([(8, 0, 80.0), (16, 0, 84.0), (16, 1, 70.0), (8, 1, 78.0)])
    ]
    assert {1, 2} == set(retention.worth(rows, aims))
