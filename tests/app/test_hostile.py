"""No word of a worker, a file or a database drives the terminal: every command and every screen, all of their bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.app.hostile import HOSTILE, STUDY, driving, spoil
from tests.app.pty_terminal import PROGRAM, PtyTerminal
from tests.app.screens.driving import SIZES, control_codes, playing, until
from textual.screen import Screen

from bertdistill.app.cli import main
from bertdistill.app.draw.plain import HarmlessLines
from bertdistill.app.screens.analysis import AnalysisScreen
from bertdistill.app.screens.compare import CompareScreen
from bertdistill.app.screens.dialogues import Confirm, CopyDialogue
from bertdistill.app.screens.help import HelpScreen
from bertdistill.app.screens.history import HistoryScreen
from bertdistill.app.screens.models import ModelsScreen
from bertdistill.app.screens.promote import PromoteScreen
from bertdistill.app.screens.rerun import RerunScreen
from bertdistill.app.screens.settings import SettingsScreen
from bertdistill.app.screens.studies import StudiesScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.screens.workers import WorkersScreen
from bertdistill.engine.contract.workspace import Workspace

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("trials", STUDY),
    ("frontier", STUDY),
    ("analysis", STUDY),
    ("compare", f"{STUDY}/1", f"{STUDY}/2", "--all"),
    ("history", STUDY),
    ("models",),
    ("workers",),
    *((("show", f"{STUDY}/{number}")) for number in range(8)),
    *(("analysis", STUDY, "--part", part) for part in ("scenarios", "parallel", "slices", "hypervolume")),
)
MISTAKES: tuple[tuple[str, ...], ...] = (
    ("show", HOSTILE),
    ("trials", STUDY, "--filter", f"{HOSTILE}>3"),
    ("frontier", STUDY, "--x", HOSTILE),
    ("config", HOSTILE),
    ("plan", HOSTILE),
    ("ask", HOSTILE, "--question", "a"),
    ("passages", "ask", HOSTILE, "folder", "a"),
)
SCREENS: dict[str, Callable[[], Screen[Any]]] = {
    "studies": StudiesScreen,
    "study": lambda: StudyScreen(STUDY),
    **{f"trial {number}": (lambda number=number: TrialScreen(STUDY, number)) for number in (1, 4, 5, 6, 7)},
    "rerun": lambda: RerunScreen(STUDY, 1),
    "promote": lambda: PromoteScreen(STUDY, 1),
    "compare": lambda: CompareScreen(STUDY, (1, 2, 3)),
    "analysis": lambda: AnalysisScreen(STUDY),
    "history": lambda: HistoryScreen(STUDY),
    "settings": lambda: SettingsScreen(STUDY),
    "workers": WorkersScreen,
    "models": ModelsScreen,
}
DIALOGUES: dict[str, Callable[[], Screen[Any]]] = {
    "confirm": lambda: Confirm(HOSTILE, yes=HOSTILE, no=HOSTILE),
    "copy": lambda: CopyDialogue([(HOSTILE, HOSTILE)]),
    "help": lambda: HelpScreen(StudiesScreen()),
}


@pytest.fixture
def hostile(ws: Workspace) -> Workspace:
    spoil(ws)
    return ws


# ---------------------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)], ids=["text", "json", "csv"])
def test_no_command_prints_a_control_character(
    hostile: Workspace, form: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Data and speech alike; where a form does not exist the refusal is looked at."""
    for words in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main(["engine", *words, *form, "--workspace", str(hostile.path)])
        out, err = capsys.readouterr()
        assert (set(), set()) == (driving(out), driving(err)), words
        assert form or (0, True) == (ended.value.code, bool(out)), (words, err)


def test_no_refusal_prints_a_control_character(hostile: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake is repeated to whoever made it, and it may have been pasted."""
    for words in MISTAKES:
        with pytest.raises(SystemExit):
            main(["engine", *words, "--workspace", str(hostile.path)])
        out, err = capsys.readouterr()
        assert (set(), set()) == (driving(out), driving(err)), words


# ----------------------------------------------------------------------------------------------------------- screens


@pytest.mark.parametrize("size", SIZES)
async def test_no_screen_shows_a_control_character(hostile: Workspace, size: tuple[int, int]) -> None:
    """With the focus on every pane of every screen, and in dialogues."""
    async with playing(hostile, size=size) as pilot:
        for name, make in SCREENS.items():
            screen = make()
            pilot.app.push_screen(screen)
            await until(pilot, lambda s=screen: getattr(s, "news", True) is not None, f"the news of {name}")
            for _ in screen.focus_chain:
                await pilot.pause()
                assert set() == control_codes(pilot), name
                screen.focus_next()
            pilot.app.pop_screen()
            await pilot.pause()
        for name, make in DIALOGUES.items():
            pilot.app.push_screen(make())
            await pilot.pause()
            assert set() == control_codes(pilot), name
            pilot.app.pop_screen()
            await pilot.pause()


def test_no_byte_for_the_terminal_is_theirs(hostile: Workspace) -> None:
    """The whole program on a terminal, through its screens and dialogues: all that it wrote is its own."""
    command = [*PROGRAM, "--workspace", str(hostile.path), "--study", STUDY]
    with PtyTerminal(command) as terminal:
        terminal.wait_for("enter open")
        terminal.send("4")
        terminal.wait_for("Log: starts")
        terminal.send("1")
        for key, words in (
            ("\r", "made by"),
            ("h", "Requests: 1"),
            ("a", "Importance"),
            ("w", "Workers: 1"),
            ("M", "Models"),
        ):
            terminal.send(key)
            terminal.wait_for(words)
            terminal.send("\x1b")
            terminal.wait_for("Trials by rank")
        terminal.send("\x11")
        assert 0 == terminal.wait_end()
        said = terminal.output.decode("utf-8", "surrogateescape")
        assert [] == re.findall("aGVsbG8=|\x1b\\]52|\x1b\\]8|[\x80-\x9f\u202e\u2066]", said)


def test_a_filter_is_the_last_line(tmp_path: Path) -> None:
    """Whatever a widget of Textual's own draws passes it; signs that are seen stay."""
    from rich.segment import Segment
    from textual.color import Color

    text = f"a{HOSTILE}漢 é\u00a0"
    (shown,) = HarmlessLines().apply([Segment(text)], Color(0, 0, 0))
    assert set() == driving(shown.text)
    assert "漢 é\u00a0" in shown.text
