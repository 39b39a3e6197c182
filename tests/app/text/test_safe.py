"""Escape sequences and other unprintable text never reach a terminal."""

from __future__ import annotations

import pytest

from bertdistill.app.text.safe import harmless, pasted, safe, safe_line


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


def test_spaces_of_other_kinds_are_spaces() -> None:
    """French and Japanese text is full of them."""
    assert "12 % a b" == safe("12\u00a0% a\u3000b")


def test_nothing_is_cut_from_what_is_only_made_harmless() -> None:
    """A page may be long."""
    assert "x" * 10_000 + "\n\ufffd" == harmless("x" * 10_000 + "\n\x07")


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_pasted_lines(end: str) -> None:
    """Terminals send a carriage return for each line break: a field of one line has a space there."""
    text = f"Bergen in 1807.{end}The mill of Bergen{end}"
    assert "Bergen in 1807.\nThe mill of Bergen\n" == pasted(text, one_line=False)
    assert "Bergen in 1807. The mill of Bergen" == pasted(text, one_line=True)


def test_a_paste_keeps_its_spaces_and_no_sequence() -> None:
    """What is pasted behind a word may begin with a space."""
    assert " red  fox" == pasted(" \x1b[31mred  fox", one_line=True)
