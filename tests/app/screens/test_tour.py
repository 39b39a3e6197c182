"""The hints on the first study: each with the pane that it explains, in the way of no key, dismissed for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.app.screens.driving import SIZES, playing, shown, until, words_on
from textual.pilot import Pilot

from bertdistill.app.keymap import ids
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.tour import HINTS, Tour
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace


def tour(pilot: Pilot[None]) -> Tour:
    return pilot.app.screen.query_one(Tour)


async def test_one_after_another_until_they_were_seen(ws: Workspace, tmp_path: Path) -> None:
    """Below its pane, which is marked and hidden nowhere; the next app of this user shows none."""
    state = tmp_path / "state" / "app"
    async with playing(ws, StudyScreen("demo"), state=state) as pilot:
        await shown(pilot, "Hint 1 of 4")
        for number, hint in enumerate(HINTS[:3], start=1):
            await until(pilot, lambda: f"Hint {number} of 4" in words_on(pilot), "the hint")  # noqa: B023 - awaited here
            pane = pilot.app.screen.query_one(hint.beside[0])
            assert pane.has_class("-explained")
            assert not pane.region.overlaps(tour(pilot).region)
            await pilot.press("T")
        await shown(pilot, "Hint 4 of 4 (T next, backspace no hints)  r runs")
        await pilot.click(tour(pilot))
        await until(pilot, lambda: "Hint" not in words_on(pilot), "the end")
        assert not pilot.app.screen.query(".-explained")
    async with playing(ws, StudyScreen("demo"), state=state) as pilot:
        assert "Hint" not in words_on(pilot)
        await pilot.press("T")
        await shown(pilot, "Hint 1 of 4")


async def test_a_hint_is_about_a_pane_that_is_shown(ws: Workspace, tmp_path: Path) -> None:
    """Two lines at 80 columns. Its own key does away with it; one of a hidden pane waits until that is shown."""
    async with playing(ws, StudyScreen("demo"), (80, 24), state=tmp_path) as pilot:
        await shown(pilot, "Hint 1 of 4")
        assert 2 == tour(pilot).size.height
        await pilot.press("slash", "escape")
        await shown(pilot, "Hint 3 of 4")
        await pilot.press("2")
        await shown(pilot, "Hint 2 of 4")
        await pilot.press("1")
        await shown(pilot, "Hint 3 of 4")
        await pilot.press("T")
        await shown(pilot, "Hint 4 of 4")
        await pilot.press("question_mark", "escape")
        await until(pilot, lambda: "Hint" not in words_on(pilot), "nothing for this pane")
        await pilot.press("2")
        await shown(pilot, "Hint 2 of 4")
        assert not Tour({}, ascii_only=False, state=tmp_path).is_due


@pytest.mark.parametrize("size", SIZES[::2])
async def test_no_key_of_the_list_is_taken(ws: Workspace, tmp_path: Path, size: tuple[int, int]) -> None:
    """The cursor stays in sight, and one key ends the hints for ever; ASCII needs no star."""
    async with playing(ws, StudyScreen("demo"), size, state=tmp_path, marker="ascii") as pilot:
        await shown(pilot, "Hint 1 of 4")
        assert "* is the frontier" in " ".join(words_on(pilot).replace("|", "").split())
        table = pilot.app.screen.query_one("#trials", LineTable)
        await pilot.press("G")
        last = table.cursor_key
        await until(pilot, lambda: f"> {last} " in " ".join(words_on(pilot).split()), "the last trial")
        await pilot.press("backspace")
        await until(pilot, lambda: "Hint" not in words_on(pilot), "no hint")
        assert not tour(pilot).is_due


async def test_hints_are_there_before_the_first_trial(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the data is prepared there is time to read them."""
    monkeypatch.setattr(StudyView, "frontier", [])
    async with playing(ws, StudyScreen("demo"), state=tmp_path) as pilot:
        await shown(pilot, "Hint 1 of 4")


def test_hints_name_keys_that_are_there() -> None:
    """As they are remapped; a folder that cannot be made shows the hints all the same."""
    assert {key for hint in HINTS for key in hint.keys} <= set(ids())
    found = Tour({"promote": "f9"}, ascii_only=False, state=Path("/dev/null/state"))
    assert found.is_due
    found.at = 3
    assert "r runs a trial again with one change, f9 verifies" in found.text.plain
    found.dismiss()
    assert (-1, False) == (found.at, found.is_due)


def test_a_hint_that_is_turned_twice_before_it_is_drawn_is_turned_once() -> None:
    """By the key that it names and by the key for the next one, in one burst."""
    found = Tour({}, ascii_only=False, state=None)
    found.turn()
    found.at = 1
    found.turn()
    found.turn()
    assert found.place(lambda _: False) == ""
    assert found.at == -1


def test_without_a_folder_there_is_no_tour() -> None:
    assert not Tour({}, ascii_only=False, state=None).is_due
