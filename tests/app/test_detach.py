"""The app is closed in every rude way while a real study runs: nothing stops, and the next start shows the truth."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.app.pty_terminal import PROGRAM, PtyTerminal

from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.demo.questions import write_demo
from bertdistill.engine.launch import process
from bertdistill.engine.steering import actions
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.rows import Attempt, Study, StudyState, Trial

SECONDS = 120.0
STUDY = """
name = "tiny"
task = "question-answering"
objectives = [{{ metric = "exact" }}, {{ metric = "params" }}]
data = {{ train = "{train}", report = "{report}", max_length = 128, doc_stride = 16 }}
student = {{ init = "scratch" }}
settings = {{ head_size = 8, epochs = 4, precision = "fp32", layers = 1 }}
search = {{ hidden_size = {{ choices = [8, 16] }}, learning_rate = {{ low = 1e-3, high = 1e-2, log = true }} }}
baseline = {{ hidden_size = 16, learning_rate = 2e-3 }}
budget = {{ trials = 3 }}
sampler = {{ kind = "random", seed = 1 }}
runner = {{ slots = 2, min_free_gb = 0.0 }}
stopping = {{ rule = "none" }}

[teacher]
model = "scratch"
layers = 1
hidden_size = 16
ffn_size = 32
head_size = 8
vocab_size = 400
initializer_range = 0.1
fine_tune = {{ epochs = 1, learning_rate = 2e-3, batch_size = 32 }}
"""


def read(ws: Workspace) -> tuple[Study, list[Trial], list[Attempt]]:
    db = open_db(ws.path, read_only=True)
    try:
        with db.read() as session:
            study = reads.study(session, "tiny")
            return study, reads.trials(session, study.id), reads.attempts(session, study_id=study.id)
    finally:
        db.close()


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited {SECONDS:g} s for {what}"
        time.sleep(0.05)


def workers(ws: Workspace) -> dict[int | None, str]:
    """Attempts that run now, with where: the same before and after means that nothing was started again."""
    return {a.id: a.folder for a in read(ws)[2] if a.ended_at is None}


def close_by(number: signal.Signals) -> Callable[[PtyTerminal], None]:
    return lambda terminal: os.kill(terminal.process.pid, number)


WAYS: dict[str, Callable[[PtyTerminal], None]] = {
    "SIGTERM": close_by(signal.SIGTERM),
    "SIGHUP": close_by(signal.SIGHUP),
    "SIGKILL": close_by(signal.SIGKILL),
    "closed window": PtyTerminal.hang_up,
}


def test_a_study_started_in_the_app_outlives_it_and_is_found_again(tmp_path: Path) -> None:
    """Four rude ends in a row: the same runner, the same workers, every trial with one attempt, and the truth shown."""
    files = write_demo(tmp_path, articles=12)
    file = tmp_path / "tiny.toml"
    file.write_text(STUDY.format(train=files.train, report=files.report), encoding="utf-8")
    ws = Workspace((tmp_path / "ws").resolve())
    command = [*PROGRAM, "--workspace", str(ws.path)]
    with PtyTerminal([*command, str(file)], environ={"CUDA_VISIBLE_DEVICES": ""}) as terminal:
        terminal.wait_for("tiny")
        terminal.wait("a checked file", lambda: "3 trials" in terminal.text)
        terminal.send("\x07")
        terminal.wait_for("Start it (y)")
        terminal.send("y")
        terminal.wait_for("Frontier")
        until(lambda: process.held(ws.runner_lock), "a runner")
        WAYS["SIGKILL"](terminal)
        terminal.wait_end()
    runner = actions.runner_status(ws).pid
    for name, close in WAYS.items():
        with PtyTerminal([*command, "--study", "tiny"]) as terminal:
            before = workers(ws)
            terminal.wait_for("Trials by")
            terminal.wait_for("tiny")
            close(terminal)
            terminal.wait_end()
            assert (True, runner) == (process.held(ws.runner_lock), actions.runner_status(ws).pid), name
            ended = {a.id for a in read(ws)[2] if a.ended_at is not None}
            assert set() == set(before) - set(workers(ws)) - ended, name
    until(lambda: read(ws)[0].state == StudyState.COMPLETE, "the end of the study")
    _, trials, attempts = read(ws)
    assert (3, 4, {1}) == (len(trials), len(attempts), {a.number for a in attempts})
    until(lambda: not process.held(ws.runner_lock), "the end of the runner")
    with PtyTerminal([*command, "--study", "tiny"]) as terminal:
        terminal.wait_for("3/3")
        terminal.wait_for("complete")
