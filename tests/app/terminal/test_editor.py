"""The person's own editor: which it is, and what a text is after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertdistill.app.terminal.editor import NoEditor, edited, editor


def test_the_environment_says_which() -> None:
    """With its options; $VISUAL before $EDITOR, as elsewhere."""
    there = lambda name: f"/bin/{name}"  # noqa: E731 - a fake of one line
    assert ["code", "-w"] == editor({"VISUAL": "code -w", "EDITOR": "vi"}, there)
    assert ["vi"] == editor({"EDITOR": "vi"}, there)
    assert ["/bin/nano"] == editor({}, there)


@pytest.mark.parametrize(("value", "words"), [("", "no editor was found"), ("emacs", "not installed"), ("'", "read")])
def test_without_one_it_is_said_what_to_set(value: str, words: str) -> None:
    """In a word that names the variable."""
    with pytest.raises(NoEditor, match=words) as caught:
        editor({"EDITOR": value}, lambda _: None)
    assert "EDITOR" in caught.value.hint


def test_what_the_editor_leaves_is_read(tmp_path: Path) -> None:
    """It gets the text in a file of that ending, which is gone afterwards."""
    seen = tmp_path / "seen"
    script = tmp_path / "ed.sh"
    script.write_text(f'echo "$1" > {seen}; echo more >> "$1"', encoding="utf-8")
    assert "note\nmore\n" == edited("note\n", "note.md", ["sh", str(script)])
    path = Path(seen.read_text(encoding="utf-8").strip())
    assert ("note.md", False) == (path.name, path.exists())


@pytest.mark.parametrize(("command", "words"), [("exit 1", "status 1"), ('rm "$1"', "cannot be used")])
def test_an_editor_that_fails_changes_nothing(tmp_path: Path, command: str, words: str) -> None:
    """It says how: with which status, or that the file is gone."""
    script = tmp_path / "ed.sh"
    script.write_text(command, encoding="utf-8")
    with pytest.raises(NoEditor, match=words):
        edited("note", "note.md", ["sh", str(script)])
