"""A launcher in one file, as somebody else would write it: the worker is a child process that runs an agent.

It keeps the protocol and uses no shim: the agent takes the lock of the folder, runs the worker and writes exit.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch import process
from bertdistill.engine.launch.attempts import claim, read_exit
from bertdistill.engine.launch.local import worker_command, worker_environment
from bertdistill.engine.launch.protocol import Exit, Handle, Slot

AGENT = """
import json, subprocess, sys, time
command, folder = json.loads(sys.argv[1]), sys.argv[2]
with open(folder + "/log.txt", "ab") as log:
    code = subprocess.run([*command, folder], stdout=log, stderr=log).returncode
kind = {0: "complete", 75: "stopped", 76: "diverged", 78: "refused"}.get(code, "crashed")
with open(folder + "/exit.new", "w") as file:
    json.dump({"kind": kind, "code": code, "ended_at": time.time()}, file)
import os
os.rename(folder + "/exit.new", folder + "/exit.json")
"""


@dataclass(frozen=True)
class ChildLauncher:
    """One slot, on a machine that is called `elsewhere`."""

    environ: Mapping[str, str]

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        return [Slot(f"elsewhere{n}", Device("cpu", 1)) for n in range(wanted or 1)]

    def among(self, machines: Sequence[str]) -> ChildLauncher:
        return self

    def whole(self, slot: Slot) -> Slot:
        return slot

    def busy(self, slot: Slot) -> str:
        return ""

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> Handle:
        lock = claim(paths)
        command = json.dumps(worker_command(self.environ))
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", AGENT, command, str(paths.folder)],
            env=worker_environment(self.environ, device, paths.folder),
            pass_fds=(lock,),
        )
        os.close(lock)
        return Handle(job=f"agent-{child.pid}")

    def alive(self, paths: RunPaths, handle: Handle) -> bool:
        return process.held(paths.lock)

    def ended(self, paths: RunPaths, handle: Handle) -> Exit | None:
        return None if self.alive(paths, handle) else read_exit(paths, handle)

    def stop(self, paths: RunPaths, handle: Handle) -> None:
        self.kill(paths, handle)

    def kill(self, paths: RunPaths, handle: Handle) -> None:
        process.kill_all(process.holders(paths.lock))
