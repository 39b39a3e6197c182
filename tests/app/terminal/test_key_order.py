"""Keys that arrive together act in order on what they would have met: whole bursts, on a terminal and in the app."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from tests.app.pty_terminal import PROGRAM, PtyTerminal
from tests.app.screens.driving import playing, shown, until
from textual.events import Key, Paste
from textual.keys import key_to_character
from textual.pilot import Pilot
from textual.widgets import TextArea

from bertdistill.app.preferences import Options
from bertdistill.app.screens.analysis import AnalysisScreen
from bertdistill.app.screens.compare import CompareScreen
from bertdistill.app.screens.history import HistoryScreen
from bertdistill.app.screens.models import ModelsScreen
from bertdistill.app.screens.rerun import RerunScreen
from bertdistill.app.screens.settings import SettingsScreen
from bertdistill.app.screens.studies import StudiesScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.screens.workers import WorkersScreen
from bertdistill.app.ui import BertDistill
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.engine.study.config import to_toml
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.rows import Request, Trial

DOWN, F5, F10, ESCAPE = "\x1b[B", "\x1b[15~", "\x1b[21~", "\x1b"


def trials(ws: Workspace) -> list[Trial]:
    db = open_db(ws.path, read_only=True)
    try:
        with db.read() as session:
            return reads.trials(session, reads.study(session, "demo").id)
    finally:
        db.close()


def requests(ws: Workspace) -> list[Request]:
    db = open_db(ws.path, read_only=True)
    try:
        with db.read() as session:
            return reads.requests(session)
    finally:
        db.close()


def burst(pilot: Pilot[None], *keys: str) -> None:
    """All at once, as the driver hands on what one read has brought; a word of several letters is typed."""
    for word in keys:
        for key in [word] if word in NAMED else list(word):
            pilot.app.post_message(Key(key, key_to_character(key)))


async def settled(pilot: Pilot[None]) -> None:
    """Wait until every key has been given to somebody."""
    await until(pilot, lambda: not pilot.app._keys._is_delivering, "the keys to be delivered")  # type: ignore[attr-defined]  # the App


NAMED = {"enter", "escape", "tab", "down", "up", "slash", "space", "f5", "f10", "ctrl+p", "question_mark", "backspace"}


# ----------------------------------------------------------------------------------------------------- on a terminal


@pytest.fixture
def terminal(ws: Workspace, spec: StudySpec, tmp_path: Path) -> PtyTerminal:
    (tmp_path / "other.toml").write_text(to_toml(spec).replace('name = "demo"', 'name = "other"', 1))
    return PtyTerminal([*PROGRAM, "--workspace", str(ws.path)], cwd=tmp_path)


def test_a_form_in_one_read(terminal: PtyTerminal) -> None:
    """Opens the screen, takes the first study file, types into two fields: each word stands in its own."""
    with terminal:
        terminal.wait_for("q quit")
        terminal.send(f"n\rXX{DOWN}\x15YYY{DOWN}{DOWN}")
        terminal.wait_for("XX")
        terminal.wait_for("YYY")
        lines = [line for line in terminal.text.splitlines() if "XX" in line or "YYY" in line]
        assert [True, False] == ["XX" in line for line in lines if "XX" in line or "YYY " in line][:2], terminal.text
        assert not any("XXY" in line or "XYYY" in line for line in lines), terminal.text


def test_a_filter_in_one_read(terminal: PtyTerminal) -> None:
    """Opens a study, filters its trials, opens the one that is left and goes on to its rerun."""
    with terminal:
        terminal.wait_for("q quit")
        terminal.send("\r/state:failed\r\rr")
        terminal.wait_for("Rerun #5 of demo")
        terminal.send(f"{ESCAPE}")
        terminal.wait_for("Trial #5")


def test_a_note_and_a_stop_in_one_read(terminal: PtyTerminal, ws: Workspace) -> None:
    """A dialogue that writes is gone before the keys behind it; a question is answered by the key that follows."""
    lock = process.try_lock(ws.runner_lock)  # a runner works here, so none is started
    assert lock is not None
    with terminal:
        terminal.wait_for("q quit")
        terminal.send(f"\rgelate{F10}jesecond{F10}/state:running\rxy")
        terminal.wait("two notes", lambda: sorted(t.note for t in trials(ws) if t.note) == ["late", "second"])
        terminal.wait("the request", lambda: [r.verb for r in requests(ws)].count("stop_trial") == 1)
    os.close(lock)


def test_a_burst_that_ends_with_quit(terminal: PtyTerminal, ws: Workspace) -> None:
    """What was typed before is done, then the app is left, with a clean terminal."""
    with terminal:
        terminal.wait_for("q quit")
        terminal.send(f"\relast{F10}\x11")
        assert (0, True) == (terminal.wait_end(), terminal.is_clean)
        assert ["last"] == [t.note for t in trials(ws) if t.note]


# --------------------------------------------------------------------------------------------------------- in the app

SCREENS: dict[str, tuple[type, tuple[str, ...]]] = {
    "history": (HistoryScreen, ("h",)),
    "analysis": (AnalysisScreen, ("a", "5")),
    "workers": (WorkersScreen, ("w",)),
    "models": (ModelsScreen, ("M",)),
    "settings": (SettingsScreen, ("E", "down")),
    "trial": (TrialScreen, ("down", "enter")),
    "rerun": (RerunScreen, ("down", "enter", "r")),
    "compare": (CompareScreen, ("space", "down", "space", "c")),
    "back again": (StudyScreen, ("a", "escape", "h", "escape", "enter", "escape", "w", "escape")),
    "out and in": (StudyScreen, ("escape", "enter")),
    "out": (StudiesScreen, ("a", "escape", "escape")),
    "palette": (HistoryScreen, ("ctrl+p", "show what was", "enter")),
}


@pytest.mark.parametrize("where", SCREENS)
async def test_every_screen_in_one_burst(ws: Workspace, where: str) -> None:
    """The screen, and behind it the copy dialogue with its list: the keys for both came at once."""
    kind, keys = SCREENS[where]
    async with playing(ws, StudyScreen("demo")) as pilot:
        burst(pilot, *keys)
        await pilot.pause()
        await settled(pilot)
        assert type(pilot.app.screen) is kind


async def test_fields_and_lists_of_dialogues_in_one_burst(ws: Workspace) -> None:
    """Opens, types, confirms, goes on: a setting, a column, a value of a trial to queue."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        study = pilot.app.screen
        assert isinstance(study, StudyScreen)
        burst(pilot, "C", "space", "enter", "slash", "exact>60", "enter", "s", "e", "one", "tab", "keep", "f10", "down")
        await until(pilot, lambda: any(t.tags == ["keep"] for t in trials(ws)), "the tags")
        await until(
            pilot, lambda: study._listing.text == "exact>60" and study._listing.by == "trial", "filter and sort"
        )
        assert ["one"] == [t.note for t in trials(ws) if t.note]
        await until(pilot, lambda: pilot.app.screen is study, "the study")


async def test_a_paste_between_keys(ws: Workspace) -> None:
    """A paste is for the field that the key before it opened."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        burst(pilot, "e")
        pilot.app.post_message(Paste("pasted"))
        burst(pilot, "f10")
        await until(pilot, lambda: any(t.note == "pasted" for t in trials(ws)), "the note")


async def test_typed_text_keeps_its_order_and_is_fast(ws: Workspace) -> None:
    """A terminal without bracketed paste sends a long text as keys."""
    words = "the quick brown fox " * 20
    async with playing(ws, StudyScreen("demo")) as pilot:
        burst(pilot, "e", words)
        area = await until(pilot, lambda: next(iter(pilot.app.screen.query(TextArea)), None), "the note")
        await until(pilot, lambda: area.text == words, "the text")


async def test_steps_in_a_list_do_not_wait_for_what_follows_the_cursor(ws: Workspace) -> None:
    """A key that is held: the cursor keeps up; only where it comes to rest are charts drawn and data read."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, StudyScreen)
        seen: list[object] = []
        select = screen._select
        screen._select = lambda key: (seen.append(key), select(key))[1]  # type: ignore[method-assign]  # to count
        burst(pilot, "jjjjjkkjj", "enter")
        await pilot.pause()
        await settled(pilot)
        assert isinstance(pilot.app.screen, TrialScreen)
        assert (4, True) == (pilot.app.screen.number, len(seen) <= 4)


async def test_what_a_key_changed_is_seen_by_the_next_one(ws: Workspace) -> None:
    """`A` twice: the second one waits until the first trial has left the list, and takes the next."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        burst(pilot, "A", "A")
        await pilot.pause()
        await settled(pilot)
        await until(pilot, lambda: [t.number for t in trials(ws) if t.archived] == [0, 1], "two archived trials")


async def test_what_never_comes_holds_no_key_for_long(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A screen that cannot be read can be left."""
    gate = threading.Event()
    read = SettingsScreen.read
    monkeypatch.setattr(SettingsScreen, "read", lambda self, reader: gate.wait(20) and read(self, reader))
    async with playing(ws, StudyScreen("demo")) as pilot:
        burst(pilot, "E", "down", "escape")
        await until(pilot, lambda: type(pilot.app.screen) is SettingsScreen, "the settings")
        await until(pilot, lambda: type(pilot.app.screen) is StudyScreen, "the study again")
        gate.set()


async def test_a_new_screen_has_names_at_once_and_keys_wait_for_its_rows(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine reading takes longer than keys wait for other things."""
    gate, read = threading.Event(), StudyScreen.read
    monkeypatch.setattr(StudyScreen, "read", lambda self, reader: (gate.wait(20), read(self, reader))[1])
    async with playing(ws) as pilot:
        burst(pilot, "enter", "down", "enter")
        for words in ("Trials", "Frontier", "Loss curves", " filter"):
            await shown(pilot, words)
        assert isinstance(pilot.app.screen, StudyScreen)
        assert isinstance(pilot.app, BertDistill)
        assert pilot.app._is_loading()
        gate.set()
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial")


async def test_a_key_that_waited_past_the_end_is_dropped(ws: Workspace) -> None:
    """The app has closed its screens: there is nothing that could take it, and nobody to tell."""
    closed = BertDistill(Options(ws.path))
    assert [] == closed.screen_stack
    await closed._hand_on(Key("a", "a"))
