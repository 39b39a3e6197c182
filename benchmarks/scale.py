"""What a large workspace costs: attempts that report every second, settling a trial, a proposal.

    python benchmarks/scale.py [--attempts 1000] [--trials 100000] [--proposals 1000 20000]

Everything is real except the workers: a database of the given size, growing event files, the runner's own rounds. CPU
seconds of this process, so that other load on the machine does not count; wall time for what users wait for. The first
proposal of a study reads all of its trials, later ones only what is new: both are shown.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from bertdistill.engine.contract.events import PROGRESS, EventWriter
from bertdistill.engine.contract.folder import RunPaths, write_json
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.launch.protocol import Handle
from bertdistill.engine.runner.runner import Runner
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.rows import TrialState

ROUNDS_A_SECOND = 4
"""As often as the runner polls: a quarter of the attempts have news in each round."""
SECONDS = 4
BEFORE = 500
"""Steps that each attempt has already reported: the cost of curve summaries grows with their length."""
SHAPE = {
    "architecture": "bert",
    "layers": 12,
    "heads": 12,
    "head_size": 64,
    "hidden_size": 768,
    "ffn_size": 3072,
    "vocab_size": 30522,
    "positions": 512,
    "types": 2,
}


def study_spec(folder: Path, slots: int) -> StudySpec:
    """A study that never ends by itself."""
    for name in ("train.txt", "report.txt"):
        (folder / name).write_text("good film;yes\nbad film;no\n")
    raw = {
        "name": "large",
        "task": "text-classification",
        "data": {"train": str(folder / "train.txt"), "report": str(folder / "report.txt"), "max_length": 32},
        "teacher": {"model": "scratch", "hidden_size": 768, "head_size": 64, "fine_tune": {"epochs": 1.0}},
        "search": {
            "layers": {"low": 1, "high": 12},
            "learning_rate": {"low": 1e-6, "high": 1e-3, "log": True},
            "batch_size": {"choices": [8, 16, 32]},
            "alpha": {"low": 0.0, "high": 1.0},
            "temperature": {"low": 1.0, "high": 10.0},
        },
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "params", "direction": "minimize"},
        ],
        "budget": {"trials": 100_000},
        "sampler": {"kind": "tpe", "seed": 3},
        "runner": {"slots": min(slots, 256), "min_free_gb": 0.0},
        "stopping": {"rule": "none"},
    }
    return study_from_dict(raw, where="benchmark")


@dataclass(frozen=True)
class Idle(LocalLauncher):
    """A launcher whose workers stay alive until exit.json exists."""

    def alive(self, paths: RunPaths, handle: Handle) -> bool:
        return not paths.exit.exists()


class Large:
    """A workspace with a prepared study of many complete trials."""

    def __init__(self, folder: Path, trials: int, slots: int = 1) -> None:
        self.workspace = Workspace(folder.resolve())
        self.spec = study_spec(folder, slots)
        self.db: Database = open_db(folder)
        facts = {"init_shape": SHAPE, "teacher_shape": SHAPE, "labels": ["no", "yes"], "mean_length": 32.0}
        with self.db.write() as session:
            study = writes.create_study(session, name="large", task=self.spec.task, spec=dump(self.spec), now=1.0)
            writes.set_prepared(session, study.id, facts)
            self.study_id = study.id
            for first in range(0, trials, 10_000):
                _complete_trials(session, study.id, self.spec, first, min(trials, first + 10_000))
        self.runner = Runner(self.workspace, self.db, Idle(environ={"CUDA_VISIBLE_DEVICES": ""}))

    def attempt(self, number: int) -> RunPaths:
        """A running trial with an attempt; returns its folder."""
        folder = Path("runs") / "large" / f"{number:05d}-1"
        with self.db.write() as session:
            trial = writes.create_trial(
                session,
                study_id=self.study_id,
                origin="sampler",
                params=_params(random.Random(number)),
                settings=vars(self.spec.settings),
                known={"params": 1e6},
                now=2.0,
                state=TrialState.RUNNING,
            )
            writes.create_attempt(
                session,
                study_id=self.study_id,
                trial_id=trial.id,
                kind="trial",
                folder=folder.as_posix(),
                slot=f"cpu{number}",
                now=2.0,
                handle=Handle(device=Device("cpu", 1)).to_dict(),
            )
        paths = RunPaths(self.workspace.path / folder)
        paths.folder.mkdir(parents=True)
        return paths

    def close(self) -> None:
        self.runner.close()
        self.db.close()


def _params(dice: random.Random) -> dict[str, Any]:
    return {
        "layers": dice.randint(1, 12),
        "learning_rate": float(f"{10 ** dice.uniform(-6, -3):.4g}"),
        "batch_size": dice.choice([8, 16, 32]),
        "alpha": round(dice.random(), 4),
        "temperature": round(dice.uniform(1, 10), 3),
    }


def _complete_trials(session: Any, study_id: int, spec: StudySpec, first: int, last: int) -> None:
    """Trials with numbers from `first` to before `last`: one through `writes`, the others as copies of its row."""
    dice = random.Random(first)
    model = writes.create_trial(
        session,
        study_id=study_id,
        origin="sampler",
        params=_params(dice),
        settings=dict(vars(spec.settings)),
        known={"params": 5e6, "size_mb": 20.0},
        now=1.0,
        state=TrialState.COMPLETE,
    )
    kept = "study_id, state, origin, reason, detail, failures, sampler, created_at, tags, note, archived"
    rows = []
    for number in range(first + 1, last):
        params = _params(dice)
        size = 1e6 * params["layers"]
        score = 90 - 30 / params["layers"] + dice.gauss(0, 2)
        setting = dict(vars(spec.settings)) | params
        values = {"accuracy": score, "params": size}
        rows.append(
            (
                number,
                json.dumps(params),
                json.dumps(setting),
                json.dumps({"params": size}),
                json.dumps(values),
                model.id,
            )
        )
    session.run(
        f"INSERT INTO trial ({kept}, progress, started_at, finished_at, busy_seconds, number, params, settings, known,"
        f" metrics) SELECT {kept}, 1.0, 1.0, 2.0, 60.0, ?, ?, ?, ?, ? FROM trial WHERE id = ?",
        rows,
    )


def reporting(folder: Path, attempts: int) -> tuple[float, float]:
    """CPU seconds of the runner per second in which every attempt reports once, and how many attempts fill a core."""
    of = Large(folder, trials=0, slots=attempts)
    writers = [EventWriter(of.attempt(number).events) for number in range(attempts)]
    for writer in writers:
        for step in range(BEFORE):
            writer.metrics(step, {"train/loss": 1.0, "train/soft": 0.5, "examples": 8.0 * step})
    of.runner.tick()
    spent = 0.0
    for round_ in range(SECONDS * ROUNDS_A_SECOND):
        step = BEFORE + round_ // ROUNDS_A_SECOND
        for writer in writers[round_ % ROUNDS_A_SECOND :: ROUNDS_A_SECOND]:
            writer.metrics(step, {"train/loss": 1 / step, "train/soft": 0.5, "examples": 8.0 * step})
            writer.emit(PROGRESS, phase="train", done=step, total=1000, rate=10.0, unit="steps")
        spent += cpu(lambda: (of.runner._collector.stirs(), of.runner.tick()))
    for writer in writers:
        writer.close()
    of.close()
    return spent / SECONDS, attempts / (spent / SECONDS)


def settling(folder: Path, trials: int) -> float:
    """Wall seconds of the round in which one more trial of a study is settled; the median of five."""
    of = Large(folder, trials - 10)  # the budget of a study ends at 100,000
    of.runner.tick()
    deadline = time.monotonic() + 600
    while not of.runner._proposer.ready and time.monotonic() < deadline:
        time.sleep(0.05)
    times = []
    for number in range(trials, trials + 5):
        paths = of.attempt(number)
        writer = EventWriter(paths.events)
        writer.emit("result", metrics={"accuracy": 80.0, "params": 1e6})
        writer.emit("ended", status="complete", reason="", detail="")
        writer.close()
        write_json(paths.exit, {"kind": "complete", "code": 0, "ended_at": time.time()})
        of.runner._proposer._open = None  # its thread would share this core
        of.runner._scheduler.free_slots = lambda *_: []  # type: ignore[method-assign]  # nothing is started
        start = time.perf_counter()
        of.runner.tick()
        times.append(time.perf_counter() - start)
    with of.db.read() as session:
        assert not reads.live_attempts(session)
    of.close()
    return sorted(times)[2]


def proposing(folder: Path, trials: int) -> tuple[float, float]:
    """CPU seconds of a runner's first proposal, and of the next one."""
    of = Large(folder, trials)
    ask = _question(of)
    gc.freeze()  # as the runner does
    found = cpu(ask), cpu(ask)
    of.close()
    return found


def _question(of: Large) -> Callable[[], Any]:
    from bertdistill.engine.contract.facts import Prepared
    from bertdistill.engine.search import proposals

    with of.db.read() as session:
        facts = Prepared.from_dict(reads.study_by_id(session, of.study_id).prepared)
    if not hasattr(proposals, "Record"):  # before 0.2: all trials were read each time

        def whole() -> Any:
            with of.db.read() as session:
                trials = reads.trials(session, of.study_id)
            return proposals.next_proposal(trials, of.spec, facts)

        return whole
    record = proposals.Record(of.study_id, of.spec)

    def again() -> Any:
        with of.db.read() as session:
            record.refresh(session)
        return record.next_proposal(facts)

    return again


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds of this process during a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--proposals", type=int, nargs="*", default=[1000, 20_000])
    given = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        places = (Path(scratch) / str(n) for n in range(100))

        def place() -> Path:
            folder = next(places)
            folder.mkdir()
            return folder

        if given.attempts:
            busy, most = reporting(place(), given.attempts)
            lines.append(f"{given.attempts:,} attempts that report every second   {100 * busy:6.1f} % of a core")
            lines.append(f"  attempts that fill a core                  {most:8,.0f}")
        if given.trials:
            lines.append(
                f"a settled trial at {given.trials:,} trials         {1000 * settling(place(), given.trials):8.1f} ms"
            )
        for trials in given.proposals:
            first, later = proposing(place(), trials)
            lines.append(
                f"a proposal at {trials:,} trials                {1000 * later:8.0f} ms, the first {first:.2f} s"
            )
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
