"""`engine import` from outside: what it prints, its exit status, and the commands on what it has stored."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine.interchange.readers.sources import csv_points, event_files, mlflow_db
from tests.kept import new_db

from bertdistill.app.cli import main
from bertdistill.engine.interchange import importing

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Exit status, stdout and stderr of a command of the engine, in an empty workspace."""
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(tmp_path / "ws"))
    new_db(tmp_path / "ws").close()

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["engine", *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


def test_a_study_and_the_commands_on_it(engine: Type, tmp_path: Path) -> None:
    """Without objectives runs are listed, shown and compared, not ranked; with one they are ranked."""
    source = f"sqlite:///{mlflow_db(tmp_path)}"
    status, out, err = engine("import", source)
    assert (0, "mnist-red-tuning: 3 new runs, 10 points" in out, "an MLflow database" in err) == (0, True, True)
    assert "not imported: 1 deleted runs, 1 points with a step below 0" in err
    for words, wanted in [
        (["status"], "1 complete, 1 failed, 1 stopped"),
        (["trials", "mnist-red-tuning"], "first"),
        (["show", "mnist-red-tuning/0"], "imported"),
        (["frontier", "mnist-red-tuning"], "no point"),
        (["analysis", "mnist-red-tuning"], ""),
        (["compare", "mnist-red-tuning/0", "mnist-red-tuning/1"], "train/loss"),
        (["watch", "mnist-red-tuning", "--plain"], "complete"),
    ]:
        status, out, err = engine(*words)
        assert (0, True) == (status, wanted in out), out + err
    assert "★" not in engine("trials", "mnist-red-tuning")[1]
    status, out, _ = engine("import", source, "--minimize", "train/loss")
    assert (0, True) == (status, "mnist-red-tuning: nothing new" in out)
    assert "★" in engine("trials", "mnist-red-tuning")[1]
    assert 0 == engine("delete", "mnist-red-tuning", "--yes")[0]
    assert "3 new runs" in engine("import", source)[1]


def test_json(engine: Type, tmp_path: Path) -> None:
    status, out, _ = engine("import", str(csv_points(tmp_path)), "--json", "--as", "csv", "--study", "mine")
    row = {"study": "mine", "source": "points", "new_runs": 2, "changed_runs": 0, "points": 4}
    assert (0, {"studies": [row], "left_out": {}}) == (status, json.loads(out))


def test_damage_is_an_error_after_the_rest(engine: Type, tmp_path: Path) -> None:
    folder = event_files(tmp_path)
    path = next(one for one in folder.rglob("*tfevents*") if one.parent.name == "run")
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(bytes(data))
    status, out, err = engine("import", str(folder))
    assert (1, True) == (status, "logs: 1 new run" in out)
    assert f"error: {path}: damaged at byte 0" in err


@pytest.mark.parametrize(
    ("words", "wanted", "status"),
    [
        (["missing.db"], "does not exist", 1),
        (["."], "holds nothing that can be imported", 1),
        ([".", "--as", "aim"], "not a tracker that is known", 2),
        (["points.csv", "--minimize", "a", "--maximize", "a"], "named as an objective 2 times", 2),
    ],
)
def test_what_it_refuses(
    words: list[str], wanted: str, status: int, engine: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    if words[0] == "points.csv":
        csv_points(folder)
    monkeypatch.chdir(folder)
    found, _, err = engine("import", *words)
    assert (status, True) == (found, wanted in err)


def test_ctrl_c(engine: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored stays, and the message says how to continue."""
    monkeypatch.setattr(importing, "RUNS_AT_ONCE", 1)
    real = importing.writes.store_all
    stored: list[object] = []

    def interrupted(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type] # whatever the import stores
        stored.append(arguments)
        if len(stored) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(importing.writes, "store_all", interrupted)
    source = str(mlflow_db(tmp_path))
    status, _, err = engine("import", source)
    assert (130, True) == (status, "interrupted; what was stored stays" in err)
    monkeypatch.undo()
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(tmp_path / "ws"))
    assert "new run" in engine("import", source)[1]
