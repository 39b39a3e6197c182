"""The app on a pseudo-terminal: what is refused before it starts, colours, sizes, signals, exit status, a clean end."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.app.pty_terminal import ALTERNATE, FRESH, MOUSE, PROGRAM, PtyTerminal

from bertdistill.app.cli import main
from bertdistill.app.terminal import terminal as tested
from bertdistill.app.terminal.terminal import (
    LARGEST_COPY,
    ask_background,
    brightness,
    colorfgbg,
    copy_sequence,
    tame,
    theme_name,
    unfit,
)

READY = "q quit"
"""The end of the footer."""
STREAMS = {"stdin": True, "stdout": True, "stderr": True}
ASK = b"\x1b]11;?\x1b\\"
CRASH = """
import sys
from pathlib import Path
from bertdistill.app import ui
from bertdistill.app.preferences import Options

def action_help(self):
    raise RuntimeError("it went wrong")

ui.BertDistill.action_help = action_help
sys.exit(ui.run(Options(Path("ws").resolve())))
"""


def colours(output: bytes) -> set[str]:
    """Which kinds of colour codes were sent: rgb, 256, 16; going back to the default colour is none."""
    found = set()
    for codes in re.findall(rb"\x1b\[([0-9;]+)m", output):
        numbers = [int(code or 0) for code in codes.split(b";")]
        if 38 in numbers or 48 in numbers:
            found.add("rgb" if re.search(rb"[34]8;2;", codes) else "256")
        elif any(30 <= n <= 37 or 40 <= n <= 47 or 90 <= n <= 107 for n in numbers):
            found.add("16")
    return found


# ---------------------------------------------------------------------------------------------------- before the start


@pytest.mark.parametrize(
    ("environ", "terminals", "encoding", "words"),
    [
        ({"TERM": "xterm"}, {"stdout": False}, "utf-8", "stdout is not"),
        ({"TERM": "xterm"}, {"stdin": False, "stderr": False}, "utf-8", "stdin and stderr are not"),
        ({"TERM": "dumb"}, {}, "utf-8", "TERM=dumb has none"),
        ({"TERM": "unknown"}, {}, "utf-8", "TERM=unknown has none"),
        ({"TERM": "xterm"}, {}, "ANSI_X3.4-1968", "has ANSI_X3.4-1968; set LANG=C.UTF-8"),
        ({"TERM": "xterm"}, {}, None, "has no encoding; set LANG=C.UTF-8"),
    ],
)
def test_unfit_says_why_and_what_instead(
    environ: dict[str, str], terminals: dict[str, bool], encoding: str | None, words: str
) -> None:
    """One line with the reason and the commands that work there."""
    found = unfit(environ, STREAMS | terminals, encoding) or ""
    assert [True] * 3 == [part in found for part in (words, "engine status", "engine --help")]
    assert 1 == len(found.splitlines())


@pytest.mark.parametrize("term", ["xterm-256color", "linux", "vt100", ""])
def test_usual_terminals_are_fit(term: str) -> None:
    """A TERM that is unset or poor is no reason to refuse."""
    assert unfit({"TERM": term}, STREAMS, "UTF-8") is None


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TERM": "dumb"}, "TERM=dumb"),
        ({"LC_ALL": "POSIX", "LANG": "", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "LANG=C.UTF-8"),
    ],
    ids=["dumb", "posix"],
)
def test_unfit_terminals_are_left_untouched(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    """One line, exit 2, and not a single escape sequence."""
    with PtyTerminal(environ=environ, cwd=tmp_path) as terminal:
        assert 2 == terminal.wait_end()
        assert [True, True, False] == [part in terminal.output for part in (words.encode(), b"engine status", b"\x1b")]
        assert [] == list(tmp_path.iterdir())


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """stdout in a pipe: nothing on stdout, one line on stderr, exit 2."""
    done = subprocess.run(PROGRAM, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (2, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines()))


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["nope"], "nope: not a file and not a command"),
        (["missing.toml", "--no-mouse"], "missing.toml: not a file and not a command"),
        (["trials"], "Type bertdistill-tui engine trials."),
        (["."], ".: is a folder"),
        (["--theme", "dark", "engine", "status"], "are options of the app"),
        (["--refresh", "0"], "--refresh"),
        (["--unheard-of"], "--unheard-of"),
        (["a", "b"], "(b)"),
    ],
)
def test_misuse_of_the_root_command(
    words: list[str], answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 with a remedy on stderr, whether the terminal could show the app or not."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    assert (2, "", True) == (ended.value.code, out, answer in err), err


def test_workspace_before_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`bertdistill-tui --workspace DIR engine …` means that workspace."""
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(tmp_path / "other"))  # put back after the test
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(tmp_path / "here"), "engine", "status"])
    assert (1, True) == (ended.value.code, str(tmp_path / "here") in capsys.readouterr().err)


# -------------------------------------------------------------------------------------------------------- environment


def test_tame_mends_what_textual_misreads() -> None:
    """An empty NO_COLOR is none; COLUMNS would freeze the size; over SSH nothing moves by itself."""
    environ = {"NO_COLOR": "", "COLUMNS": "80", "LINES": "24", "SSH_CONNECTION": "1 2 3 4"}
    tame(environ)
    assert {"SSH_CONNECTION": "1 2 3 4", "TEXTUAL_ANIMATIONS": "none", "TEXTUAL_SMOOTH_SCROLL": "0"} == environ


@pytest.mark.parametrize(
    ("term", "colourless"),
    [("vt100", True), ("vt220", True), ("xterm-mono", True), ("screen", False), ("linux", False), ("vte", False)],
)
def test_tame_sends_no_colours_to_a_terminal_without(term: str, colourless: bool) -> None:
    """TERM says so; textual does not look."""
    environ = {"TERM": term}
    tame(environ)
    assert colourless == ("NO_COLOR" in environ)


def test_tame_keeps_what_people_chose() -> None:
    """A set NO_COLOR stays and needs a palette theme from the start; a chosen animation level stays."""
    environ = {"NO_COLOR": "1", "SSH_CONNECTION": "1 2 3 4", "TEXTUAL_ANIMATIONS": "full"}
    tame(environ)
    assert ("1", "ansi-dark", "full") == tuple(environ[k] for k in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS"))


def test_theme_follows_choice_terminal_and_variable() -> None:
    """NO_COLOR first, then what was chosen, what the terminal answered, COLORFGBG, dark."""
    found = [
        theme_name("light", {"NO_COLOR": "1"}),
        theme_name("light", {}, "dark"),
        theme_name("auto", {"COLORFGBG": "15;0"}, "light"),
        theme_name("auto", {"COLORFGBG": "0;15"}),
        theme_name("auto", {}),
    ]
    assert ["ansi", "light", "light", "light", "dark"] == found


@pytest.mark.parametrize(
    ("value", "expected"),
    [("15;0", "dark"), ("0;15", "light"), ("0;default;7", "light"), ("7;8", "dark"), ("15;default", None), ("", None)],
)
def test_colorfgbg(value: str, expected: str | None) -> None:
    """The last number is the background; 7 and the bright colours are light."""
    assert expected == colorfgbg(value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\", "dark"),
        (b"\x1b]11;rgb:fdfd/f6f6/e3e3\x07", "light"),
        (b"typed\x1b]11;rgb:f/f/f\x07\x1b[?62c", "light"),
        (b"\x1b]11;rgba:0000/0000/0000/ffff\x07", "dark"),
        (b"\x1b[?62;22c", None),
        (b"", None),
    ],
)
def test_brightness(answer: bytes, expected: str | None) -> None:
    """One to four hex digits a channel, with either terminator, among other bytes."""
    assert expected == brightness(answer)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?62c", "light"), (b"\x1b[?6c", None), (b"", None)],
    ids=["colour", "attributes-only", "silence"],
)
def test_asking_for_the_background(answer: bytes, expected: str | None) -> None:
    """The answer is read unseen, silence ends the wait, and the terminal is as it was."""
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    listener = threading.Thread(target=lambda: (os.read(master, 100), os.write(master, answer)))
    listener.start()
    assert expected == ask_background({}, slave, slave)
    listener.join()
    assert before == termios.tcgetattr(slave)
    for descriptor in (master, slave):
        os.close(descriptor)


# ---------------------------------------------------------------------------------------------------------- clipboard


def test_copy_is_bare_osc_52() -> None:
    """Base64 between the introducer and BEL."""
    assert "\x1b]52;c;w6kg4piF\x07" == copy_sequence("é ★", {})


def test_copy_inside_tmux_goes_both_ways() -> None:
    """The bare one for `set-clipboard on`, and one wrapped for `allow-passthrough on`, its escapes doubled."""
    bare = copy_sequence("x", {}) or ""
    assert f"{bare}\x1bPtmux;\x1b{bare}\x1b\\" == copy_sequence("x", {"TMUX": "/tmp/s,1,0"})


def test_copy_inside_screen_is_cut() -> None:
    """Each piece is short enough to pass; together they are the bare one."""
    found = copy_sequence("x" * 1000, {"STY": "1.tty"}) or ""
    pieces = re.findall(r"\x1bP(.*?)\x1b\\", found, re.DOTALL)
    assert copy_sequence("x" * 1000, {}) == "".join(pieces)
    assert max(map(len, pieces)) <= tested.SCREEN_CHUNK


def test_copy_has_a_limit_in_bytes() -> None:
    """What terminals would drop in silence is refused, for the app to offer a file; odd characters do not raise."""
    assert copy_sequence("é" * (LARGEST_COPY // 2), {}) is not None
    assert copy_sequence("é" * (LARGEST_COPY // 2) + "x", {}) is None
    assert base64.b64encode(b"?").decode() in (copy_sequence("\udcff", {}) or "")


# ------------------------------------------------------------------------------------------------------------- the app


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[PtyTerminal]:
    """The app in an empty workspace, drawn."""
    with PtyTerminal(cwd=tmp_path) as terminal:
        terminal.wait_for(READY)
        yield terminal


def test_it_is_drawn_resized_and_left(shown: PtyTerminal) -> None:
    """From 120×40 to one cell, where it falls silent, and back; then ctrl+c leaves with 0 and a clean terminal."""
    assert [True, True] == [mode in shown.modes for mode in (ALTERNATE, MOUSE)]
    shown.resize(1, 1)
    shown.wait_silence()
    for size in ((40, 12), (80, 24), (120, 40)):
        shown.resize(*size)
        shown.wait("the footer", lambda: "quit" in shown.text or "q q" in shown.text)
    shown.wait_for(READY)
    shown.send("\x03")
    assert (0, True) == (shown.wait_end(), shown.is_clean)
    assert "Traceback" not in shown.text


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)],
    ids=["TERM", "HUP", "INT"],
)
def test_signals_leave_a_clean_terminal(shown: PtyTerminal, number: signal.Signals, status: int) -> None:
    """Status 128 + n; alternate screen, mouse, paste and focus reports are off, cursor and line editing on."""
    shown.process.send_signal(number)
    assert (status, True) == (shown.wait_end(), shown.is_clean)


def test_a_signal_during_the_start(tmp_path: Path) -> None:
    """As soon as the terminal has been changed, before anything is drawn."""
    with PtyTerminal(cwd=tmp_path) as terminal:
        terminal.wait("the alternate screen", lambda: ALTERNATE in terminal.modes)
        terminal.process.send_signal(signal.SIGTERM)
        assert (143, True) == (terminal.wait_end(), terminal.is_clean)


def test_ctrl_c_while_the_terminal_is_asked(tmp_path: Path) -> None:
    """A terminal that has not answered yet: ctrl+c ends with 130, and the line is edited again."""
    with PtyTerminal(cwd=tmp_path, answers={b"\x1b[c": b"\x03"}) as terminal:
        assert (130, True) == (terminal.wait_end(), terminal.is_clean)
        assert b"Traceback" not in terminal.output


def test_a_crash_is_status_1(tmp_path: Path) -> None:
    """The terminal is restored first, then the traceback is shown; the status is 1, not textual's 0."""
    with PtyTerminal((sys.executable, "-P", "-c", CRASH), cwd=tmp_path) as terminal:
        terminal.wait_for(READY)
        terminal.send("?")
        assert (1, True) == (terminal.wait_end(), terminal.is_clean)
        assert b"it went wrong" in terminal.output.rpartition(b"\x1b[?1049l")[2]


@pytest.mark.parametrize(
    ("environ", "kinds"),
    [
        ({}, {"rgb"}),
        ({"NO_COLOR": ""}, {"rgb"}),
        ({"NO_COLOR": "1"}, set()),
        ({"COLORTERM": ""}, {"256"}),
        ({"COLORTERM": "", "TERM": "linux"}, {"16"}),
    ],
    ids=["truecolor", "empty-no-color", "no-color", "256-colours", "16-colours"],
)
def test_colours_are_what_the_terminal_has(tmp_path: Path, environ: dict[str, str], kinds: set[str]) -> None:
    """Truecolor, 256, 16 or none; COLUMNS from the environment does not decide the size."""
    with PtyTerminal(environ=environ | {"COLUMNS": "50", "LINES": "12"}, cwd=tmp_path) as terminal:
        terminal.wait_for(READY)
        terminal.send("q")
        assert 0 == terminal.wait_end()
        assert kinds == colours(terminal.output)
        assert max(len(line.rstrip()) for line in terminal.text.splitlines()) > 110


def test_an_answer_that_comes_late_still_sets_the_theme(tmp_path: Path) -> None:
    """Over a slow line the app has begun in its dark theme before the terminal says that it is light."""
    with PtyTerminal(PROGRAM, cwd=tmp_path) as terminal:
        terminal.wait_for(READY)
        assert max(backgrounds(terminal.output)) < 128
        begun = len(terminal.output)
        terminal.send(b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\")
        terminal.wait(
            "a light screen", lambda: backgrounds(terminal.output[begun:]) - backgrounds(terminal.output[:begun])
        )
        terminal.wait_silence()
        assert max(backgrounds(terminal.output[begun:])) > 128
        terminal.send("\x11")
        assert 0 == terminal.wait_end()


def backgrounds(output: bytes) -> set[int]:
    """The red part of every background colour that was sent."""
    return {int(red) for red in re.findall(rb"48;2;([0-9]+);", output)}


def test_light_terminal_without_mouse(tmp_path: Path) -> None:
    """The terminal answers that it is light; `--no-mouse` turns no mouse mode on."""
    answers = {ASK: b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\"}
    with PtyTerminal((*PROGRAM, "--no-mouse"), cwd=tmp_path, answers=answers) as terminal:
        terminal.wait_for(READY)
        terminal.wait("a light screen", lambda: max(backgrounds(terminal.output)) > 128)
        assert set() == {1000, 1003, 1006, 1015, 1016} & (terminal.modes - FRESH)
        terminal.send("\x11")
        assert 0 == terminal.wait_end()
