"""The servers themselves show an export, where they are installed: optuna-dashboard, MLflow and TensorBoard."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import wait_for

from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange.out.export import export_study

pytestmark = pytest.mark.servers
Serve = Callable[..., str]


def installed(package: str) -> pytest.MarkDecorator:
    """Skips a test where the server is not installed."""
    top = package.partition(".")[0]
    there = find_spec(top) is not None and find_spec(package) is not None
    return pytest.mark.skipif(not there, reason=f"{package} is not installed")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server, waits until it answers, and returns its address."""
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str, *words: str) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [Path(sys.executable).with_name(program), *words, "--port", str(port)]
        with (tmp_path / "log").open("wb") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path))
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(address), f"{program}: {(tmp_path / 'log').read_text()[-500:]}", 120)
        return address

    yield start
    for child in started:
        child.terminate()
        child.wait(30)


def _answers(address: str) -> bool:
    with suppress(OSError):
        return bool(ask(address, raw=True))
    return False


def ask(address: str, body: Any = None, *, raw: bool = False) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read() if raw else json.load(answer)


@installed("optuna_dashboard")
def test_optuna_dashboard(workspace: Workspace, tmp_path: Path, serve: Serve) -> None:
    """It lists the trials with their thresholds; what it calls best ignores these."""
    export_study(workspace, "toy", "optuna", tmp_path / "toy.db")
    address = serve("optuna-dashboard", f"sqlite:///{tmp_path / 'toy.db'}")
    study = ask(f"{address}/api/studies/1")
    assert (9, {0, 1, 2}) == (len(study["trials"]), {one["number"] for one in study["best_trials"]})
    assert [[5.0], [0.0], [-5.0]] == [one["constraints"] for one in study["trials"][:3]]


@installed("mlflow.server")
def test_mlflow(workspace: Workspace, tmp_path: Path, serve: Serve) -> None:
    """It lists the runs below their parent."""
    export_study(workspace, "toy", "mlflow", tmp_path / "toy.db")
    where = f"sqlite:///{tmp_path / 'toy.db'}"
    address = serve("mlflow", "ui", "--workers", "1", "--backend-store-uri", where)
    found = ask(f"{address}/api/2.0/mlflow/runs/search", {"experiment_ids": ["1"], "max_results": 99})
    assert 10 == len(found["runs"])


@installed("tensorboard")
def test_tensorboard(workspace: Workspace, tmp_path: Path, serve: Serve) -> None:
    """Its fast loader, too, shows every curve."""
    export_study(workspace, "toy", "tensorboard", tmp_path / "tb")
    address = serve("tensorboard", "--logdir", str(tmp_path / "tb"), "--load_fast", "true")
    tags = wait_for(lambda: ask(f"{address}/data/plugin/scalars/tags").get("trial-0000"), "the curves", 60)
    assert {"search/accuracy", "train/loss", "final/accuracy"} <= tags.keys()
    points = ask(f"{address}/data/plugin/scalars/scalars?run=trial-0000&tag=search%2Faccuracy")
    assert [10, 300, 70_000] == [step for _, step, _ in points]
