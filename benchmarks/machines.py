"""What many machines cost the runner: 20 machines of 50 attempts that report every second.

    python benchmarks/machines.py [--machines 20] [--attempts 50] [--seconds 30]

A machine is a folder with a real agent, a child process, and a second process that appends to the events of its
attempts and holds their locks. Shown: CPU of the runner per second (its main thread, and the threads of the
machines), how old the newest stored row of an attempt is, and what a round of the runner takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from scale import Large

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch.fleet import Fleet
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.launch.machines import Machine, add
from bertdistill.engine.launch.protocol import Handle
from bertdistill.engine.runner.runner import Runner
from bertdistill.store import reads, writes

WRITER = """
import os, sys, time
from pathlib import Path
from bertdistill.engine.contract.events import PROGRESS, EventWriter
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.launch.process import try_lock
paths = [RunPaths(Path(one)) for one in sys.argv[1:]]
locks = [try_lock(one.lock) for one in paths]
writers = [EventWriter(one.events) for one in paths]
print("ready", flush=True)
for step in range(10**9):
    began = time.monotonic()
    for number, writer in enumerate(writers):
        time.sleep(max(0.0, began + number / len(writers) - time.monotonic()))
        writer.metrics(step, {"train/loss": 1 / (step + 1), "train/soft": 0.5, "examples": 8.0 * step})
        writer.emit(PROGRESS, phase="train", done=step, total=1000, rate=10.0, unit="steps")
    time.sleep(max(0.0, began + 1 - time.monotonic()))
"""


class Many(Large):
    """A workspace whose attempts run on other machines."""

    def __init__(self, folder: Path, machines: int, attempts: int) -> None:
        super().__init__(folder, trials=0, slots=machines * attempts)
        self.runner.close()
        self.writers: list[subprocess.Popen[bytes]] = []
        for number in range(machines):
            name = f"m{number}"
            found = add(folder, Machine(name, folder=str(folder / "far" / name), slots=attempts))
            self._fill(name, Path(found.root(found.find(name))), range(number * attempts, (number + 1) * attempts))
        self.fleet = Fleet(self.workspace.path, LocalLauncher())
        self.runner = Runner(self.workspace, self.db, self.fleet)
        self.runner._scheduler.free_slots = lambda *_: []  # type: ignore[method-assign]  # nothing is started

    def _fill(self, name: str, root: Path, numbers: range) -> None:
        """Attempts that run on a machine."""
        folders = []
        for number in numbers:
            here = self.attempt(number)
            there = RunPaths(root / here.folder.relative_to(self.workspace.path))
            there.folder.mkdir(parents=True)
            for spec in (here.spec, there.spec):
                spec.write_text("{}")
            folders.append(str(there.folder))
            with self.db.write() as session:
                [attempt] = [one for one in reads.live_attempts(session) if one.folder.endswith(f"/{number:05d}-1")]
                handle = Handle(job=attempt.folder, device=replace(Device(), node=name))
                writes.set_attempt_handle(session, attempt.id, handle.to_dict())
        for folder in (root, root.parent):
            folder.chmod(0o700)
        command = [sys.executable, "-P", "-c", WRITER, *folders]
        self.writers.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert self.writers[-1].stdout is not None
        self.writers[-1].stdout.readline()

    def ages(self) -> list[float]:
        """How old the newest stored row of each attempt is, in seconds."""
        now = time.time()
        with self.db.read() as session:
            series = [one for one in reads.series(session, self.study_id) if one.name == "train/loss"]
            return [now - reads.points_after(session, one.id, one.last_step - 1, 1)[0][2] for one in series]

    def close(self) -> None:
        for one in self.writers:
            one.kill()
            one.wait()
        self.fleet.close()
        super().close()


def measure(machines: int, attempts: int, seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        of = Many(Path(folder).resolve(), machines, attempts)
        try:
            deadline = time.monotonic() + 120
            while len(of.ages()) < machines * attempts and time.monotonic() < deadline:
                of.runner.tick()
                of.runner.wait(0.25, 2.0)
            rounds, ages, looked = [], [], 0.0
            began, used, main = time.monotonic(), time.process_time(), time.thread_time()
            while time.monotonic() < began + seconds:
                start = time.perf_counter()
                of.runner.tick()
                rounds.append(time.perf_counter() - start)
                of.runner.wait(0.25, 2.0)
                if time.monotonic() - looked > 2.0:
                    looked = time.monotonic()
                    spent = time.process_time(), time.thread_time()
                    ages += of.ages()
                    used, main = used + time.process_time() - spent[0], main + time.thread_time() - spent[1]
            passed = time.monotonic() - began
            whole, own = (time.process_time() - used) / passed, (time.thread_time() - main) / passed
        finally:
            of.close()
    ages.sort()
    rounds.sort()
    return {
        "cpu": whole,
        "main": own,
        "age_median": ages[len(ages) // 2],
        "age_99": ages[int(len(ages) * 0.99)],
        "round_median": rounds[len(rounds) // 2],
        "round_99": rounds[int(len(rounds) * 0.99)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=20)
    parser.add_argument("--attempts", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    told = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print("machines  attempts  runner CPU/s  main thread/s  row age p50  p99  round p50  p99")
    sizes = (
        [(told.machines, told.attempts)] if told.machines < 4 else [(2, told.attempts), (told.machines, told.attempts)]
    )
    for machines, attempts in sizes:
        one = measure(machines, attempts, told.seconds)
        print(
            f"{machines:8}  {attempts:8}  {one['cpu']:10.2f} s  {one['main']:11.2f} s  {one['age_median']:9.2f} s  "
            f"{one['age_99']:.2f} s  {one['round_median']:.3f} s  {one['round_99']:.3f} s"
        )


if __name__ == "__main__":
    main()
