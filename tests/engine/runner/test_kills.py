"""A real tiny study with real workers under kill -9: nothing lost, nothing doubled, the same result in the end."""

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.workers import undisturbed

from bertdistill.engine.contract.events import METRICS_LOGGED, parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.demo.questions import write_demo
from bertdistill.engine.launch import forking, process
from bertdistill.engine.launch.devices import FOLDER_VARIABLE
from bertdistill.engine.launch.inline import InlineLauncher
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.runner.runner import Runner
from bertdistill.engine.steering import actions
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.rows import Attempt, Study, StudyState, Trial

KILLS = 10
TRIALS = 3
SECONDS = 600.0


def tiny_study(folder: Path, epochs: float = 6.0) -> StudySpec:
    files = write_demo(folder, articles=12)
    raw: dict[str, Any] = {
        "name": "tiny",
        "task": "question-answering",
        "data": {"train": str(files.train), "report": str(files.report), "max_length": 128, "doc_stride": 16},
        "teacher": {
            "model": "scratch",
            "layers": 1,
            "hidden_size": 16,
            "ffn_size": 32,
            "head_size": 8,
            "vocab_size": 400,
            "initializer_range": 0.1,
            "fine_tune": {"epochs": 1.0, "learning_rate": 2e-3, "batch_size": 32},
        },
        "student": {"init": "scratch"},
        "settings": {"head_size": 8, "epochs": epochs, "evaluations": 6, "precision": "fp32", "layers": 1},
        "search": {
            "hidden_size": {"choices": [8, 16]},
            "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
        },
        "objectives": [{"metric": "exact"}, {"metric": "params"}],
        "baseline": {"hidden_size": 16, "learning_rate": 2e-3},
        "budget": {"trials": TRIALS},
        "sampler": {"kind": "random", "seed": 1},
        "runner": {"slots": 2, "retries": 20, "pause_after_failures": 50, "min_free_gb": 0.0},
        "stopping": {"rule": "none"},
    }
    return study_from_dict(raw, where="test")


class Ward:
    """One workspace with the tiny study, looked at from outside as a command would."""

    def __init__(self, root: Path, spec: StudySpec) -> None:
        self.workspace = Workspace(root)
        actions.start_study(self.workspace, spec, who="test")

    def run(self) -> None:
        """To the end in this process, workers included; on as many threads as theirs, because sums depend on them."""
        [slot, *_] = LocalLauncher().slots(wanted=2)
        with closing(open_db(self.workspace.path)) as db, undisturbed():
            runner = Runner(self.workspace, db, InlineLauncher(device=slot.device))
            while runner.tick():
                runner.wait(0.01, 0.1)
            runner.close()

    def spawn(self) -> subprocess.Popen[bytes]:
        """A runner with real workers on the CPU."""
        command = [sys.executable, "-P", "-m", "bertdistill.engine.runner.runner", str(self.workspace.path)]
        return subprocess.Popen(command, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, stdin=subprocess.DEVNULL)

    def kill_parents(self) -> int:
        """SIGKILL the processes that fork workers; how many there were."""
        return process.kill_all(process.naming(FOLDER_VARIABLE, forking.PLACE))

    def forked(self) -> set[int]:
        """The attempts that run now and were forked from one."""
        return {one.id for one in self.read()[2] if one.ended_at is None and b".forking\0" in command_of(one)}

    def read(self) -> tuple[Study, list[Trial], list[Attempt]]:
        db = open_db(self.workspace.path, read_only=True)
        try:
            with db.read() as session:
                study = reads.study(session, "tiny")
                return study, reads.trials(session, study.id), reads.attempts(session, study_id=study.id)
        finally:
            db.close()

    def kill_workers(self) -> int:
        """SIGKILL the worker of every attempt that runs; how many there were."""
        killed = 0
        for attempt in self.read()[2]:
            paths = RunPaths(self.workspace.absolute(attempt.folder))
            if attempt.ended_at is None and paths.state.exists():
                state = json.loads(paths.state.read_text())
                if "worker" in state:
                    who = process.Identity(**state["worker"])
                    killed += bool(process.send(who, signal.SIGKILL, boot=state["boot_id"]))
        return killed

    def stored(self, trial: Trial) -> dict[tuple[str, int], float | None]:
        """All points of a trial in the database."""
        db = open_db(self.workspace.path, read_only=True)
        try:
            with db.read() as session:
                return {
                    (series.name, step): value
                    for series in reads.series(session, trial.study_id, trial.id)
                    for step, value, _ in reads.points_after(session, series.id, -1, 100_000)
                }
        finally:
            db.close()

    def reported(self, trial: Trial) -> dict[tuple[str, int], float | None]:
        """All points in the complete lines of the trial's attempts; a later attempt replaces an earlier one."""
        points: dict[tuple[str, int], float | None] = {}
        for attempt in self.read()[2]:
            path = RunPaths(self.workspace.absolute(attempt.folder)).events
            if attempt.trial_id != trial.id or not path.exists():
                continue
            for line in path.read_bytes().splitlines(keepends=True):
                event = parse_event(line) if line.endswith(b"\n") else None
                if event and event["k"] == METRICS_LOGGED:
                    points |= {(name, event["step"]): value for name, value in event["values"].items()}
        return points


def command_of(attempt: Attempt) -> bytes:
    """The command line of its shim; empty if there is none."""
    path = Path(f"/proc/{attempt.handle.get('shim')}/cmdline")
    try:
        return path.read_bytes()
    except OSError:
        return b""


def outcome(ward: Ward) -> list[tuple[int, str, dict[str, Any], float]]:
    return [(one.number, str(one.state), one.params, one.metrics["exact"]) for one in ward.read()[1]]


@pytest.mark.parametrize("warm", [False, pytest.param(True, marks=pytest.mark.warm)])
def test_ten_kills_of_workers_and_runner_change_nothing(tmp_path: Path, warm: bool) -> None:
    """Killed ten times at random moments, a study has the trials and the scores of one that was left alone.

    With warm workers, the processes that fork them are killed too, and the study has longer trials.
    """
    spec = tiny_study(tmp_path / "data", epochs=30.0 if warm else 6.0)
    calm, ward = Ward(tmp_path / "calm", spec), Ward(tmp_path / "killed", spec)
    (ward.workspace.path / "workspace.toml").write_text(f"[runner]\nwarm = {str(warm).lower()}\n")
    calm.run()
    dice = random.Random(7)
    runner = ward.spawn()
    kills = {"worker": 0, "runner": 0, **({"parent": 0} if warm else {})}
    forked: set[int] = set()
    while warm and not forked:  # the preparation is killed in the other study; here the trials must be warm
        signal.sigtimedwait([signal.SIGUSR2], 0.2)
        forked |= ward.forked()
    while sum(kills.values()) < KILLS * len(kills) / 2 and ward.read()[0].state == StudyState.RUNNING:
        signal.sigtimedwait([signal.SIGUSR2], dice.uniform(0.5, 3.0 if warm else 6.0))  # a random moment is the point
        victim = dice.choice(["worker", "runner", "both", *(["parent"] if warm else [])])
        forked |= ward.forked()
        if victim in ("runner", "both") and runner.poll() is None:
            runner.kill()
            kills["runner"] += 1
        if victim in ("worker", "both"):
            kills["worker"] += ward.kill_workers()
        if victim == "parent":
            kills["parent"] += ward.kill_parents()
        if victim in ("runner", "both") or runner.poll() is not None:
            runner.wait(30)
            runner = ward.spawn()
    assert runner.wait(SECONDS) == 0
    assert min(kills.values()) >= 2, kills
    assert bool(forked) == warm
    assert outcome(calm) == outcome(ward)
    for trial in ward.read()[1]:
        assert ward.reported(trial) == ward.stored(trial)
    for attempt in ward.read()[2]:
        assert [] == list(process.holders(RunPaths(ward.workspace.absolute(attempt.folder)).lock))
    db = open_db(ward.workspace.path)
    assert [] == db.check()
    db.close()
