"""A terminal for tests: a program on a pseudo-terminal, its bytes kept, its screen drawn by pyte, its modes counted.

It waits on conditions with a deadline and never sleeps for a fixed time.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

DEADLINE = 20.0
"""Seconds until a condition counts as never met; a loaded machine may need most of them."""
MOST = 0.5
"""Seconds of reading at a time: a program that never stops to write must not hold up the deadline."""
PROGRAM = (sys.executable, "-P", "-c", "from bertdistill.app.cli import main; main()")
ENVIRONMENT = {
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "LANG": "C.UTF-8",
    "COLORFGBG": "15;0",
    "XDG_CONFIG_HOME": "/nonexistent",
    "XDG_STATE_HOME": str(Path(__file__).parent / "state"),
}
"""A usual terminal, no config file, and a user who has seen the tour; all else but paths is taken away."""
KEPT = ("PATH", "HOME", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")

ALTERNATE, MOUSE = 1049, 1003
FRESH = frozenset({25, 7})
"""Private modes of a terminal that no program has touched: cursor and line wrap."""

_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1bP[^\x1b]*\x1b\\")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-9;?<>=$]*|P[^\x1b]*\x1b?)?\Z")


class PtyTerminal:
    """One program on a terminal of its own, in a session of its own. Use it as a context manager."""

    def __init__(
        self,
        command: Sequence[str] = PROGRAM,
        *,
        size: tuple[int, int] = (120, 40),
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        answers: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """`answers`: what the terminal replies when these bytes pass by; device attributes are always answered."""
        self.output = b""
        self._answers = {b"\x1b[c": b"\x1b[?62;22c"} | dict(answers or {})
        self._answered: dict[bytes, int] = {}
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._held = b""
        self.master, slave = os.openpty()
        self._set_size(*size)
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=kept | ENVIRONMENT | dict(environ or {}),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_own_terminal,  # there is no other way to make it the controlling terminal
        )
        os.close(slave)

    def __enter__(self) -> PtyTerminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(DEADLINE)
        if self.master >= 0:
            os.close(self.master)

    # --------------------------------------------------------------------------------------------------- what it does

    def send(self, keys: str | bytes) -> None:
        """Type."""
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window, as a person drags its corner; the kernel sends SIGWINCH."""
        self._screen.resize(rows, columns)
        self._set_size(columns, rows)

    def hang_up(self) -> None:
        """Close the window."""
        self._read_all(0.0)
        os.close(self.master)
        self.master = -1

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    # ---------------------------------------------------------------------------------------------------- what it says

    @property
    def text(self) -> str:
        """The screen, line by line."""
        return "\n".join(self._screen.display)

    @property
    def modes(self) -> set[int]:
        """Private modes that are on now."""
        on = set(FRESH)
        for numbers, switch in _MODE.findall(self.output):
            change = {int(number) for number in numbers.split(b";")}
            on = on | change if switch == b"h" else on - change
        return on

    @property
    def is_cooked(self) -> bool:
        """Whether the line is edited and echoed by the kernel, as a shell wants it."""
        flags = termios.tcgetattr(self.master)[3]
        return bool(flags & termios.ICANON and flags & termios.ECHO and flags & termios.ISIG)

    @property
    def is_clean(self) -> bool:
        """Whether the terminal is as it was before the program: no mode left on, keys and line as usual."""
        keys = self.output.count(b"\x1b[>") - self.output.count(b"\x1b[<u")
        return self.modes == FRESH and keys <= 0 and self.is_cooked

    def look(self) -> str:
        """Read what has been written so far; the screen."""
        self._read_all(0.0)
        return self.text

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        """Read until the condition holds; AssertionError with the screen when it never does."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {DEADLINE:g} s for {what}; the screen:\n{self.text}")
            self._read_all(0.02)

    def wait_for(self, text: str) -> None:
        """Read until the screen holds this text."""
        self.wait(repr(text), lambda: text in self.text)

    def wait_silence(self, seconds: float = 0.5) -> None:
        """Read until nothing has been written for some time; AssertionError when it never stops."""
        last = [len(self.output), time.monotonic()]

        def is_silent() -> bool:
            if len(self.output) != last[0]:
                last[:] = [len(self.output), time.monotonic()]
            return time.monotonic() - last[1] > seconds

        self.wait("silence", is_silent)

    def wait_end(self) -> int:
        """Read until the program has ended; its exit status, negative for a signal."""
        self.wait("the end of the program", lambda: self.process.poll() is not None)
        if self.master >= 0:
            self._read_all(0.05)
        return int(self.process.returncode)

    def _read_all(self, patience: float) -> None:
        if self.master < 0:
            select.select([], [], [], patience)
            return
        until = time.monotonic() + MOST
        while time.monotonic() < until and select.select([self.master], [], [], patience)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # Linux says so when the last program has closed the other side
                return
            if not data:
                return
            self.output += data
            self._draw(data)
            self._answer()

    def _draw(self, data: bytes) -> None:
        # A sequence may be cut by the end of a read; pyte keeps its own state, our filter must wait for the rest.
        whole = self._held + data
        cut = _UNFINISHED.search(whole)
        self._held = whole[cut.start() :] if cut else b""
        known = _UNKNOWN_TO_PYTE.sub(b"", whole[: cut.start()] if cut else whole)
        # pyte has one screen; the alternate one begins empty, and is left in sight at the end for the test to read.
        self._stream.feed(known.replace(b"\x1b[?1049h", b"\x1b[2J"))

    def _answer(self) -> None:
        for question, answer in self._answers.items():
            while self.output.count(question) > self._answered.get(question, 0):
                self._answered[question] = self._answered.get(question, 0) + 1
                self.send(answer)


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
