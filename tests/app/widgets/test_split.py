"""Borders between panes: dragged, moved by keys, remembered, and back to the usual sizes."""

from __future__ import annotations

from tests.app.screens.driving import playing, shown, until

from bertdistill.app.screens.live_screen import SPLIT
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.widgets.split import MOST, Split
from bertdistill.engine.contract.workspace import Workspace


async def test_keys_move_the_border_and_it_stays_there(ws: Workspace) -> None:
    """Of the focused pane; in the next screen, too, until `|` resets it."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await shown(pilot, "Trials by rank")
        split = pilot.app.screen.query_one("#study-body", Split)
        before = pilot.app.screen.query_one("#trials").size.width
        await pilot.press("greater_than_sign", "greater_than_sign")
        await until(pilot, lambda: pilot.app.screen.query_one("#trials").size.width > before, "a wider list")
        await pilot.press(*["greater_than_sign"] * 12)
        assert MOST == split.share
        await pilot.press(*["less_than_sign"] * 7, "right_parenthesis")
        assert pilot.app.screen.query_one("#listed", Split).share
    async with playing(ws, StudyScreen("demo")) as pilot:
        split = pilot.app.screen.query_one("#study-body", Split)
        assert MOST - 35 == split.share
        await pilot.press("vertical_line")
        await until(pilot, lambda: pilot.app.screen.query_one("#trials").size.width == before, "the usual width")
        assert 0 == pilot.app.memory.recall(f"{SPLIT}.study-body", 1)  # type: ignore[attr-defined]  # our App


async def test_the_mouse_drags_the_border(ws: Workspace) -> None:
    """From where two borders meet; a click inside a pane moves nothing."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await shown(pilot, "Trials by rank")
        split = pilot.app.screen.query_one("#study-body", Split)
        await pilot.click(offset=(5, 5))
        assert 0 == split.share
        border = split.children[0].region.right - 1
        await pilot.mouse_down(offset=(border, 9))
        await pilot.hover(offset=(70, 12))
        await pilot.mouse_up(offset=(70, 12))
        await until(pilot, lambda: 57 <= split.share <= 60, "the border at the mouse")


async def test_a_list_has_the_width_of_its_columns(ws: Workspace) -> None:
    """The inspector takes the rest, until a person moves the border; alone the list takes all."""
    async with playing(ws, size=(200, 40)) as pilot:
        screen = pilot.app.screen
        split, table = screen.query_one(Split), screen.query_one("#studies")
        await until(pilot, lambda: table.outer_size.width == split._wanted, "the width of the columns")
        narrow = table.outer_size.width
        assert narrow < split.room
        assert narrow + screen.query_one("#inspector").outer_size.width == split.size.width
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: table.outer_size.width > narrow, "a wider list")
        await pilot.press("vertical_line")
        await until(pilot, lambda: table.outer_size.width == narrow, "the width of the columns again")
        await pilot.press("i")
        await until(pilot, lambda: table.outer_size.width == split.size.width, "the whole width")
