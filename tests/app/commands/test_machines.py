"""`engine machines`: add, list, check, remove, as typed; the machine is a folder of this one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bertdistill.app.cli import main
from bertdistill.app.report.shapes import SHAPES
from bertdistill.engine.launch.machines import DEFAULT_FOLDER, read_machines
from bertdistill.engine.launch.sighting import Sighting

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Exit status, stdout and stderr."""
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(tmp_path / "ws"))

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["engine", "machines", *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


def test_a_machine_from_its_first_day_to_its_last(machines: Type, tmp_path: Path) -> None:
    """What was seen of it is shown; foreign words are harmless."""
    assert "no machines besides this one" in machines("list")[1]
    assert machines("add", "b", "--folder", str(tmp_path / "far"), "--slots", "2")[0] == 0
    assert "never" in machines("list")[1]
    load = {"cpu_percent": 5.0, "cores": 4, "memory_used": 1, "memory_total": 2, "gpus": []}
    look = {"free": 5e9, "load": load, "busy": {}, "running": {}}
    hello = {"cores": 4, "gpus": [], "host": "far", "version": "1"}
    Sighting("b", 5.0, "no route\x1b[2J to host", hello, look, {"runs/s/0000-1": (3, 9)}).write(tmp_path / "ws")
    code, out, _ = machines("list")
    assert (code, "\x1b" in out) == (0, False)
    for word in ("CPU 5% of 4", "no route", "to host", "receives"):
        assert word in out
    [row] = json.loads(machines("list", "--json")[1])
    assert list(SHAPES["machine"]) == list(row)
    assert (row["slots"], row["sending"]) == (2, {"runs/s/0000-1": [3, 9]})
    assert machines("remove", "b")[0] == 0
    code, _, err = machines("remove", "b")
    assert (code, "not a machine" in err) == (2, True)
    assert read_machines(tmp_path / "ws").machines == ()


def test_a_node_of_a_ray_cluster(machines: Type, tmp_path: Path) -> None:
    """It is listed by its cluster and its name there."""
    assert machines("add", "b", "--ray", "10.0.0.1:6379", "--node", "gpu-7")[0] == 0
    assert "ray 10.0.0.1:6379, node gpu-7" in machines("list")[1]
    [row] = json.loads(machines("list", "--json")[1])
    assert (row["ray"], row["node"], row["folder"]) == ("10.0.0.1:6379", "gpu-7", DEFAULT_FOLDER)


@pytest.mark.parametrize(
    "words",
    [("x;y",), ("local",), ("y", "--ssh", "-oProxyCommand=x"), ("y", "--folder", "here"), ("y", "--ray", "here")],
)
def test_what_cannot_be_meant_is_refused(machines: Type, words: tuple[str, ...]) -> None:
    code, _, err = machines("add", *words)
    assert (code, "error:" in err, "hint:" in err) == (2, True, True)
