"""The help begins with the keys that belong to where it was opened, and explains the words that stand there."""

from __future__ import annotations

import re

import pytest
from tests.app.screens.driving import SIZES, playing, shown, until, words_on
from textual.geometry import Offset, Region
from textual.pilot import Pilot

from bertdistill.app.screens.help import WORDS, HelpScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace


@pytest.mark.parametrize("size", SIZES)
async def test_it_begins_with_the_screen(ws: Workspace, size: tuple[int, int]) -> None:
    """Movement in a table and what works everywhere come behind the keys of the study."""
    async with playing(ws, StudyScreen("demo"), size) as pilot:
        await pilot.press("question_mark")
        await shown(pilot, "Open the trial")
        assert re.search(r"enter +Open the trial", words_on(pilot))
        assert "Everywhere" not in words_on(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen), "the study")


async def test_the_keys_of_a_focused_chart_come_first(ws: Workspace) -> None:
    """Then those of the screen, then movement."""
    screen = StudyScreen("demo")
    async with playing(ws, screen, (120, 60)) as pilot:
        await pilot.press("2", "question_mark")
        await shown(pilot, "In the frontier chart")
        text = words_on(pilot)
        assert text.index("Next metric on the x axis") < text.index("Open the trial")
        assert text.index("Next metric on the x axis") < text.index("joined by steps")
        await pilot.press("slash", *"TRIAL", "enter", "n")  # every long text is searched as the log is
        await shown(pilot, "/trial: 2 of")
        await pilot.press("escape")
        await until(pilot, lambda: "/trial" not in words_on(pilot), "the end of the search")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen, "the study")


async def test_arrows_are_words_in_ascii(ws: Workspace) -> None:
    """No glyph that such a terminal lacks."""
    async with playing(ws, StudyScreen("demo"), marker="ascii") as pilot:
        await pilot.press("2", "question_mark")
        await shown(pilot, "left   Next point to the left")


async def test_the_words_of_the_screen_stand_beside_the_keys(ws: Workspace) -> None:
    """Heads of the focused list first, in their order, then the rest of the screen, then everything else."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await pilot.press("question_mark")
        await shown(pilot, "On this screen")
        text = part(pilot, WORDS)
        places = [text.index(f"\n{word}  docs/") for word in ("trial", "exact", "params", "hypervolume")]
        assert places == sorted(places)
        assert text.index("hypervolume  docs/") < text.index("All other words") < text.index("cascade  docs/")


async def test_the_word_under_the_mouse_comes_first(ws: Workspace) -> None:
    """In the head of a column, though it is cut, and in the title of a pane; elsewhere nothing was asked."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        table = screen.query_one("#trials", LineTable)
        await shown(pilot, "exact")
        head = next(line for line in words_on(pilot).splitlines() if "#" in line and "exact" in line)
        await pilot.hover(table, offset=Offset(head.index("exact") + 1, 1))
        await pilot.press("question_mark")
        await shown(pilot, "Under the mouse")
        assert re.search(r"Under the mouse\nexact  docs/study-file.md", part(pilot, WORDS))
        await pilot.press("escape")
        await pilot.hover("#frontier", offset=Offset(4, 0))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen), "the help")
        assert re.search(r"Under the mouse\nfrontier  ", part(pilot, WORDS))


@pytest.mark.parametrize("size", SIZES[1:])
async def test_tab_shows_the_words_where_only_one_part_fits(ws: Workspace, size: tuple[int, int]) -> None:
    """And the keys again."""
    async with playing(ws, StudyScreen("demo"), size) as pilot:
        await pilot.press("question_mark")
        await shown(pilot, "Open the trial")
        await pilot.press("tab")
        await shown(pilot, "On this screen")
        assert "Open the trial" not in words_on(pilot)
        await pilot.press("tab")
        await shown(pilot, "Open the trial")


def part(pilot: Pilot[None], name: str) -> str:
    """What the part of the help says, in full: it scrolls."""
    widget = pilot.app.screen.query_one(f"{name} Static")
    return "\n".join(strip.text.strip() for strip in widget.render_lines(Region(0, 0, *widget.outer_size)))
