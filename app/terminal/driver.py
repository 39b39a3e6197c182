"""Textual's driver for real terminals: old mouse reports, late replies, job control, terminals that disappear.

It decides nothing about the app. Textual 8.2 is the pinned version; every deviation from its driver has a test
on a pseudo-terminal.
"""

from __future__ import annotations

import codecs
import os
import re
import selectors
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from bertdistill.app.terminal.terminal import WIPE, Background, brightness, install_signals

_NOT_KEYS = re.compile(
    rb"\x1b\[M...|\x1b\]1[01];[^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[\?[0-9;]*c",
    re.DOTALL,
)
"""Old mouse reports (X10, three bytes of any value), and late answers to what `ask_background` asked."""
_UNFINISHED = re.compile(rb"(?:\x1b\[M.{0,2}|\x1b\]1[01];[^\x07\x1b]*\x1b?)\Z", re.DOTALL)
_PASTE, _PASTED = "\x1b[200~", "\x1b[201~"
"""What a terminal sends before and after pasted text."""
_NOT_PASTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LONGEST = 256
"""Bytes that are kept back while one of those is unfinished."""


class InputDecoder:
    """Decodes the bytes of a terminal to text, without those that are not keys. Never raises.

    A terminal that was recreated (tmux reattached, an editor reloaded) reports the mouse in the old format, whose bytes
    are not UTF-8 beyond column 95.
    """

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._rest = b""
        self.background: Background | None = None
        """The terminal's reply about its background, if it arrived later than the app could wait."""
        self._pasting, self._before = False, ""

    def decode(self, data: bytes) -> str:
        """The text of the next bytes; an incomplete sequence is held back until the rest arrives."""
        whole = self._rest + data
        data = _NOT_KEYS.sub(b"", whole)
        if len(data) < len(whole):
            self.background = brightness(whole) or self.background
        tail = _UNFINISHED.search(data)
        cut = tail.start() if tail is not None and len(tail[0]) <= _LONGEST else len(data)
        self._rest = data[cut:]
        return self._without_controls(self._decode(data[:cut]))

    def _without_controls(self, text: str) -> str:
        """Remove control codes from pasted text: textual would read an escape in it as key presses.

        A read may end inside either marker: `_before` holds what may be its beginning.
        """
        found: list[str] = []
        while text:
            whole, marker = self._before + text, _PASTED if self._pasting else _PASTE
            inside, end, text = whole.partition(marker)
            said = 0 if self._pasting else len(self._before)  # text outside a paste was passed on at once
            self._before = "" if end else _beginning(marker, inside)
            if self._pasting:
                inside = _NOT_PASTED.sub("", inside.removesuffix(self._before))
            found.append((inside + end)[said:])
            self._pasting ^= bool(end)
        return "".join(found)


def _beginning(marker: str, text: str) -> str:
    """The longest suffix of `text` that is a prefix of `marker`."""
    return next((marker[:n] for n in range(len(marker) - 1, 0, -1) if text.endswith(marker[:n])), "")


class SteadyOutput:
    """stderr for textual's writer thread: once the terminal is gone, output is discarded instead of failing.

    If that thread died, its queue would fill up and block the app for good.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        try:
            return self._file.write(text)
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError:
            self._give_up()

    def fileno(self) -> int:
        return self._file.fileno()

    def _give_up(self) -> None:
        # Also for what Python still buffers: it flushes the stream at exit, and a failure would change the exit status.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


class SteadyDriver(LinuxDriver):
    """The driver of the app. It also installs the signals, before the terminal is changed for the first time."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        assert sys.__stderr__ is not None, "`unfit` has refused a closed stderr"
        self._file = SteadyOutput(sys.__stderr__)  # type: ignore[assignment]  # the writer needs these three methods
        self._is_suspended = self._is_stopped = self._is_lent = False
        install_signals(app)

    def start_application_mode(self) -> None:
        assert self._file is not None, "set by our own __init__"
        self._file.write(WIPE)  # messages from while the app loaded; the writer thread is not running yet
        self._file.flush()
        super().start_application_mode()  # type: ignore[no-untyped-call]  # untyped in textual

    @property
    def can_suspend(self) -> bool:
        """Whether the terminal is lent; for the session leader not else: there is no shell that could resume it."""
        return self._is_lent or os.getpgrp() != os.getsid(0)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """While another program has the terminal that we wait for, such as an editor. It needs no shell."""
        self._is_lent = True
        try:
            yield
        finally:
            self._is_lent = False

    def _sigtstp_application(self, *_: Any) -> None:
        if self._auto_restart:
            self._loop.call_soon_threadsafe(self._suspend)
        else:  # another program has the terminal
            self._stop()

    def _sigcont_application(self, *_: Any) -> None:
        self._is_stopped = False
        if self._auto_restart and not self._is_suspended:
            # Stopped from outside, and the shell has changed the terminal; `_suspend` restores it itself.
            self._loop.call_soon_threadsafe(self._start_over)

    def _suspend(self) -> None:
        # In the loop, not in the handlers: `bg` then `fg` nest two handlers, and two threads would read the keyboard.
        self._is_suspended = True
        self.suspend_application_mode()
        self._stop()
        while not self._is_foreground():  # `bg`
            self._stop()
        self._is_suspended = False
        self._must_signal_resume = True
        self.resume_application_mode()

    def _stop(self) -> None:
        """Suspends the process; returns once it has been resumed."""
        self._is_stopped = True
        os.kill(0, signal.SIGSTOP)  # the whole job: the parent process must stop as well, as after any ctrl+z
        while self._is_stopped:  # the system may stop us a moment later
            time.sleep(0.01)

    def _is_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self.fileno) == os.getpgrp()
        except OSError:
            return True  # the terminal is gone; once resumed, the app exits

    def _start_over(self) -> None:
        self.suspend_application_mode()
        self._must_signal_resume = True
        self.resume_application_mode()

    def _disable_mouse_support(self) -> None:
        super()._disable_mouse_support()
        if self._mouse:
            self.write("\x1b[?1016l")  # textual turns pixel reports on but not off

    def run_input_thread(self) -> None:
        """As textual's, but with our decoder, and the app exits at the end of input."""
        parser, decoder = XTermParser(self._debug), InputDecoder()
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(0.1):
                    try:
                        data = os.read(self.fileno, 4096)
                    except OSError:
                        data = b""
                    if not data:
                        self._hang_up()
                        return
                    if text := decoder.decode(data):  # to the parser an empty text means the end
                        for event in parser.feed(text):
                            self.process_message(event)
                    if decoder.background is not None:
                        self._late_background(decoder)
                for event in parser.tick():
                    self.process_message(event)

    def _late_background(self, decoder: InputDecoder) -> None:
        """Apply a reply that came after the app had started, on a slow connection or a busy machine."""
        background, decoder.background = decoder.background, None
        listen = getattr(self._app, "use_background", None)
        if listen is not None:
            self._loop.call_soon_threadsafe(listen, background)

    def _hang_up(self) -> None:
        """Handle the loss of the terminal, which may come without a signal."""
        os.kill(os.getpid(), signal.SIGHUP)
