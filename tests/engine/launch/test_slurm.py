"""Jobs of a Slurm cluster: the conformance class on commands that look like Slurm's, and (marked) on the real ones."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.engine.launch.conformance import Conformance, attempt
from tests.fakes import CPU, Workbench, fake_environment, study_spec, wait_for

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.program import ProgramOrder
from bertdistill.engine.launch import slurm
from bertdistill.engine.launch.local import PROGRAM_MODULE
from bertdistill.engine.launch.protocol import Handle, Launcher
from bertdistill.engine.launch.slurm import OPTIONS, SlurmLauncher
from bertdistill.store.rows import StudyState

SBATCH = """#!/bin/sh
for word in "$@"; do case "$word" in
  --output=*) log="${word#--output=}";; --chdir=*) cd "${word#--chdir=}";; --job-name=*) name="${word#--job-name=}";;
  --bad*) echo "no such option" >&2; exit 1;;
esac; done
cat > .job.sh
sh .job.sh >>"$log" 2>&1 </dev/null &
echo $! > "$FAKE_SLURM/job-$name"
echo "Submitted batch job $!"
"""
SQUEUE = """#!/bin/sh
[ -e "$FAKE_SLURM/down" ] && exit 1
cd "$FAKE_SLURM"
for job in job-*; do kill -0 $(cat $job 2>/dev/null) 2>/dev/null && echo ${job#job-} RUNNING; done
[ -e more ] && cat more
true
"""
SCANCEL = """#!/bin/sh
for word in "$@"; do case "$word" in
  --signal=TERM) soft=1;; --name=*) job=$(cat "$FAKE_SLURM/job-${word#--name=}");;
esac; done
[ -n "$job" ] && kill -${soft:+TERM}${soft:-KILL} $job 2>/dev/null || kill -TERM $job
"""


def commands(folder: Path) -> dict[str, str]:
    """A PATH with stand-ins for Slurm's commands."""
    place = folder / "slurm"
    place.mkdir(exist_ok=True)
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL)):
        (place / name).write_text(text)
        (place / name).chmod(0o700)
    return {"PATH": f"{place}:{os.environ['PATH']}", "FAKE_SLURM": str(place)}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(slurm, "LEFT_SECONDS", 0.3)


class TestSlurmLauncher(Conformance):
    """On the stand-ins."""

    @pytest.fixture
    def launcher(self, tmp_path: Path) -> Callable[..., Launcher]:
        def make(**behaviour: Any) -> Launcher:
            return SlurmLauncher(fake_environment(tmp_path, **behaviour) | commands(tmp_path))

        return make

    def test_a_stop_lets_the_worker_save(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        (tmp_path / "hold").touch()
        one, paths = launcher(hold=str(tmp_path / "hold")), attempt(tmp_path / "a", "trial")
        handle = one.start(paths, CPU, grace=5)
        wait_for(lambda: paths.events.exists() and b'"done":3' in paths.events.read_bytes(), "half")
        one.stop(paths, handle)
        assert self.finished(one, paths, handle) == "stopped"
        assert (paths.checkpoints / "last-000003").is_dir()


def test_a_controller_that_is_down_says_nothing_about_jobs(tmp_path: Path) -> None:
    """They count as alive, and nothing new is started."""
    one = SlurmLauncher(fake_environment(tmp_path) | commands(tmp_path))
    (tmp_path / "slurm" / "down").touch()
    [slot] = one.slots()
    wait_for(lambda: one.busy(slot), "the queue to fail")
    assert one.alive(RunPaths(attempt(tmp_path / "a").folder), Handle(job="x"))


def test_only_an_answer_that_can_know_a_job_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one that was asked for before the job was submitted, and none before an outage."""
    monkeypatch.setattr(slurm, "ASK_SECONDS", 1000.0)
    monkeypatch.setattr(slurm, "LEFT_SECONDS", 0.0)
    one, paths = submitted(tmp_path, "true"), attempt(tmp_path / "a")
    one.queue._run()
    handle = one.start(paths, CPU, grace=1)
    wait_for(lambda: not one._submitting, "the submission")
    one.queue._asked = time.monotonic()
    assert one.alive(paths, handle)
    (tmp_path / "slurm" / "down").touch()
    one.queue._run()
    assert one.alive(paths, handle)
    (tmp_path / "slurm" / "down").unlink()
    one.queue._run()
    assert not one.alive(paths, handle)
    (tmp_path / "slurm" / "down").touch()
    one.queue._run()
    assert one.alive(paths, handle)


def test_a_job_whose_node_failed_is_nobodys_fault(tmp_path: Path) -> None:
    one = SlurmLauncher(fake_environment(tmp_path) | commands(tmp_path))
    (tmp_path / "slurm" / "more").write_text("x71 NODE_FAIL\n")
    paths, handle = attempt(tmp_path / "a"), Handle(job="x71")
    found = wait_for(lambda: one.ended(paths, handle), "the end")
    assert (found.kind, found.log_tail) == ("node_lost", "Slurm: NODE_FAIL")


def test_what_sbatch_refuses_and_where_the_database_must_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words, and the variable to correct, although the controller does not answer; a network disk is named."""
    environ = fake_environment(tmp_path) | commands(tmp_path)
    (tmp_path / "slurm" / "down").touch()
    one, paths = SlurmLauncher(environ | {OPTIONS: "--bad"}), attempt(tmp_path / "a")
    handle = one.start(paths, CPU, grace=1)
    found = wait_for(lambda: one.ended(paths, handle), "the refusal")
    assert (found.kind, found.log_tail) == ("launch_failed", f"sbatch: no such option; correct {OPTIONS}")
    monkeypatch.setattr(slurm, "network_filesystem", lambda path: "nfs4")
    with pytest.raises(LaunchError, match=r"network disk \(nfs4\)"):
        SlurmLauncher(environ).start(attempt(tmp_path / "b"), CPU, grace=1)


def test_a_slow_controller_does_not_hold_up_a_tick(tmp_path: Path) -> None:
    """The start returns before `sbatch` does; meanwhile the attempt lives, and a stop reaches it afterwards."""
    environ = fake_environment(tmp_path) | commands(tmp_path)
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "slurm" / "sbatch").write_text(f"#!/bin/sh\ncat {tmp_path}/gate\nexit 1\n")
    one, paths = SlurmLauncher(environ), attempt(tmp_path / "a")
    handle = one.start(paths, CPU, grace=1)
    assert one.alive(paths, handle)
    (tmp_path / "gate").write_text("go")
    assert wait_for(lambda: one.ended(paths, handle), "the end").kind == "launch_failed"


def submitted(tmp_path: Path, script: str) -> SlurmLauncher:
    """With another `sbatch`."""
    environ = fake_environment(tmp_path) | commands(tmp_path)
    (tmp_path / "slurm" / "sbatch").write_text(f"#!/bin/sh\n{script}\n")
    return SlurmLauncher(environ)


def test_a_program_has_its_own_worker(tmp_path: Path) -> None:
    """The one of distillation would refuse its spec."""
    paths = RunPaths(tmp_path / "a")
    paths.folder.mkdir()
    ProgramOrder("s", 0, ["true"], str(tmp_path), {"kind": "cpu"}).write(paths.spec)
    one = submitted(tmp_path, 'cat > "$FAKE_SLURM/script"')
    one.start(paths, CPU, grace=1)
    wait_for(lambda: not one._submitting, "the submission")
    assert PROGRAM_MODULE in (tmp_path / "slurm" / "script").read_text()


def test_a_submission_without_an_answer_leaves_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be in the queue all the same: it is cancelled by its name, as nobody knows its id."""
    one, asked = submitted(tmp_path, "exit 1"), []

    def run(command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        if command[0] == "sbatch":
            raise subprocess.TimeoutExpired(command, 15)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    paths = attempt(tmp_path / "a")
    handle = one.start(paths, CPU, grace=1)
    assert "timed out" in wait_for(lambda: one.ended(paths, handle), "the end").log_tail
    wait_for(lambda: ["scancel"] in [words[:1] for words in asked], "the job to be cancelled")
    [name] = [word for words in asked for word in words if word.startswith("--job-name=")]
    assert ["scancel", name.replace("--job-name", "--name")] in asked


def test_slots_follow_the_options(tmp_path: Path) -> None:
    """A GPU is Slurm's to choose; every job has a name of its own for it."""
    one = SlurmLauncher({OPTIONS: "--gres=gpu:1 --cpus-per-task=6"})
    devices = [slot.device for slot in one.slots(2)]
    assert [("cuda", 6, "slurm0"), ("cuda", 6, "slurm1")] == [(one.kind, one.threads, one.uuid) for one in devices]


# -------------------------------------------------------------------------------------------------------- the real one

CONFIG = """
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/%n.pid
SlurmctldPidFile={folder}/ctld.pid
SlurmdLogFile={folder}/%n.log
SlurmctldLogFile={folder}/ctld.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdTimeout=20
KillWait=30
NodeName=n1 NodeHostname=localhost Port={one} CPUs=2
NodeName=n2 NodeHostname=localhost Port={two} CPUs=2
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""
needed = [shutil.which(name) or "" for name in ("slurmctld", "slurmd", "munged", "sbatch")]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Cluster:
    """munged, slurmctld and two slurmd on the loopback, with files of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for part in ("state", "spool-n1", "spool-n2"):
            (folder / part).mkdir()
        folder.chmod(0o755)
        ports = {name: free_port() for name in ("port", "one", "two")}
        (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, **ports))
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o600)
        self.environ = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self.parts: dict[str, subprocess.Popen[bytes]] = {}
        files = [f"--{name}={folder}/munge.{end}" for name, end in (("socket", "sock"), ("key-file", "key"))]
        files += [f"--{name}={folder}/munge.{end}" for name, end in (("log-file", "log"), ("pid-file", "pid"))]
        self.run("munged", "--foreground", "--force", *files, f"--seed-file={folder}/munge.seed")
        wait_for((folder / "munge.sock").exists, "munge")
        self.controller()
        for name in ("n1", "n2"):
            self.run("slurmd", "-D", "-N", name, key=name)

        def ready() -> bool:
            done = subprocess.run(
                ["sinfo", "-h", "-o", "%D %t"], env=self.environ, capture_output=True, text=True, check=False
            )
            return done.stdout.split() == ["2", "idle"]

        wait_for(ready, "two idle nodes", 120)

    def controller(self) -> None:
        self.run("slurmctld", "-D")

    def run(self, program: str, *words: str, key: str = "") -> None:
        log = (self.folder / f"{key or program}.out").open("ab")
        self.parts[key or program] = subprocess.Popen([program, *words], env=self.environ, stdout=log, stderr=log)

    def kill(self, key: str) -> None:
        self.parts[key].kill()
        self.parts[key].wait()

    def close(self) -> None:
        for key in reversed(self.parts):
            self.kill(key)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path / "cluster")
    yield found
    found.close()


@pytest.mark.machines
@pytest.mark.skipif(not all(needed) or os.getuid() != 0, reason="no Slurm: apt-get install slurm-wlm munge; as root")
def test_a_real_cluster(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study to its end, with a stop, a controller that dies and comes back, and a node that dies."""
    monkeypatch.setattr(slurm, "ASK_SECONDS", 1.0)
    monkeypatch.setattr(slurm, "LEFT_SECONDS", 30.0)
    (tmp_path / "hold").touch()
    hold = {"hold": str(tmp_path / "hold")}
    environ = {**fake_environment(tmp_path, **hold), "SLURM_CONF": cluster.environ["SLURM_CONF"]}
    bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 4}), **hold)
    bench.launcher = SlurmLauncher(environ)
    bench.renew()
    bench.start()
    figures: dict[str, float] = {}

    def turn(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            bench.runner.tick()
            bench.runner.wait(0.1, 0.3)

    def until(condition: Callable[[], Any], what: str, name: str) -> None:
        began = time.monotonic()
        end = began + 240
        while not condition():
            assert time.monotonic() < end, what
            bench.runner.tick()
            bench.runner.wait(0.1, 0.3)
        figures[name] = round(time.monotonic() - began, 1)

    try:
        until(lambda: bench.at_half(2), "two trials at half", "prepared, two jobs at half")
        turn(10.0)  # a controller writes what it knows every few seconds; a job that it forgot would be cancelled
        cluster.kill("slurmctld")
        turn(5.0)
        assert bench.at_half(2)
        cluster.controller()
        wait_for(lambda: bench.launcher.busy(bench.launcher.slots()[0]) == "", "the controller", 60)
        bench.ask("stop_trial", study_id=bench.study().id, trial_id=bench.trial(0).id)
        until(lambda: bench.attempts(0)[0].exit_class, "the stop", "a stop to its end")
        assert bench.attempts(0)[0].exit_class == "stopped"
        until(lambda: bench.at_half(2), "another at half", "next job at half")
        victim = next(one for one in bench.live() if one.kind == "trial")
        job = Handle.from_dict(victim.handle).job
        node, number = subprocess.run(
            ["squeue", "-h", "-n", job, "-o", "%N %i"], env=environ, capture_output=True, text=True, check=True
        ).stdout.split()
        for one in psutil.process_iter(["cmdline"]):
            words = " ".join(one.info["cmdline"] or [])
            if victim.folder in words or f"[{number}." in words:
                with contextlib.suppress(psutil.NoSuchProcess):
                    os.kill(one.pid, signal.SIGKILL)
        cluster.kill(node)

        def fate() -> str | None:
            return next(one for one in bench.attempts() if one.id == victim.id).exit_class

        until(fate, "the end of a dead node's job", "a dead node noticed")
        (tmp_path / "hold").unlink()
        until(lambda: bench.study().state == StudyState.COMPLETE, "the study to end", "the rest")
        ends = sorted((one.folder, one.exit_class) for one in bench.attempts())
        with capsys.disabled():
            print(f"\n{figures}\n{fate()} {ends}")  # noqa: T201 - the figures are what this test is run for
        assert [str(one.state) for one in bench.trials()].count("complete") == 3
    finally:
        bench.close()
