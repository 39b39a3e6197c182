"""What every screen shares: its news is read without the app, and news of a screen that was left matter to nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from rich.text import Text
from tests.app.screens.driving import SIZES, playing, shown, toasts, until, words_on

from bertdistill.app.reader import Reader
from bertdistill.app.screens.analysis import AnalysisScreen
from bertdistill.app.screens.compare import CompareScreen
from bertdistill.app.screens.dialogues import Confirm
from bertdistill.app.screens.history import HistoryScreen
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.screens.models import ModelsScreen
from bertdistill.app.screens.new_study import NewStudyScreen
from bertdistill.app.screens.promote import PromoteScreen
from bertdistill.app.screens.queue_trial import QueueTrialScreen
from bertdistill.app.screens.rerun import RerunScreen
from bertdistill.app.screens.series import SeriesScreen
from bertdistill.app.screens.settings import SettingsScreen
from bertdistill.app.screens.studies import StudiesScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.screens.workers import WorkersScreen
from bertdistill.engine.contract.workspace import Workspace

SCREENS: dict[str, Callable[[], LiveScreen]] = {
    "studies": StudiesScreen,
    "study": lambda: StudyScreen("demo"),
    "trial": lambda: TrialScreen("demo", 6),
    "compare": lambda: CompareScreen("demo", (0, 1)),
    "analysis": lambda: AnalysisScreen("demo", 1),
    "rerun": lambda: RerunScreen("demo", 1),
    "promote": lambda: PromoteScreen("demo", 1),
    "queue": lambda: QueueTrialScreen("demo", 1),
    "series": lambda: SeriesScreen("demo", (0, 1)),
    "settings": lambda: SettingsScreen("demo"),
    "history": lambda: HistoryScreen("demo"),
    "new": NewStudyScreen,
    "models": ModelsScreen,
    "workers": WorkersScreen,
}


@pytest.mark.parametrize("name", SCREENS)
def test_news_are_read_without_the_app(ws: Workspace, name: str) -> None:
    """The thread that reads may be at work when the screen has left the app already."""
    reader = Reader(ws)
    try:
        assert SCREENS[name]().read(reader) is not None
    finally:
        reader.close()


class Slow(HistoryScreen):
    """One whose read waits to be let go, and then fails."""

    def __init__(self, study_name: str) -> None:
        super().__init__(study_name)
        self.reads, self.go_on = threading.Event(), threading.Event()

    def read(self, reader: Reader) -> None:  # type: ignore[override]  # it never has news
        self.reads.set()
        assert self.go_on.wait(30)
        raise LookupError("a read that came too late")


async def test_a_read_that_fails_after_its_screen_was_left_is_not_told(ws: Workspace) -> None:
    """Neither on the screen below nor in a toast."""
    screen = Slow("demo")
    async with playing(ws) as pilot:
        pilot.app.push_screen(screen)
        await until(pilot, screen.reads.is_set, "the read")
        await pilot.app.pop_screen()
        screen.go_on.set()
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert ([], False) == (toasts(pilot), "cannot be read" in words_on(pilot))


async def test_a_long_outcome_has_room_after_a_short_one(ws: Workspace) -> None:
    """The line above the footer grows with its words; the end of a reason says what to do."""
    async with playing(ws, SettingsScreen("demo"), SIZES[1]) as pilot:
        for words in ("short", "Not done: " + "because of something " * 5 + "the end"):
            pilot.app.tell(words)
            await shown(pilot, words[-7:].strip())


async def test_a_paused_view_says_so(ws: Workspace) -> None:
    """As long as it lasts: a screen that stands still looks like a study that does."""
    async with playing(ws, StudyScreen("demo"), SIZES[2]) as pilot:
        await pilot.press("p")
        await until(pilot, lambda: "screen paused, p resumes" in words_on(pilot).splitlines()[-1], "the footer")
        await pilot.press("p")
        await until(pilot, lambda: "paused" not in words_on(pilot).splitlines()[-1], "the usual footer")


async def test_a_line_that_is_too_long_is_cut_with_a_sign(ws: Workspace) -> None:
    """Else the end of a sentence would be missing and nobody would know; on a new width it is cut anew."""
    screen = HistoryScreen("demo")
    async with playing(ws, screen, SIZES[1]) as pilot:
        screen.header(Text("word " * 30))
        for width in (80, 60):
            await pilot.resize_terminal(width, 24)
            await until(pilot, lambda w=width: words_on(pilot).splitlines()[0].rstrip().endswith("…"), "the sign")


async def test_a_list_opens_nothing_over_a_dialogue(ws: Workspace) -> None:
    """A double click whose effect comes after the dialogue: escape would go back to a question of another screen."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await pilot.press("Z")
        dialogue = await until(pilot, lambda: isinstance(pilot.app.screen, Confirm) and pilot.app.screen, "a question")
        pilot.app.open_trial("demo", 1)
        await pilot.pause()
        assert dialogue is pilot.app.screen
