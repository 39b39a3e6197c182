"""A training logs itself with a few lines, and nothing that goes wrong there reaches the training."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bertdistill
from bertdistill.engine.contract.events import parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.interchange import log as log_module
from bertdistill.engine.interchange.ends import end_of
from bertdistill.engine.launch import process

WARNING = "the training continues"


class NotANumber:
    """A value of a program that breaks when it is read."""

    def __float__(self) -> float:
        raise ZeroDivisionError("no number")


@pytest.fixture(autouse=True)
def no_rank(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Outside any launcher of several ranks; no run outlives its test."""
    for name in log_module.RANKS:
        monkeypatch.delenv(name, raising=False)
    yield
    for run in list(log_module._open_runs.values()):
        run.finish()


def events(run: bertdistill.Run, kind: str = "") -> list[dict[str, Any]]:
    """The events of a run, all of them valid."""
    assert run.folder is not None
    return [one for one in events_in(run.folder) if kind in ("", one["k"])]


def events_in(folder: Path) -> list[dict[str, Any]]:
    """Those of the process that logged there, all of them valid."""
    found = [parse_event(line) for line in RunPaths(folder).events.read_bytes().splitlines()]
    assert None not in found
    return [one for one in found if one is not None]


def program(code: str, *words: str | Path, **environment: str) -> subprocess.Popen[str]:
    """A Python program that logs, with the package and `sys`, `os` imported and the workspace as its first word."""
    text = f"import os, sys, bertdistill\n{code}"
    command = [sys.executable, "-P", "-c", text, *map(str, words)]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | environment, **pipes)


def folders(workspace: Path) -> list[Path]:
    """Those of all logged runs."""
    return sorted(one for one in (workspace / "runs/_logged").iterdir() if not one.name.startswith("."))


# ------------------------------------------------------------------------------------------------------ what is written


def test_a_run_is_a_folder_like_any_other(tmp_path: Path) -> None:
    """Spec, state, lock and events; the lock is free once it has ended."""
    given: dict[str, Any] = {"params": {"lr": 0.1, "model": {"layers": 4}}, "objectives": {"loss": "minimize"}}
    run = bertdistill.start("my-study", workspace=tmp_path, note="first", tags=["a"], **given)
    assert run.folder is not None
    paths = RunPaths(run.folder)
    spec, state = json.loads(paths.spec.read_text()), json.loads(paths.state.read_text())
    assert ({"lr": 0.1, "model.layers": 4}, "first", ["a"]) == (spec["params"], spec["note"], spec["tags"])
    assert [{"metric": "loss", "direction": "minimize"}] == spec["objectives"]
    assert os.getpid() == state["worker"]["pid"]
    assert process.held(paths.lock)
    run.log({"loss": 2.0})
    run.log({"loss": 1.0}, step=7)
    run.log({"loss": 0.5})
    run.progress(3, 10)
    run.finish(score=0.9)
    run.log({"loss": 0.1})
    run.finish()
    assert ["started", "metrics", "metrics", "metrics", "progress", "result", "ended"] == [e["k"] for e in events(run)]
    assert [(0, 2.0), (7, 1.0), (8, 0.5)] == [(e["step"], e["values"]["loss"]) for e in events(run, "metrics")]
    assert not process.held(paths.lock)


def test_values_of_any_library_are_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those of numpy and torch too; what is not a number is left out with one warning, and the rest is kept."""
    run = bertdistill.start("values", workspace=tmp_path)
    run.log({"a": np.float32(0.5), "b": torch.tensor(2.0), "c": True, "d": {"e": np.int64(3)}, "f": float("nan")})
    assert {"a": 0.5, "b": 2.0, "c": 1.0, "d/e": 3.0, "f": None} == events(run, "metrics")[0]["values"]
    assert WARNING not in caplog.text
    run.log({"a": 1.0, "name": "bert", "none": None, "many": torch.zeros(2)})
    run.log({"a": 2.0}, step=-1)
    run.log({"a": 3.0}, step=1.5)  # type: ignore[arg-type]  # what a person may pass
    assert [{"a": 1.0}] == [e["values"] for e in events(run, "metrics")[1:]]
    assert (1, True) == (len(caplog.records), "'name' is not a number" in caplog.text)


def test_params_may_be_any_namespace(tmp_path: Path) -> None:
    """Of argparse, or a dataclass; a value that JSON does not know becomes text."""

    class Arguments:
        def __init__(self) -> None:
            self.lr, self.path, self.bad, self.sign = 0.1, Path("x"), float("inf"), signal.SIGINT

    run = bertdistill.start("values", workspace=tmp_path, params=Arguments())
    assert run.folder is not None
    assert {"lr": 0.1, "path": "x", "bad": "inf", "sign": 2} == json.loads(RunPaths(run.folder).spec.read_text())[
        "params"
    ]


def test_a_checkpoint_below_the_run_is_listed_and_another_noted(tmp_path: Path) -> None:
    """Nothing is copied."""
    run = bertdistill.start("checkpoints", workspace=tmp_path / "ws")
    assert run.folder is not None
    own, other = run.folder / "checkpoints" / "7", tmp_path / "elsewhere"
    for folder in (own, other):
        folder.mkdir(parents=True)
        (folder / "model.bin").write_bytes(b"12345")
    run.checkpoint(own, step=7, best=True)
    run.checkpoint(other)
    [listed], [noted] = events(run, "checkpoint"), events(run, "notice")
    assert ("best", 7, 5, str(own)) == (listed["role"], listed["step"], listed["size_bytes"], listed["folder"])
    assert f"Checkpoint of step 0: {other}" == noted["text"]


def test_threads_log_at_once(tmp_path: Path) -> None:
    """Every line is whole, every step its own."""
    run = bertdistill.start("threads", workspace=tmp_path)
    threads = [threading.Thread(target=lambda: [run.log({"x": 1.0}) for _ in range(500)]) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert list(range(4000)) == sorted(e["step"] for e in events(run, "metrics"))


# ----------------------------------------------------------------------------------------------------------------- ends


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


class TrialPruned(Exception):
    """As optuna names its own."""


@pytest.mark.parametrize(
    ("error", "status", "reason", "detail"),
    [
        (None, "complete", "", ""),
        (SystemExit(0), "complete", "", ""),
        (SystemExit(3), "failed", "crashed", "SystemExit: 3"),
        (ValueError("bad"), "failed", "crashed", "ValueError: bad"),
        (KeyboardInterrupt(), "stopped", "interrupted", "ctrl-c"),
        (TrialPruned("too slow"), "pruned", "pruned", "too slow"),
        (OutOfMemoryError("2 GiB"), "infeasible", "cuda_oom", "OutOfMemoryError: 2 GiB"),
        (
            RuntimeError("CUDA error: out of memory"),
            "infeasible",
            "cuda_oom",
            "RuntimeError: CUDA error: out of memory",
        ),
        (MemoryError(), "infeasible", "host_oom", "MemoryError"),
        (OSError(28, "full"), "failed", "disk_full", "OSError: [Errno 28] full"),
    ],
)
def test_an_exception_has_a_class(error: BaseException | None, status: str, reason: str, detail: str) -> None:
    """The same classes as of a worker."""
    assert (status, reason, detail) == end_of(error)


def test_a_block_ends_its_run_and_lets_the_exception_pass(tmp_path: Path) -> None:
    """As failed with its class."""
    with pytest.raises(ZeroDivisionError), bertdistill.start("block", workspace=tmp_path) as run:
        run.log({"x": 1 / 0})
    [ended] = events(run, "ended")
    assert ("failed", "crashed", "ZeroDivisionError: division by zero") == (
        ended["status"],
        ended["reason"],
        ended["detail"],
    )


@pytest.mark.parametrize(
    ("last", "status", "detail"),
    [("", "complete", ""), ("raise ValueError('bad')", "failed", "ValueError: bad"), ("sys.exit(0)", "complete", "")],
)
def test_a_program_that_forgets_to_finish(tmp_path: Path, last: str, status: str, detail: str) -> None:
    """The run ends with it, failed if an exception ended it."""
    code = f"run = bertdistill.start('forgets', workspace=sys.argv[1])\nrun.log({{'x': 1}})\n{last}"
    with program(code, tmp_path) as child:
        child.communicate()
    [folder] = folders(tmp_path)
    ended = json.loads(RunPaths(folder).events.read_text().splitlines()[-1])
    assert (status, detail) == (ended["status"], ended["detail"])


# ---------------------------------------------------------------------------------------------------- what may go wrong


@pytest.mark.parametrize(
    "given",
    [
        {"study": "no/name"},
        {"run": "a.b"},
        {"objectives": {"loss": "down"}},
        {"params": 3},
        {"workspace": "/proc/nowhere"},
        {"workspace": __file__},
    ],
)
def test_a_run_that_cannot_be_logged_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: dict[str, Any]
) -> None:
    """No method raises afterwards, and the warning says why."""
    with bertdistill.start(**{"study": "fine", "workspace": tmp_path, **given}) as run:
        run.log({"x": 1.0})
        run.progress(1, 2)
        run.checkpoint(tmp_path)
        run.finish(score=1.0)
    [record] = caplog.records
    assert (logging.WARNING, None) == (record.levelno, run.folder)
    assert "this run is not logged" in record.getMessage()


FULL = """
import resource
run = bertdistill.start('full', workspace=sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for step in range(2000):
    run.log({'loss': 1.0 / (step + 1)})
run.finish()
print('trained')
"""


@pytest.mark.parametrize("limit", range(1000, 1080, 13))
def test_a_full_disk_is_one_warning(tmp_path: Path, limit: int) -> None:
    """Wherever in a line it is full; the end of the run is written in space that was kept for it."""
    with program(FULL, tmp_path, str(limit)) as child:
        out, err = child.communicate()
    assert ("trained\n", 1) == (out, err.count(WARNING))
    [folder] = folders(tmp_path)
    paths = RunPaths(folder)
    assert "complete" == json.loads(paths.exit.read_text())["kind"]
    *lines, _ = paths.events.read_bytes().split(b"\n")
    assert all(parse_event(line) for line in lines)
    assert limit - 100 < paths.events.stat().st_size <= limit


def test_after_a_full_disk_nothing_is_lost_of_what_follows(tmp_path: Path) -> None:
    """The line that was cut off is ended first."""
    run = bertdistill.start("full", workspace=tmp_path)
    assert run.folder is not None
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = RunPaths(run.folder).events.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
    try:
        run.log({"x": 1.0})
        run.log({"x": 2.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run.log({"x": 3.0})
    lines = RunPaths(run.folder).events.read_bytes().splitlines()
    assert [True, False, True] == [parse_event(line) is not None for line in lines]


FORK = """
run = bertdistill.start('fork', workspace=sys.argv[1])
pid = os.fork()
for step in range(1000):
    run.log({'child' if pid == 0 else 'parent': step}, step=step)
if pid == 0:
    run.finish()
    sys.exit(0)  # its exit handlers run too
os.waitpid(pid, 0)
print('parent', flush=True)
sys.stdin.read()
"""


def test_a_forked_child_logs_but_does_not_end_the_run(tmp_path: Path) -> None:
    """Its lines mix with none of the parent's; the run ends when the parent does."""
    with program(FORK, tmp_path) as child:
        assert child.stdout is not None
        assert "parent\n" == child.stdout.readline()
        [folder] = folders(tmp_path)
        paths = RunPaths(folder)
        assert process.held(paths.lock)
        found = [parse_event(line) for line in paths.events.read_bytes().splitlines()]
        kinds = [one["k"] for one in found if one is not None]
        assert (len(found), 2000, 0) == (len(kinds), kinds.count("metrics"), kinds.count("ended"))
        child.send_signal(signal.SIGKILL)
    assert not process.held(paths.lock)


ORPHAN = """
run = bertdistill.start('orphan', workspace=sys.argv[1])
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, b'.')
    sys.stdin.read()
    os._exit(0)
os.read(read, 1)
print(run.folder, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_child_that_outlives_the_training_does_not_keep_it_running(tmp_path: Path) -> None:
    """As the loader of a killed training may."""
    with program(ORPHAN, tmp_path) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        child.wait()
        assert not process.held(RunPaths(folder).lock)


@pytest.mark.parametrize(
    ("ranks", "logs"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "0", "LOCAL_RANK": "1"}, True),
        ({"RANK": "8", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, False),
        ({"RANK": "", "LOCAL_RANK": ""}, True),
    ],
)
def test_only_the_first_rank_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ranks: dict[str, str], logs: bool
) -> None:
    """The others do nothing, without a word."""
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    with bertdistill.start("ranks", workspace=tmp_path) as run:
        run.log({"x": 1.0})
    assert (logs, logs, "") == (run.folder is not None, (tmp_path / "runs").exists(), caplog.text)


def test_the_environment_chooses_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it is where commands look, too."""
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(tmp_path / "named"))
    named = bertdistill.start("place")
    monkeypatch.delenv("BERTDISTILL_WORKSPACE")
    monkeypatch.chdir(tmp_path)
    default = bertdistill.start("place")
    assert [tmp_path / "named", tmp_path / "bertdistill-runs"] == [
        run.folder.parents[2] for run in (named, default) if run.folder is not None
    ]


def test_a_run_is_logged_by_one_process_at_a_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Under an id that is in use nothing is logged; once it is free the run is resumed in a new folder."""
    first = bertdistill.start("resumed", workspace=tmp_path, run="night-1")
    second = bertdistill.start("resumed", workspace=tmp_path, run="night-1")
    assert (None, True) == (second.folder, "'night-1' of 'resumed' is still being logged" in caplog.text)
    other = bertdistill.start("resumed", workspace=tmp_path, run="night-10")
    first.finish()
    third = bertdistill.start("resumed", workspace=tmp_path, run="night-1")
    assert 3 == len({one.folder for one in (first, other, third)} - {None})


def test_a_dot_in_the_name_of_a_study_makes_no_run_another_s(tmp_path: Path) -> None:
    """`bert.v1`/`x` and `bert`/`v1` begin alike: the one that runs must not keep the other from being logged."""
    with bertdistill.start("bert.v1", run="x", workspace=tmp_path) as other:
        other.log({"loss": 1.0}, step=7)
        with bertdistill.start("bert", run="v1", workspace=tmp_path) as mine:
            assert mine.folder is not None
            mine.log({"loss": 2.0})
        assert [0] == [event["step"] for event in events_in(mine.folder) if event["k"] == "metrics"]


def test_of_two_starts_at_once_one_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranks of a launcher that sets no RANK start the same id while the folder of each is still hidden."""
    other: list[bertdistill.Run] = []
    before = log_module._last_step

    def meanwhile(*given: Any) -> int:
        found = before(*given)
        if not other:
            other.append(bertdistill.Run())
            other[0] = bertdistill.start("ranks", workspace=tmp_path, run="night-1")
        return found

    monkeypatch.setattr(log_module, "_last_step", meanwhile)
    run = bertdistill.start("ranks", workspace=tmp_path, run="night-1")
    assert (True, None) == (run.folder is not None, other[0].folder)
    assert 1 == len(folders(tmp_path))


@pytest.mark.parametrize("metrics", [3, {"score": 1.0, 5: object()}, {"score": NotANumber()}])
def test_no_final_metric_breaks_a_training(tmp_path: Path, caplog: pytest.LogCaptureFixture, metrics: Any) -> None:
    """The run ends as complete, with a warning."""
    run = bertdistill.start("odd", workspace=tmp_path)
    run.finish(metrics)
    assert 1 == len(caplog.records)
    assert "complete" == events(run, "ended")[0]["status"]


# ----------------------------------------------------------------------------------------------------------------- cost


def test_a_resumed_run_counts_on(tmp_path: Path) -> None:
    """Without steps of its own it overwrites none, however many values it logs."""
    for many in (1, 2000, 1):
        with bertdistill.start("resumed", workspace=tmp_path, run="r") as run:
            run.log({f"norm of the gradient of the weights of layer/{number}": 1.0 for number in range(many)})
            run.log({f"norm of the gradient of the weights of layer/{number}": 2.0 for number in range(many)})
    steps = [e["step"] for folder in folders(tmp_path) for e in events_in(folder) if e["k"] == "metrics"]
    assert [0, 1, 2, 3, 4, 5] == steps


def test_a_run_is_ended_while_other_threads_log(tmp_path: Path) -> None:
    """None of them writes to a descriptor that belongs to someone else by then."""
    for number in range(20):
        run = bertdistill.start("threads", workspace=tmp_path)
        threads = [threading.Thread(target=lambda one=run: [one.log({"x": 1.0}) for _ in range(50)]) for _ in range(4)]
        for one in threads:
            one.start()
        run.finish()
        files = [(tmp_path / f"other-{number}-{n}").open("wb") for n in range(3)]
        for one in threads:
            one.join()
        for file in files:
            file.close()
            assert b"" == Path(file.name).read_bytes()
        assert "ended" == events(run)[-1]["k"]


def test_it_loads_the_standard_library_only() -> None:
    """No database and nothing else that a training does not need; `import bertdistill` alone loads nothing of ours."""
    code = "print(*sorted(sys.modules)); bertdistill.start; print(*sorted(sys.modules))"
    with program(code) as child:
        out, err = child.communicate()
    before, after = (set(line.split()) for line in out.splitlines())
    assert {"bertdistill"} == {name for name in before if name.startswith("bertdistill")}, err
    ours = {name for name in after if name.startswith("bertdistill.")}
    parts = {".".join(name.split(".")[:3]) for name in ours}
    allowed = {"engine", "engine.contract", "engine.interchange", "store", "store.errors"}
    assert {f"bertdistill.{name}" for name in allowed} == parts
    assert set() == {name.partition(".")[0] for name in after - before - ours} - sys.stdlib_module_names
    assert "sqlite3" not in after
