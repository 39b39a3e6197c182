"""Format of the runner's log: one entry per line, without characters that would control the reader's terminal.

It contains output of workers and names from files. It does not decide what is logged.
"""

from __future__ import annotations

import logging

FORMAT = "%(asctime)s %(process)d %(levelname)s %(message)s"


class PlainFormatter(logging.Formatter):
    """Unprintable characters are spelled out: `\\x1b` for an escape. Line breaks are kept in tracebacks only."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name for it
        return _spelled(super().formatMessage(record), "")

    def format(self, record: logging.LogRecord) -> str:
        return _spelled(super().format(record), "\n")


def _spelled(text: str, kept: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode("ascii") for c in text)
