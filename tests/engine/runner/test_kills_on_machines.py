"""The kill test on two machines, as folders and by a real sshd each: marked `machines`, as it takes minutes.

SIGKILL for runners, agents, shims, workers and whole machines at random moments; nothing is lost, nothing doubled, and
the study ends with the scores of one that was left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.engine.launch.ray_cluster import RAY, Cluster, free_port
from tests.engine.runner.test_kills import SECONDS, Ward, outcome, tiny_study
from tests.fakes import fake_environment, study_spec, wait_for

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.launch.link import AGENT_MODULE, BRIDGE_MODULE
from bertdistill.engine.launch.machines import Machine, add, read_machines
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.db import open_db
from bertdistill.store.rows import Attempt, StudyState

pytestmark = pytest.mark.machines
KILLS = 10
LOST_AFTER = 4.0
PATIENCE = 1800.0
"""For the rest of a study: with other work on two cores, one real trial took nine minutes."""


class Land:
    """A workspace with two machines that can be switched off."""

    victims: tuple[str, ...] = ("runner", "agent", "shim", "worker", "machine")
    lost_after = LOST_AFTER

    def __init__(self, root: Path, spec: StudySpec, environ: dict[str, str]) -> None:
        workspace = root / "ws"
        workspace.mkdir(parents=True)
        self.root, self.environ = root, environ
        for name in ("a", "b"):
            add(workspace, self.machine(name))
        there = dump(spec)
        there["runner"] = {**there["runner"], "machines": ["a", "b"], "slots": 1}
        self.ward = Ward(workspace, study_from_dict(there, where="test"))

    def machine(self, name: str) -> Machine:
        """It cannot be reached while a file is there."""
        python = self.root / f"python-{name}"
        python.write_text(f'#!/bin/sh\n[ -e {self.root}/{name}.off ] && exit 1\nexec {sys.executable} "$@"\n')
        python.chmod(0o700)
        return Machine(name, "", str(python), str(self.root / f"far-{name}"), lost_after=self.lost_after)

    def switch(self, name: str, *, on: bool) -> None:
        flag = self.root / f"{name}.off"
        flag.unlink() if on else flag.touch()

    def connections(self, name: str) -> list[int]:
        """What carries the connection, besides the agent."""
        return []

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
            "agent": [*(self.connections(name) or self.agents(name))],
            "shim": self.processes(name, "shim"),
            "worker": self.processes(name, "worker"),
        }
        pids["machine"] = [*self.connections(name), *self.agents(name), *pids["shim"], *pids["worker"]]
        for pid in pids[victim]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids[victim])

    def kill_head(self) -> None:
        """What all of its machines depend on; it is there again when this returns."""


SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
needs_sshd = pytest.mark.skipif(not Path(SSHD).exists(), reason="no sshd: apt-get install openssh-server")


class SshLand(Land):
    """The same by ssh: two servers on high ports of the loopback, with keys and a configuration of their own."""

    def __init__(self, root: Path, spec: StudySpec, environ: dict[str, str]) -> None:
        root.mkdir()
        self.root, self.servers = root, dict[str, subprocess.Popen[bytes]]()
        for key in ("user", "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / key)], check=True)
        Path("/run/sshd").mkdir(exist_ok=True) if os.getuid() == 0 else None
        self.ports = {name: free_port() for name in ("a", "b")}
        for name, port in self.ports.items():
            lines = [f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {root}/host", "UsePAM no", "StrictModes no"]
            lines += [f"AuthorizedKeysFile {root}/user.pub", "PasswordAuthentication no", f"PidFile {root}/{name}.pid"]
            wanted = ("BERTDISTILL_FAKE", "BERTDISTILL_WORKER", "CUDA_VISIBLE_DEVICES")
            lines += ["SetEnv " + " ".join(f'{key}="{environ[key]}"' for key in wanted if key in environ)]
            (root / f"sshd-{name}").write_text("\n".join(lines) + "\n")
        hosts = [f"Host {name}\n  Port {port}\n" for name, port in self.ports.items()]
        shared = f"Host *\n  HostName 127.0.0.1\n  IdentityFile {root}/user\n  StrictHostKeyChecking no\n"
        (root / "config").write_text("".join(hosts) + shared + f"  UserKnownHostsFile {root}/known\n  LogLevel ERROR\n")
        (root / "bin").mkdir()
        ssh = root / "bin" / "ssh"  # what a user has in ~/.ssh/config
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {root}/config "$@"\n')
        ssh.chmod(0o700)
        for name in self.ports:
            self.switch(name, on=True)
        super().__init__(root / "land", spec, {**environ, "PATH": f"{root / 'bin'}:{environ['PATH']}"})

    def machine(self, name: str) -> Machine:
        return Machine(name, name, sys.executable, str(self.root / f"far-{name}"), lost_after=self.lost_after)

    def switch(self, name: str, *, on: bool) -> None:
        base = self.root if (self.root / "config").exists() else self.root.parent
        if on:
            command = [SSHD, "-D", "-f", str(base / f"sshd-{name}"), "-E", str(base / f"{name}.log")]
            self.servers[name] = subprocess.Popen(command)
        else:
            self.servers[name].kill()
            self.servers[name].wait()

    def connections(self, name: str) -> list[int]:
        """The server's process of each session."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [one.pid for one in psutil.Process(self.servers[name].pid).children()]
        return []

    def close(self) -> None:
        for name in self.servers:
            for pid in self.connections(name):
                os.kill(pid, signal.SIGKILL)
            self.switch(name, on=False)


class RayLand(Land):
    """Two nodes of a real Ray cluster. `agent` is the bridge, as by a cut connection, and `actor` its far end."""

    victims = (*Land.victims, "actor", "head")
    lost_after = 20.0  # on a busy machine, a new connection takes up to 10 s

    def __init__(self, root: Path, spec: StudySpec, environ: dict[str, str]) -> None:
        self.cluster = Cluster(environ)
        for name in ("a", "b"):
            self.cluster.node(name)
        super().__init__(root, spec, environ)

    def machine(self, name: str) -> Machine:
        folder = str(self.root / f"far-{name}")
        return Machine(name, folder=folder, lost_after=self.lost_after, ray=self.cluster.address, node=name)

    def switch(self, name: str, *, on: bool) -> None:
        self.cluster.node(name) if on else self.cluster.kill(name)

    def connections(self, name: str) -> list[int]:
        """The bridge of the runner."""
        found = []
        for one in psutil.process_iter(["cmdline"]):
            words = one.info["cmdline"] or []
            if BRIDGE_MODULE in words and f'"{self.far(name)}"' in words[-1]:
                found.append(one.pid)
        return found

    def kill(self, victim: str, name: str) -> int:
        if victim == "actor":
            found = self.cluster.daemons(name, "ray::Carrier")
            self.cluster.kill(name, "ray::Carrier")
            return len(found)
        return super().kill(victim, name)

    def kill_head(self) -> None:
        """Without it every node leaves by itself; then it is started again, and they are."""
        self.cluster.kill("head")
        for name in ("a", "b"):
            wait_for(lambda name=name: not self.cluster.daemons(name, "raylet/raylet"), "the nodes to leave", 120)  # type: ignore[misc]  # bound at once
            self.cluster.kill(name)
        self.cluster.head()
        for name in ("a", "b"):
            self.cluster.node(name)


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
    kills = dict.fromkeys(land.victims, 0)
    began, runner = time.monotonic(), land.spawn()
    while sum(kills.values()) < KILLS and land.ward.read()[0].state == StudyState.RUNNING:
        signal.sigtimedwait([signal.SIGUSR2], dice.uniform(*pause))  # a random moment is the point
        victim = min(land.victims, key=lambda one: (kills[one], dice.random()))
        name = dice.choice("ab")
        if victim == "runner":
            runner.kill()
            kills["runner"] += 1
        elif victim == "head":
            land.kill_head()
            kills["head"] += 1
        elif victim == "machine":
            land.switch(name, on=False)
            kills[victim] += bool(land.kill(victim, name))
            signal.sigtimedwait([signal.SIGUSR2], land.lost_after * 1.5)
            land.switch(name, on=True)
        else:
            kills[victim] += bool(land.kill(victim, name))
        if runner.poll() is not None or victim == "runner":
            runner.wait(30)
            runner = land.spawn()
    assert runner.wait(PATIENCE) == 0
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
    counts = {"lost": lost, "doubled": doubled, "equal": equal, "given up": given_up, "moved": moved(land)}
    return {"kills": kills, **counts, "ends": ends, "seconds": seconds}


def moved(land: Land) -> int:
    """How many trials ended on another machine than they had begun on, from a checkpoint that was copied here."""
    by_trial: dict[int, list[Attempt]] = {}
    for attempt in land.ward.read()[2]:
        by_trial.setdefault(attempt.trial_id or 0, []).append(attempt)
    found = 0
    for attempts in by_trial.values():
        last = attempts[-1]
        spec = json.loads(RunPaths(land.ward.workspace.absolute(last.folder)).spec.read_text())
        elsewhere = any(one.slot.partition("/")[0] != last.slot.partition("/")[0] for one in attempts)
        found += bool(last.exit_class == "complete" and elsewhere and spec.get("resume_from"))
    return found


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


@needs_sshd
def test_fake_workers_by_ssh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With OpenSSH's client and server; where a folder has its agent killed, here a connection is cut."""
    environ = fake_environment(tmp_path, steps=60, step_seconds=0.1, checkpoint_every=10, evaluate_every=10)
    more = {"runner": {"retries": 20, "pause_after_failures": 50}, "budget": {"trials": 8}}
    spec = study_spec(tmp_path, name="tiny", **more)
    calm, land = Ward(tmp_path / "calm", spec), SshLand(tmp_path / "land", spec, environ)
    with_fakes(calm, environ)
    try:
        told(endure(land, random.Random(5), (0.5, 4.0)), capsys)
    finally:
        land.close()
    assert scores(calm) == scores(land.ward)


@needs_sshd
def test_real_workers_by_ssh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real small study by ssh, killed as above."""
    spec = tiny_study(tmp_path / "data")
    calm = Ward(tmp_path / "calm", spec)
    calm.run()
    land = SshLand(tmp_path / "land", spec, {**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    try:
        told(endure(land, random.Random(7), (3.0, 15.0)), capsys)
    finally:
        land.close()
    assert outcome(calm) == outcome(land.ward)


@pytest.mark.skipif(not RAY, reason="no Ray: pip install 'bertdistill-tui[ray]'")
def test_fake_workers_on_ray(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real cluster of a head and two nodes, each of which is killed as a whole, too."""
    (tmp_path / "quick").mkdir()
    steps = {"steps": 100, "checkpoint_every": 10, "evaluate_every": 10}
    quick, slow = fake_environment(tmp_path / "quick", **steps), fake_environment(tmp_path, step_seconds=0.15, **steps)
    more = {"runner": {"retries": 20, "pause_after_failures": 50}, "budget": {"trials": 12}}
    spec = study_spec(tmp_path, name="tiny", **more)
    calm = Ward(tmp_path / "calm", spec)
    with_fakes(calm, quick)
    land = RayLand(tmp_path / "land", spec, slow)
    try:
        found = endure(land, random.Random(11), (1.0, 8.0))
    finally:
        land.cluster.close()
    told(found, capsys)  # how many trials moved to the other node is up to the dice
    assert scores(calm) == scores(land.ward)
