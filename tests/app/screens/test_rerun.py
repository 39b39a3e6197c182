"""A rerun says what it would be before it is started, and only then starts it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.app.screens.driving import (
    HARMLESS,
    HOSTILE,
    SIZES,
    control_codes,
    playing,
    shown,
    toasts,
    told,
    until,
    words_on,
)
from tests.fakes import Workbench
from textual.events import Key, Paste
from textual.keys import key_to_character
from textual.pilot import Pilot
from textual.widgets import Input

from bertdistill.app.draw.plane import Point
from bertdistill.app.reader import Reader
from bertdistill.app.screens.rerun import RerunScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.views import rerun_outlook
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import actions
from bertdistill.store import reads
from bertdistill.store.rows import Study, TrialState
from bertdistill.store.writing import Writing

Make = Callable[..., Workbench]
Edit = Callable[[Callable[[Writing], Any]], Any]
SPACE = {"budget": {"trials": 3}}


def view_of(of: Workbench) -> StudyView:
    return Reader(of.workspace).view("toy")


async def choose(pilot: Pilot[None], screen: RerunScreen, key: str, value: str) -> None:
    """Go to a setting, type a value in place of the present one and wait for its forecast."""
    table, field = screen.query_one(LineTable), screen.query_one(Input)
    if not table.has_focus:
        await pilot.press("escape")
    table.move_to(key)
    await until(pilot, lambda: screen.choice is not None and screen.choice.key == key, f"the setting {key}")
    await pilot.press("enter")
    field.value = ""
    await pilot.press(*value)
    await until(pilot, lambda: screen.outlook is not None and screen.outlook.text == value.strip(), "the forecast")
    await pilot.pause()


async def test_a_change_is_forecast_and_started(bench: Make) -> None:
    """Diff, exact size, time, where it lands; enter asks, y starts it, and the new trial is shown."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await choose(pilot, screen, "layers", "3")
        words = words_on(pilot)
        assert "layers 4 → 3, the rest as in #0" in words
        exact = actions.forecast_rerun(of.workspace, "toy", 0, "layers", 3).known["params"]
        assert f"params {exact:,.0f} (-" in words
        assert "MB" not in words.split("size_mb")[1].split(",")[0]
        assert "of training" in words
        assert "based on 3 complete trials" in words
        assert "accuracy about" in words
        await pilot.press("enter")
        await shown(pilot, "Rerun #0 with layers 4 → 3?")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the new trial")
        trial = of.trial(3)
        assert ("rerun", 3, of.trial(0).id) == (trial.origin, trial.settings["layers"], trial.parent_id)
        await told(pilot, "Trial #3 waits")
        assert 3 == pilot.app.screen.number
    of.run()
    assert TrialState.COMPLETE == of.trial(3).state


async def test_the_safe_answer_starts_nothing(bench: Make) -> None:
    """The question has the safe answer focused: enter twice is no."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await choose(pilot, screen, "layers", "2")
        await pilot.press("enter")
        await shown(pilot, "Not yet")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen, "the question to close")
    assert 3 == len(of.trials())


async def test_a_value_that_cannot_be_written_is_not_lost(bench: Make) -> None:
    """The study is gone when it is to be started: the reason is told and the value stands there still."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await choose(pilot, screen, "layers", "3")
        await pilot.press("enter")
        await shown(pilot, "Rerun #0 with layers 4 → 3?")
        with of.db.write() as session:
            session.change(Study, reads.study(session, "toy").id, name="away")
        await pilot.press("y")
        await told(pilot, "Not done: study 'toy' does not exist")
        assert (screen, "3") == (pilot.app.screen, screen.query_one(Input).value)


async def test_a_trial_that_ran_is_opened_instead(bench: Make) -> None:
    """The same settings again name the trial that has them; y opens it, and so does o from the list."""
    of = bench(SPACE)
    actions.rerun(of.workspace, "toy", 0, "layers", 2, who="ada")
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await choose(pilot, screen, "layers", "2")
        await shown(pilot, "already run as #3")
        await pilot.press("enter")
        await shown(pilot, "Trial #3 has exactly these settings. Open it?")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the twin")
        assert 3 == pilot.app.screen.number
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen, "the rerun")
        await pilot.press("escape", "o")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the twin again")
    of.run()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("layers", "9", "layers = 9 is outside the search space: 1 to 4. For example 2 or 3."),
        ("layers", "4", "layers is already 4 in trial 0. For example 2 or 3."),
        ("layers", "", "layers is empty; allowed: 1 to 4. For example 2 or 3."),
        ("layers", "abc", "layers = abc is not a whole number; allowed: 1 to 4. For example 2 or 3."),
        ("batch_size", "0", "batch_size = 0 is below 1; use 1 to 4096. For example 1 or 2."),
        ("batch_size", "", "batch_size is empty; allowed: 1 to 4096. For example 15 or 17."),
        ("precision", "fp64", 'precision = "fp64" is not valid; use auto, fp32 or bf16. For example fp32 or bf16.'),
    ],
)
async def test_refused_values_say_why(bench: Make, key: str, value: str, words: str) -> None:
    """The reason with values that are taken, below the value and nowhere else; enter starts nothing."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await choose(pilot, screen, key, value)
        await shown(pilot, "refused")
        assert screen.outlook is not None
        assert words == screen.outlook.problem
        await pilot.press("enter")
        await pilot.app.workers.wait_for_complete()
        assert pilot.app.screen is screen
        assert ([], 1) == (toasts(pilot), words_on(pilot).count("refused"))
    assert 3 == len(of.trials())


async def test_a_long_reason_has_room_in_a_narrow_window(bench: Make) -> None:
    """The values that would be taken stand at its end."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen, SIZES[1]) as pilot:
        await choose(pilot, screen, "layers", "9999999999")
        await until(pilot, lambda: screen.query_one("#verdict").size.height > 1, "a second line")
        await shown(pilot, "2 or 3.")


async def test_what_a_threshold_excludes_is_refused(bench: Make) -> None:
    """A size known to break a threshold needs no run."""
    objectives = [
        {"metric": "accuracy", "direction": "maximize"},
        {"metric": "params", "direction": "minimize", "threshold": 130_000},
    ]
    of = bench({**SPACE, "objectives": objectives, "baseline": {"layers": 1}})
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await choose(pilot, screen, "layers", "4")
        await shown(pilot, "refused")
        assert "130" in (screen.outlook.problem if screen.outlook else "")
        await pilot.press("enter")
        await pilot.app.workers.wait_for_complete()
        assert ([], True) == (toasts(pilot), pilot.app.screen is screen)


async def test_fixed_settings_may_change_too(bench: Make) -> None:
    """A setting that the study does not search has its own limits, and its score is not guessed."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await choose(pilot, screen, "batch_size", "8")
        assert screen.outlook is not None
        lands = dict(rerun_outlook.lines(view_of(of), of.trial(0), screen.outlook))["lands"]
        assert lands.endswith("its accuracy cannot be estimated: the study does not search batch_size")
        await shown(pilot, "the study does not search batch_size")
        assert "1 to 4096" in words_on(pilot)


async def test_words_of_a_setting_are_completed(bench: Make) -> None:
    """A few letters and the arrow are the whole word."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await choose(pilot, screen, "precision", "fp")
        field = screen.query_one(Input)
        await until(pilot, lambda: field._suggestion == "fp32", "the completion")
        await pilot.press("right")
        assert "fp32" == field.value


async def test_arrows_change_the_setting_while_typing(bench: Make) -> None:
    """Up and down go through the settings from the line of the value; escape goes to the list, then back."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await pilot.press("enter", "down")
        await until(pilot, lambda: screen.choice and screen.choice.key == "learning_rate", "the setting below")
        assert "0.0001" == screen.query_one(Input).value
        await pilot.press("up")
        await until(pilot, lambda: screen.choice and screen.choice.key == "layers", "the setting above")
        await pilot.press("escape")
        assert screen.query_one(LineTable).has_focus
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not screen, "the screen before")


async def test_a_setting_is_found_by_its_name(bench: Make) -> None:
    """The filter of every list; its setting is the one that is typed, and escape shows all again before it leaves."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await pilot.press("slash", *"learn", "enter")
        await until(pilot, lambda: screen.choice and screen.choice.key == "learning_rate", "the setting that matches")
        await pilot.press("enter")
        assert "0.0001" == screen.query_one("#value", Input).value
        await pilot.press("escape", "escape")
        await shown(pilot, "Which setting ")
        assert pilot.app.screen is screen
        await pilot.press("slash", *"nothing", "enter")
        await shown(pilot, "No setting matches nothing")


async def test_the_point_lies_at_its_exact_size(bench: Make) -> None:
    """The guess is drawn at the known size, a line goes up there, and the copy is the command."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await choose(pilot, screen, "layers", "1")
        assert screen.outlook is not None
        points, place = rerun_outlook.points(view_of(of), screen.outlook)
        forecast = actions.forecast_rerun(of.workspace, "toy", 0, "layers", 1)
        guess = rerun_outlook.landing(view_of(of), screen.outlook)["accuracy"]
        assert guess is not None
        assert place is not None
        assert Point(forecast.known["params"], guess, "running", "guess") == points[place]
        await shown(pilot, "the rerun: ")
        assert any("rerun toy/0 --set layers=1" in text for _, text in screen.copies())


async def test_hostile_text_is_harmless(bench: Make) -> None:
    """What is pasted comes back in the reason; it drives no terminal and is no markup."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen) as pilot:
        await pilot.press("enter")
        screen.query_one(Input).post_message(Paste(HOSTILE))
        await until(pilot, lambda: screen.outlook is not None and screen.outlook.problem, "the refusal")
        await shown(pilot, "[red]markup[/]")
        assert set() == control_codes(pilot)
        assert HARMLESS.split()[0] in words_on(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_usable_at_every_size(bench: Make, size: tuple[int, int]) -> None:
    """The list, the line and the verdict are on screen, without glyphs if those are not wanted."""
    of = bench(SPACE)
    screen = RerunScreen("toy", 0)
    async with playing(of.workspace, screen, size, marker="ascii") as pilot:
        await choose(pilot, screen, "layers", "3")
        words = words_on(pilot)
        assert "layers" in words
        assert "enter starts it" in words
        assert set() == set("→✓★›•") & set(words)


async def test_a_study_that_is_not_prepared_says_so(ws: Workspace, edit: Edit) -> None:
    """Sizes are not known before the preparation: the refusal says what to wait for."""

    def forget(session: Writing) -> None:
        session.change(Study, reads.study(session, "demo").id, prepared=None)

    edit(forget)
    screen = RerunScreen("demo", 1)
    async with playing(ws, screen) as pilot:
        await choose(pilot, screen, "layers", "2")
        await shown(pilot, "is not prepared yet")


async def test_a_value_typed_in_a_burst_is_the_one_that_is_asked_about(bench: Make) -> None:
    """Opened, typed and confirmed at once: the forecast waits in a thread, and `y` means the question after it."""
    of = bench()
    async with playing(of.workspace, StudyScreen("toy")) as pilot:
        for key in ("g", "r", "down", "enter", *["backspace"] * 12, *"0.0002", "enter", "y"):
            pilot.app.post_message(Key(key, key_to_character(key)))
        await until(pilot, lambda: of.trials()[-1].params.get("learning_rate") == 0.0002, "the rerun")


async def test_without_a_baseline_nothing_is_called_one(bench: Make) -> None:
    """No column of somebody else's values and no marks."""
    of = bench({"baseline": None, "budget": {"trials": 1}})
    view = view_of(of)
    assert {""} == {one.baseline for one in rerun_outlook.choices(view, view.trials[0])}
