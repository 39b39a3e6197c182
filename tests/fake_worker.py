"""A worker that obeys `bertdistill.engine.contract` and trains nothing: its behaviour comes from a JSON file.

Started as ``python fake_worker.py RUN_FOLDER``. BERTDISTILL_FAKE names the file; keys it does not have take the
defaults of `DEFAULTS`. Standard library only, so that a kill test starts hundreds of them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

if sys.flags.no_site:  # python -I -S, a tenth of a second faster: nobody else makes the package importable there
    sys.modules["bertdistill"] = ModuleType("bertdistill")
    sys.modules["bertdistill"].__path__ = [str(Path(__file__).resolve().parents[1])]

from bertdistill.engine.contract import events as ev
from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import EventWriter
from bertdistill.engine.contract.folder import RunPaths, write_json

DEFAULTS: dict[str, Any] = {
    "steps": 6,
    "step_seconds": 0.0,
    "checkpoint_every": 2,
    "evaluate_every": 2,
    "crash": [],  # trial numbers that exit with 1 at half the steps, on every attempt
    "crash_once": [],  # the same, on the first attempt only
    "diverge": [],  # trial numbers that end infeasible
    "cuda_oom": [],
    "most_batch": 0,  # of a larger batch a GPU's memory is too small, at half of the steps
    "host_oom": [],  # trial numbers that run out of main memory, on every attempt
    "host_oom_once": [],
    "refuse": [],
    "refuse_prepare": False,
    "crash_prepare": 0,  # attempts of the preparation that crash
    "ignore_term": False,
    "hold": "",  # as long as this file exists, every trial waits at half of its steps
    "linger": 0.0,  # seconds for which a child outlives the worker, holding the lock
    "linger_unlocked": False,  # without the lock
    "torn": False,  # leave half a line at the end of the events
    "log": "",  # text for the log
    "exit_code": 0,  # instead of a normal end
    "kill_self": 0,  # signal to send to itself at half the steps
    "no_result": False,
    "worse": 0.0,  # what a promotion finds below the record
    "hold_promotion": "",  # as long as this file exists, a promotion waits before it compares with the record
    "checkpoint_bytes": 64,
}
INIT_SHAPE = {
    "architecture": "bert",
    "layers": 4,
    "heads": 4,
    "head_size": 16,
    "hidden_size": 64,
    "ffn_size": 128,
    "vocab_size": 500,
    "positions": 128,
    "types": 2,
}

stopping = False


def on_term(number: int, frame: FrameType | None) -> None:
    """Remember that we were asked to leave; the loop does it at the next step."""
    global stopping
    stopping = True


def behaviour() -> dict[str, Any]:
    """What this worker does."""
    path = os.environ.get("BERTDISTILL_FAKE", "")
    given = json.loads(Path(path).read_text()) if path else {}
    return {**DEFAULTS, **given}


def score(spec: AttemptSpec, share: float) -> float:
    """A score that grows with the size of the student and with the share of training done; deterministic."""
    settings = spec.settings
    layers = settings.layers or 4
    miss = abs(math.log10(settings.learning_rate) + 4)
    return round(90 * (1 - math.exp(-layers)) * share - 5 * miss, 4)


def checkpoint(
    paths: RunPaths, events: EventWriter, role: str, step: int, metrics: dict[str, float], size: int
) -> None:
    """Write one checkpoint as the real worker does: complete under its final name, then the event; the old one goes."""
    folder = paths.checkpoints / f"{role}-{step:06d}"
    if folder.exists():
        return
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    weights = str(step).encode().ljust(size, b"w")
    (temporary / "model.safetensors").write_bytes(weights)
    (temporary / "position.json").write_text(json.dumps({"step": step}))
    temporary.rename(folder)
    sha = hashlib.sha256(weights).hexdigest()
    events.emit(
        ev.CHECKPOINT,
        role=role,
        step=step,
        folder=str(folder.resolve()),
        sha256=sha,
        size_bytes=len(weights),
        metrics=metrics,
    )
    for old in paths.checkpoints.glob(f"{role}-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)


def prepare(spec: AttemptSpec, events: EventWriter, how: dict[str, Any]) -> int:
    """Report the facts that a study needs; no data is touched."""
    for done in range(1, 4):
        events.emit(ev.PROGRESS, phase="tokenise", done=done, total=3, rate=100.0, unit="examples")
    if how["refuse_prepare"]:
        return end(events, "refused", "vocabulary", "the teacher has another vocabulary", ev.EXIT_REFUSED)
    if spec.attempt <= how["crash_prepare"]:
        sys.stderr.write("RuntimeError: preparation broke" + "\n")
        return int(ev.EXIT_CRASHED)
    caches = Path(spec.caches)
    facts = {
        "train_examples": 100,
        "search_examples": 10,
        "train_features": 100,
        "search_features": 10,
        "mean_length": 32.0,
        "labels": ["no", "yes"],
        "init_shape": INIT_SHAPE,
        "teacher_shape": INIT_SHAPE,
        "teacher_metrics": {"accuracy": 95.0},
        "teacher_folder": str(caches / "teacher"),
        "init_folder": str(caches / "teacher"),
        "features": {"train": "", "search": ""},
        "outputs": "",
        "importance": "",
        "abstain": {},
    }
    events.emit(ev.RESULT, metrics={"accuracy": 95.0}, facts=facts)
    return end(events, "complete", "", "", ev.EXIT_COMPLETE)


def end(events: EventWriter, status: str, reason: str, detail: str, code: int) -> int:
    """Say how it ended, in words and as exit code."""
    events.emit(ev.ENDED, status=status, reason=reason, detail=detail)
    return code


def mishap(spec: AttemptSpec, events: EventWriter, how: dict[str, Any]) -> int | None:
    """What goes wrong at half of the steps, if anything does."""
    number = spec.trial
    if number in how["crash"] or (number in how["crash_once"] and spec.attempt == 1):
        sys.stderr.write("Traceback (most recent call last):\nRuntimeError: the fake crashed" + "\n")
        return int(ev.EXIT_CRASHED)
    if number in how["diverge"]:
        return end(events, "infeasible", "diverged", "the loss is not a number", ev.EXIT_DIVERGED)
    if number in how["cuda_oom"] or 0 < how["most_batch"] < spec.settings.batch_size:
        sys.stderr.write("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB" + "\n")
        return int(ev.EXIT_OUT_OF_MEMORY)
    if number in how["host_oom"] or (number in how["host_oom_once"] and spec.attempt == 1):
        sys.stderr.write("Traceback (most recent call last):\nMemoryError" + "\n")
        return int(ev.EXIT_CRASHED)
    if number in how["refuse"]:
        return end(events, "refused", "params", "another size than promised", ev.EXIT_REFUSED)
    if how["kill_self"]:
        os.kill(os.getpid(), how["kill_self"])
    return None


def train(spec: AttemptSpec, paths: RunPaths, events: EventWriter, how: dict[str, Any]) -> int:
    """Walk through the steps of a trial."""
    steps, size = how["steps"], how["checkpoint_bytes"]
    first = 0
    if spec.resume_from:
        first = json.loads((Path(spec.resume_from) / "position.json").read_text())["step"]
    for step in range(first + 1, steps + 1):
        time.sleep(how["step_seconds"])
        while how["hold"] and step == steps // 2 + 1 and Path(how["hold"]).exists() and not stopping:
            time.sleep(0.01)
        if stopping:
            checkpoint(paths, events, "last", step - 1, {}, size)
            return end(events, "stopped", "", "", ev.EXIT_STOPPED)
        events.metrics(step, {"train/loss": 1.0 / step, "examples": float(step * 10)})
        events.emit(ev.PROGRESS, phase="train", done=step, total=steps, rate=10.0, unit="steps")
        if step % how["evaluate_every"] == 0:
            value = score(spec, step / steps)
            events.metrics(step, {"search/accuracy": value, "examples": float(step * 10)})
            checkpoint(paths, events, "best", step, {"accuracy": value}, size)
        if step % how["checkpoint_every"] == 0:
            checkpoint(paths, events, "last", step, {}, size)
        if step == steps // 2 and (code := mishap(spec, events, how)) is not None:
            return code
    if not how["no_result"]:
        metrics = {"accuracy": score(spec, 1.0), "params": float(spec.expected_params), "train_minutes": 0.1}
        events.emit(ev.RESULT, metrics=metrics)
    return end(events, "complete", "", "", ev.EXIT_COMPLETE)


def promote(spec: AttemptSpec, paths: RunPaths, events: EventWriter, how: dict[str, Any]) -> int:
    """Verify a checkpoint and export it, as far as a fake can."""
    order = spec.promote
    assert order is not None
    weights = (order.checkpoint / "model.safetensors").read_bytes()
    found = float(order.recorded["accuracy"]) - how["worse"]
    problem = "accuracy differs from the record" if found != order.recorded["accuracy"] else ""
    os.write(1, "validation split again …\n".encode())
    events.emit(ev.PROGRESS, phase="validation split again", done=3, total=6, rate=1.0, unit="windows")
    while how["hold_promotion"] and Path(how["hold_promotion"]).exists():
        time.sleep(0.01)
    if problem and not order.force:
        scores = {"accuracy_recorded": order.recorded["accuracy"], "accuracy_repeated": found}
        write_json(paths.folder / "report.json", {**scores, "problem": problem})
        return end(events, "refused", "mismatch", problem, ev.EXIT_REFUSED)
    order.target.mkdir(parents=True)
    (order.target / "model.safetensors").write_bytes(weights)
    sha = hashlib.sha256(weights).hexdigest()
    report = {"sha256": sha, "folder": str(order.target), "problem": problem}
    events.emit(ev.RESULT, metrics={"accuracy": found}, report=report)
    return end(events, "complete", "", "", ev.EXIT_COMPLETE)


def main(argv: list[str]) -> int:
    """Run one attempt."""
    how = behaviour()
    signal.signal(signal.SIGTERM, signal.SIG_IGN if how["ignore_term"] else on_term)
    paths = RunPaths(Path(argv[0]))
    spec = AttemptSpec.read(paths.spec)
    events = EventWriter(paths.events)
    events.moves = spec.paths
    events.emit(ev.STARTED, pid=os.getpid(), device="cpu", params=spec.expected_params, steps=how["steps"])
    if how["log"]:
        sys.stderr.write(how["log"] + "\n")
    if how["linger"]:
        subprocess.Popen(
            [sys.executable, "-c", f"import time; time.sleep({how['linger']})"],
            close_fds=how["linger_unlocked"],
            start_new_session=True,
        )
    run = {"prepare": lambda: prepare(spec, events, how), "promote": lambda: promote(spec, paths, events, how)}
    code = run.get(spec.kind, lambda: train(spec, paths, events, how))()
    if how["torn"]:
        os.write(os.open(paths.events, os.O_WRONLY | os.O_APPEND), b'{"k":"metrics","t":1,"st')
    return int(how["exit_code"] or code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
