"""The filter acts on the list while it is typed, completes, says what is wrong at enter; escape keeps the old one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.app.screens.driving import HARMLESS, HOSTILE, SIZES, control_codes, playing, shown, until, words_on
from textual.pilot import Pilot

from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.filter_line import FilterField, FilterLine
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]


async def typed(pilot: Pilot[None], text: str) -> None:
    """Put a text into the field, as a paste does."""
    field = pilot.app.screen.query_one(FilterField)
    field.value = text
    field.cursor_position = len(text)
    await pilot.pause()


def numbers(screen: StudyScreen) -> list[Any]:
    """Keys of the rows of the table, from the top."""
    return [row.key for row in screen.query_one("#trials", LineTable)._rows]


async def open_filter(pilot: Pilot[None]) -> None:
    await pilot.press("slash")
    assert isinstance(pilot.app.focused, FilterField)


async def test_the_list_follows_the_typing(ws: Workspace) -> None:
    """Before enter, which gives the list its focus back; an empty filter shows all again."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        everything = numbers(screen)
        await open_filter(pilot)
        await typed(pilot, "layers<=1 exact>60")
        await until(pilot, lambda: numbers(screen) == [1, 7], "the trials that match")
        await shown(pilot, "2 of 8 trials, esc clears: layers<=1 exact>60")
        await pilot.press("enter")
        assert pilot.app.focused is screen.query_one("#trials")
        assert not screen.query_one(FilterLine).display
        await open_filter(pilot)
        assert screen.query_one(FilterField).value == "layers<=1 exact>60"
        await typed(pilot, "")
        await pilot.press("enter")
        await until(pilot, lambda: numbers(screen) == everything, "every trial")


async def test_a_term_is_wrong_only_when_it_is_used(ws: Workspace) -> None:
    """While it is typed, the words before it count; enter says what is wrong, escape brings the old filter back."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await open_filter(pilot)
        await typed(pilot, "state:failed")
        await pilot.press("enter")
        assert numbers(screen) == [5]
        await open_filter(pilot)
        for half in (
            "layers<=1 exact>",
            "layers<=1 exa",
            "layers<=1 -state:",
            "layers<=1 layrs>1",
            'layers<=1 note:"a',
        ):
            await typed(pilot, half)
            await until(pilot, lambda: set(numbers(screen)) == {1, 2, 4, 6, 7}, f"the trials before {half}")
            assert not screen.query_one(FilterLine).has_class("-wrong")
        await typed(pilot, "layrs>1")
        await pilot.press("enter")
        await shown(pilot, "Did you mean layers?")
        assert screen.query_one(FilterLine).has_class("-wrong")
        await pilot.press("escape")
        assert numbers(screen) == [5]
        assert pilot.app.focused is screen.query_one("#trials")


async def test_escape_clears_one_thing_after_the_other(ws: Workspace) -> None:
    """The filter, then the marks; only then it leaves."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await pilot.press("space", "slash", *"exact>60", "enter", "escape")
        assert (len(numbers(screen)), len(screen.marked)) == (8, 1)
        assert pilot.app.screen is screen
        await pilot.press("escape")
        assert screen.marked == ()
        assert pilot.app.screen is screen
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not screen, "the studies")


async def test_where_nothing_matches_every_pane_says_so(ws: Workspace) -> None:
    """List, card, chart and curves: nothing of the trial before is left."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await until(pilot, lambda: screen.query_one("#frontier", Chart).drawing.marks, "the chart")
        await open_filter(pilot)
        await typed(pilot, "exact>1000")
        for pane in ("#trials", "#card", "#frontier", "#curves"):
            region = screen.query_one(pane).content_region
            await until(
                pilot,
                lambda region=region: (
                    "No trial matches"
                    in "\n".join(
                        line[region.x : region.right] for line in words_on(pilot).splitlines()[region.y : region.bottom]
                    )
                ),
                f"{pane} to say why it is empty",
            )


async def test_tab_takes_the_first_completion(ws: Workspace) -> None:
    """The last word is completed in its place: first the key, then its value."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await open_filter(pilot)
        await typed(pilot, "exact>50 -sta")
        await shown(pilot, "-state:")
        await pilot.press("tab")
        field = pilot.app.screen.query_one(FilterField)
        assert field.value == "exact>50 -state:"
        await pilot.press("f", "tab")
        assert field.value == "exact>50 -state:failed"


async def test_the_filter_of_losses(ws: Workspace, edit: Edit) -> None:
    """`loss` is known to the line and to the table."""
    edit(lambda session: writes.store_points(session, 1, 7, [("train/loss", 3, 1.5, 2e9)]))
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await open_filter(pilot)
        await typed(pilot, "loss>1")
        await until(pilot, lambda: numbers(screen) == [6], "the trial with a loss")


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_tags_are_harmless_in_the_filter(ws: Workspace, edit: Edit, size: tuple[int, int]) -> None:
    """A note is found by its words, and what is typed or completed drives no terminal."""

    def write(session: Writing) -> None:
        trial = reads.trial(session, 1, 2)
        writes.edit_trial(session, trial.id, note=HOSTILE, tags=["\x1b[31mred", "[b]bold[/]"])

    edit(write)
    async with playing(ws, StudyScreen("demo"), size) as pilot:
        await open_filter(pilot)
        await typed(pilot, f'note:"{HARMLESS}"')
        await shown(pilot, "1 of 8 trials")
        await typed(pilot, "tag:")
        await shown(pilot, "1 of 8 trials")
        await shown(pilot, "tag:[b]bold[/]")
        assert set() == control_codes(pilot)
        await shown(pilot, "apply")
