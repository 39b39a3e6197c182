"""The end of a text file that grows, read piece by piece: only what is new. It changes no file and judges no line."""

from __future__ import annotations

import codecs
import os
import stat
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

MOST_BYTES = 64_000
"""Read at most at once, and from the end of a file that is seen for the first time."""
MOST_LINES = 1_000
"""Kept; the oldest go first."""
LONGEST_LINE = 4_000
"""Characters; a line that never ends is cut into pieces of this length."""

_DECODER = codecs.getincrementaldecoder("utf-8")


@dataclass
class Tail:
    """One file as far as it was read. Not for two threads at once."""

    path: Path
    _offset: int = 0
    _identity: tuple[int, int] | None = None
    _number: int = 0
    _rest: str = ""
    _decoder: codecs.IncrementalDecoder = field(default_factory=lambda: _DECODER("replace"))
    _lines: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=MOST_LINES))
    cut: bool = False
    """Whether the file began before the first line that was read; lines are then counted from there."""

    def read(self) -> list[tuple[int, str]]:
        """The last lines as (number from 1, text), the unfinished one at the end; empty while there is no file.

        A file that was replaced or truncated is read again from the start. Only the newest state of a progress bar is
        kept.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return self._all()
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return self._all()
            if self._identity != (found.st_dev, found.st_ino) or found.st_size < self._offset:
                self._begin((found.st_dev, found.st_ino), found.st_size)
            if found.st_size - self._offset > MOST_BYTES:
                self._begin(self._identity, found.st_size)
            file.seek(self._offset)
            data = file.read(MOST_BYTES)
        self._offset += len(data)
        self._take(self._decoder.decode(data))
        return self._all()

    def _begin(self, identity: tuple[int, int] | None, size: int) -> None:
        self._identity, self._offset = identity, max(0, size - MOST_BYTES)
        self._number, self._rest, self.cut = 0, "", self._offset > 0
        self._lines.clear()
        self._decoder.reset()

    def _take(self, text: str) -> None:
        *whole, rest = (self._rest + text).split("\n")
        if self.cut and self._number == 0 and not self._lines and whole:
            del whole[0]  # half a line
        self._rest = "\r".join(rest.split("\r")[-2:])
        for line in whole:
            self._add(_newest(line))
        while len(self._rest) > LONGEST_LINE:
            self._add(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]

    def _add(self, line: str) -> None:
        self._number += 1
        self._lines.append((self._number, line[:LONGEST_LINE]))

    def _all(self) -> list[tuple[int, str]]:
        rest = [(self._number + 1, _newest(self._rest))] if self._rest else []
        return [*self._lines, *rest]


def _newest(line: str) -> str:
    """What a progress bar that returns to the start of its line shows last."""
    return next((part for part in reversed(line.rstrip("\r").split("\r")) if part), "")
