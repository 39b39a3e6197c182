"""All series of the chosen trials in small charts: which, in what order, page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.app.screens.driving import HOSTILE, SIZES, control_codes, playing, shown, until, words_on

from bertdistill.app.screens.series import SeriesScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store.metrics import store_points
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]


def many(session: Writing) -> None:
    """A score, two losses and ten more series of the first trial, one of them with a hostile name."""
    names = ["search/exact", "train/loss", "train/soft_loss", *(f"own/{letter}" for letter in "abcdefghi"), HOSTILE]
    points = [(name, step, float(step), 1e9 + step) for name in names for step in range(1, 6)]
    store_points(session, 1, 1, points)


@pytest.mark.parametrize("size", SIZES)
async def test_scores_first_then_losses_then_the_rest_page_by_page(
    ws: Workspace, edit: Edit, size: tuple[int, int]
) -> None:
    """In every size of window; enter shows one alone and back, escape leads out."""
    edit(many)
    async with playing(ws, size=size) as pilot:
        await pilot.press("enter")
        await shown(pilot, "state")
        await pilot.press("V")
        await shown(pilot, "13 series")
        await shown(pilot, "search/exact")
        screen = pilot.app.screen
        assert isinstance(screen, SeriesScreen)
        assert screen.news is not None
        assert ["search/exact", "train/loss", "train/soft_loss"] == screen.news.names[:3]
        await pilot.press("enter")
        await shown(pilot, "page 1 of 13")
        await pilot.press("right")
        await shown(pilot, "train/loss")
        await pilot.press("escape")
        if size[0] > 40:  # there one chart is all that fits
            await until(pilot, lambda: "of 13" not in words_on(pilot), "all charts")
        await pilot.press("slash", *"OWN/[ab]", "enter")
        await shown(pilot, "2 series like OWN")
        assert ["own/a", "own/b"] == list(screen.news.names)
        await pilot.press("escape")
        await shown(pilot, "13 series")
        for _ in range(13):
            await pilot.press("right_square_bracket")
        await shown(pilot, "own/i")
        assert control_codes(pilot) == set()
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudyScreen), "the study again")


async def test_without_a_series(ws: Workspace) -> None:
    """A trial that has logged nothing says so."""
    async with playing(ws) as pilot:
        await pilot.press("enter")
        await shown(pilot, "Trials by rank")
        await pilot.press("end", "V")
        await until(pilot, lambda: isinstance(pilot.app.screen, SeriesScreen), "the screen")
        await pilot.press("right", "down", "enter", "escape")
