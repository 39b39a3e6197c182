"""The demo: its data are made once and the same each time, and `--demo` opens the app on the study that runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.app.pty_terminal import PROGRAM, PtyTerminal

from bertdistill.app.cli import main
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.engine.steering.demo_study import DEMOS, Demo
from bertdistill.store import reads
from bertdistill.store.db import open_db


@pytest.mark.parametrize("demo", DEMOS.values(), ids=list(DEMOS))
def test_a_demo_is_led_to_its_data(tmp_path: Path, demo: Demo) -> None:
    """The shipped file names data that no folder has; here they are, and changes come on top."""
    ws = Workspace(tmp_path / "runs")
    assert not demo.has_data(ws)
    spec = demo.load(ws, ["budget.trials=2"])
    assert demo.has_data(ws)
    wanted = [spec.data.train, spec.data.report]
    wanted += [spec.teacher.outputs, spec.transfer[0].path] if spec.transfer else []
    assert (list(demo.data_paths(ws).values()), 2) == (wanted, spec.budget.trials)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--demo", "--study", "x"], "opens only the demo study"),
        (["--demo", "engine", "status"], "are options of the app"),
    ],
)
def test_misuse(words: list[str], answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and nothing was started."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    assert (2, "", True) == (ended.value.code, out, answer in err)


def test_without_a_terminal_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe gets one line, which names the command for pipes, and no workspace."""
    with pytest.raises(SystemExit) as ended:
        main(["--demo", "-w", str(tmp_path / "runs")])
    assert 2 == ended.value.code
    assert "needs a terminal" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_app_opens_on_the_running_demo(tmp_path: Path) -> None:
    """The study is there, its screen says what happens next, and leaving says that it goes on."""
    ws = Workspace(tmp_path / "runs")
    ws.make()
    lock = process.try_lock(ws.runner_lock)  # as a runner would; so none is started
    assert lock is not None
    with PtyTerminal((*PROGRAM, "--demo", "-w", str(ws.path)), cwd=tmp_path) as terminal:
        terminal.wait_for("Trials by rank")
        terminal.wait_for("No trial yet; the runner prepares")
        terminal.send("q")
        assert 0 == terminal.wait_end()
    os.close(lock)
    db = open_db(ws.path, read_only=True)
    with db.read() as session:
        assert ["demo"] == [study.name for study in reads.studies(session)]
    db.close()
