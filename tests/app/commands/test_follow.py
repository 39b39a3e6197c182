"""News is told once, progress calmly, and the end is noticed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import fake_environment, study_dict

from bertdistill.app.commands.follow import Lines, ended_line, follow, stage
from bertdistill.app.views.view import StudyView, read_view
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.study.config import study_from_dict, to_toml
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.rows import StudyState, TrialState


class Heard:
    """A stage that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.rows: list[list[dict[str, Any]]] = []
        self.closed = False

    def line(self, text: str) -> None:
        self.lines.append(text)

    def moving(self, view: StudyView, rows: list[dict[str, Any]]) -> None:
        self.rows.append(rows)

    def close(self) -> None:
        self.closed = True


def end_trial(ws: Workspace, number: int, state: StudyState) -> None:
    """Complete a trial, leave a notice and move the study, as a runner would."""
    db = open_db(ws.path)
    with db.write() as session:
        study = reads.study(session, "demo")
        trial = reads.trial(session, study.id, number)
        writes.set_trial_metrics(session, trial.id, {"exact": 60.0})
        writes.set_trial_state(session, trial.id, TrialState.COMPLETE, now=2e9)
        writes.add_notice(session, level="info", text="new \x1b[2Jnotice", now=2e9, study_id=study.id)
        writes.set_study_state(session, study.id, state, now=2e9)
    db.close()


def test_news_is_told_once(ws: Workspace, db: Database) -> None:
    """What ended before is not told again; a trial and a notice that come while following are, and then it ends."""
    heard, looks = Heard(), iter(range(100))

    def sleep(seconds: float) -> None:
        if next(looks) == 1:
            end_trial(ws, 6, StudyState.COMPLETE)

    view = follow(db, "demo", heard, runner_alive=lambda: True, sleep=sleep)
    assert StudyState.COMPLETE == view.study.state
    assert [
        "#6 complete: exact 60.00, params 40.0k, on the frontier (7 of 8)",
        "info: new notice",
    ] == heard.lines
    assert [("train", 50.0, 6)] == [(row["phase"], row["done"], row["trial"]) for row in heard.rows[0]]
    assert heard.closed


def test_what_ended_while_the_command_was_starting_is_told(ws: Workspace, db: Database) -> None:
    """A busy machine may be done with a trial before `run` has loaded what follows it."""
    heard = Heard()
    with db.read() as session:
        ended = [trial for trial in reads.trials(session, 1) if trial.finished_at is not None]
    last = max(ended, key=lambda trial: trial.finished_at)
    end_trial(ws, 6, StudyState.COMPLETE)
    follow(db, "demo", heard, runner_alive=lambda: True, sleep=lambda _: None, since=last.finished_at)
    assert [f"#{last.number}", "#6"] == [line.split()[0] for line in heard.lines if line.startswith("#")]


def test_a_runner_that_is_gone_ends_it(db: Database) -> None:
    """A study that says running without a runner is not waited for."""
    heard = Heard()
    view = follow(db, "demo", heard, runner_alive=lambda: False, sleep=lambda seconds: None)
    assert (StudyState.RUNNING, True) == (view.study.state, heard.closed)


def test_a_request_in_flight_is_waited_for(ws: Workspace, db: Database) -> None:
    """Resumed a moment ago, still paused in the tables: the follower stays."""
    writer = open_db(ws.path)
    with writer.write() as session:
        study = reads.study(session, "demo")
        writes.set_study_state(session, study.id, StudyState.PAUSED, now=2e9)
        request = writes.add_request(session, who="me", verb="resume", now=2e9, study_id=study.id)
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            with writer.write() as session:
                writes.finish_request(session, request.id, outcome="refused", now=2e9)

    view = follow(db, "demo", Heard(), runner_alive=lambda: True, sleep=sleep)
    writer.close()
    assert (3, StudyState.PAUSED) == (len(looks), view.study.state)


def test_an_interrupt_closes_the_stage(db: Database) -> None:
    """The terminal is restored before the caller says what detaching means."""
    heard = Heard()

    def sleep(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(db, "demo", heard, runner_alive=lambda: True, sleep=sleep)
    assert heard.closed


def test_progress_lines_are_calm(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """One line in ten seconds, however often the tables change."""
    now = [0.0]
    lines = Lines(clock=lambda: now[0])
    view = read_view(db, "demo")
    row = {"trial": 6, "phase": "train", "done": 50.0, "total": 100.0, "rate": 12.5, "unit": "examples"}
    for _ in range(40):
        lines.moving(view, [row])
        now[0] += 0.5
    told = capsys.readouterr().err.splitlines()
    assert ["  demo 81%: #6 train 50/100 examples, 12.5/s"] * 2 == told


def test_a_failed_trial_says_why(db: Database) -> None:
    """The line of a bad end carries class and detail without escape sequences."""
    view = read_view(db, "demo")
    failed = view.trial(5)
    assert failed is not None
    assert "#5 failed: exact –, params 120k, killed_by_signal_9 [/red] gone (6 of 8)" == ended_line(view, failed)


def test_a_terminal_that_cannot_redraw_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a dumb terminal bars would show nothing at all."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(stage(), Lines)


def test_bars_on_a_terminal(tmp_path: Path) -> None:
    """On a pseudo terminal progress is drawn in place; what happened stays as lines, and stdout is untouched."""
    study = tmp_path / "toy.toml"
    study.write_text(to_toml(study_from_dict(study_dict(tmp_path, budget={"trials": 2}), where="test")))
    environment = fake_environment(tmp_path, step_seconds=0.2) | {
        "BERTDISTILL_WORKSPACE": str(tmp_path / "runs"),
        "TERM": "xterm-256color",
    }
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "bertdistill.engine", "run", str(study), "--json"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=theirs, stdin=subprocess.DEVNULL
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(terminal):
        shown += chunk
    out, _ = process.communicate(timeout=30)
    os.close(terminal)
    text = shown.decode()
    assert 0 == process.returncode, text
    assert out.startswith(b"[\n")
    assert [True] * 3 == [part in text for part in ("\x1b[", "━", "#0 complete: accuracy ")]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed
        return b""
