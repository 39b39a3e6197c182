"""The trial screen says what a trial is, why it ranks so and how it ended; its keys do what the key table says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
from textual.pilot import Pilot

from bertdistill.app.keymap import of
from bertdistill.app.screens.dialogues import Confirm, CopyDialogue
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.ui import BertDistill
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.rows import Request
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]


def on_facts(pilot: Pilot[None], key: object) -> None:
    """Put the cursor of the facts on a row."""
    pilot.app.screen.query_one("#trial-facts", LineTable).move_to(key)


def line_with(pilot: Pilot[None], words: str) -> str:
    """The facts' part of the first line on screen that holds these words, with single spaces."""
    line = next((line for line in words_on(pilot).split("\n") if words in line), "")
    return " ".join(line.split("││")[0].strip("│› ").split())


def test_every_key_of_the_table_does_something() -> None:
    """Each action of this place is a method of the screen or of the app."""
    names = [action.name.partition("(")[0] for action in of("trial")]
    assert [] == [
        n for n in names if not hasattr(TrialScreen, f"action_{n}") and not hasattr(BertDistill, f"action_{n}")
    ]


async def test_facts_of_a_rerun(ws: Workspace) -> None:
    """Scores beside baseline, parent and teacher; what it changed; who is better and by how much."""
    async with playing(ws, TrialScreen("demo", 7)) as pilot:
        await shown(pilot, "Trial #7")
        assert "demo/7 ✓ complete 4 of 6 exact 86.00 params 80.0k" in " ".join(words_on(pilot).split("\n")[0].split())
        assert "exact ↑ 86.00 90.00 (-4.00) 88.00 (-2.00)" in line_with(pilot, "exact ↑")
        assert "params ↓ 80,000 120k (-33 %) 80.0k (0 %)" in line_with(pilot, "params ↓")
        assert "rank 4 of 6, dominated by #1" in line_with(pilot, "dominated by")
        assert "distance to #1: exact 2.00 less" in line_with(pilot, "to #1")
        assert "learning_rate 0.002 0.001 0.001" in line_with(pilot, "learning_rate")
        assert "hidden_size 64 = =" in line_with(pilot, "hidden_size")
        assert "parent #1 ✓ complete, exact 88.00, params 80.0k" in line_with(pilot, "exact 88.00, params")


async def test_the_rank_card_of_others(ws: Workspace) -> None:
    """A frontier trial says what it is best for, an infeasible one what it misses, a failed one that it has no rank."""
    async with playing(ws, TrialScreen("demo", 0)) as pilot:
        await shown(pilot, "1 of 6, on the frontier")
        assert "best score" in words_on(pilot)
        assert "no feasible trial comes that close; the" in line_with(pilot, "near the teacher")
        for number, words in ((4, "misses the threshold exact 20.00"), (5, "only complete trials with every")):
            pilot.app.push_screen(TrialScreen("demo", number))
            await shown(pilot, words)


async def test_enter_goes_to_the_trial_of_the_line_and_escape_back(ws: Workspace) -> None:
    """The line of the dominating trial, the parent, and a rerun lead there; other lines lead nowhere."""
    async with playing(ws, TrialScreen("demo", 7)) as pilot:
        await shown(pilot, "enter opens #")  # the cursor begins where something can be done
        on_facts(pilot, ("metric", "exact"))
        await until(pilot, lambda: "enter open" not in words_on(pilot), "nothing to open")
        await pilot.press("enter")
        assert [7] == [s.number for s in pilot.app.screen_stack if isinstance(s, TrialScreen)]
        on_facts(pilot, ("trial", 1, "rank", 0))
        await shown(pilot, "enter opens #1")
        await shown(pilot, "enter open ")
        await pilot.press("enter")
        await shown(pilot, "Trial #1")
        on_facts(pilot, ("trial", 7, "rerun", 0))
        await pilot.press("enter")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 5, "the rerun")
        await pilot.press("escape", "escape")
        await shown(pilot, "Trial #7")


async def test_next_and_previous_follow_the_ranked_list(ws: Workspace) -> None:
    """J and ] go down, K and [ up; the ends are told."""
    screen = TrialScreen("demo", 0)
    async with playing(ws, screen) as pilot:
        numbers = [trial.number for trial in screen.news.view.trials] if screen.news else []
        await pilot.press("K")
        await told(pilot, "the first trial")
        for key, place in (("J", 1), ("right_square_bracket", 2), ("K", 1), ("left_square_bracket", 0)):
            await pilot.press(key)
            await shown(pilot, f"Trial #{numbers[place]} ")
        for _ in numbers:
            await pilot.press("J")
        await told(pilot, "the last trial")
        await shown(pilot, f"Trial #{numbers[-1]} ")


async def test_a_killed_trial_tells_how_it_died(ws: Workspace) -> None:
    """Class, signal by name, last lines of the log, and none of the control codes that were in them."""
    async with playing(ws, TrialScreen("demo", 5)) as pilot:
        await shown(pilot, "killed_by_signal_9: [/red] gone")
        assert "killed_by_signal_9, signal 9 (SIGKILL)" in words_on(pilot)
        assert "out of luck" in words_on(pilot)
        assert "as kept by the runner" in words_on(pilot)
        assert set() == control_codes(pilot)


async def test_text_from_outside_is_harmless(ws: Workspace, edit: Edit) -> None:
    """Escape sequences, markup and wide characters in note, reason, log, model name and file names."""

    def spoil(session: Writing) -> None:
        writes.edit_trial(session, 6, note=HOSTILE, tags=[HOSTILE])
        attempt = writes.create_attempt(
            session, study_id=1, trial_id=6, kind="trial", folder="runs/demo/6-2", slot=HOSTILE, now=1.0
        )
        writes.end_attempt(session, attempt.id, now=2.0, exit_class=HOSTILE, exit_signal=99, log_tail=HOSTILE)

    edit(spoil)
    log = ws.path / "runs/demo/6-2/log.txt"
    log.parent.mkdir(parents=True)
    log.write_text(f"{HOSTILE}\n")
    async with playing(ws, TrialScreen("demo", 5)) as pilot:
        await shown(pilot, f"note                  {HARMLESS}")
        assert words_on(pilot).count("[red]markup[/]") >= 5
        assert "signal 99 (unknown)" in words_on(pilot)
        assert set() == control_codes(pilot)


async def test_the_log_of_the_newest_attempt_grows(ws: Workspace) -> None:
    """Only what is new is read; progress bars show their newest state."""
    folder = ws.path / "runs/demo/7-1"
    folder.mkdir(parents=True)
    log = folder / "log.txt"
    log.write_text("first line\n 10%\r 20%\r")
    async with playing(ws, TrialScreen("demo", 6)) as pilot:
        await shown(pilot, "first line")
        await shown(pilot, "20%")
        with log.open("a") as file:
            file.write(" 30%\nlast line\n")
        pilot.app.look_again()  # type: ignore[attr-defined]  # the App of this program
        await shown(pilot, "last line")
        assert ["30%"] == [part for part in ("10%", "20%", "30%") if part in words_on(pilot)]


async def test_a_running_trial_shows_its_progress(ws: Workspace) -> None:
    """How far it is, at which pace, its curve, and the newest score at its known size."""
    async with playing(ws, TrialScreen("demo", 6)) as pilot:
        await shown(pilot, "▶ running ━━━━━───── 50% train 50/100 examples, 12.5/s")
        assert "Curves #6: loss (live) 1 not finite" in words_on(pilot)
        assert "exact 30.00" in words_on(pilot)


async def test_stop_asks_first_and_the_safe_answer_has_the_focus(
    ws: Workspace, runner_here: None, asked: Callable[[], list[Request]]
) -> None:
    """Enter keeps it running; y leaves the request to the runner."""
    async with playing(ws, TrialScreen("demo", 6)) as pilot:
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("enter")
        await shown(pilot, "Trial #6")
        assert [] == asked()
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("y")
        await told(pilot, "Trial #6 was asked to write a checkpoint and stop")
        assert [("stop_trial", 7)] == [(request.verb, request.trial_id) for request in asked()]


async def test_archive_and_back(ws: Workspace, edit: Edit) -> None:
    """A archives it and says so, A again restores it, u undoes."""

    def away() -> bool:
        return bool(edit(lambda session: reads.trial(session, 1, 3).archived))

    async with playing(ws, TrialScreen("demo", 3)) as pilot:
        await pilot.press("A")
        await shown(pilot, "yes; A restores it")
        assert away()
        await pilot.press("A")
        await told(pilot, "Trial #3 is restored")
        assert not away()
        await pilot.press("u")
        await told(pilot, "Undone")
        assert away()


async def test_actions_open_their_screens(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """r, P, a and e go to rerun, promote, error analysis and note of this very trial."""
    opened: list[tuple[str, Any]] = []
    for name in ("open_rerun", "open_promote", "open_analysis"):
        monkeypatch.setattr(BertDistill, name, lambda _, *where, name=name: opened.append((name, where)))
    async with playing(ws, TrialScreen("demo", 2)) as pilot:
        await pilot.press("r", "P", "a")
        assert [("open_rerun", ("demo", 2)), ("open_promote", ("demo", 2)), ("open_analysis", ("demo", 2))] == opened
        await pilot.press("e")
        await shown(pilot, "Note of trial #2")


async def test_only_sensible_actions_are_offered(ws: Workspace) -> None:
    """A failed trial can be neither promoted nor stopped, a running one cannot be promoted."""
    async with playing(ws, TrialScreen("demo", 5)) as pilot:
        assert (True, False, False) == tuple(
            pilot.app.screen.check_action(a, ()) for a in ("rerun", "promote", "stop_trial")
        )
        pilot.app.push_screen(TrialScreen("demo", 6))
        await shown(pilot, "x stop")
        assert "P promote" not in words_on(pilot)


async def test_a_key_that_can_do_nothing_says_why(ws: Workspace) -> None:
    """P and x on a trial that failed, enter where no line names another trial and in panes that open nothing."""
    async with playing(ws, TrialScreen("demo", 5)) as pilot:
        for key, words in (
            ("P", "#5 is failed: only a complete one can be promoted"),
            ("x", "only a running or waiting one can be stopped"),
            ("enter", "This line mentions no other trial"),
        ):
            await pilot.press(key)
            await told(pilot, words)
        await pilot.press("4", "enter")
        await told(pilot, "There is nothing to open here")
        before = len(toasts(pilot))
        await pilot.press("2", "enter")
        await until(pilot, lambda: len(toasts(pilot)) > before, "what enter says in the curves")


async def test_copy_offers_names_and_commands(ws: Workspace) -> None:
    """The trial's name, its parameters, its folder, the command that prints it."""
    screen = TrialScreen("demo", 5)
    async with playing(ws, screen) as pilot:
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, CopyDialogue), "the choice")
        await shown(pilot, "trial: demo/5")
        assert "parameters: layers=2 hidden_size=64" in words_on(pilot)
        await pilot.press("escape")
        offered = dict(screen.copies())
        assert str(ws.path / "runs/demo/6-1") == offered["folder of attempt 1"]
        assert "engine show demo/5" in offered["command"]
        assert "line one" in offered["log"]


@pytest.mark.parametrize("size", SIZES[1:])
async def test_one_pane_at_a_time_where_it_is_narrow(ws: Workspace, size: tuple[int, int]) -> None:
    """1 to 4 choose it, l goes to the log and back."""
    async with playing(ws, TrialScreen("demo", 6), size) as pilot:
        await shown(pilot, "Objectives")
        for key, words in (("2", "Curves #6"), ("3", "attempt 1"), ("4", "Log of attempt 1"), ("1", "Objectives")):
            await pilot.press(key)
            await shown(pilot, words)
            assert (words == "Objectives") == ("Objectives" in words_on(pilot))
        await pilot.press("l")
        await shown(pilot, "Log of attempt 1")
        await pilot.press("l")
        await shown(pilot, "Objectives")


def _in_use(pilot: Pilot[None], name: str) -> bool:
    pane = pilot.app.screen.query_one(f"#trial-{name}")
    return pane.has_focus and pane.size.height > 2


@pytest.mark.parametrize("size", [(120, 40), (120, 24)])
async def test_panes_of_a_wide_window(ws: Workspace, size: tuple[int, int]) -> None:
    """All panes have the keys; m leaves one; l gives the log's room to the curves."""
    async with playing(ws, TrialScreen("demo", 6), size) as pilot:
        for key, name in (("2", "curves"), ("3", "runs"), ("4", "log"), ("1", "facts")):
            await pilot.press(key)
            await until(pilot, partial(_in_use, pilot, name), f"the pane {name}")
        await pilot.press("m")
        await until(pilot, lambda: pilot.app.screen.query_one("#trial-facts").size.width > 100, "one pane")
        await pilot.press("m", "4", "l")
        await until(pilot, lambda: not pilot.app.screen.query_one("#trial-log").display, "no log")
        assert "trial-curves" == (pilot.app.focused.id if pilot.app.focused else "")
        await pilot.press("l")
        await until(pilot, lambda: pilot.app.screen.query_one("#trial-log").has_focus, "the log again")


async def test_l_shows_the_log_where_a_low_window_hides_it(ws: Workspace) -> None:
    """One press is enough, although nobody hid it."""
    async with playing(ws, TrialScreen("demo", 6), (120, 24)) as pilot:
        await pilot.press("l")
        await until(pilot, partial(_in_use, pilot, "log"), "the log")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("number", [5, 6, 7])
async def test_it_says_the_same_without_colour_and_in_ascii(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], number: int
) -> None:
    """State by word, place by number, whatever the terminal can show."""
    monkeypatch.setenv("NO_COLOR", "1")
    state = {5: "x failed", 6: "> running", 7: "+ complete"}[number]
    async with playing(ws, TrialScreen("demo", number), size, marker="ascii") as pilot:
        await shown(pilot, f"demo/{number}  {state}")
        assert "★" not in words_on(pilot)


async def test_long_words_go_over_lines(ws: Workspace, edit: Edit) -> None:
    """No word of a long note is lost, in a window of any width."""
    words = " ".join(f"word{number}" for number in range(40)) + " " + "漢" * 90
    edit(lambda session: writes.edit_trial(session, 8, note=words))
    async with playing(ws, TrialScreen("demo", 7), (80, 24)) as pilot:
        await shown(pilot, "word39")
        assert 90 == words_on(pilot).count("漢")
        await pilot.resize_terminal(60, 30)
        await until(pilot, lambda: 90 == words_on(pilot).count("漢") and "word39" in words_on(pilot), "other lines")
