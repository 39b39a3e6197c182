"""`engine export --to` as a user types it; the forms themselves are tested where they are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertdistill.app.cli import main
from bertdistill.engine.contract.workspace import Workspace


def engine(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["engine", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_study_is_written(ws: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was written, and how to open it, goes to stderr; nothing to stdout."""
    target = tmp_path / "out"
    assert 0 == engine("export", "demo", "--to", "json", "-o", str(target), "-w", str(ws.path))
    out, err = capsys.readouterr()
    assert ("", True) == (out, f"wrote {target}: 8 trials and 2 points read" in err)
    assert 8 == len(json.loads((target / "trials.json").read_text()))
    assert 0 == engine("export", "demo", "--to", "tensorboard", "-o", str(tmp_path / "tb"), "-w", str(ws.path))
    err = capsys.readouterr().err
    assert f"open it with: tensorboard --logdir {tmp_path / 'tb'}" in err
    assert "note: not as it was: 2 values rounded to 32 bits" in err
    assert 2 == engine("export", "demo", "--to", "json", "-o", str(target), "-w", str(ws.path))
    assert "out exists" in capsys.readouterr().err
    assert 0 == engine("export", "demo", "--to", "json", "-o", str(target), "--force", "-w", str(ws.path))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--to", "excel", "-o", "x"], "there is no form 'excel'"),
        (["--to", "csv"], "--to csv writes trials.csv and points.csv"),
        (["--to", "csv", "--format", "csv", "-o", "x"], "exclude each other"),
    ],
)
def test_what_is_typed_wrongly(
    words: list[str], problem: str, ws: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A remedy is named."""
    assert 2 == engine("export", "demo", *words, "-w", str(ws.path))
    assert problem in capsys.readouterr().err


def test_the_older_forms_stay(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """CSV on stdout is the default."""
    assert 0 == engine("export", "demo", "-w", str(ws.path))
    assert 9 == len(capsys.readouterr().out.splitlines())
