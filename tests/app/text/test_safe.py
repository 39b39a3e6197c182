"""Escape sequences and other unprintable text never reach a terminal."""

from __future__ import annotations

import pytest

from bertdistill.app.text.safe import safe, safe_line


@pytest.mark.parametrize(
    ("hostile", "expected"),
    [
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;QUFB\x07text", "text"),
        ("\x1b[2Jtext", "text"),
        ("\x1b[6ntext", "text"),
        ("\x1b[?1049ltext", "text"),
        ("\x9b31mtext", "text"),
        ("\x90payload\x9ctext", "text"),
        ("\u202etxet", "\ufffdtxet"),
        ("a\x00b\x07c\rd", "a\ufffdb\ufffdc\ufffdd"),
    ],
)
def test_attacks_are_removed(hostile: str, expected: str) -> None:
    """Title, clipboard, clear, report, screen switch, C1 controls, bidi override, bare controls."""
    assert expected == safe(hostile)


def test_ordinary_text_stays() -> None:
    """Brackets, accents, newlines and tabs are text."""
    text = "[/opt/x.cu:10] naïve 東京\n\ttab [red]"
    assert text == safe(text)


def test_unfinished_sequence_does_not_escape() -> None:
    """A sequence without its end swallows the rest rather than leaving an opener behind."""
    assert "a" == safe("a\x1b]52;c;AAAA")


def test_long_text_is_cut() -> None:
    """A log bomb costs no more than the limit."""
    assert 2000 == len(safe("x" * 1_000_000))


def test_safe_line_has_one_line() -> None:
    """White space collapses, so a table row stays a row."""
    assert "a b c" == safe_line("a\n b\t\tc")
