"""Names, streams and commands to try next."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bertdistill.app.commands import session
from bertdistill.app.commands.session import TrialName, parse_trial
from bertdistill.app.errors import UsageError
from bertdistill.app.text.command_line import command_line, unicode_only
from bertdistill.engine.contract.workspace import Workspace


@pytest.mark.parametrize(
    ("text", "study", "known", "expected"),
    [
        ("demo/7", "", ["a", "demo"], TrialName("demo", 7)),
        ("demo#7", "", [], TrialName("demo", 7)),
        ("7", "demo", ["a", "demo"], TrialName("demo", 7)),
        ("#7", "", ["only"], TrialName("only", 7)),
        ("demo/7", "demo", [], TrialName("demo", 7)),
    ],
)
def test_trial_names(text: str, study: str, known: list[str], expected: TrialName) -> None:
    """Study and number in one word, or the number where the study is clear."""
    assert expected == parse_trial(text, study, known)


@pytest.mark.parametrize(
    ("text", "study", "known"),
    [("seven", "", ["demo"]), ("7", "", ["a", "b"]), ("7", "", []), ("a/7", "b", ["a", "b"]), ("a/", "", ["a"])],
)
def test_unclear_trials_are_misuse(text: str, study: str, known: list[str]) -> None:
    """No guess is made; the hint shows how to write it."""
    with pytest.raises(UsageError) as caught:
        parse_trial(text, study, known)
    assert caught.value.hint


def test_next_commands_name_the_workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command to copy works from here: it names a workspace that is not the default, quoted for the shell."""
    monkeypatch.delenv("BERTDISTILL_WORKSPACE", raising=False)
    monkeypatch.setattr(session.shutil, "which", lambda name: f"/usr/bin/{name}")
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
    monkeypatch.setattr(session.shutil, "which", lambda name: None)
    monkeypatch.setattr(session.sys, "argv", [typed])
    assert expected == command_line("status")


def test_speech_is_made_safe(capsys: pytest.CaptureFixture[str]) -> None:
    """A message with a hostile name in it cannot drive the terminal, and goes to stderr."""
    session.say("no study \x1b]52;c;AAAA\x07x")
    assert ("", "no study x\n") == capsys.readouterr()


def test_words_that_are_no_utf8_become_text() -> None:
    """Bytes that Python smuggles in as half characters would break JSON and tokenizers."""
    assert "\ufffd bad ☃" == unicode_only("\udcff bad ☃")


def test_json_and_csv_exclude_each_other() -> None:
    """Two forms at once is misuse."""
    with pytest.raises(UsageError):
        session.show_rows([], "", json=True, csv=True)
