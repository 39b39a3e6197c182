"""`bertdistill.start` inside a program that a search runs: the run is its trial."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import pytest

import bertdistill
from bertdistill.engine.contract.events import ENDED, EventWriter, parse_event
from bertdistill.engine.contract.program import RUN, ProgramOrder
from bertdistill.engine.interchange import log as log_module
from bertdistill.engine.program.reported import read_reported


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an attempt, in an environment as its worker makes it."""
    for name in log_module.RANKS:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "attempt"
    folder.mkdir()
    order = ProgramOrder("s", 7, ["t"], "/", {"kind": "cpu"}, params={"lr": 0.5}, objectives=["acc"], resume_from="/ck")
    order.write(folder / "spec.json")
    monkeypatch.setenv(RUN, str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def words(folder: Path) -> list[str]:
    return [json.loads(line)["k"] for line in (folder / "events.jsonl").read_bytes().splitlines()]


def test_it_logs_to_the_attempt_and_starts_no_run_of_its_own(attempt: Path) -> None:
    """The parameters are those of the trial; what it does not set keeps its default."""
    run = bertdistill.start("anything", params={"lr": 0.1, "epochs": 3}, objectives={"other": "minimize"})
    assert ({"lr": 0.5, "epochs": 3}, "7", attempt, Path("/ck")) == (run.params, run.id, run.folder, run.resume_from)
    run.log({"acc": 0.1, "loss": 2.0})
    run.log({"acc": 0.2})
    (attempt / "ck").mkdir()
    run.checkpoint(attempt / "ck")
    run.finish(acc=0.9)
    assert ["metrics", "metrics", "checkpoint", "result", "ended"] == words(attempt)
    assert [] == list(log_module._open_runs)
    assert [attempt] == list(attempt.parent.iterdir())
    found = read_reported(attempt / "events.jsonl", ["acc"])
    assert ({"acc": 0.9}, {"acc": 0.2}, "complete") == (found.result, found.logged, found.ended["status"])
    assert found.last is not None
    assert "last" == found.last["role"]


def test_it_may_say_that_the_parameters_cannot_work(attempt: Path) -> None:
    """With a reason, or by an exception that leaves its block."""
    bertdistill.start().infeasible("too deep")
    assert ("infeasible", "too deep") == _ended(attempt)
    with pytest.raises(MemoryError), bertdistill.start():
        raise MemoryError
    assert "infeasible" == _ended(attempt)[0]


def _ended(folder: Path) -> tuple[str, str]:
    found = read_reported(folder / "events.jsonl", ["acc"]).ended
    return found["status"], found["detail"]


def test_a_value_that_is_not_finite_is_read_as_such(attempt: Path) -> None:
    """JSON has no NaN: null stands for it."""
    bertdistill.start().finish(acc=math.nan)
    assert math.isnan(read_reported(attempt / "events.jsonl", ["acc"]).result["acc"])


def test_other_ranks_get_the_parameters_and_log_nothing(attempt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They train with the same values."""
    monkeypatch.setenv("RANK", "1")
    run = bertdistill.start()
    run.log({"acc": 1})
    run.finish()
    assert ({"lr": 0.5}, None, False) == (run.params, run.folder, (attempt / "events.jsonl").exists())


def test_a_damaged_order_is_one_warning(attempt: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The training runs with what was given."""
    (attempt / "spec.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        run = bertdistill.start(params={"lr": 0.1})
    assert ({"lr": 0.1}, 1) == (run.params, len(caplog.records))


def test_without_a_study_and_outside_a_search_nothing_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The same program runs by itself."""
    monkeypatch.delenv(RUN, raising=False)
    monkeypatch.chdir(tmp_path)
    run = bertdistill.start(params={"lr": 0.1})
    run.finish(acc=1)
    assert ({"lr": 0.1}, None, []) == (run.params, run.folder, list(tmp_path.iterdir()))
    assert "the study name '' is not a valid name" in caplog.text


def test_only_complete_lines_count_and_only_the_newest_value(tmp_path: Path) -> None:
    """Of a million values one is parsed; what the program wrote itself may be anything."""
    path = tmp_path / "events.jsonl"
    events = EventWriter(path)
    for step in range(50):
        events.metrics(step, {"acc": step / 100, "other": 1.0})
    events.emit(ENDED, status="failed", reason="crashed", detail="x")
    with path.open("ab") as file:
        file.write(b'{"k": "metrics", "acc": 1}\n\xff\n{"k":"metrics","t":1,"step":50,"values":{"acc":')
    found = read_reported(path, ["acc", "size"])
    assert ({}, "failed", None) == (found.result, found.ended["status"], found.last)
    assert {} == found.logged or {"acc": 0.49} == found.logged
    assert parse_event(path.read_bytes().splitlines()[0]) is not None
