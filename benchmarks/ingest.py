"""How fast metric values get from a training loop into the database, compared with MLflow's `log_metric` on SQLite.

Run it as `python benchmarks/ingest.py`; MLflow is measured if it can be imported. It asserts nothing: the numbers are
for people, on a machine that should be idle.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bertdistill.engine.contract.events import EventWriter
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.runner.ingest import ingest
from bertdistill.store import reads, writes
from bertdistill.store.db import DATABASE_NAME, Database, open_db
from bertdistill.store.rows import TrialState

METRICS_A_STEP = 20
ROW = "{:<58} {:>14}"


def main() -> int:
    """Measure in a temporary folder and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=25_000, help="steps of 20 values for our side")
    parser.add_argument("--mlflow-steps", type=int, default=25, help="steps of 20 values for MLflow's log_metric")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rate = measure_ours(Path(folder), options.steps)
        measure_mlflow(Path(folder), options.mlflow_steps, rate)
    return 0


def measure_ours(workspace: Path, steps: int) -> float:
    """Report, ingest and measure `steps` steps; returns values parsed and stored per second."""
    db = open_db(workspace)
    attempt_id, paths = prepare(db, workspace)
    show_calls("EventWriter.metrics, 20 values", report(paths, steps))
    file_bytes = paths.events.stat().st_size
    start = time.perf_counter()
    values = drain(db, workspace, attempt_id)
    seconds = time.perf_counter() - start
    db.close()
    size = (workspace / DATABASE_NAME).stat().st_size
    show("values parsed and stored per second", f"{values / seconds:,.0f}")
    show("database, MB per million points", f"{size / values:.1f}")
    show("events file, MB per million points", f"{file_bytes / values:.1f}")
    return values / seconds


def prepare(db: Database, workspace: Path) -> tuple[int, RunPaths]:
    """A study with one running trial and the folder of its attempt."""
    with db.write() as session:
        study = writes.create_study(session, name="bench", task="text-classification", spec={}, now=0.0)
        assert study.id is not None
        trial = writes.create_trial(
            session,
            study_id=study.id,
            origin="sampler",
            params={},
            settings={},
            known={},
            now=0.0,
            state=TrialState.RUNNING,
        )
        attempt = writes.create_attempt(
            session, study_id=study.id, trial_id=trial.id, kind="trial", folder="runs/bench/0000-1", slot="", now=0.0
        )
    assert attempt.id is not None
    paths = RunPaths(workspace / attempt.folder)
    paths.folder.mkdir(parents=True)
    return attempt.id, paths


def report(paths: RunPaths, steps: int) -> list[float]:
    """Seconds of every call that reports a step."""
    writer, draw = EventWriter(paths.events), random.Random(0)
    names = [f"train/metric_{number}" for number in range(METRICS_A_STEP)]
    seconds = []
    for step in range(steps):
        values = {name: draw.random() for name in names}
        start = time.perf_counter()
        writer.metrics(step, values)
        seconds.append(time.perf_counter() - start)
    writer.close()
    return seconds


def drain(db: Database, workspace: Path, attempt_id: int) -> int:
    """Ingest until the file is stored; returns the number of values."""
    values, more = 0, True
    while more:
        with db.read() as session:
            attempt = reads.attempt_by_id(session, attempt_id)
        batch = ingest(db, workspace, attempt)
        values, more = values + batch.points, batch.more
    return values


def measure_mlflow(folder: Path, steps: int, our_rate: float) -> None:
    """The same values through `mlflow.log_metric`, one call per value, on SQLite."""
    if importlib.util.find_spec("mlflow") is None:
        show("MLflow log_metric on SQLite", "not installed")
        return
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = importlib.import_module("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment("bench")
    names, draw, seconds = [f"train/metric_{number}" for number in range(METRICS_A_STEP)], random.Random(0), []
    with mlflow.start_run():
        mlflow.log_metric("warm_up", 0.0)
        for step in range(steps):
            start = time.perf_counter()
            for name in names:
                mlflow.log_metric(name, draw.random(), step=step)
            seconds.append(time.perf_counter() - start)
    rate = steps * METRICS_A_STEP / sum(seconds)
    show_calls(f"MLflow {mlflow.__version__} log_metric, 20 calls", seconds)
    show("MLflow values per second", f"{rate:,.0f}")
    show("ours over MLflow", f"{our_rate / rate:,.0f} times")


def show(what: str, value: str) -> None:
    sys.stdout.write(ROW.format(what, value) + "\n")


def show_calls(what: str, seconds: list[float]) -> None:
    """Median, 99th percentile and longest, in microseconds."""
    cuts: dict[str, Callable[[list[float]], float]] = {
        "median": statistics.median,
        "99th percentile": lambda values: sorted(values)[int(len(values) * 0.99)],
        "longest": max,
    }
    for name, cut in cuts.items():
        show(f"{what}: {name}", f"{cut(seconds) * 1e6:,.1f} µs")


if __name__ == "__main__":
    raise SystemExit(main())
