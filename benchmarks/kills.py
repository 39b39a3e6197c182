"""Kill workers, shims and the runner at random until so many are dead; then count what was lost, doubled or left over.

The workers are those of the tests: they report and save as real ones do, and train nothing. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fakes import fake_environment, study_spec

from bertdistill.engine.contract.events import METRICS_LOGGED, parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.engine.steering import actions
from bertdistill.store import reads
from bertdistill.store.db import Reading, open_db
from bertdistill.store.rows import AttemptState, StudyState, Trial

LIMIT_SECONDS = 1800.0
Points = dict[tuple[str, int], float | None]


class Victims:
    """One workspace, its runner and its workers."""

    def __init__(self, folder: Path, trials: int) -> None:
        self.workspace = Workspace(folder / "runs")
        sections: dict[str, Any] = {
            "budget": {"trials": trials},
            "runner": {"slots": 3, "retries": 20, "pause_after_failures": 10_000, "min_free_gb": 0.0},
            "search": {"layers": {"low": 1, "high": 4}, "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}},
        }
        actions.start_study(self.workspace, study_spec(folder, **sections), who="benchmark")
        self.environ = fake_environment(folder, steps=60, step_seconds=0.02, checkpoint_every=10, evaluate_every=20)
        self.runner = self.spawn()

    def spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "bertdistill.engine.runner.runner", str(self.workspace.path)]
        return subprocess.Popen(command, env=self.environ, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self, victim: str) -> int:
        """SIGKILL the runner, or one worker or shim that is alive; how many died."""
        if victim == "runner":
            self.runner.kill()
            self.runner.wait()
            self.runner = self.spawn()
            return 1
        with closing(open_db(self.workspace.path, read_only=True)) as db, db.read() as session:
            live = reads.live_attempts(session)
        for attempt in random.sample(live, len(live)):
            try:
                state = json.loads(RunPaths(self.workspace.absolute(attempt.folder)).state.read_text())
                return int(process.send(process.Identity(**state[victim]), signal.SIGKILL, boot=state["boot_id"]))
            except (OSError, ValueError, KeyError):
                continue
        return 0

    def is_running(self) -> bool:
        with closing(open_db(self.workspace.path, read_only=True)) as db, db.read() as session:
            return reads.study(session, "toy").state == StudyState.RUNNING


def compare(workspace: Workspace) -> Counter[str]:
    """Points that were reported in complete lines against those that are stored, over all trials."""
    found: Counter[str] = Counter()
    with closing(open_db(workspace.path, read_only=True)) as db, db.read() as session:
        study = reads.study(session, "toy")
        found["trials " + study.state.value] = 1
        for trial in reads.trials(session, study.id):
            stored, rows = _stored(session, trial)
            reported = _reported(session, workspace, trial)
            found["trials"] += 1
            found["points"] += len(reported)
            found["lost"] += len(reported.keys() - stored.keys())
            found["altered"] += sum(stored[key] != value for key, value in reported.items() if key in stored)
            found["doubled"] += rows - len(stored)
        for attempt in reads.attempts(session, study_id=study.id):
            found["attempts"] += 1
            found["left running"] += attempt.state == AttemptState.RUNNING
    return found


def _stored(session: Reading, trial: Trial) -> tuple[Points, int]:
    points: Points = {}
    rows = 0
    for series in reads.series(session, trial.study_id, trial.id):
        for step, value, _ in reads.points_after(session, series.id, -1, 100_000):
            points[series.name, step] = value
            rows += 1
    return points, rows


def _reported(session: Reading, workspace: Workspace, trial: Trial) -> Points:
    points: Points = {}
    for attempt in reads.attempts(session, trial_id=trial.id):
        path = RunPaths(workspace.absolute(attempt.folder)).events
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
            event = parse_event(line) if line.endswith(b"\n") else None
            if event and event["k"] == METRICS_LOGGED:
                points |= {(name, event["step"]): value for name, value in event["values"].items()}
    return points


def left_over(folder: Path) -> int:
    """Processes that still name the workspace."""
    lines = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]) if one.pid != os.getpid()]
    return sum(str(folder) in line for line in lines)


def main() -> None:
    """Kill, wait for the end, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        victims, kills, began = Victims(Path(folder), options.trials), Counter[str](), time.monotonic()
        while victims.is_running() and time.monotonic() - began < LIMIT_SECONDS:
            time.sleep(random.uniform(0.02, 0.3))
            if sum(kills.values()) < options.kills:
                victim = random.choices(["worker", "shim", "runner"], [5, 3, 2])[0]
                kills[victim] += victims.kill(victim)
            elif victims.runner.poll() is not None and victims.is_running():
                victims.runner = victims.spawn()
        victims.runner.wait(60)
        found = compare(victims.workspace) | Counter({"processes left": left_over(Path(folder))})
    rows = {**{f"kill -9 of a {name}": count for name, count in sorted(kills.items())}, **found}
    print("| what | number |\n|---|---|")
    for name in dict.fromkeys([*rows, "lost", "altered", "doubled", "left running", "processes left"]):
        print(f"| {name} | {rows.get(name, 0)} |")


if __name__ == "__main__":
    main()
