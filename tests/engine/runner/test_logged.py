"""Logged runs are stored exactly once, by whoever opens the workspace and whenever anyone is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, wait_for

import bertdistill
from bertdistill.engine.contract.events import parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange import log as log_module
from bertdistill.engine.launch import process
from bertdistill.engine.runner import retention
from bertdistill.engine.runner.logged import LoggedRuns
from bertdistill.engine.steering import actions
from bertdistill.engine.steering.pruning import leftovers
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import Attempt, AttemptState, Series, Study, StudyState, Trial, TrialState


class Place:
    """A workspace in which nothing runs."""

    def __init__(self, path: Path) -> None:
        self.workspace = Workspace(path.resolve())
        self.runs = LoggedRuns(self.workspace)

    def start(self, study: str = "mine", **given: Any) -> bertdistill.Run:
        """A run of this process."""
        run = bertdistill.start(study, workspace=self.workspace.path, **given)
        assert run.folder is not None
        return run

    def rows(self, study: str = "mine") -> tuple[Study, list[Trial], list[Attempt], dict[str, Series]]:
        """All that is stored of a study; the series are those of its newest trial."""
        db = open_db(self.workspace.path, read_only=True)
        with db.read() as session:
            found = reads.study(session, study)
            trials, attempts = reads.trials(session, found.id), reads.attempts(session, study_id=found.id)
            series = reads.series(session, found.id, trials[-1].id)
        db.close()
        return found, trials, attempts, {one.name: one for one in series}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """No run outlives its test."""
    yield Place(tmp_path / "ws")
    for run in list(log_module._open_runs.values()):
        run.finish()


def test_stored_while_it_runs_and_when_it_has_ended(place: Place) -> None:
    """Each value once, its newest values as metrics; without news nothing is written."""
    run = place.start(params={"lr": 0.1}, objectives={"acc": "maximize", "cost": "minimize"}, note="n", tags=["t"])
    run.log({"acc": 0.5, "cost": 3.0})
    assert place.runs.catch_up()
    study, [trial], [attempt], series = place.rows()
    assert ("log", StudyState.RUNNING, [], 1) == (
        study.kind,
        study.state,
        study.spec.get("stored", []),
        len(series) - 1,
    )
    assert (TrialState.RUNNING, {"lr": 0.1}, {"acc": 0.5, "cost": 3.0}) == (trial.state, trial.params, trial.metrics)
    assert ("n", ["t"], "train", 1.0) == (trial.note, trial.tags, attempt.phase, attempt.done)
    assert not place.runs.catch_up()
    run.log({"acc": 0.6})
    run.finish(acc=0.7, size=9)
    assert place.runs.catch_up()
    assert not place.runs.catch_up()
    assert not LoggedRuns(place.workspace).catch_up()
    study, [trial], [attempt], series = place.rows()
    assert (StudyState.COMPLETE, TrialState.COMPLETE) == (study.state, trial.state)
    assert {"acc": 0.7, "cost": 3.0, "size": 9.0} == trial.metrics
    assert ({"stored": ["size"]}, AttemptState.ENDED, "complete") == (
        study.spec["metrics"],
        attempt.state,
        attempt.exit_class,
    )
    assert {"acc": (2, 1), "cost": (1, 0)} == {name: (one.points, one.last_step) for name, one in series.items()}


def test_a_study_without_objectives_is_ranked_by_its_score(place: Place) -> None:
    """The name that `finish(score=…)` gives; objectives that come later replace it."""
    place.start().finish(score=1.0)
    place.runs.catch_up()
    assert [{"metric": "score", "direction": "maximize"}] == place.rows()[0].spec["objectives"]
    place.start(objectives=["f1"]).finish(f1=1.0)
    place.runs.catch_up()
    assert [{"metric": "f1", "direction": "maximize"}] == place.rows()[0].spec["objectives"]


def test_a_search_of_that_name_keeps_it(place: Place) -> None:
    """Its logged runs are stored next to it."""
    db = open_db(place.workspace.path)
    with db.write() as session:
        writes.create_study(session, name="mine", task="question-answering", spec={}, now=1.0)
    db.close()
    place.start().finish()
    place.start().finish()
    place.runs.catch_up()
    study, trials, _, _ = place.rows("mine-log")
    assert ("log", 2) == (study.kind, len(trials))


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (ValueError("bad"), TrialState.FAILED, "crashed"),
        (KeyboardInterrupt(), TrialState.STOPPED, "interrupted"),
        (MemoryError(), TrialState.INFEASIBLE, "host_oom"),
    ],
)
def test_an_exception_is_filed_by_its_class(place: Place, error: BaseException, state: TrialState, reason: str) -> None:
    """Failed, stopped or infeasible; and the study is complete, for nothing runs."""
    run = place.start()
    with pytest.raises(type(error)), run:
        raise error
    place.runs.catch_up()
    study, [trial], [attempt], _ = place.rows()
    assert (state, reason, reason, StudyState.COMPLETE) == (trial.state, trial.reason, attempt.exit_class, study.state)


def test_an_end_on_a_full_disk_is_an_end(place: Place) -> None:
    """Though its last event is missing, and while the program still runs."""
    run = place.start()
    assert run.folder is not None
    run._mark_ended("infeasible", "diverged")
    place.runs.catch_up()
    assert (TrialState.INFEASIBLE, "diverged") == (place.rows()[1][0].state, place.rows()[1][0].reason)
    other = place.start()
    other._mark_ended("complete", "")
    place.runs.catch_up()
    assert TrialState.COMPLETE == place.rows()[1][1].state


# -------------------------------------------------------------------------------------------------------------- resumed


def test_a_run_is_resumed_whatever_its_end_was(place: Place) -> None:
    """One trial with an attempt a process; what it scored before stays."""
    for number in range(3):
        run = place.start(run="r1")
        run.log({"loss": float(number)}, step=number)
        place.runs.catch_up()
        assert TrialState.RUNNING == place.rows()[1][0].state
        run.finish()
        place.runs.catch_up()
    _, [trial], attempts, series = place.rows()
    assert (TrialState.COMPLETE, 3, 3, 2.0) == (
        trial.state,
        len(attempts),
        series["loss"].points,
        trial.metrics["loss"],
    )


def test_a_killed_run_that_was_resumed_before_anyone_looked(place: Place) -> None:
    """The end of the first process does not end the run."""
    killed = fork(lambda: place.start(run="r1").log({"loss": 1.0}))
    run = place.start(run="r1")
    run.log({"loss": 2.0})
    place.runs.catch_up()
    _, [trial], attempts, _ = place.rows()
    assert killed
    assert [("killed", AttemptState.ENDED), ("", AttemptState.RUNNING)] == [(a.exit_class, a.state) for a in attempts]
    assert TrialState.RUNNING == trial.state


def test_a_run_that_was_deleted_begins_anew(place: Place) -> None:
    """An undo finds the old one where it was."""
    place.start(run="r1").finish()
    place.runs.catch_up()
    actions.delete(place.workspace, ["mine/0"], who="ada")
    place.start(run="r1").finish()
    place.runs.catch_up()
    assert [1] == [one.number for one in place.rows()[1]]
    actions.undo(place.workspace, who="ada")
    assert [0, 1] == [one.number for one in place.rows()[1]]


# ---------------------------------------------------------------------------------------------------------------- kills


def fork(work: Callable[[], None], alive: float = 0.0) -> bool:
    """Do `work` in a child that is then killed by SIGKILL, after `alive` seconds; whether it was."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(write, b".")
            signal.pause()
        finally:
            os._exit(1)
    os.close(write)
    if alive:
        time.sleep(alive)
    else:
        os.read(read, 1)
    os.close(read)
    os.kill(pid, signal.SIGKILL)
    return os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def test_nothing_is_lost_or_doubled_by_20_kills(place: Place) -> None:
    """Each run is killed wherever it is, and so is every second process that stores it: what is stored in the end is
    exactly what the complete lines say."""
    chance = random.Random(7)

    def train() -> None:
        run = place.start(run="night")
        while True:
            run.log({"a": 0.5, "b": 2.0})

    def store() -> None:
        runs = LoggedRuns(place.workspace)
        while True:
            runs.catch_up()

    LoggedRuns(place.workspace).catch_up()
    open_db(place.workspace.path).close()
    for number in range(20):
        assert fork(train, chance.uniform(0.02, 0.12))
        if number % 2:
            assert fork(store, chance.uniform(0.01, 0.1))
    LoggedRuns(place.workspace).catch_up()
    study, [trial], attempts, series = place.rows()
    steps, bad = set(), 0
    for attempt in attempts:
        *lines, _ = RunPaths(place.workspace.path / attempt.folder).events.read_bytes().split(b"\n")
        events = [parse_event(line) for line in lines]
        bad += events.count(None)
        steps |= {event["step"] for event in events if event is not None and event["k"] == "metrics"}
        assert attempt.ingest_offset == sum(len(line) + 1 for line in lines)
    assert 0 == bad
    assert {"a": len(steps), "b": len(steps)} == {name: one.points for name, one in series.items()}
    assert {("killed", AttemptState.ENDED)} == {(one.exit_class, one.state) for one in attempts}
    assert (TrialState.FAILED, "killed", StudyState.COMPLETE) == (trial.state, trial.reason, study.state)
    assert len(steps) > 100


STORE = """
import sys
from pathlib import Path
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner.logged import LoggedRuns
runs = LoggedRuns(Workspace(Path(sys.argv[1])))
sys.stdin.read(1)
while runs.stirs():
    runs.catch_up()
"""


def test_several_processes_store_at_once(place: Place) -> None:
    """One does it, and none stores anything twice."""
    for number in range(5):
        run = place.start()
        for step in range(2000):
            run.log({"x": float(number)}, step=step)
        run.finish()
    command = [sys.executable, "-P", "-c", STORE, str(place.workspace.path)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(3)]
    for child in children:
        child.communicate(b".", timeout=60)
    place.runs.catch_up()
    _, trials, attempts, series = place.rows()
    assert ([0, 0, 0], 5, 5, 2000) == (
        [one.returncode for one in children],
        len(trials),
        len(attempts),
        series["x"].points,
    )


# ------------------------------------------------------------------------------------------------------- what it is not


def test_what_is_no_run_is_left_alone(place: Place) -> None:
    """Half a folder, a link, a foreign spec, a folder under another name."""
    run = place.start()
    assert run.folder is not None
    run.finish()
    root = run.folder.parent
    (root / "mine.empty.1").mkdir()
    (root / "file").write_text("x")
    (root / "mine.link.1").symlink_to(run.folder)
    for name, text in {"a.b.1": "{", "a.c.2": '{"study": "../x", "run": "c"}', "other.name.1": "{}"}.items():
        (root / name).mkdir()
        (root / name / "spec.json").write_text(text)
    copy = root / "copy.of.1"
    copy.mkdir()
    (copy / "spec.json").write_bytes((run.folder / "spec.json").read_bytes())
    place.runs.catch_up()
    assert 1 == len(place.rows()[1])
    db = open_db(place.workspace.path, read_only=True)
    with db.read() as session:
        assert ["mine"] == [one.name for one in reads.studies(session)]
        assert [] == leftovers(session, place.workspace)[0]
    db.close()


def test_a_draft_of_a_killed_start_is_a_leftover(place: Place) -> None:
    """It holds nothing yet; a run that is not stored yet never is one."""
    run = place.start()
    assert run.folder is not None
    run.finish()
    (run.folder.parent / ".mine.x.1.9").mkdir()
    db = open_db(place.workspace.path)
    with db.read() as session:
        assert ["runs/_logged/.mine.x.1.9"] == leftovers(session, place.workspace)[0]
    db.close()


def test_its_checkpoints_are_never_removed(place: Place) -> None:
    """Not even the last one of a run that is complete, as those of a search are."""
    run = place.start()
    assert run.folder is not None
    saved = run.folder / "checkpoints" / "1"
    saved.mkdir(parents=True)
    (saved / "x.bin").write_bytes(b"1")
    run.checkpoint(saved, step=1)
    run.finish()
    place.runs.catch_up()
    db = open_db(place.workspace.path)
    retention.finish_all(db, place.workspace, now=time.time())
    retention.make_room(db, place.workspace, 1 << 62, now=time.time())
    with db.read() as session:
        [row] = reads.checkpoints(session, trial_id=place.rows()[1][0].id)
    db.close()
    assert (True, None, 1) == (saved.is_dir(), row.dropped_at, row.size_bytes)


# ------------------------------------------------------------------------------------------------------------- a runner


def test_a_runner_stores_them_beside_its_search(bench: Callable[..., Workbench]) -> None:
    """It takes no slot, is asked to stop by nobody, and the runner leaves while it still runs."""
    made = bench(budget={"trials": 1})
    run = bertdistill.start("mine", workspace=made.workspace.path)
    run.log({"x": 1.0})
    actions.ensure_runner(made.workspace)

    def study(name: str) -> Study | None:
        with made.db.read() as session:
            return next((one for one in reads.studies(session) if one.name == name), None)

    wait_for(lambda: (found := study(made.spec.name)) and found.state == StudyState.COMPLETE, "the search to end")
    wait_for(lambda: not process.held(made.workspace.runner_lock), "the runner to leave")
    found = study("mine")
    assert found is not None
    assert StudyState.RUNNING == found.state
    run.finish()
    LoggedRuns(made.workspace).catch_up()
    after = study("mine")
    assert after is not None
    assert StudyState.COMPLETE == after.state


def test_while_a_runner_runs_nobody_else_stores(place: Place) -> None:
    """It does it in its rounds."""
    place.start().finish()
    lock = process.try_lock(place.workspace.runner_lock)
    assert lock is not None
    assert not place.runs.catch_up()
    os.close(lock)
    assert place.runs.catch_up()


def test_a_database_that_cannot_be_written_stops_no_training(place: Place) -> None:
    """The events wait in their folder."""
    run = place.start()
    run.log({"x": 1.0})
    place.workspace.database.write_text("not a database")
    with pytest.raises(Exception, match="not a database"):
        place.runs.catch_up()
    place.workspace.database.unlink()
    run.log({"x": 2.0})
    run.finish()
    assert place.runs.catch_up()
    assert 2 == place.rows()[3]["x"].points
