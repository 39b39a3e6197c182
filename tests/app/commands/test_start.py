"""Words that are understood without typer mean what typer makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from bertdistill.app.commands import root
from bertdistill.app.commands.start import plain_words

PLAIN = [
    [],
    ["--workspace", "/tmp/ws"],
    ["-w", "ws", "--study", "demo", "--theme", "dark", "--marker", "ascii", "--no-mouse"],
    ["--mouse", "--study", "2024"],
]
OTHER = [
    ["engine", "status"],
    ["study.toml"],
    ["--demo"],
    ["--help"],
    ["--workspace"],
    ["--workspace", ""],
    ["--workspace", "--study"],
    ["--workspace=ws"],
    ["--study", "a", "--study", "b"],
    ["--mouse", "--no-mouse"],
    ["--theme", "pink"],
    ["--refresh", "3"],
]


@pytest.mark.parametrize("words", PLAIN, ids=" ".join)
def test_plain_words_mean_what_typer_makes_of_them(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace, the study and every wish."""
    got: list[Any] = []
    monkeypatch.setattr(root, "start_app", lambda *found, demo: got.append((*found, demo)) or 0)
    assert 0 == CliRunner().invoke(root.app, words).exit_code
    found = plain_words(words)
    assert found is not None
    assert [(found.wishes, found.where, None, found.study, False)] == got


@pytest.mark.parametrize("words", OTHER, ids=" ".join)
def test_all_other_words_are_left_to_typer(words: list[str]) -> None:
    """It knows the rest, and reports what is wrong."""
    assert None is plain_words(words)
