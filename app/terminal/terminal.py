"""The terminal: whether it is suitable, its background, its clipboard, and how the process leaves it.

It does not import textual, because it writes before textual starts; what must run inside textual is in `driver`.
"""

from __future__ import annotations

import base64
import os
import re
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

from bertdistill.app.preferences import Theme

if TYPE_CHECKING:
    from types import FrameType

    from textual.app import App
    from textual.driver import Driver

Background = Literal["dark", "light"]

NO_SCREEN = ("dumb", "unknown")
"""Values of TERM that mean: no cursor movement."""
COLOURLESS = re.compile(r"vt\d+.*|.+-(m|mono)")
"""Values of TERM of terminals without colours."""
INSTEAD = "bertdistill-tui engine status"
"""What to use without a terminal; every view has a text twin there."""
LARGEST_COPY = 74_994
"""Bytes of text. More than 100,000 characters of base64 are dropped in silence by many terminals."""
SCREEN_CHUNK = 200
"""Characters. GNU screen cuts longer strings that it passes on."""
QUERY_SECONDS, REMOTE_QUERY_SECONDS = 0.5, 1.0
"""How long the app waits for a terminal that does not reply."""
LEAVE_SECONDS = 4.0
"""How long an orderly end may take after a signal."""
LEAVING = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}
"""Signals that end the app, each with its exit status."""
CLEAN = (
    "\x1b[?2004l\x1b[?7h\x1b[?2048l"  # bracketed paste, line wrap, resize reports
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[?1004l"  # mouse and focus
    "\x1b[<u\x1b[?1049l\x1b[?25h\x1b[0m"  # key protocol, alternate screen, cursor, colours
)
"""What brings a terminal back from the app."""


# ------------------------------------------------------------------------------------------------------- before textual


def unfit(environ: Mapping[str, str], terminals: Mapping[str, bool], encoding: str | None) -> str | None:
    """Why the app cannot be shown, and what to do instead, in one line; None if it can.

    `terminals` says of stdin, stdout and stderr whether each is a terminal; `encoding` is that of stderr, where the app
    writes.
    """
    missing = [name for name, is_terminal in terminals.items() if not is_terminal]
    if missing:
        which = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not"
        return f"the app needs a terminal, and {which}; use `{INSTEAD}`, see `{_help()}`"
    if environ.get("TERM") in NO_SCREEN:
        return f"the app needs a screen, and TERM={environ['TERM']} has none; use `{INSTEAD}`, see `{_help()}`"
    if "utf" not in (encoding or "").lower():
        return (
            f"the app needs UTF-8, and this terminal has {encoding or 'no encoding'}; "
            f"set LANG=C.UTF-8, or use `{INSTEAD}`, see `{_help()}`"
        )
    return None


def _help() -> str:
    return INSTEAD.rsplit(" ", 1)[0] + " --help"


def tame(environ: MutableMapping[str, str]) -> None:
    """Adjust environment variables that textual interprets differently; call it before textual is imported."""
    if COLOURLESS.fullmatch(environ.get("TERM", "")):
        environ["NO_COLOR"] = "1"  # textual does not query the terminal's colours and sends RGB
    if not environ.get("NO_COLOR"):
        environ.pop("NO_COLOR", None)  # empty means unset (no-color.org), but not to textual
    else:
        environ["TEXTUAL_THEME"] = "ansi-dark"  # it picks the filter by its first theme, and other themes stay grey RGB
    for name in ("COLUMNS", "LINES"):  # exported by some shells; they would fix the size at that of the start
        environ.pop(name, None)
    if environ.get("SSH_CONNECTION"):
        environ.setdefault("TEXTUAL_ANIMATIONS", "none")
        environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")


def theme_name(
    choice: Theme, environ: Mapping[str, str], background: Background | None = None
) -> Literal["dark", "light", "ansi"]:
    """The theme for a choice; for `auto` from the terminal's reply, else from COLORFGBG, else dark."""
    if environ.get("NO_COLOR"):
        return "ansi"
    if choice != "auto":
        return choice
    return background or colorfgbg(environ.get("COLORFGBG", "")) or "dark"


def colorfgbg(value: str) -> Background | None:
    """`15;0` or `0;default;15` (rxvt, Konsole): the last number is the palette index of the background."""
    last = value.rpartition(";")[2]
    if not re.fullmatch(r"[0-9]{1,2}", last):
        return None
    return "light" if int(last) == 7 or int(last) > 8 else "dark"


def brightness(answer: bytes) -> Background | None:
    """From the reply to OSC 11, `]11;rgb:RRRR/GGGG/BBBB` with 1 to 4 hex digits each; weights of ITU-R BT.601."""
    match = re.search(rb"\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})", answer)
    if match is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in match.groups())
    return "light" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "dark"


WIPE = "\r\x1b[K"
"""Clears the line."""


def say_at_once(words: str, target: int = 2) -> None:
    """Print a message on the prompt line while the app loads; the driver clears it, see `WIPE`."""
    with suppress(OSError):
        os.write(target, words.encode())


def ask_background(environ: Mapping[str, str], source: int = 0, target: int = 2) -> Background | None:
    """Ask the terminal on these descriptors for its background; None when it does not reply.

    It asks for device attributes as well: every terminal answers those, so one without colour reports causes no wait.
    """
    wait = REMOTE_QUERY_SECONDS if environ.get("SSH_CONNECTION") else QUERY_SECONDS
    with suppress(OSError, termios.error), _listening(source):
        os.write(target, b"\x1b]11;?\x1b\\\x1b[c")
        return brightness(_answer(source, time.monotonic() + wait))
    return None


def _answer(source: int, deadline: float) -> bytes:
    answer = b""
    while not re.search(rb"\x1b\[\?[0-9;]*c", answer):
        ready, _, _ = select.select([source], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(source, 256) if ready else b""
        if not chunk:
            break
        answer += chunk
    return answer


@contextmanager
def _listening(source: int) -> Iterator[None]:
    """Read characters unbuffered and without echo; ctrl+c still interrupts. Signals restore the terminal."""
    before = termios.tcgetattr(source)
    handlers = {number: signal.signal(number, _leave_now) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setcbreak(source, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(source, termios.TCSANOW, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _leave_now(number: int, frame: FrameType | None) -> None:
    raise SystemExit(LEAVING[signal.Signals(number)])


# ----------------------------------------------------------------------------------------------------------- the app


def driver_class() -> type[Driver]:
    """The driver for the App."""
    from bertdistill.app.terminal.driver import SteadyDriver

    return SteadyDriver


def install_signals(app: App[Any]) -> None:
    """Let SIGTERM, SIGHUP and SIGINT exit the app cleanly, with the status of the signal; call it in its loop.

    These are handlers of the interpreter, not of the event loop: a terminal that accepts no more output blocks the
    loop, and the app must still exit. If a clean exit takes longer than `LEAVE_SECONDS`, the process is killed.
    """
    if app.is_headless or threading.current_thread() is not threading.main_thread():
        return
    import asyncio

    loop = asyncio.get_running_loop()
    left: list[int] = []

    def leave(number: int, frame: FrameType | None) -> None:
        if left:  # closing a terminal sends several
            return
        status = LEAVING[signal.Signals(number)]
        left.append(status)
        threading.Thread(target=_leave_at_last, args=(status,), name="leave", daemon=True).start()
        with suppress(RuntimeError):  # the loop is closed: the process is already exiting
            # After the refresh: a screen that is just being opened is left without its widgets by an exit, and fails.
            loop.call_soon_threadsafe(lambda: app.call_after_refresh(lambda: app.exit(return_code=status)))

    for number in LEAVING:
        signal.signal(number, leave)


def _leave_at_last(status: int) -> None:
    """In a thread: if the app has not exited in time, restore the terminal as far as possible and exit the process."""
    time.sleep(LEAVE_SECONDS)
    restore(sys.__stdin__.fileno() if sys.__stdin__ else 0, sys.__stderr__.fileno() if sys.__stderr__ else 2)
    os._exit(status)


def restore(source: int, target: int) -> None:
    """Restore the terminal without its driver; never blocks."""
    with suppress(OSError, termios.error):
        modes = termios.tcgetattr(source)
        modes[tty.IFLAG] |= termios.ICRNL | termios.IXON
        modes[tty.LFLAG] |= termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG
        termios.tcsetattr(source, termios.TCSANOW, modes)
    with suppress(OSError):
        os.set_blocking(target, False)
        try:
            os.write(target, CLEAN.encode())
        finally:
            os.set_blocking(target, True)


def exit_status(app: App[Any]) -> int:
    """The exit status after `run`: the app's return code, or 1 if it ended without one."""
    return 1 if app.return_code is None else app.return_code


# --------------------------------------------------------------------------------------------------------- clipboard


def copy_sequence(text: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The sequence that puts `text` on the clipboard of the user's own machine (OSC 52).

    None if the text is longer than terminals accept (`LARGEST_COPY` bytes): offer a file instead. Terminals do not
    report whether it worked.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > LARGEST_COPY:
        return None
    sequence = f"\x1b]52;c;{base64.b64encode(data).decode('ascii')}\x07"
    if environ.get("TMUX"):
        # tmux obeys the bare one with `set-clipboard on`, the wrapped one with `allow-passthrough on`.
        doubled = sequence.replace("\x1b", "\x1b\x1b")
        return f"{sequence}\x1bPtmux;{doubled}\x1b\\"
    if environ.get("STY"):  # GNU screen passes on short strings
        parts = [sequence[i : i + SCREEN_CHUNK] for i in range(0, len(sequence), SCREEN_CHUNK)]
        return "".join(f"\x1bP{part}\x1b\\" for part in parts)
    return sequence
