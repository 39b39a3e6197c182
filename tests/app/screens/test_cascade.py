"""The screen of a cascade: the threshold under the cursor, another member, its promotion, and why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.app.screens.driving import SIZES, control_codes, playing, shown, told, words_on
from tests.joined_study import COUNT, JoinedStudy, make

from bertdistill.app.keymap import of
from bertdistill.app.screens import cascade
from bertdistill.app.screens.cascade import CascadeScreen, CutTable
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.ui import BertDistill
from bertdistill.engine.analysis import difficulty
from bertdistill.engine.contract.folder import CLASS_LOGITS
from bertdistill.engine.steering import cascades


@pytest.fixture
def study(tmp_path: Path) -> JoinedStudy:
    return make(tmp_path)


def test_every_key_of_the_table_does_something() -> None:
    """Each action of these places is a method of the screen, its table or the app."""
    names = [action.name.partition("(")[0] for place in ("cascade", "cuts") for action in of(place)]
    places = (CascadeScreen, CutTable, BertDistill)
    assert [] == [name for name in names if not any(hasattr(place, f"action_{name}") for place in places)]


async def test_left_and_right_move_the_threshold(study: JoinedStudy) -> None:
    """It starts at 20 %; the border says what the threshold brings."""
    screen = CascadeScreen("toy", 0)
    async with playing(study.workspace, screen) as pilot:
        await shown(pilot, "20.0% passed on")
        assert "gap cost (ms)" in words_on(pilot), "before the other scores: they are what one chooses by"
        assert "#0 answers if it is sure, else teacher" in words_on(pilot)
        assert "cost by latency_cpu_ms (ms): " in words_on(pilot)
        await pilot.press("right")
        await shown(pilot, "22.5% passed on")
        await pilot.press("left", "left")
        await shown(pilot, "17.5% passed on")
        for size, is_drawn in (((80, 24), True), ((40, 12), False)):
            await pilot.resize_terminal(*size)
            assert is_drawn == screen.query_one("#cascade-chart").display
        assert screen.cut is not None
        assert 0.175 == pytest.approx(screen.cut.share)


async def test_brackets_join_another_model(study: JoinedStudy) -> None:
    """The frontier trials in ranked order, then the teacher, and around."""
    screen = CascadeScreen("toy", 0)
    async with playing(study.workspace, screen) as pilot:
        seen = []
        for _ in range(3):
            await pilot.press("right_square_bracket")
            name = "teacher" if screen.other is None else f"#{screen.other}"
            await shown(pilot, f"#0 answers if it is sure, else {name}")
            seen.append(screen.other)
        assert (None, {1, 2}) == (seen[-1], {*seen[:-1]})


async def test_the_study_opens_it_for_marked_trials_and_marks_cascades(study: JoinedStudy) -> None:
    """Two marked trials are the members; the chart of the study names its marks."""
    async with playing(study.workspace, StudyScreen("toy")) as pilot:
        await shown(pilot, "◇ cascade")
        await pilot.press("space", "j", "space", "b")
        await shown(pilot, "answers if it is sure")
        screen = pilot.app.screen
        assert isinstance(screen, CascadeScreen)
        assert {0, 1, 2} >= {screen.number, screen.other}
        await pilot.press("escape")
        await pilot.press("j", "space", "b")
        await told(pilot, "two members")


async def test_a_name_starts_the_promotion_of_the_threshold_under_the_cursor(
    study: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that cannot be one is refused in the dialogue."""
    asked: list[Any] = []

    def promote(ws: Any, name: str, first: int, second: int | None, model: str, choose: Any, *, who: str) -> Any:
        asked.append((name, first, second, model))

        class Made:
            name, version = model, 1

        return Made

    monkeypatch.setattr(cascades, "promote_cascade", promote)
    async with playing(study.workspace, CascadeScreen("toy", 0, 2)) as pilot:
        await shown(pilot, "20.0% passed on")
        await pilot.press("P")
        await shown(pilot, "The report split is read once")
        await pilot.press("slash", "enter")
        await shown(pilot, "is not a valid name")
        assert [] == asked
        await pilot.press("backspace", "m", "enter")
        await told(pilot, "m:1 is being verified")
        assert [("toy", 0, 2, "m")] == asked


async def test_the_shuffle_oracle_is_measured_on_request(study: JoinedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a process of its own, once; then its figures stand above the chart, for any pair."""
    stored: list[list[bool] | None] = [None]
    asked: list[tuple[str, int]] = []

    async def ask(_: Any, name: str, number: int) -> None:
        asked.append((name, number))
        stored[0] = [n % 4 == 0 for n in range(COUNT)]

    monkeypatch.setattr(difficulty, "read_hard", lambda *_: stored[0])
    monkeypatch.setattr(cascade, "ask_oracle", ask)
    async with playing(study.workspace, CascadeScreen("toy", 0)) as pilot:
        await shown(pilot, "20.0% passed on")
        await pilot.press("o")
        await shown(pilot, "shuffle oracle: 25.0% passed on")
        await pilot.press("right_square_bracket")
        await shown(pilot, "shuffle oracle: 25.0% passed on")
        await pilot.press("o")
        await told(pilot, "was measured")
    assert [("toy", 0)] == asked


@pytest.mark.parametrize("size", SIZES)
async def test_why_there_is_none_is_said_at_every_size(study: JoinedStudy, size: tuple[int, int]) -> None:
    """A trial of an older version: the sentence and the remedy; another member brings the curve back."""
    (study.folder(1) / CLASS_LOGITS).unlink()
    async with playing(study.workspace, CascadeScreen("toy", 0, 1), size) as pilot:
        await shown(pilot, "stored no")
        assert set() == control_codes(pilot)
        await pilot.press("right_square_bracket")
        await shown(pilot, "passed on")
