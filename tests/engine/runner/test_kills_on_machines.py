"""The kill test on two machines, each a folder with an agent of its own: marked `machines`, as it takes minutes.

SIGKILL for runners, agents, shims, workers and whole machines at random moments; nothing is lost, nothing doubled, and
the study ends with the scores of one that was left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.engine.runner.test_kills import SECONDS, Ward, outcome, tiny_study
from tests.fakes import fake_environment, study_spec

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.launch.link import AGENT_MODULE
from bertdistill.engine.launch.machines import Machine, add, read_machines
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.db import open_db
from bertdistill.store.rows import StudyState

pytestmark = pytest.mark.machines
KILLS = 10
LOST_AFTER = 4.0
VICTIMS = ("runner", "agent", "shim", "worker", "machine")


class Land:
    """A workspace with two machines that can be switched off."""

    def __init__(self, root: Path, spec: StudySpec, environ: dict[str, str]) -> None:
        root.mkdir()
        self.root, self.environ = root, environ
        self.off = {name: root / f"{name}.off" for name in ("a", "b")}
        for name, flag in self.off.items():
            python = root / f"python-{name}"
            python.write_text(f'#!/bin/sh\n[ -e {flag} ] && exit 1\nexec {sys.executable} "$@"\n')
            python.chmod(0o700)
            workspace = root / "ws"
            workspace.mkdir(exist_ok=True)
            add(workspace, Machine(name, "", str(python), str(root / f"far-{name}"), lost_after=LOST_AFTER))
        there = dump(spec)
        there["runner"] = {**there["runner"], "machines": ["a", "b"], "slots": 1}
        self.ward = Ward(workspace, study_from_dict(there, where="test"))

    def far(self, name: str) -> Path:
        found = read_machines(self.root / "ws")
        return Path(found.root(found.find(name)))

    def spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "bertdistill.engine.runner.runner", str(self.root / "ws")]
        return subprocess.Popen(command, env=self.environ, stdin=subprocess.DEVNULL)

    def agents(self, name: str) -> list[int]:
        """Their process ids."""
        found = []
        for one in psutil.process_iter(["cmdline"]):
            words = one.info["cmdline"] or []
            if AGENT_MODULE in words and str(self.far(name)) in words:
                found.append(one.pid)
        return found

    def processes(self, name: str, who: str) -> list[int]:
        """Shims or workers of the attempts that run on a machine."""
        states = [one for one in self.far(name).glob("runs/*/*/state.json") if not one.with_name("exit.json").exists()]
        pids = [int(json.loads(state.read_text())[who]["pid"]) for state in states]
        return [pid for pid in pids if psutil.pid_exists(pid)]

    def kill(self, victim: str, name: str) -> int:
        """How many processes were killed."""
        pids = {
            "agent": lambda: self.agents(name),
            "shim": lambda: self.processes(name, "shim"),
            "worker": lambda: self.processes(name, "worker"),
            "machine": lambda: self.agents(name) + self.processes(name, "shim") + self.processes(name, "worker"),
        }[victim]()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)


def same_bytes(land: Land) -> tuple[int, int]:
    """How many attempts have copies that equal the originals, and how many were given up with a part of them."""
    equal = given_up = 0
    for attempt in land.ward.read()[2]:
        here = RunPaths(land.ward.workspace.absolute(attempt.folder))
        originals = [RunPaths(land.far(name) / attempt.folder) for name in ("a", "b")]
        there = next((one for one in originals if one.spec.exists()), None)
        if there is None or not there.events.exists():
            continue
        copy, original = (one.events.read_bytes() if one.events.exists() else b"" for one in (here, there))
        if attempt.exit_class in ("node_lost", "never_started"):
            assert original.startswith(copy)
            given_up += 1
            continue
        assert copy == original
        for folder in here.checkpoints.glob("*-*") if here.checkpoints.exists() else ():
            for file in folder.iterdir():
                if (twin := there.checkpoints / folder.name / file.name).exists():
                    assert twin.read_bytes() == file.read_bytes()
        equal += 1
    return equal, given_up


def endure(land: Land, dice: random.Random, pause: tuple[float, float]) -> dict[str, Any]:
    """Kill ten times, then wait for the end and compare; what was done."""
    kills = dict.fromkeys(VICTIMS, 0)
    began, runner = time.monotonic(), land.spawn()
    while sum(kills.values()) < KILLS and land.ward.read()[0].state == StudyState.RUNNING:
        signal.sigtimedwait([signal.SIGUSR2], dice.uniform(*pause))  # a random moment is the point
        victim = min(VICTIMS, key=lambda one: (kills[one], dice.random()))
        name = dice.choice("ab")
        if victim == "runner":
            runner.kill()
            kills["runner"] += 1
        elif victim == "machine":
            land.off[name].touch()
            kills[victim] += bool(land.kill(victim, name))
            signal.sigtimedwait([signal.SIGUSR2], LOST_AFTER * 1.5)
            land.off[name].unlink()
        else:
            kills[victim] += bool(land.kill(victim, name))
        if runner.poll() is not None or victim == "runner":
            runner.wait(30)
            runner = land.spawn()
    assert runner.wait(SECONDS) == 0
    lost = doubled = 0
    for trial in land.ward.read()[1]:
        reported, stored = land.ward.reported(trial), land.ward.stored(trial)
        lost += len(reported.keys() - stored.keys())
        doubled += len(stored.keys() - reported.keys())
        assert reported == stored
    equal, given_up = same_bytes(land)
    left = [pid for name in "ab" for who in ("shim", "worker") for pid in land.processes(name, who)]
    assert left == []
    db = open_db(land.ward.workspace.path)
    assert [] == db.check()
    db.close()
    ends: dict[str, int] = {}
    for attempt in land.ward.read()[2]:
        ends[attempt.exit_class or ""] = ends.get(attempt.exit_class or "", 0) + 1
    seconds = round(time.monotonic() - began, 1)
    counts = {"lost": lost, "doubled": doubled, "equal": equal, "given up": given_up}
    return {"kills": kills, **counts, "ends": ends, "seconds": seconds}


def told(found: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{found}")  # noqa: T201 - the figures are what this test is run for


def test_fake_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Many short trials."""
    environ = fake_environment(tmp_path, steps=60, step_seconds=0.1, checkpoint_every=10, evaluate_every=10)
    more = {"runner": {"retries": 20, "pause_after_failures": 50}, "budget": {"trials": 8}}
    spec = study_spec(tmp_path, name="tiny", **more)
    calm, land = Ward(tmp_path / "calm", spec), Land(tmp_path / "land", spec, environ)
    with_fakes(calm, environ)
    told(endure(land, random.Random(3), (0.5, 4.0)), capsys)
    assert scores(calm) == scores(land.ward)


def scores(ward: Ward) -> list[tuple[int, Any, float]]:
    return [(one.number, one.params, one.metrics["accuracy"]) for one in ward.read()[1]]


def with_fakes(ward: Ward, environ: dict[str, str]) -> None:
    """To the end on this machine."""
    command = [sys.executable, "-P", "-m", "bertdistill.engine.runner.runner", str(ward.workspace.path)]
    subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, check=True, timeout=SECONDS)


def test_real_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A preparation here, trials there, weights and scores to the last bit."""
    spec = tiny_study(tmp_path / "data")
    calm = Ward(tmp_path / "calm", spec)
    calm.run()
    land = Land(tmp_path / "land", spec, {**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    told(endure(land, random.Random(7), (3.0, 15.0)), capsys)
    assert outcome(calm) == outcome(land.ward)
