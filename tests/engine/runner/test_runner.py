"""The runner over real files, processes and a real database; only the training is fake."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import CPU, FixedSlots, Workbench, behave, fake_environment, study_dict, study_spec, wait_for

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch import local, process
from bertdistill.engine.launch.protocol import Slot
from bertdistill.engine.runner import advance, collector, dispatch, rules, runner
from bertdistill.engine.runner.dispatch import best_folders
from bertdistill.engine.search import proposals
from bertdistill.engine.steering import actions
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.store import reads, writes
from bertdistill.store.errors import StoreUnavailable
from bertdistill.store.rows import Attempt, StudyState, Trial, TrialState

Make = Callable[..., Workbench]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Make]:
    """Make a workspace with a started study; keyword `spec` holds its sections, the rest is how workers behave."""
    made: list[Workbench] = []

    def make(spec: dict[str, Any] | None = None, **behaviour: Any) -> Workbench:
        made.append(Workbench(tmp_path, study_spec(tmp_path, **(spec or {})), **behaviour).start())
        return made[-1]

    yield make
    for one in made:
        one.close()


def states(of: Workbench) -> dict[str, int]:
    return dict(Counter(trial.state.value for trial in of.trials()))


def test_a_study_runs_to_its_end(bench: Make) -> None:
    """Preparation, baseline as trial 0, proposals, exactly the budget, complete; metrics and known sizes are there."""
    done = bench().run()
    assert done.study().state == StudyState.COMPLETE
    assert ["baseline", "sampler", "sampler", "sampler", "sampler"] == [trial.origin for trial in done.trials()]
    assert states(done) == {"complete": 5}
    assert done.trial(0).params == {"layers": 4, "learning_rate": 1e-4}
    assert all(trial.metrics["params"] == trial.known["params"] > 0 for trial in done.trials())
    assert all(trial.metrics["accuracy"] > 0 and trial.progress == 1.0 for trial in done.trials())
    assert not done.runner.tick()


def test_curves_are_complete(bench: Make) -> None:
    """Every step that a worker reported is a point."""
    done = bench({"budget": {"trials": 2}}, steps=40).run()
    with done.db.read() as session:
        series = reads.series(session, done.study().id)
    assert {(one.name, one.points, one.last_step) for one in series if one.trial_id} == {
        ("train/loss", 40, 40),
        ("examples", 40, 40),
        ("search/accuracy", 20, 40),
    }


def test_parallel_trials_share_the_slots(bench: Make, tmp_path: Path) -> None:
    """Two slots hold two trials at once, on slots of their own, and never a third."""
    hold = tmp_path / "hold"
    hold.touch()
    busy = bench(hold=str(hold))
    busy.tick_until(lambda: states(busy).get("running") == 2, "two running trials")
    for _ in range(5):
        busy.runner.tick()
    assert [2, {"cpu0", "cpu1"}] == [len(busy.live()), {attempt.slot for attempt in busy.live()}]
    assert all(attempt.handle["device"]["threads"] >= 1 for attempt in busy.live())
    hold.unlink()
    busy.run()
    assert states(busy) == {"complete": 5}


def test_a_crash_is_retried_from_the_last_checkpoint(bench: Make) -> None:
    """The trial goes on as attempt 2 where attempt 1 wrote its last checkpoint; it is one trial."""
    done = bench({"budget": {"trials": 2}}, crash_once=[1], steps=8).run()
    first, second = done.attempts(1)
    assert [first.exit_class, second.exit_class] == ["crashed", "complete"]
    resumed = second.folder.replace("-2", "-1") + "/checkpoints/last-000004"
    assert str(done.workspace.absolute(resumed)) in done.paths(second).spec.read_text()
    assert (done.trial(1).state, done.trial(1).failures) == (TrialState.COMPLETE, 1)
    assert any("started again from its last checkpoint" in text for text in done.notices())


def test_retries_end(bench: Make) -> None:
    """After its retries a trial has failed, with the class and the last line of its log; the study goes on."""
    spec = {"budget": {"trials": 3}, "runner": {"retries": 1, "pause_after_failures": 5}}
    done = bench(spec, crash=[1]).run()
    assert (done.trial(1).state, done.trial(1).reason) == (TrialState.FAILED, "crashed")
    assert done.trial(1).detail == "RuntimeError: the fake crashed"
    assert [2, 2] == [len(done.attempts(1)), done.trial(1).failures]
    assert done.study().state == StudyState.COMPLETE


def test_what_the_parameters_cause_is_infeasible(bench: Make, tmp_path: Path) -> None:
    """A diverged loss is not repeated, a full GPU once with half the batch, and both end nothing else."""
    sick = bench({"budget": {"trials": 4}}, diverge=[1], cuda_oom=[2])
    sick.launcher = FixedSlots(
        environ=fake_environment(tmp_path, diverge=[1], cuda_oom=[2]),
        given=tuple(Slot(f"gpu{n}", Device("cuda", 1, f"GPU-{n}")) for n in range(2)),
    )
    sick.renew()
    done = sick.run()
    assert [(TrialState.INFEASIBLE, "diverged"), (TrialState.INFEASIBLE, "cuda_oom")] == [
        (done.trial(n).state, done.trial(n).reason) for n in (1, 2)
    ]
    assert [1, 2] == [len(done.attempts(1)), len(done.attempts(2))]
    assert done.study().state == StudyState.COMPLETE


def test_a_full_gpu_gets_half_the_batch_once(bench: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an attempt of the same trial from its beginning; later ones keep it, and resume from its checkpoints.

    What is estimated of its own batch is said of its own batch alone, and before a transaction that others wait for.
    """
    asked: list[str] = []

    def warns(session: object, *_: object) -> str:
        asked.append(type(session).__name__)
        return "it may not fit"

    monkeypatch.setattr(dispatch, "memory_warning", warns)
    settings = {"settings": {"batch_size": 32, "accumulation": 2}, "budget": {"trials": 1}}
    sick = bench(settings, most_batch=16)
    sick.launcher = FixedSlots(
        environ=fake_environment(tmp_path, most_batch=16), given=(Slot("gpu0", Device("cuda", 1, "GPU-0")),)
    )
    sick.renew()
    done = sick.run()
    first, second = done.attempts(0)
    specs = [AttemptSpec.read(RunPaths(done.workspace.absolute(one.folder)).spec) for one in (first, second)]
    assert ["cuda_oom", "complete"] == [first.exit_class, second.exit_class]
    assert [(32, 2), (16, 4)] == [(one.settings.batch_size, one.settings.accumulation) for one in specs]
    assert ["", ""] == [one.resume_from for one in specs]
    assert [[], []] == [one.earlier for one in specs]
    assert (32, 2) == (done.trial(0).settings["batch_size"], done.trial(0).settings["accumulation"])
    assert (["Snapshot", "Snapshot"], 1) == (asked, done.notices().count("it may not fit"))
    with done.db.read() as session:
        assert "batch_size = 16 and accumulation = 4 instead of 32 and 2" in " ".join(
            one.text for one in reads.notices(session)
        )
        own = best_folders(session, done.workspace, done.trial(0).id, first.id + 1)
        assert [] == best_folders(session, done.workspace, done.trial(0).id, second.id + 1)
    assert {str(done.workspace.absolute(second.folder))} == {str(Path(one).parent.parent) for one in own}


def test_a_refused_trial_is_not_repeated(bench: Make) -> None:
    """What can never work fails at once, with the worker's own words."""
    done = bench({"budget": {"trials": 2}}, refuse=[1]).run()
    assert (done.trial(1).state, done.trial(1).detail) == (TrialState.FAILED, "another size than promised")
    assert len(done.attempts(1)) == 1


def test_a_worker_without_a_result_has_failed(bench: Make) -> None:
    """Leaving with code 0 is not enough: the objectives must be there."""
    spec = {"budget": {"trials": 1}, "runner": {"retries": 0}, "objectives": _with_latency()}
    done = bench(spec).run()
    assert (done.trial(0).state, done.trial(0).reason) == (TrialState.FAILED, "no_result")
    assert "latency_ms" in done.trial(0).detail


def _with_latency() -> list[dict[str, str]]:
    return [
        {"metric": "accuracy", "direction": "maximize"},
        {"metric": "latency_ms", "direction": "minimize"},
    ]


def test_failures_in_a_row_pause_the_study(bench: Make, tmp_path: Path) -> None:
    """The diagnosis names class, count, log and remedy; after a resume the earlier failures do not count."""
    spec = {"runner": {"slots": 1, "retries": 0, "pause_after_failures": 2}}
    sick = bench(spec, crash=list(range(9))).run()
    assert sick.study().state == StudyState.PAUSED
    for words in ("2 attempts in a row", "crashed", "the fake crashed", "log.txt", "engine resume toy"):
        assert words in sick.study().diagnosis
    assert states(sick) == {"failed": 2}
    behave(tmp_path)
    sick.ask("resume", study_id=sick.study().id)
    sick.run()
    assert (sick.study().state, sick.study().diagnosis) == (StudyState.COMPLETE, "")
    assert states(sick) == {"failed": 2, "complete": 3}


def test_a_trial_that_crashed_is_known_as_tried(bench: Make) -> None:
    """It teaches nothing, so without this the optimiser would want it again; it is remembered beside the history."""
    done = bench({"budget": {"trials": 3}, "runner": {"retries": 0}}, crash=[1]).run()
    crashed = done.trial(1).params
    assert [crashed] == proposals.tried(done.trials(), done.spec)
    assert crashed not in [one.params for one in proposals.history(done.trials(), done.spec)]


def test_one_trial_that_always_crashes_pauses_nothing(bench: Make) -> None:
    """Its retries say nothing about the others, even as the first one on the only slot; it is given up alone."""
    spec = {"runner": {"slots": 1, "retries": 2, "pause_after_failures": 3}}
    done = bench(spec, crash=[0]).run()
    assert (done.study().state, done.study().diagnosis) == (StudyState.COMPLETE, "")
    assert (states(done), len(done.attempts(0))) == ({"failed": 1, "complete": 4}, 3)


def test_trials_that_all_crash_pause_the_study_before_their_retries_are_used_up(bench: Make) -> None:
    """Another trial is tried before one is repeated, so three bad trials show after five attempts at most."""
    spec = {"runner": {"slots": 1, "retries": 2, "pause_after_failures": 3}}
    sick = bench(spec, crash=list(range(9))).run()
    assert (sick.study().state, len(sick.trials())) == (StudyState.PAUSED, 3)
    assert 5 >= sum(attempt.kind == "trial" for attempt in sick.attempts())


def test_a_study_of_one_trial_is_paused_by_its_retries(bench: Make) -> None:
    """There is no other trial to ask, and a study that ends without a result needs a diagnosis."""
    spec = {"budget": {"trials": 1}, "runner": {"slots": 1, "retries": 2, "pause_after_failures": 3}}
    sick = bench(spec, crash=[0]).run()
    assert (sick.study().state, len(sick.attempts(0))) == (StudyState.PAUSED, 3)


def test_a_small_space_without_a_result_is_paused(bench: Make) -> None:
    """The budget has room for others, but there is nothing else to try; a resume ends the study."""
    spec: dict[str, Any] = {"search": {"layers": {"choices": [1, 2]}}, "baseline": None, "budget": {"trials": 9}}
    spec["runner"] = {"slots": 1, "retries": 2, "pause_after_failures": 3}
    sick = bench(spec, crash=[0, 1]).run()
    assert (sick.study().state, states(sick)) == (StudyState.PAUSED, {"failed": 2})
    assert "engine resume toy" in sick.study().diagnosis
    sick.ask("resume", study_id=sick.study().id)
    assert sick.run().study().state == StudyState.COMPLETE


def test_a_preparation_is_retried(bench: Make) -> None:
    """It is prepared in the second attempt, and the trials follow."""
    done = bench({"budget": {"trials": 1}}, crash_prepare=1).run()
    kinds = [(attempt.kind, attempt.number, attempt.exit_class) for attempt in done.attempts()]
    assert [("prepare", 1, "crashed"), ("prepare", 2, "complete"), ("trial", 1, "complete")] == kinds


def test_a_refused_preparation_fails_the_study(bench: Make) -> None:
    """The worker's sentence is the diagnosis; a resume tries again."""
    failed = bench(refuse_prepare=True).run()
    assert failed.study().state == StudyState.FAILED
    assert "the teacher has another vocabulary" in failed.study().diagnosis
    assert len(failed.attempts()) == 1


def test_stopping_a_study_keeps_the_work(bench: Make, tmp_path: Path) -> None:
    """Workers write a checkpoint and leave, their trials wait; a resume goes on from there."""
    hold = tmp_path / "hold"
    hold.touch()
    held = bench({"budget": {"trials": 2}}, hold=str(hold), checkpoint_every=100)
    held.tick_until(lambda: held.at_half(2), "both at half")
    held.ask("stop_study", study_id=held.study().id)
    held.run()
    assert (held.study().state, states(held)) == (StudyState.STOPPED, {"waiting": 2})
    assert {"stopped"} == {attempt.exit_class for attempt in held.attempts() if attempt.kind == "trial"}
    hold.unlink()
    held.ask("resume", study_id=held.study().id)
    held.run()
    assert (held.study().state, states(held)) == (StudyState.COMPLETE, {"complete": 2})
    assert [3, 3] == [_first_step(held.paths(held.attempts(n)[1])) - 1 for n in (0, 1)]
    assert [0, 0] == [trial.failures for trial in held.trials()]


def _first_step(paths: RunPaths) -> int:
    line = next(line for line in paths.events.read_text().splitlines() if '"metrics","t"' in line)
    return int(line.split('"step":')[1].split(",")[0])


def test_a_deaf_worker_is_killed_after_the_grace_time(bench: Make, tmp_path: Path) -> None:
    """It ignores the stop; the shim kills it and the trial waits all the same."""
    hold = tmp_path / "hold"
    hold.touch()
    spec = {"budget": {"trials": 1}, "runner": {"grace_seconds": 1.0}}
    deaf = bench(spec, hold=str(hold), ignore_term=True)
    deaf.tick_until(lambda: deaf.at_half(1), "the trial at half")
    deaf.ask("stop_study", study_id=deaf.study().id)
    deaf.run()
    assert (states(deaf), deaf.attempts(0)[0].exit_class) == ({"waiting": 1}, "stop_timeout")


def test_a_stopped_trial_stays_stopped(bench: Make, tmp_path: Path) -> None:
    """Its numbers so far stay, and the study goes on without it."""
    hold = tmp_path / "hold"
    hold.touch()
    held = bench({"budget": {"trials": 2}}, hold=str(hold))
    held.tick_until(lambda: held.at_half(2), "both at half")
    held.ask("stop_trial", study_id=held.study().id, trial_id=held.trial(1).id)
    held.tick_until(lambda: held.trial(1).state == TrialState.STOPPED, "the trial to stop")
    hold.unlink()
    held.run()
    assert states(held) == {"complete": 1, "stopped": 1}
    assert held.trial(1).metrics["accuracy"] > 0


def test_a_trial_can_be_stopped_while_its_study_stops(bench: Make, tmp_path: Path) -> None:
    """The person's second word counts: it does not wait to go on."""
    hold = tmp_path / "hold"
    hold.touch()
    held = bench({"budget": {"trials": 2}}, hold=str(hold))
    held.tick_until(lambda: held.at_half(2), "both at half")
    held.ask("stop_study", study_id=held.study().id)
    held.ask("stop_trial", study_id=held.study().id, trial_id=held.trial(1).id)
    held.run()
    assert [TrialState.WAITING, TrialState.STOPPED] == [trial.state for trial in held.trials()]


def test_a_paused_study_starts_nothing(bench: Make, tmp_path: Path) -> None:
    """What runs goes on to its end; the runner then has nothing left to do."""
    hold = tmp_path / "hold"
    hold.touch()
    held = bench(hold=str(hold))
    held.tick_until(lambda: states(held).get("running") == 2, "two running trials")
    held.ask("pause", study_id=held.study().id)
    held.runner.tick()
    hold.unlink()
    held.run()
    assert (held.study().state, states(held)) == (StudyState.PAUSED, {"complete": 2})


def test_stopping_the_runner_leaves_the_study_running(bench: Make, tmp_path: Path) -> None:
    """Workers save and leave, then the runner; the next runner goes on from the checkpoints."""
    hold = tmp_path / "hold"
    hold.touch()
    held = bench({"budget": {"trials": 2}}, hold=str(hold))
    held.tick_until(lambda: held.at_half(2), "both at half")
    held.ask("stop_runner")
    held.run()
    assert (held.runner.leaving, held.study().state, states(held)) == (True, StudyState.RUNNING, {"waiting": 2})
    hold.unlink()
    held.renew()
    held.run()
    assert states(held) == {"complete": 2}


def test_queued_trials_go_first() -> None:
    """Trials that had begun go on first, then what people asked for, then proposals, then failed ones; by number."""

    def trial(number: int, origin: str, started_at: float | None = None, failures: int = 0) -> Trial:
        return Trial(study_id=1, number=number, origin=origin, started_at=started_at, created_at=0.0, failures=failures)

    waiting = [
        trial(1, "sampler"),
        trial(2, "queued"),
        trial(3, "sampler", 5.0),
        trial(4, "rerun"),
        trial(0, "baseline"),
        trial(5, "sampler", 4.0, failures=1),
    ]
    assert [3, 0, 2, 4, 1, 5] == [one.number for one in sorted(waiting, key=rules.place_in_queue)]


def test_a_baseline_runs_although_a_queued_trial_came_first(bench: Make) -> None:
    """Someone queued a trial in the moment after the preparation, while the study was paused."""
    of = bench({"budget": {"trials": 3}})
    of.tick_until(lambda: of.live(), "the preparation")
    of.ask("pause", study_id=of.study().id)
    of.run()
    actions.queue_trial(of.workspace, "toy", {"layers": 1, "learning_rate": 2e-5}, who="test")
    of.ask("resume", study_id=of.study().id)
    of.run()
    assert ["queued", "baseline", "sampler"] == [trial.origin for trial in of.trials()]
    assert states(of) == {"complete": 3}


def test_a_budget_raised_at_the_last_moment_counts(bench: Make) -> None:
    """The runner has just found the budget spent when a person raises it: the study goes on."""
    of = bench({"budget": {"trials": 1}}).run()
    actions.set_budget(of.workspace, "toy", trials=2, who="test")
    old = dataclasses.replace(of.study(), spec=dump(of.spec))
    of.runner._advancer.complete(old, of.spec, [], 1.0)
    assert of.study().state == StudyState.RUNNING
    of.run()
    assert states(of) == {"complete": 2}


def test_a_finite_space_ends_the_study_early(bench: Make) -> None:
    """When nothing new is left the study is complete, and a notice says so."""
    spec = {"search": {"layers": {"choices": [1, 2]}}, "baseline": None, "budget": {"trials": 9}}
    done = bench(spec).run()
    assert (done.study().state, states(done)) == (StudyState.COMPLETE, {"complete": 2})
    assert any("after 2 of 9 trials" in text for text in done.notices())


def test_hours_end_the_study(bench: Make) -> None:
    """No trial starts after the hours are used up; what a person had queued is stopped with the reason."""
    late = bench({"budget": {"trials": 9, "hours": 1.0}})
    late.tick_until(lambda: states(late).get("complete"), "the first trial")
    with late.db.write() as session:
        writes.add_study_seconds(session, late.study().id, 3600.0)
        settings = dict(vars(late.spec.settings))
        made = {"params": {"layers": 1}, "known": {}, "settings": settings, "now": 1.0}
        writes.create_trial(session, study_id=late.study().id, origin="queued", **made)
    late.run()
    assert late.study().state == StudyState.COMPLETE
    queued = next(trial for trial in late.trials() if trial.origin == "queued")
    assert (queued.state, queued.reason) == (TrialState.STOPPED, "budget")


def test_two_studies_share_the_slots(bench: Make, tmp_path: Path) -> None:
    """Each has one of two slots, although the first had the machine to itself."""
    hold = tmp_path / "hold"
    hold.touch()
    first = bench(hold=str(hold))
    first.tick_until(lambda: len(first.live()) == 2, "the first study on both slots")
    other = study_from_dict(study_dict(tmp_path, name="other"), where="test")
    with first.db.write() as session:
        writes.create_study(session, name="other", task=other.task, spec=dump(other), now=1.0)
    hold.unlink()
    seen: Counter[int] = Counter()

    def both_done() -> bool:
        seen.update({attempt.study_id for attempt in first.live()})
        with first.db.read() as session:
            return {study.state for study in reads.studies(session)} == {StudyState.COMPLETE}

    first.tick_until(both_done, "both studies to end")
    assert set(seen) == {1, 2}


def test_busy_slots_are_skipped(bench: Make) -> None:
    """A slot that others use is left alone, and a notice says why, once."""
    wait = bench()
    wait.launcher = FixedSlots(given=(Slot("gpu0", CPU),), reasons={"gpu0": "process 7 of someone else holds 3.0 GiB"})
    wait.renew()
    for _ in range(3):
        assert wait.runner.tick()
    assert (wait.attempts(), len(wait.notices())) == ([], 1)
    assert "gpu0 is skipped: process 7" in wait.notices()[0]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Two GPUs, on paper; the value says why other people's work forbids one."""
    found = {"GPU-a": "", "GPU-b": ""}
    monkeypatch.setattr(local, "gpu_uuids", lambda environ: list(found))
    monkeypatch.setattr(local, "gpu_busy", lambda device: found[device.uuid])
    return found


def on_gpus(of: Workbench) -> list[str]:
    return [attempt.handle["device"]["uuid"] for attempt in of.live()]


def test_a_busy_gpu_does_not_hide_a_free_one(bench: Make, tmp_path: Path, gpus: dict[str, str]) -> None:
    """Someone uses the first GPU: the worker goes to the second, also when the study has one slot only."""
    gpus["GPU-a"] = "process 7 of someone else holds 3.0 GiB"
    hold = tmp_path / "hold"
    hold.touch()
    of = bench({"budget": {"trials": 1}, "runner": {"slots": 1}}, hold=str(hold))
    of.tick_until(lambda: of.at_half(1), "the trial at half")
    assert on_gpus(of) == ["GPU-b"]
    hold.unlink()
    of.run()


def test_studies_of_one_slot_use_all_gpus(bench: Make, tmp_path: Path, gpus: dict[str, str]) -> None:
    """The slots of a study are its own limit, not the machine's."""
    hold = tmp_path / "hold"
    hold.touch()
    of = bench({"runner": {"slots": 1}, "budget": {"trials": 1}}, hold=str(hold))
    other = study_from_dict(study_dict(tmp_path, name="other", runner={"slots": 1}, budget={"trials": 1}), where="test")
    with of.db.write() as session:
        writes.create_study(session, name="other", task=other.task, spec=dump(other), now=1.0)
    of.tick_until(lambda: of.at_half(2), "both at half")
    assert {"GPU-a", "GPU-b"} == set(on_gpus(of))
    hold.unlink()
    of.run()


def test_no_trial_joins_a_promotion_on_its_gpu(bench: Make, tmp_path: Path, gpus: dict[str, str]) -> None:
    """Two whole shares of one memory would make the trial infeasible by no fault of its parameters."""
    hold = tmp_path / "hold"
    hold.touch()
    of = bench({"runner": {"slots": 0}, "budget": {"trials": 2}}, hold=str(hold))
    of.tick_until(lambda: of.at_half(2), "both at half")
    of.ask("stop_study", study_id=of.study().id)
    of.run()
    folder = of.workspace.path / "runs/toy/promote-m-1"
    folder.mkdir()
    lock = process.try_lock(folder / "lock")  # the verification lives
    with of.db.write() as session:
        given = {"trial_id": of.trial(0).id, "attempt_id": of.attempts(0)[0].id, "sha256": "", "metrics": {}}
        made = writes.add_checkpoint(session, role="best", step=99, folder="x", size_bytes=1, now=1.0, **given)
        version = writes.create_model_version(
            session, name="m", trial_id=made.trial_id, checkpoint_id=made.id, who="test", now=1.0
        )
        handle = {"device": {"kind": "cuda", "threads": 1, "uuid": "GPU-a", "memory_fraction": 1.0}}
        writes.set_model_handle(session, version.id, attempt_folder="runs/toy/promote-m-1", handle=handle)
    of.ask("resume", study_id=of.study().id)
    hold.unlink()
    used: set[str] = set()
    of.tick_until(lambda: used.update(on_gpus(of)) or states(of) == {"complete": 2}, "both trials")
    assert used == {"GPU-b"}
    assert lock is not None
    os.close(lock)


def test_an_answer_that_nobody_takes_blocks_no_other_study(bench: Make, tmp_path: Path) -> None:
    """A study is paused between question and answer: the others go on asking."""
    of = bench()
    of.tick_until(lambda: states(of).get("complete") == 1 or len(of.trials()) > 1, "the first proposals")
    of.tick_until(lambda: not of.runner._proposer.free, "an open question")
    of.ask("pause", study_id=of.study().id)
    other = study_from_dict(study_dict(tmp_path, name="other"), where="test")
    with of.db.write() as session:
        writes.create_study(session, name="other", task=other.task, spec=dump(other), now=1.0)
    of.run()
    with of.db.read() as session:
        assert reads.study(session, "other").state == StudyState.COMPLETE


def test_a_machine_that_cannot_start_workers_pauses_the_study(bench: Make) -> None:
    """Three launches refused in a row: the diagnosis carries the reason."""

    class Broken(FixedSlots):
        def start(self, *_: Any, **__: Any) -> dict[str, Any]:
            raise LaunchError("cannot start a worker: out of processes")

    broken = bench()
    broken.tick_until(lambda: broken.study().prepared, "the preparation")
    for attempt in broken.live():
        broken.end(attempt)
    broken.launcher = Broken(given=(Slot("cpu0", CPU),))
    broken.renew()
    broken.run()
    assert broken.study().state == StudyState.PAUSED
    assert "launch_failed" in broken.study().diagnosis
    assert "out of processes" in broken.study().diagnosis


def test_early_stopping_prunes(bench: Make) -> None:
    """A trial that cannot reach the frontier at its size is asked to stop, and ends as pruned with the reason."""
    spec = {
        "settings": {"evaluations": 3},
        "search": {"learning_rate": {"low": 1e-6, "high": 1e-2, "log": True}},
        "baseline": {"learning_rate": 1e-4},
        "stopping": {"rule": "frontier", "min_trials": 2},
        "budget": {"trials": 10},
        "runner": {"slots": 1},
    }
    done = bench(spec, step_seconds=0.02).run()
    pruned = [trial for trial in done.trials() if trial.state == TrialState.PRUNED]
    assert pruned
    assert all("accuracy" in trial.detail and trial.reason == "pruned" for trial in pruned)
    assert done.study().state == StudyState.COMPLETE


def test_known_limits_exclude_without_training(bench: Make, tmp_path: Path) -> None:
    """A proposal above a size limit never gets a worker."""
    limited = bench({"objectives": _with_small_limit()})
    limited.run()
    assert all(trial.known["params"] <= 150_000 for trial in limited.trials() if limited.attempts(trial.number)[1:])
    assert all(trial.metrics["params"] <= 150_000 for trial in limited.trials() if trial.origin == "sampler")


def _with_small_limit() -> list[dict[str, Any]]:
    return [
        {"metric": "accuracy", "direction": "maximize"},
        {"metric": "params", "direction": "minimize", "threshold": 150_000},
    ]


def test_a_tick_that_fails_again_and_again_pauses_the_study(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner does not spin on an error: it pauses the study at hand with the error as the diagnosis."""
    sick = bench()

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(advance, "plan_baseline", broken)
    monkeypatch.setattr(sick.runner.wake, "wait", lambda *_: True)
    runner.serve(sick.runner)
    assert sick.study().state == StudyState.PAUSED
    assert "ZeroDivisionError: a defect" in sick.study().diagnosis


def test_one_sick_study_does_not_stop_the_others(bench: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect in storing what one study's worker says pauses that study; the other one completes."""
    of = bench({"budget": {"trials": 2}})
    other = study_from_dict(study_dict(tmp_path, name="other", budget={"trials": 2}), where="test")
    with of.db.write() as session:
        writes.create_study(session, name="other", task=other.task, spec=dump(other), now=1.0)
    store = collector.ingest_all

    def broken(db: Any, workspace: Path, attempts: Sequence[Attempt]) -> Any:
        if any(attempt.study_id == of.study().id for attempt in attempts):
            raise ZeroDivisionError("a defect")
        return store(db, workspace, attempts)

    monkeypatch.setattr(collector, "ingest_all", broken)
    monkeypatch.setattr(of.runner.wake, "wait", lambda *_: True)
    runner.serve(of.runner)
    with of.db.read() as session:
        assert [StudyState.PAUSED, StudyState.COMPLETE] == [study.state for study in reads.studies(session)]
    monkeypatch.setattr(collector, "ingest_all", store)
    of.ask("resume", study_id=of.study().id)
    of.renew()
    of.run()
    assert (of.study().state, states(of)) == (StudyState.COMPLETE, {"complete": 2})


def test_what_outlives_a_worker_is_ended(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child in a session of its own would hold lock and slot for ever; after the grace time it is killed."""
    monkeypatch.setattr(collector, "KILL_AFTER_GRACE", 0.0)
    done = bench({"budget": {"trials": 1}, "runner": {"grace_seconds": 1.0}}, linger=600).run()
    assert (done.study().state, states(done)) == (StudyState.COMPLETE, {"complete": 1})


# ---------------------------------------------------------------------------------------------- the process, and kills


def spawn(of: Workbench) -> subprocess.Popen[bytes]:
    """A runner process on the workspace, with fake workers."""
    command = [sys.executable, "-P", "-m", "bertdistill.engine.runner.runner", str(of.workspace.path)]
    return subprocess.Popen(command, env=dict(of.launcher.environ), stdin=subprocess.DEVNULL)


def leftovers(of: Workbench) -> list[Attempt]:
    return [attempt for attempt in of.attempts() if list(process.holders(of.paths(attempt).lock))]


def check_books(of: Workbench, steps: int) -> None:
    """Nothing lost, nothing doubled, nobody left over: each curve has each step once."""
    numbers = [trial.number for trial in of.trials()]
    assert numbers == list(range(len(numbers)))
    with of.db.read() as session:
        for trial in of.trials():
            series = {one.name: one for one in reads.series(session, trial.study_id, trial.id)}
            points = reads.points_after(session, series["train/loss"].id, -1, 10 * steps)
            assert [(step, 1.0 / step) for step in range(1, steps + 1)] == [(step, value) for step, value, _ in points]
            assert series["train/loss"].points == steps
    assert [] == leftovers(of)
    assert [] == of.db.check()


def test_the_process_runs_a_study(bench: Make) -> None:
    """`python -m bertdistill.engine.runner.runner WORKSPACE` ends with 0 and leaves a released lease and a log."""
    done = bench({"budget": {"trials": 2}})
    assert spawn(done).wait(60) == 0
    assert (done.study().state, states(done)) == (StudyState.COMPLETE, {"complete": 2})
    with done.db.read() as session:
        lease = reads.lease(session)
    assert lease is not None
    assert lease.released_at is not None
    assert "runner started" in done.workspace.runner_log.read_text()
    assert not process.held(done.workspace.runner_lock)


def test_one_runner_a_workspace(bench: Make, tmp_path: Path) -> None:
    """A second process leaves at once with its own exit code."""
    hold = tmp_path / "hold"
    hold.touch()
    held = bench({"budget": {"trials": 1}}, hold=str(hold))
    first = spawn(held)
    wait_for(lambda: process.held(held.workspace.runner_lock), "the first runner")
    assert spawn(held).wait(60) == runner.ANOTHER_RUNS
    hold.unlink()
    assert first.wait(60) == 0


def test_a_runner_that_is_asked_to_leave_leaves_its_workers(bench: Make, tmp_path: Path) -> None:
    """SIGTERM: the runner goes, the worker stays; the next runner adopts it as the same attempt."""
    hold = tmp_path / "hold"
    hold.touch()
    held = bench({"budget": {"trials": 1}}, hold=str(hold))
    first = spawn(held)
    wait_for(lambda: held.at_half(1), "the trial at half")
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    assert len(held.live()) == 1
    assert held.launcher.alive(held.paths(held.live()[0]), {})
    hold.unlink()
    assert spawn(held).wait(60) == 0
    assert [1, {"complete": 1}] == [len(held.attempts(0)), states(held)]


@pytest.mark.parametrize("victim", ["runner", "worker", "shim", "all"])
def test_kill_at_random_moments(bench: Make, victim: str) -> None:
    """kill -9 ten times at random moments: every row once, the same trials at the end, no process left."""
    steps, moments = 30, random.Random(victim)
    spec = {"budget": {"trials": 4}, "runner": {"retries": 20, "pause_after_failures": 50}}
    of = bench(spec, steps=steps, step_seconds=0.01, checkpoint_every=5)
    running = spawn(of)
    for _ in range(10):
        if of.study().state == StudyState.COMPLETE:
            break
        end = moments.uniform(0.05, 0.5)
        wait_until_after(end)
        if victim in ("runner", "all"):
            running.kill()
            running.wait(30)
        if victim != "runner":
            kill_one(of, victim)
        if running.poll() is not None:
            running = spawn(of)
    assert running.wait(120) == 0
    assert (of.study().state, states(of)) == (StudyState.COMPLETE, {"complete": 4})
    check_books(of, steps)


def wait_until_after(seconds: float) -> None:
    """A random moment is the point of a kill test: there is no condition to wait for."""
    signal.sigtimedwait([signal.SIGUSR2], seconds)


def kill_one(of: Workbench, victim: str) -> None:
    """SIGKILL the worker, the shim, or both, of every attempt that runs just now."""
    for attempt in of.live():
        try:
            state = json.loads(of.paths(attempt).state.read_text())
        except FileNotFoundError:
            continue
        for name in ("shim", "worker") if victim == "all" else (victim,):
            who = process.Identity(**state[name])
            process.send(who, signal.SIGKILL, boot=state["boot_id"])


def test_same_history_same_trials(bench: Make, tmp_path: Path) -> None:
    """What is proposed follows from seed and history: a second workspace gets the same trials."""
    expected = [trial.params for trial in bench({"runner": {"slots": 1}}).run().trials()]
    (tmp_path / "again").mkdir()
    second = Workbench(tmp_path / "again", study_spec(tmp_path, runner={"slots": 1})).start().run()
    assert expected == [trial.params for trial in second.trials()]
    second.close()


def test_files_are_private(bench: Make) -> None:
    """The process makes its files readable by this user alone."""
    done = bench({"budget": {"trials": 1}})
    assert spawn(done).wait(60) == 0
    folder = done.workspace.path / "runs"
    open_to_others = [path for path in folder.rglob("*") if path.stat().st_mode & 0o077]
    assert open_to_others == []
    assert done.workspace.runner_log.stat().st_mode & 0o077 == 0


def test_sleep_and_jumps_of_the_clock_cost_no_hours(bench: Make) -> None:
    """A closed laptop has not worked: hours are counted by a clock that stops with it and that nobody sets."""
    of = bench({"budget": {"trials": 3, "hours": 1.0}})
    wall, steady = [1e9], [0.0]
    of.runner.clock.wall, of.runner.clock.steady = lambda: wall[0], lambda: steady[0]
    of.runner.tick()
    wall[0] += 8 * 3600.0
    of.runner.tick()
    wall[0] -= 20 * 3600.0
    steady[0] += 10 * 3600.0  # a machine that was frozen from outside
    of.runner.tick()
    assert 120 >= of.study().busy_seconds
    of.run()
    assert (StudyState.COMPLETE, states(of)) == (StudyState.COMPLETE, {"complete": 3})


def test_a_locked_database_is_waited_for(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long another program holds it: nothing is paused, and nothing of what workers write meanwhile is lost."""
    of, failing = bench({"budget": {"trials": 2}}), iter(range(20))
    store = collector.ingest_all

    def locked(*given: Any) -> Any:
        if next(failing, None) is not None:
            raise StoreUnavailable("locked by another process for too long")
        return store(*given)

    monkeypatch.setattr(collector, "ingest_all", locked)
    monkeypatch.setattr(of.runner.wake, "wait", lambda *_: True)
    runner.serve(of.runner)
    assert (StudyState.COMPLETE, "") == (of.study().state, of.study().diagnosis)
    assert next(failing, None) is None


def test_an_error_while_waiting_ends_no_runner(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking whether something stirs can fail as a round can."""
    of, failing = bench({"budget": {"trials": 1}}), iter(range(2))
    look = of.runner._collector.stirs

    def broken() -> bool:
        if next(failing, None) is not None:
            raise OSError("a network disk went away")
        return look()

    monkeypatch.setattr(of.runner._collector, "stirs", broken)
    runner.serve(of.runner)
    assert StudyState.COMPLETE == of.study().state
