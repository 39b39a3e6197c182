"""The driver on a pseudo-terminal: old mouse bytes, job control, terminals that go away or take nothing more."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.app.pty_terminal import DEADLINE, PROGRAM, PtyTerminal

from bertdistill.app.terminal.driver import InputDecoder
from bertdistill.engine.study.config import to_toml
from bertdistill.engine.study.study_spec import StudySpec

READY = "q quit"
"""The end of the footer."""
VARIANT = """
import sys
from pathlib import Path
from bertdistill.app import terminal, ui
from bertdistill.app.preferences import Options

def action_help(self):
    {body}

terminal.LEAVE_SECONDS = 0.3
ui.BertDistill.action_help = action_help
sys.exit(ui.run(Options(Path("ws").resolve())))
"""


def variant(body: str) -> tuple[str, ...]:
    """The app with something else behind `?`, and less patience."""
    return (sys.executable, "-P", "-c", VARIANT.format(body=body))


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[PtyTerminal]:
    """The app in an empty workspace, drawn."""
    with PtyTerminal(cwd=tmp_path) as terminal:
        terminal.wait_for(READY)
        yield terminal


# ------------------------------------------------------------------------------------------------------------- decoder

PIECES: list[tuple[list[bytes], str]] = [
    ([b"abc"], "abc"),
    ([b"\xe2\x98", b"\x85"], "★"),
    ([b"\x1b"], "\x1b"),
    ([b"\x1b]", b"q"], "\x1b]q"),
    ([b"\x1b[<0;200;10M"], "\x1b[<0;200;10M"),
    ([b"\x1b[M \xe0\x80x"], "x"),
    ([b"\x1b[M#\x1b[y"], "y"),
    ([b"\x1b[M", b"\xc3", b"\xa9\x80y"], "y"),
    ([b"a\x1b[M \xc3\xa9\xc3\xa9"], "aé"),
    ([b"\x1b[200~a\x1b[31mb\ty\r\nc\x07\xc2\x9b\x1b[201~\x1b[A"], "\x1b[200~a[31mb\ty\r\nc\x1b[201~\x1b[A"),
    ([b"\x1b[20", b"0~a\x1b", b"[2Jb\x1b[20", b"1~\x1b[B"], "\x1b[200~a[2Jb\x1b[201~\x1b[B"),
    ([b"\x1b[200~", b"\x1b", b"q\x1b[201~", b"\x1b", b"q"], "\x1b[200~q\x1b[201~\x1bq"),
    ([b"\xff\xfeq"], "\ufffd\ufffdq"),
    ([b"\x1b]11;rgb:ffff/ffff/ffff\x07\x1b[?62;22cq"], "q"),
    ([b"\x1b]11;rgb:ff", b"ff/ffff/ffff\x1b", b"\\q"], "q"),
]


@pytest.mark.parametrize(("pieces", "text"), PIECES)
def test_decoder_keeps_keys_and_drops_reports(pieces: list[bytes], text: str) -> None:
    """Old mouse reports and late answers vanish, cut or whole; everything else is text, and no byte raises."""
    decoder = InputDecoder()
    assert text == "".join(decoder.decode(piece) for piece in pieces)


def test_decoder_gives_up_on_an_endless_answer() -> None:
    """What begins like an answer and never ends does not swallow the keyboard."""
    decoder = InputDecoder()
    text = "".join(decoder.decode(piece) for piece in (b"\x1b]11;", b"x" * 200, b"y" * 200, b"z"))
    assert text.endswith("yz")


def test_a_paste_presses_no_keys(shown: PtyTerminal) -> None:
    """A log with colours pasted into a field: text of that field, in one go, and the next key works at once."""
    shown.send("n")
    shown.wait_for("or the path of a study file")
    shown.send("\t")
    shown.send(
        b"\x1b[200~" + b"a\x1b[31mq\x03\x11" * 20_000 + b"\x1b[201~"
    )  # too long for a field, which keeps nothing
    shown.send(b"\x1b[200~/tmp/\x1b[1mq\x11.toml\x1b[201~")
    shown.wait_for("/tmp/[1mq.toml")
    shown.send("\x11")
    assert (0, True) == (shown.wait_end(), shown.is_clean)


# --------------------------------------------------------------------------------------------------------------- mouse


def test_old_mouse_bytes_do_not_end_the_app(shown: PtyTerminal) -> None:
    """A report beyond column 95 as a re-attached terminal sends it; then a key still works and none was invented."""
    shown.send(b"\x1b[M \xe0\x80\x1b[M#\xe0\x80\xff\xfe\x1b[M \xc3\xa9")
    shown.send("\x03")
    assert (0, True) == (shown.wait_end(), shown.is_clean)
    assert [True, False] == ["Welcome" in shown.text, "Traceback" in shown.text]


# --------------------------------------------------------------------------------------------------------- job control


def test_suspend_and_resume_from_a_shell(tmp_path: Path) -> None:
    """ctrl+z gives a clean terminal to the shell, `fg` draws the app again, `bg` does not disturb the shell."""
    with PtyTerminal(("/bin/sh", "-i"), environ={"PS1": "> ", "ENV": ""}, cwd=tmp_path) as terminal:
        terminal.send(shlex.join(PROGRAM) + "\n")
        for comeback in ("fg\n", "bg\nfg\n"):
            terminal.wait_for(READY)
            terminal.send("\x1a")
            terminal.wait("the shell", lambda: terminal.is_clean)
            starts = terminal.output.count(b"\x1b[?1049h")
            terminal.send(comeback)
            terminal.wait("a new start", lambda n=starts: terminal.output.count(b"\x1b[?1049h") > n)
        terminal.wait_for("Welcome")
        terminal.wait_for(READY)
        terminal.send("q")
        terminal.wait("the shell", lambda: terminal.is_clean)
        terminal.send("echo status=$?.\n")
        terminal.wait_for("status=0.")


def test_nothing_is_suspended_without_a_shell(shown: PtyTerminal) -> None:
    """As the only program of a terminal (`ssh -t`, a tmux window) nobody could bring it back, so it stays."""
    shown.send("\x1aq")
    assert (0, True) == (shown.wait_end(), shown.is_clean)


def test_an_editor_needs_no_shell_and_may_fail(spec: StudySpec, tmp_path: Path) -> None:
    """As the only program of a terminal: it has the terminal, and afterwards the app has it again."""
    (tmp_path / "mine.toml").write_text(to_toml(spec), encoding="utf-8")
    script = tmp_path / "ed.sh"
    script.write_text('read key; echo "got $key"; test $key = good', encoding="utf-8")
    with PtyTerminal(cwd=tmp_path, environ={"EDITOR": f"sh {script}"}) as terminal:
        terminal.wait_for(READY)
        terminal.send("n")
        terminal.wait_for("mine")
        terminal.send("\r")
        terminal.wait_for("f4 files")
        for key in ("good", "bad"):
            terminal.send("\x1b[19~")
            terminal.wait("the editor", lambda: terminal.is_clean)
            starts = terminal.output.count(b"\x1b[?1049h")
            terminal.send(f"{key}\n")
            terminal.wait("the app again", lambda n=starts: terminal.output.count(b"\x1b[?1049h") > n)
        terminal.wait_for("ended with status 1")
        terminal.send("\x11")
        assert (0, True) == (terminal.wait_end(), terminal.is_clean)


def test_continuing_what_was_not_stopped(shown: PtyTerminal) -> None:
    """SIGSTOP and SIGCONT from outside: the terminal is set up again, once, and every key arrives."""
    drawn = len(shown.output)
    shown.process.send_signal(signal.SIGSTOP)
    shown.process.send_signal(signal.SIGCONT)
    shown.wait("a new start", lambda: b"\x1b[?1049h" in shown.output[drawn:])
    shown.wait_for("Welcome")
    shown.wait_for(READY)
    shown.send("q")
    assert (0, True) == (shown.wait_end(), shown.is_clean)


# -------------------------------------------------------------------------------------------------------- going away


def test_closing_the_terminal_ends_the_app(shown: PtyTerminal) -> None:
    """The window is closed: SIGHUP, reads and writes that fail, and an end with the status of SIGHUP."""
    shown.hang_up()
    assert 129 == shown.wait_end()


def test_end_of_input_ends_the_app(tmp_path: Path) -> None:
    """Even where SIGHUP is kept from us: a helper takes it, as some wrappers do, and the input just ends."""
    wrapper = f"trap '' HUP; {shlex.join(PROGRAM)}; echo $? > status"
    with PtyTerminal(("/bin/sh", "-c", wrapper), cwd=tmp_path) as terminal:
        terminal.wait_for(READY)
        terminal.hang_up()
        terminal.wait_end()
    assert "129" == (tmp_path / "status").read_text().strip()


@pytest.mark.parametrize(
    "body",
    ["import threading; threading.Event().wait()", "[self._driver.write('x' * 100_000) for _ in range(50)]"],
    ids=["stuck-loop", "full-terminal"],
)
def test_a_stuck_app_still_leaves(tmp_path: Path, body: str) -> None:
    """SIGTERM ends an app whose loop hangs, or whose terminal takes nothing more, and the line is edited again."""
    with PtyTerminal(variant(body), cwd=tmp_path) as terminal:
        terminal.wait_for(READY)
        terminal.send("?")
        terminal.process.send_signal(signal.SIGTERM)
        assert 143 == terminal.process.wait(DEADLINE)
        assert terminal.is_cooked
