"""What the app remembers survives it, and a file that is damaged or cannot be written costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertdistill.app.memory import NAME, Memory


def test_what_was_kept_is_recalled_by_the_next_app(tmp_path: Path) -> None:
    """In the workspace, under its name."""
    Memory(tmp_path).keep("studies.inspector", False)
    assert not Memory(tmp_path).recall("studies.inspector", True)
    assert Memory(tmp_path).recall("other", "usual") == "usual"
    assert [NAME] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("content", ["", "[1]", "{", "\x00", '{"a": "text"}', "[" * 100_000])
def test_a_damaged_file_is_an_empty_one(tmp_path: Path, content: str) -> None:
    """A value of another type is not used either."""
    (tmp_path / NAME).write_text(content)
    assert Memory(tmp_path).recall("a", 7) == 7


def test_nothing_is_made_where_there_is_no_workspace(tmp_path: Path) -> None:
    """Within this app it is remembered all the same."""
    memory = Memory(tmp_path / "none")
    memory.keep("a", 1)
    assert memory.recall("a", 2) == 1
    assert not (tmp_path / "none").exists()
