"""The runner's log is read on a terminal, and holds what workers said."""

from __future__ import annotations

import logging
import sys

from bertdistill.engine.runner.plain_log import PlainFormatter


def formatted(words: str, *, traceback: bool = False) -> str:
    record = logging.LogRecord("runner", logging.WARNING, __file__, 1, "%s", (words,), None)
    if traceback:
        record.exc_info = sys.exc_info()
    return PlainFormatter().format(record)


def test_a_reason_of_a_worker_drives_no_terminal_and_is_one_line() -> None:
    """Escapes and line breaks are spelled out."""
    assert formatted("\x1b]52;c;aGVsbG8=\x07\nx \u202e").endswith("WARNING \\x1b]52;c;aGVsbG8=\\x07\\nx \\u202e")


def test_a_traceback_keeps_its_lines() -> None:
    """But not what its message holds."""
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        text = formatted("failed", traceback=True)
    assert (True, False, True) == (text.count("\n") > 2, "\x1b" in text, "\\x1b[2J" in text)
