"""What a logged step costs a training, and what is left after kills.

`python benchmarks/log.py [--steps 20000] [--kills 100]`. It times `run.log` with two values beside the least that could
do: one JSON line written by a plain file object, and by one write(2) a line. MLflow, Weights & Biases (offline) and
Trackio are timed in the same run if they are installed. Then it kills a training as often as asked, and compares what
is stored with the complete lines of its files.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bertdistill
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner.logged import LoggedRuns
from bertdistill.store.db import open_db

Log = Callable[[int], None]


def main() -> None:
    """Print a Markdown table of microseconds a call, then a sentence about the kills."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=100)
    options = parser.parse_args()
    print("| logged by | median µs | 99th percentile µs | total s |")
    print("|---|---|---|---|")
    for name, loggers in LOGGERS.items():
        if importlib.util.find_spec(name.partition(" ")[0]) is not None:
            steps = options.steps if name != "mlflow" else min(options.steps, 200)
            with tempfile.TemporaryDirectory() as folder:
                print(f"| {name} | {' | '.join(timed(loggers(Path(folder)), steps))} |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        print(kills(Path(folder), options.kills))


def timed(logging: Iterator[Log], steps: int) -> tuple[str, str, str]:
    """Median, 99th percentile and total of so many calls."""
    log, took = next(logging), []
    begun = time.perf_counter()
    for step in range(steps):
        start = time.perf_counter()
        log(step)
        took.append((time.perf_counter() - start) * 1e6)
    next(logging, None)
    total = time.perf_counter() - begun
    return f"{statistics.median(took):.1f}", f"{sorted(took)[int(0.99 * len(took))]:.1f}", f"{total:.2f}"


def ours(folder: Path) -> Iterator[Log]:
    with bertdistill.start("cost", workspace=folder) as run:
        yield lambda step: run.log({"loss": 1 / (step + 1), "accuracy": step / 7}, step=step)


def plain(folder: Path) -> Iterator[Log]:
    with (folder / "lines.jsonl").open("w") as file:
        yield lambda step: print(json.dumps({"step": step, "loss": 1 / (step + 1), "accuracy": step / 7}), file=file)


def unbuffered(folder: Path) -> Iterator[Log]:
    target = os.open(folder / "lines.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def log(step: int) -> None:
        os.write(target, json.dumps({"step": step, "loss": 1 / (step + 1), "accuracy": step / 7}).encode() + b"\n")

    yield log
    os.close(target)


def mlflow(folder: Path) -> Iterator[Log]:
    import mlflow as peer

    peer.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    with peer.start_run():
        yield lambda step: peer.log_metrics({"loss": 1 / (step + 1), "accuracy": step / 7}, step=step)


def wandb(folder: Path) -> Iterator[Log]:
    import wandb as peer

    run = peer.init(mode="offline", dir=str(folder))
    yield lambda step: run.log({"loss": 1 / (step + 1), "accuracy": step / 7}, step=step)
    run.finish()


def trackio(folder: Path) -> Iterator[Log]:
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio as peer

    peer.init(project="cost")
    yield lambda step: peer.log({"loss": 1 / (step + 1), "accuracy": step / 7}, step=step)
    peer.finish()


LOGGERS: dict[str, Callable[[Path], Iterator[Log]]] = {
    "bertdistill": ours,
    "json (a buffered line)": plain,
    "json (one write a line)": unbuffered,
    "mlflow": mlflow,
    "wandb": wandb,
    "trackio": trackio,
}


def kills(folder: Path, count: int) -> str:
    """Kill a training so often, at random; a sentence about what was stored."""
    chance = random.Random(1)
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            run = bertdistill.start("killed", workspace=folder, run=f"run-{number}")
            while True:
                run.log({"loss": 0.5})
        time.sleep(chance.uniform(0.05, 0.2))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if number % 5 == 0:
            LoggedRuns(Workspace(folder)).catch_up()
    LoggedRuns(Workspace(folder)).catch_up()
    lines = sum(
        line.startswith(b'{"k":"metrics"') and line.endswith(b"\n")
        for path in folder.glob("runs/_logged/*/events.jsonl")
        for line in path.open("rb")
    )
    db = open_db(folder, read_only=True)
    with db.read() as session:
        [(points,)] = session.rows("SELECT coalesce(sum(points), 0) FROM series")
    db.close()
    return f"\n{count} kills: {lines:,} complete lines, {points:,} points stored"


if __name__ == "__main__":
    main()
