"""The App around the screens: what it says when nothing can be read, where the focus is, and how it is left."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.app.pty_terminal import PROGRAM, PtyTerminal
from tests.app.screens.driving import playing, shown, told, until, words_on
from textual.events import Key
from textual.widgets import Input, OptionList

from bertdistill.app.bindings import Palette
from bertdistill.app.preferences import Options
from bertdistill.app.screens.compare import CompareScreen
from bertdistill.app.screens.dialogues import Confirm, CopyDialogue
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.screens.settings import SettingsScreen
from bertdistill.app.screens.studies import StudiesScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.ui import BertDistill
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import StudyState

READY = "q quit"


def spoil(ws: Workspace) -> Callable[[], None]:
    """Put a file of somebody else in the place of the database; what is returned puts it back."""
    aside = ws.path / "aside.db"
    ws.database.rename(aside)
    ws.database.write_bytes(b"not a database, but long enough to be looked at" * 40)

    def mend() -> None:
        ws.database.unlink()
        aside.rename(ws.database)

    return mend


# ----------------------------------------------------------------------------------------------------- what is not read


async def test_a_database_that_cannot_be_read_is_said_until_it_can(ws: Workspace) -> None:
    """A toast goes after some seconds; the line under the header stays, on other screens too, and then goes."""
    async with playing(ws) as pilot:
        mend = spoil(ws)
        await shown(pilot, "✗ cannot be read:")
        await told(pilot, "not a database of this program")
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(pilot.app.screen, StudiesScreen), "another screen")
        await shown(pilot, "✗ cannot be read:")
        mend()
        await until(pilot, lambda: "cannot be read" not in words_on(pilot), "a good look")
        await pilot.press("escape")
        await until(pilot, lambda: "cannot be read" not in words_on(pilot), "a good look at the studies")
        assert "demo" in words_on(pilot)


async def test_a_bad_database_from_the_start_is_no_empty_screen(tmp_path: Path) -> None:
    """Nothing was ever read: the screen says why, and in ASCII when only that is wished."""
    (tmp_path / "tracker.db").write_bytes(b"something else" * 100)
    async with BertDistill(Options(tmp_path, marker="ascii")).run_test(size=(80, 24)) as pilot:
        await shown(pilot, "x cannot be read:")
        await until(pilot, lambda: "notadatabaseofthisprogram" in "".join(words_on(pilot).split()), "the reason")


# ------------------------------------------------------------------------------------------------------------ focus


@pytest.mark.parametrize("key", ["j", "2", "3", "slash", "y", "e", "question_mark"])
async def test_the_focus_comes_back_with_the_room(ws: Workspace, key: str) -> None:
    """A window that was too small for a moment leaves no dead keys, with a dialogue and without."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await pilot.press(key)
        await pilot.pause()
        before = pilot.app.screen.focused
        assert before is not None
        await pilot.resize_terminal(30, 8)
        await until(pilot, lambda: pilot.app.screen.focused is None, "everything to be hidden")
        assert "Make the window at least" in " ".join(words_on(pilot).split())
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: pilot.app.screen.focused is before, "the focus to be back")


async def test_leaving_while_a_screen_opens_is_no_fault(ws: Workspace) -> None:
    """Its widgets may be gone before it is mounted; that must not end in a traceback."""
    for number in range(6):
        async with playing(ws) as pilot:
            pilot.app.push_screen(TrialScreen("demo", number))


async def test_in_a_window_that_shows_nothing_only_leaving_works(ws: Workspace) -> None:
    """Nobody sees what a key does there: no trial is archived and no dialogue opens, and q still quits."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await pilot.resize_terminal(20, 5)
        await pilot.press("A", "y", "question_mark", "enter", "escape", "ctrl+p")
        await pilot.pause()
        assert screen is pilot.app.screen
        await pilot.press("q")
        await until(
            pilot, lambda: not pilot.app.is_running or pilot.app.screen is not screen, "the end, or its question"
        )


async def test_hiding_the_pane_with_the_focus_leaves_no_dead_keys(ws: Workspace) -> None:
    """The log is shown, gets the focus and is hidden again: the list of trials has it."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: pilot.app.focused is not None and pilot.app.focused.id == "log", "the log")
        await pilot.press("l")
        await until(pilot, lambda: pilot.app.focused is not None and pilot.app.focused.id == "trials", "the trials")


@pytest.mark.parametrize(
    ("screen", "pane", "size"),
    [
        (StudyScreen("demo"), "frontier", (80, 24)),
        (TrialScreen("demo", 1), "trial-curves", (80, 24)),
        (CompareScreen("demo", (1, 7)), "compare-curves", (80, 24)),
    ],
    ids=["study", "trial", "compare"],
)
async def test_a_window_that_shrinks_keeps_the_pane_in_use(
    ws: Workspace, screen: LiveScreen, pane: str, size: tuple[int, int]
) -> None:
    """The pane was reached with tab, not by its number, and is the one that stays."""
    async with playing(ws, screen) as pilot:
        for _ in range(4):
            if screen.focused is None or screen.focused.id != pane:
                await pilot.press("tab")
                await pilot.pause()
        await pilot.resize_terminal(*size)
        await until(pilot, lambda: screen.has_class("-low"), "the smaller window")
        await pilot.pause()
        assert pane == (screen.focused.id if screen.focused else None)
        assert screen.query_one(f"#{pane}").region.area > 0


async def test_no_window_is_too_small_for_a_dialogue(ws: Workspace) -> None:
    """1 by 1 and back, with keys in between: textual's list of options fails where it has no room at all."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, CopyDialogue), "the dialogue")
        for size in ((1, 1), (10, 40), (300, 1), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.press("pagedown", "pageup", "end", "pagedown")
        await until(pilot, lambda: isinstance(pilot.app.focused, OptionList), "the list to have the focus")
        await pilot.press("escape", "ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.focused, Input), "the palette")
        await pilot.press("s")
        for size in ((1, 1), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.press("down", "pagedown", "pageup")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudyScreen), "the palette to have left")
        await until(pilot, lambda: pilot.app.focused is not None, "the study to have the focus")


async def test_a_second_click_closes_nothing_more(ws: Workspace) -> None:
    """One that came before the palette or the question had left: Textual would close the screen below, too."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        app, answers = pilot.app, list[bool | None]()
        for screen in (Palette(providers=[]), Confirm("Sure?", yes="Yes")):
            await app.push_screen(screen, answers.append)
            screen.dismiss(True)
            screen.dismiss(True)
            await pilot.pause()
            assert isinstance(app.screen, StudyScreen)
        assert [True, True] == answers


# --------------------------------------------------------------------------------------------------------- leaving it


def test_what_waits_for_the_database_is_done_after_the_app_was_left(ws: Workspace) -> None:
    """Left while another process holds the database: said on the terminal, and written once that has let go."""
    command = [*PROGRAM, "--workspace", str(ws.path), "--study", "demo"]
    with PtyTerminal(command) as terminal, closing(sqlite3.connect(ws.database, isolation_level=None)) as other:
        terminal.wait_for("Trials by rank")
        terminal.wait_for("enter open")
        other.execute("BEGIN IMMEDIATE")
        terminal.send("e")
        terminal.wait_for("Tags, separated")
        terminal.send("late\x1b[21~")  # f10 writes it
        terminal.wait_for("Writing")
        terminal.send("\x11")
        terminal.wait("a word at the end", lambda: b"still in progress" in terminal.output)
        assert None is terminal.process.poll()
        other.execute("ROLLBACK")
        assert (0, True) == (terminal.wait_end(), terminal.is_clean)
        notes = {row[0] for row in other.execute("SELECT note FROM trial")}
        assert "late" in notes


def test_what_fails_after_the_app_was_left_is_told(ws: Workspace) -> None:
    """The trial is gone when its note could be written: words on the terminal, and status 1."""
    command = [*PROGRAM, "--workspace", str(ws.path), "--study", "demo"]
    with PtyTerminal(command) as terminal, closing(sqlite3.connect(ws.database, isolation_level=None)) as other:
        terminal.wait_for("enter open")
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM trial")
        terminal.send("e")
        terminal.wait_for("Tags, separated")
        terminal.send("late\x1b[21~")
        terminal.wait_for("Writing")
        terminal.send("\x11")
        terminal.wait("a word at the end", lambda: b"still in progress" in terminal.output)
        other.execute("COMMIT")
        assert (1, True) == (terminal.wait_end(), terminal.is_clean)
        assert b"error: not done: " in terminal.output.rpartition(b"\x1b[?1049l")[2]


def test_leaving_says_that_what_runs_goes_on(ws: Workspace) -> None:
    """One line with the command that shows it; nothing of the kind where no runner works."""
    lock = process.try_lock(ws.runner_lock)
    assert lock is not None
    with PtyTerminal([*PROGRAM, "--workspace", str(ws.path)]) as terminal:
        terminal.wait_for(READY)
        terminal.send("q")
        assert (0, True) == (terminal.wait_end(), terminal.is_clean)
        last = terminal.output.rpartition(b"\x1b[?1049l")[2]
        assert [True, True] == [words in last for words in (b"Running studies continue", b" status ")]
    os.close(lock)


def test_leaving_an_idle_workspace_says_nothing(ws: Workspace) -> None:
    """No runner, no line."""
    with PtyTerminal([*PROGRAM, "--workspace", str(ws.path)]) as terminal:
        terminal.wait_for(READY)
        terminal.send("q")
        assert 0 == terminal.wait_end()
        assert b"Running studies continue" not in terminal.output


@pytest.mark.parametrize("keys", ["qe", "qyj", "q?q", "qnq", "qx\r", "q\x10s", "qwM"])
def test_keys_behind_the_last_one_do_nothing(ws: Workspace, keys: str) -> None:
    """Typed ahead for the shell, or held too long: no screen is opened while the app is being left."""
    with PtyTerminal([*PROGRAM, "--workspace", str(ws.path), "--study", "demo"]) as terminal:
        terminal.wait_for("enter open")
        terminal.send(keys)
        assert (0, True) == (terminal.wait_end(), terminal.is_clean), terminal.text


async def test_keys_typed_before_a_screen_shows_anything_are_meant_for_it(ws: Workspace) -> None:
    """Over a slow connection a key that opens a screen and those behind it arrive together."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await pilot.press("1")
        for key in ("E", "down", "down"):
            pilot.app.post_message(Key(key, None))
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen), "the settings")
        table = pilot.app.screen.query_one(LineTable)
        await until(pilot, lambda: len(table._rows) > 2 and table.cursor_key == table._rows[2].key, "the third row")


async def test_a_sequence_of_our_own_goes_past_the_screen(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is written to the terminal at once and whole, by the driver that Textual keeps to itself."""
    written: list[str] = []
    async with playing(ws) as pilot:
        monkeypatch.setattr(pilot.app._driver, "write", written.append)
        pilot.app.write_to_terminal("\x1b]52;c;eA==\x07")
        assert ["\x1b]52;c;eA==\x07"] == written


async def test_the_bell_rings_when_a_study_ends(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the person wants it; not for what was so when the app opened."""
    written: list[str] = []
    async with playing(ws) as pilot:
        monkeypatch.setattr(pilot.app, "options", dataclasses.replace(pilot.app.options, notify="bell"))
        monkeypatch.setattr(pilot.app, "write_to_terminal", written.append)
        pilot.app.look_again()
        await until(pilot, lambda: pilot.app._glances is not None, "a first look")
        assert [] == written
        with closing(open_db(ws.path)) as db, db.write() as session:
            study = reads.study(session, "demo")
            writes.set_study_state(session, study.id, StudyState.PAUSED, now=2e9)
        await until(pilot, lambda: written == ["\x07"], "the bell")


async def test_a_screen_that_does_not_come_can_be_left(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Escape waits for nothing, and keys wait no longer than a person does."""
    gate = threading.Event()
    read = SettingsScreen.read
    monkeypatch.setattr(SettingsScreen, "read", lambda self, reader: gate.wait(20) and read(self, reader))
    async with playing(ws, StudyScreen("demo")) as pilot:
        for key in ("E", "down", "escape"):
            pilot.app.post_message(Key(key, None))
        await until(pilot, lambda: isinstance(pilot.app.screen, StudyScreen), "the study again")
        gate.set()
