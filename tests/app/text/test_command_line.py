"""Commands to try next, and words that were typed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bertdistill.app.text import command_line as module
from bertdistill.app.text.command_line import command_line, unicode_only, without_path
from bertdistill.engine.contract.workspace import Workspace


def test_next_commands_name_the_workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command to copy works from here: it names a workspace that is not the default, quoted for the shell."""
    monkeypatch.delenv("BERTDISTILL_WORKSPACE", raising=False)
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.chdir(tmp_path)
    there = Workspace(tmp_path / "my runs")
    assert f"bertdistill-tui engine show demo/1 --workspace '{there.path}'" == command_line("show", "demo/1", ws=there)
    assert "bertdistill-tui engine status" == command_line("status", ws=Workspace(tmp_path / "bertdistill-runs"))
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(there.path))
    assert "bertdistill-tui engine status" == command_line("status", ws=there)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (".venv/bin/bertdistill-tui", ".venv/bin/bertdistill-tui engine status"),
        ("/lib/bertdistill/engine/__main__.py", f"{sys.executable} -m bertdistill.engine status"),
    ],
)
def test_next_commands_work_off_the_path(typed: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program is not on the path, the way that was taken is shown."""
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(module.sys, "argv", [typed])
    assert expected == command_line("status")


def test_words_that_are_no_utf8_become_text() -> None:
    """Bytes that Python smuggles in as half characters would break JSON and tokenizers."""
    assert "\ufffd bad ☃" == unicode_only("\udcff bad ☃")


def test_a_command_to_read_names_the_program_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is; what is not a command stays."""
    monkeypatch.setattr("sys.argv", ["/a long way/bin/bertdistill-tui"])
    found = [without_path(one) for one in ("'/a long way/bin/bertdistill-tui' engine show demo/1", "demo/1")]
    assert ["bertdistill-tui engine show demo/1", "demo/1"] == found
