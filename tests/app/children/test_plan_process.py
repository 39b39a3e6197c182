"""A plan asked of another process: its numbers, its problems with their remedy, and an end when nobody waits for it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bertdistill.app.children import plan_process
from bertdistill.app.children.plan_process import ask, read_answer
from bertdistill.engine.study.config import study_from_dict, to_toml


@pytest.fixture
def file(raw_spec: dict[str, Any], tmp_path: Path) -> Path:
    """The sample study as a file."""
    path = tmp_path / "sample.toml"
    path.write_text(to_toml(study_from_dict(raw_spec, where="test")))
    return path


async def test_sizes_of_a_right_file(file: Path) -> None:
    """The same numbers as the command prints, with its notes."""
    found = await ask(file, ["budget.trials=3"])
    assert (3, ()) == (found.planned["trials"], found.problems)
    assert found.planned["sizes"]["baseline"] > found.planned["sizes"]["smallest"] > 0
    assert any("vocabulary" in note for note in found.notes)


async def test_data_that_are_missing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the plan looks at the data; it says which key, and what to do, also where tracebacks were asked for."""
    monkeypatch.setenv("BERTDISTILL_DEBUG", "1")
    (problem,) = (await ask(file, ["data.train=/nowhere/x.json"])).problems
    assert problem.startswith("data.train = /nowhere/x.json is not a file")
    assert problem.endswith("Correct the path.")


def test_answers_that_are_no_plan() -> None:
    """A crash is no fault of the file: sizes are unknown, and the last words of the process say why."""
    assert read_answer(1, "", "Traceback\nMemoryError").notes == ("sizes and steps are unknown: MemoryError",)
    assert read_answer(0, "not json", "").notes == (
        "sizes and steps are unknown: the output of the plan cannot be read",
    )
    assert read_answer(2, "", "error: one\ntwo\nhint: three\n").problems == ("one", "two. three")
    assert read_answer(2, "", "").problems == ("the plan reported that the study file is not valid",)
    assert read_answer(0, json.dumps({"a": 1}), "warning: \x1b[31mhub").notes == ("hub",)


async def test_nobody_waits_any_more(tmp_path: Path) -> None:
    """The process ends with the task that asked it."""
    started = tmp_path / "started"
    code = f"import os, pathlib, time; pathlib.Path({str(started)!r}).write_text(str(os.getpid())); time.sleep(60)"
    task = asyncio.create_task(ask(tmp_path, [], program=(sys.executable, "-c", code)))
    async with asyncio.timeout(30):
        while not (started.exists() and started.read_text()):
            await asyncio.sleep(0.01)
        pid = int(started.read_text())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)


async def test_a_plan_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up and said so."""
    monkeypatch.setattr(plan_process, "SECONDS", 0.05)
    found = await ask(tmp_path, [], program=(sys.executable, "-c", "import time; time.sleep(60)"))
    assert "did not finish within" in found.notes[0]
