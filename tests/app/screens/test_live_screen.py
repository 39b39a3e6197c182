"""What every screen shares: its news is read without the app, and news of a screen that was left matter to nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from rich.text import Text
from tests.app.screens.driving import SIZES, playing, shown, toasts, until, words_on
from textual.pilot import Pilot

from bertdistill.app.reader import Reader
from bertdistill.app.screens.analysis import AnalysisScreen
from bertdistill.app.screens.compare import CompareScreen
from bertdistill.app.screens.dialogues import Confirm
from bertdistill.app.screens.history import HistoryScreen
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.screens.models import ModelsScreen
from bertdistill.app.screens.new_study import NewStudyScreen
from bertdistill.app.screens.overview_tab import OverviewTab
from bertdistill.app.screens.promote import PromoteScreen
from bertdistill.app.screens.queue_trial import QueueTrialScreen
from bertdistill.app.screens.rerun import RerunScreen
from bertdistill.app.screens.series import SeriesScreen
from bertdistill.app.screens.settings import SettingsScreen
from bertdistill.app.screens.studies import StudiesScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.screens.workers import WorkersScreen
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import actions
from bertdistill.store import writes
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]

SCREENS: dict[str, Callable[[], LiveScreen]] = {
    "studies": StudiesScreen,
    "study": lambda: StudyScreen("demo"),
    "trial": lambda: TrialScreen("demo", 6),
    "compare": lambda: CompareScreen("demo", (0, 1)),
    "analysis": lambda: AnalysisScreen("demo", 1),
    "overview": lambda: AnalysisScreen("demo", tab=OverviewTab.NAME),
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


def keys(pilot: Pilot[None], table: str) -> list[Any]:
    """Keys of the rows of a list, from the top."""
    return [row.key for row in pilot.app.screen.query_one(table, LineTable)._rows]


async def opened(pilot: Pilot[None], screen: LiveScreen) -> None:
    pilot.app.push_screen(screen)
    await until(pilot, lambda: screen.news is not None, "the news of the screen")


async def test_lists_of_other_screens(ws: Workspace, edit: Edit, runner_here: None) -> None:
    """Settings, requests, slots and what waits: `/` and `s` act on the list that has the focus, escape shows all."""

    def waits(session: Writing) -> None:
        for _ in range(2):
            writes.create_trial(session, study_id=1, origin="queued", params={}, settings={}, known={}, now=2e9)

    edit(waits)
    actions.set_threshold(ws, "demo", "exact", 60.0, who="ada")
    actions.set_range(ws, "demo", "layers", "1", who="bob")
    async with playing(ws, SettingsScreen("demo")) as pilot:
        everything = keys(pilot, "#settings")
        await pilot.press("slash", *"exact")
        await until(pilot, lambda: keys(pilot, "#settings") == ["threshold.exact"], "the setting that matches")
        await pilot.press("enter", "escape", "s")
        assert keys(pilot, "#settings") == sorted(everything)
        await shown(pilot, "setting ▾")
        await opened(pilot, HistoryScreen("demo"))
        await pilot.press("slash", *"ada", "enter")
        assert keys(pilot, "#history") == [1]
        await shown(pilot, "1 of 2 requests, esc clears: ada")
        await pilot.press("escape", "S")
        assert keys(pilot, "#history") == [1, 2]
        await opened(pilot, WorkersScreen())
        slots, waiting = keys(pilot, "#slots"), keys(pilot, "#queue")
        await pilot.press("tab", "slash", *"demo/9", "enter")
        assert (keys(pilot, "#slots"), len(keys(pilot, "#queue"))) == (slots, 1)
        await pilot.press("shift+tab", "slash", *"nothing", "enter")
        assert keys(pilot, "#slots") == []
        await shown(pilot, "No slot matches nothing; esc clears the filter")
        await pilot.press("escape", "escape")  # the list that is used, then the other
        assert (keys(pilot, "#slots"), keys(pilot, "#queue")) == (slots, waiting)
        assert isinstance(pilot.app.screen, WorkersScreen)
    async with playing(ws, SettingsScreen("demo")) as pilot:  # the order is remembered
        await shown(pilot, "Settings by setting")
