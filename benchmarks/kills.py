"""Kill workers, shims, the runner and the app at random; then count what was lost, doubled or left over.

The workers are those of the tests: they report and save as real ones do, and train nothing. The app runs on a terminal
of its own and is killed while it starts, reads, pauses or resumes the study, or starts a runner. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.app.pty_terminal import PROGRAM, PtyTerminal
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
WEIGHTS = {"worker": 5, "shim": 3, "runner": 2, "app": 5}
"""How often each is chosen."""
KILLED_AT_ITS_START = 0.1
"""Share of the rounds in which an app is killed that shows nothing yet."""
GOING = (StudyState.RUNNING, StudyState.PAUSED)
RESCUED = 0.2
"""Share of the rounds in which a missing runner or a paused study is seen to from outside; else the app must do it."""
KEYS = "zR"
"""Keys on which the app writes: pause or resume the study, start the runner."""
RUNNER = "bertdistill.engine.runner.runner"
Points = dict[tuple[str, int], float | None]


class Victims:
    """One workspace with its runner, its workers and an app that looks on."""

    def __init__(self, folder: Path, trials: int) -> None:
        self.workspace = Workspace(folder / "runs")
        sections: dict[str, Any] = {
            "budget": {"trials": trials},
            "runner": {"slots": 3, "retries": 20, "pause_after_failures": 10_000, "min_free_gb": 0.0},
            "search": {"layers": {"low": 1, "high": 4}, "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}},
        }
        actions.start_study(self.workspace, study_spec(folder, **sections), who="benchmark")
        self.environ = fake_environment(folder, steps=60, step_seconds=0.02, checkpoint_every=10, evaluate_every=20)
        os.environ.update(self.environ)  # for the runners that are started here
        actions.ensure_runner(self.workspace)
        self.app = self.open_app()

    def open_app(self) -> PtyTerminal:
        return PtyTerminal((*PROGRAM, "-w", str(self.workspace.path), "--theme", "dark"), environ=self.environ)

    def kill(self, victim: str) -> int:
        """SIGKILL one of that kind that is alive; how many died."""
        match victim:
            case "runner":
                return self._kill_runner()
            case "app":
                return self._kill_app()
            case _:
                return self._kill_worker(victim)

    def keep_going(self) -> None:
        """Start a runner, or resume the study, if the app has not done it."""
        if self.state() == StudyState.PAUSED:
            actions.resume_study(self.workspace, "toy", who="benchmark")
        actions.ensure_runner(self.workspace)

    def type_into_app(self) -> None:
        """Once it shows the study, a key on which it writes."""
        if "toy" in self.app.look():
            self.app.send(random.choice(KEYS))

    def close(self) -> None:
        """Leave the app and wait for the runner."""
        self.app.__exit__()
        while process.held(self.workspace.runner_lock):
            time.sleep(0.1)

    def state(self) -> StudyState:
        with closing(open_db(self.workspace.path, read_only=True)) as db, db.read() as session:
            return reads.study(session, "toy").state

    def _kill_runner(self) -> int:
        for one in psutil.process_iter(["cmdline"]):
            if RUNNER in (command := one.info["cmdline"] or ()) and str(self.workspace.path) in command:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
                    return 1
        return 0

    def _kill_app(self) -> int:
        if "toy" not in self.app.look() and random.random() > KILLED_AT_ITS_START:
            return 0
        self.app.process.kill()
        died = self.app.process.wait() == -signal.SIGKILL
        self.app.__exit__()
        self.app = self.open_app()
        return int(died)

    def _kill_worker(self, victim: str) -> int:
        with closing(open_db(self.workspace.path, read_only=True)) as db, db.read() as session:
            live = reads.live_attempts(session)
        for attempt in random.sample(live, len(live)):
            try:
                state = json.loads(RunPaths(self.workspace.absolute(attempt.folder)).state.read_text())
                return int(process.send(process.Identity(**state[victim]), signal.SIGKILL, boot=state["boot_id"]))
            except (OSError, ValueError, KeyError):
                continue
        return 0


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
        found["requests"] = len(reads.requests(session))
        found["requests unhandled"] = len(reads.pending_requests(session))
        found["damages of the file"] = len(db.check())
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


def left_over(folder: Path) -> list[str]:
    """Command lines of processes that name the workspace and do not end by themselves in a few seconds."""
    deadline = time.monotonic() + 10
    while True:
        running = (one.info["cmdline"] or () for one in psutil.process_iter(["cmdline"]) if one.pid != os.getpid())
        lines = [line for line in map(" ".join, running) if str(folder) in line]
        if not lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.1)


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
        while victims.state() in GOING and time.monotonic() - began < LIMIT_SECONDS:
            time.sleep(random.uniform(0.02, 0.3))
            if done := kills.total() >= options.kills:
                victims.app.look()
            else:
                victim = random.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
                kills[victim] += victims.kill(victim)
                victims.type_into_app()
            if done or random.random() < RESCUED:
                victims.keep_going()
        victims.close()
        left = left_over(Path(folder))
        found = compare(victims.workspace) | Counter({"processes left": len(left)})
    print("\n".join(left), file=sys.stderr)
    rows = {**{f"kill -9: {name}": count for name, count in sorted(kills.items())}, **found}
    print("| what | number |\n|---|---|")
    for name in dict.fromkeys(
        [
            *rows,
            "lost",
            "altered",
            "doubled",
            "left running",
            "requests unhandled",
            "damages of the file",
            "processes left",
        ]
    ):
        print(f"| {name} | {rows.get(name, 0)} |")


if __name__ == "__main__":
    main()
