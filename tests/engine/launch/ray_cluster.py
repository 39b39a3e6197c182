"""A real Ray cluster on this machine: a head, which belongs to the runner's machine, and nodes that can be killed."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from tests.fakes import wait_for

RAY = shutil.which("ray", path=str(Path(sys.executable).parent)) or ""
STARTS = 5
"""A raylet gives up on a busy machine if the agent beside it takes more than 15 s to start."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Cluster:
    """Each node is a `ray start --block`, whose children are its daemons."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # the paths of its sockets must be short
        given = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
        self.environ = {**environ, **given, "RAY_gcs_rpc_server_reconnect_timeout_s": "10"}
        self.port, self.nodes = free_port(), dict[str, subprocess.Popen[bytes]]()
        self.address = f"{_own_address()}:{self.port}"
        self.head()

    def head(self) -> None:
        words = ["--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        self._start("head", *words, "--num-cpus=0")

    def node(self, name: str) -> None:
        self._start(name, f"--address={self.address}", "--num-cpus=1")

    def _start(self, name: str, *words: str) -> None:
        command = [RAY, "start", *words, f"--node-name={name}", "--object-store-memory=80000000", "--block"]
        for _ in range(STARTS):
            log = (self.folder / f"{name}.log").open("wb")
            self.nodes[name] = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)
            if wait_for(lambda: self._up(name), name, 120) == "up":
                return
            self.kill(name)
        raise AssertionError((self.folder / f"{name}.log").read_text())

    def _up(self, name: str) -> str:
        if self.nodes[name].poll() is not None:
            return "failed"
        return "up" * ("Ray runtime started" in (self.folder / f"{name}.log").read_text())

    def daemons(self, name: str, program: str = "") -> list[psutil.Process]:
        """Processes of a node, or those with that in their command line."""
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.nodes[name].pid).children(recursive=True)
            return [one for one in found if program in " ".join(_words(one))]
        return []

    def kill(self, name: str, program: str = "") -> None:
        """The whole node, or one program of it, at once."""
        doomed = self.daemons(name, program)
        if not program:
            self.nodes[name].kill()
            self.nodes[name].wait()
        for one in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()

    def close(self) -> None:
        for name in reversed(self.nodes):
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)


def _words(one: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return one.cmdline()
    return []


def _own_address() -> str:
    """As Ray finds it: it does not accept the loopback for a head that has another address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("8.8.8.8", 80))  # sends nothing
        return str(one.getsockname()[0])
