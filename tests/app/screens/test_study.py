"""The study screen: order, marks, panes, what is said before the first trial, and what its keys ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
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
from textual.events import Key
from textual.pilot import Pilot

from bertdistill.app.bindings import footer
from bertdistill.app.keymap import of
from bertdistill.app.memory import Memory
from bertdistill.app.report import study_material
from bertdistill.app.screens.analysis import AnalysisScreen
from bertdistill.app.screens.annotate import AnnotateDialogue
from bertdistill.app.screens.compare import CompareScreen
from bertdistill.app.screens.dialogues import Confirm, CopyDialogue
from bertdistill.app.screens.history import HistoryScreen
from bertdistill.app.screens.promote import PromoteScreen
from bertdistill.app.screens.queue_trial import QueueTrialScreen
from bertdistill.app.screens.rerun import RerunScreen
from bertdistill.app.screens.settings import SettingsScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.terminal.streams import who
from bertdistill.app.widgets.filter_line import FilterField
from bertdistill.app.widgets.frontier_chart import FrontierChart
from bertdistill.app.widgets.log import LogPane
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.steering import actions
from bertdistill.engine.study.config import study_from_dict
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import Request, StudyState
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]
Asked = Callable[[], list[Request]]


@pytest.fixture
def fresh(tmp_path: Any, raw_spec: dict[str, Any]) -> Workspace:
    """A workspace whose study has no trial yet."""
    found = Workspace(tmp_path / "fresh")
    db = open_db(found.path)
    spec = study_from_dict(raw_spec, where="test")
    with db.write() as session:
        study = writes.create_study(session, name="demo", task=spec.task, spec=raw_spec, now=1.0)
        writes.set_study_state(session, study.id, StudyState.RUNNING, now=1.0)
    db.close()
    return found


def numbers(screen: StudyScreen) -> list[Any]:
    """Keys of the rows of the table, from the top."""
    return [row.key for row in screen.query_one("#trials", LineTable)._rows]


def test_every_action_of_the_table_is_there() -> None:
    """No key without a method."""
    missing = [a.id for a in of("study") if not hasattr(StudyScreen, f"action_{a.name.partition('(')[0]}")]
    assert [] == [name for name in missing if name not in ("undo",)]


async def test_the_order_of_the_trials(ws: Workspace) -> None:
    """By rank at first; s goes from column to column and comes back, S reverses. The cursor stays on its trial."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        ranked = numbers(screen)
        assert [0, 1, 2] == sorted(ranked[:3])
        await pilot.press("s")
        await shown(pilot, "Trials by number")
        assert [0, 1, 2, 3, 4, 5, 6, 7] == numbers(screen)
        await pilot.press("S")
        assert [7, 6, 5, 4, 3, 2, 1, 0] == numbers(screen)
        assert ranked[0] == screen.query_one("#trials", LineTable).cursor_key
        await pilot.press("S", "s", "s")
        await shown(pilot, "Trials by exact")
        assert [4, 6, 2, 3, 7, 1, 0, 5] == numbers(screen)
        await pilot.press("s", "s", "s", "s", "s", "s", "s")
        await shown(pilot, "Trials by rank")
        assert ranked == numbers(screen)


async def test_a_filter_is_one_for_table_and_chart(ws: Workspace) -> None:
    """Other trials lose their marks, the steps stay those of the frontier over all; both titles name the filter."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        chart = screen.query_one(FrontierChart)
        await pilot.press("g")
        await until(pilot, lambda: "#0" in chart.drawing.text, "the chart")
        kept = {trial.number for trial in screen.news.view.frontier[1:]} if screen.news else set()
        edge = [point for _, point in chart._trials if point.edge]
        await pilot.press("slash", *"-trial:0", "enter")
        await shown(pilot, "filter -trial:0")
        await until(pilot, lambda: "#0" not in chart.drawing.text, "the mark to go")
        assert kept == {t.number for t, p in chart._trials if t is not None and p.edge}
        assert sorted((p.x, p.y) for p in edge) == sorted((p.x, p.y) for _, p in chart._trials if p.edge)
        assert screen.selected is not None
        assert screen.selected.number == numbers(screen)[0] != 0
        await pilot.press("2", "left", "left", "left", "left")
        assert screen.selected is not None
        assert screen.selected.number in numbers(screen)
        assert any("--filter -trial:0" in text for _, text in screen.copies())
        await pilot.press("slash", *["backspace"] * 8, *"exact>1000", "enter")
        await shown(pilot, "No trial matches exact>1000")
        assert [] == [t for t, _ in chart._trials if t is not None]
        assert screen.selected is None


async def test_the_scale_of_the_chart(ws: Workspace, edit: Edit) -> None:
    """The values decide until L switches x between linear and logarithmic; another metric is decided by its own."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await shown(pilot, "params ↓ (live)")
        await pilot.press("2", "L")
        await shown(pilot, "params ↓ (live, log x)")
        await pilot.press("X")
        await until(pilot, lambda: "params ↓ (live" not in words_on(pilot), "another metric")
        assert "log x" not in words_on(pilot)
        await pilot.press("O")
        edit(lambda session: writes.set_trial_metrics(session, 7, {"exact": 30.0, "params": 1.7e7}, progress=0.6))
        await shown(pilot, "params ↓ (live, log x)")
        await pilot.press("L")
        await shown(pilot, "params ↓ (live)")


async def test_the_card_of_the_trial_under_the_cursor(ws: Workspace) -> None:
    """Below the list where there is room: rank, scores against teacher and baseline, settings. `i` hides it."""
    async with playing(ws) as pilot:
        await pilot.press("enter")
        await shown(pilot, "on the frontier")
        await shown(pilot, "to the teacher")
        await pilot.press("i")
        await until(pilot, lambda: "to the teacher" not in words_on(pilot), "the card to go")


async def test_a_click_on_a_mark_chooses_its_trial(ws: Workspace) -> None:
    """A second one opens it."""
    async with playing(ws) as pilot:
        await pilot.press("enter")
        await shown(pilot, "Frontier: exact")
        chart = pilot.app.screen.query_one(FrontierChart)
        await until(pilot, lambda: chart.drawing.marks, "marks")
        column, line, _ = next(mark for mark in chart.drawing.marks if chart.trial_at(mark[2]) == 2)
        await pilot.click(FrontierChart, offset=(column + 1, line + 1))  # the border takes one cell
        await until(pilot, lambda: chart.selected == 2, "the trial")
        await pilot.click(FrontierChart, offset=(column + 1, line + 1), times=2)
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial's screen")


async def test_a_click_on_a_head_sorts_and_one_on_a_key_does_it(ws: Workspace) -> None:
    """The head twice: the other way round. The footer's keys are buttons."""
    async with playing(ws) as pilot:
        await pilot.press("enter")
        await shown(pilot, "Trials by rank")
        head = words_on(pilot).splitlines()[2]
        for words in ("Trials by exact", "Trials by exact, reversed"):
            await pilot.click("#trials", offset=(head.index("exact"), 1))
            await shown(pilot, words)
        keys = words_on(pilot).splitlines()[-1]
        await pilot.click("#keys", offset=(keys.index("filter"), 0))
        await until(pilot, lambda: isinstance(pilot.app.focused, FilterField), "the filter")


async def test_the_trials_can_be_coloured_by_a_setting(ws: Workspace) -> None:
    """`f` goes from setting to setting and back to none."""
    async with playing(ws) as pilot:
        await pilot.press("enter", "2")
        await shown(pilot, "Frontier: exact")
        await pilot.press("f")
        await shown(pilot, "by ")
        chart = pilot.app.screen.query_one(FrontierChart)
        assert any(word.key.startswith("series") for word in chart.drawing.legend)


async def test_marks_and_comparison(ws: Workspace) -> None:
    """space marks, c compares from two on, a seventh is refused, U unmarks all."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await pilot.press("c")
        assert pilot.app.screen is screen
        await pilot.press("g", "space", "j", "space")
        assert tuple(numbers(screen)[:2]) == screen.marked
        await pilot.press("c")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen), "the comparison")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen, "the study")
        for _ in range(5):
            await pilot.press("j", "space")
        await told(pilot, "Six trials are already marked")
        assert len(screen.marked) == 6
        await pilot.press("k", "space")
        assert len(screen.marked) == 5
        await pilot.press("U")
        assert () == screen.marked


@pytest.mark.parametrize(
    ("number", "key", "words"),
    [
        (6, "P", "#6 is running: only a complete one can be promoted; wait until it ends"),
        (5, "P", "#5 is failed: only a complete one can be promoted; r reruns"),
        (1, "x", "#1 is complete: only a running or waiting one can be stopped"),
        (0, "c", "mark another with space, then press c"),
        (0, "U", "No trial is marked"),
        (0, "H", "No trial is archived"),
        (0, "R", "A runner is already running here: pid"),
    ],
)
async def test_a_key_that_can_do_nothing_says_why(
    ws: Workspace, runner_here: None, number: int, key: str, words: str
) -> None:
    """And what to do instead; the footer does not offer it."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        screen.query_one("#trials", LineTable).move_to(number)
        await pilot.pause()
        await pilot.press(key)
        await told(pilot, words)
        assert pilot.app.screen is screen
        assert key not in [shown for shown, _ in footer(screen, {})]


async def test_without_a_trial_every_key_says_so(fresh: Workspace) -> None:
    """Before the first trial, and where a filter keeps none; other screens stay closed."""
    screen = StudyScreen("demo")
    async with playing(fresh, screen) as pilot:
        for key in ("enter", "r", "P", "x", "space", "e", "A"):
            before = len(toasts(pilot))
            await pilot.press(key)
            await until(pilot, lambda before=before: len(toasts(pilot)) > before, f"what {key} says")
            assert "No trial is selected: the list is empty." == toasts(pilot)[-1]
        assert pilot.app.screen is screen


async def test_a_filter_that_keeps_nothing_is_the_reason(ws: Workspace) -> None:
    """No trial out of sight is rerun, promoted or stopped."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await pilot.press("slash", *"exact>1000", "enter")
        await shown(pilot, "No trial matches exact>1000")
        await pilot.press("r")
        await told(pilot, "esc clears the filter, / changes it")
        assert pilot.app.screen is screen


async def test_undo_says_whose_change_it_took_back(ws: Workspace) -> None:
    """With two people at one workspace the newest change may be the other one's; nothing else is lost."""
    actions.annotate(ws, "demo", 2, note="mine", who=who())
    actions.annotate(ws, "demo", 3, note=HOSTILE, who="anna")
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await pilot.press("u")
        await told(pilot, "Undone on #3 (changed by anna): note")
        actions.annotate(ws, "demo", 1, note="again", who="anna")
        actions.undo(ws, "demo", who="anna")
        await pilot.press("u")
        await told(pilot, 'Undone on #2: note "mine" -> none')
        await until(pilot, lambda: screen.news and not any(t.note for t in screen.news.view.trials), "empty notes")
        before = len(toasts(pilot))
        await pilot.press("u")
        await until(pilot, lambda: len(toasts(pilot)) > before, "why there is nothing to undo")
        assert "nothing" in toasts(pilot)[-1]
        assert set() == control_codes(pilot)


async def test_panes_of_a_narrow_window(ws: Workspace) -> None:
    """One at a time, by its number; each gets the focus."""
    screen = StudyScreen("demo")
    async with playing(ws, screen, SIZES[2]) as pilot:
        for key, name in (("2", "frontier"), ("3", "curves"), ("4", "log"), ("1", "trials")):
            await pilot.press(key)
            await until(pilot, lambda name=name: screen.focused and screen.focused.id == name, name)
            others = {"trials", "frontier", "curves"} - {name}
            assert screen.query_one(f"#{name}").region.area > 0
            assert [0] * len(others) == [screen.query_one(f"#{other}").region.area for other in others]
        for name in ("log", "trials"):
            await pilot.press("l")
            await until(pilot, lambda name=name: screen.query_one(f"#{name}").region.area > 0, name)


async def test_the_log_tells_what_happened(ws: Workspace, edit: Edit) -> None:
    """It stands at its end, grows with what comes, and enter opens the trial of a line; m gives it the whole screen."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        log = screen.query_one(LogPane)
        await pilot.press("4")
        await shown(pilot, "Log: starts, ends, requests, notices")
        await until(pilot, lambda: log.region.height > 0, "the log")
        keys = [row.key for row in log._rows]
        assert keys[-1] == log.cursor_key
        await shown(pilot, "complete, exact 86.00, params 80.0k")
        edit(lambda s: writes.add_notice(s, level="warning", text=HOSTILE, now=2e9, study_id=1))
        await until(pilot, lambda: len(log._rows) == len(keys) + 1, "the notice")
        await shown(pilot, HARMLESS)
        assert log._rows[-1].key == log.cursor_key
        assert set() == control_codes(pilot)
        assert "#5 failed, killed_by_signal_9: [/red] gone" in dict(screen.copies())["log"]
        await pilot.press("l")
        assert "log" not in dict(screen.copies())  # it is hidden and grows old
        await pilot.press("4")
        await pilot.press("enter")
        await told(pilot, "This line is not about a trial")
        log.move_to("end 3")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial of the line")
        assert pilot.app.screen.number == 3
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen, "the study")
        await pilot.press("m")
        await until(pilot, lambda: log.region.height > 30, "the log alone")


async def test_panes_of_a_wide_window(ws: Workspace) -> None:
    """All three together, the log below on demand, one alone with m."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        names = ("trials", "frontier", "curves")
        assert all(screen.query_one(f"#{name}").region.area > 0 for name in names)
        await pilot.press("l")
        await until(pilot, lambda: screen.query_one("#log").region.area > 0, "the log")
        await pilot.press("l", "2", "m")
        await until(pilot, lambda: screen.query_one("#trials").region.area == 0, "the frontier alone")
        assert screen.query_one("#frontier").region.width > 100
        await pilot.press("m")
        await until(pilot, lambda: screen.query_one("#trials").region.area > 0, "all of them")


async def test_before_the_first_trial(fresh: Workspace) -> None:
    """What is done, how far, how long it takes, and the teacher's own curve; without a runner, that."""
    screen = StudyScreen("demo")
    async with playing(fresh, screen) as pilot:
        await shown(pilot, "Nothing runs: there is no runner.")
        db = open_db(fresh.path)
        with db.write() as session:
            attempt = writes.create_attempt(
                session, study_id=1, trial_id=None, kind="prepare", folder="runs/demo/prepare-1", slot="cpu1", now=1.0
            )
            writes.set_attempt_progress(
                session, attempt.id, phase=f"teacher {HOSTILE}", done=1200, total=4800, rate=60.0, unit="examples"
            )
            points = [("train/loss", step, 4.0 / step, 1.0 + step) for step in range(1, 40)]
            writes.store_points(session, 1, 0, points)
        db.close()
        await shown(pilot, "1,200/4,800")
        await shown(pilot, "1m 00s")
        await shown(pilot, "Curves teacher: loss")
        assert "━─" in words_on(pilot)
        assert set() == control_codes(pilot)


async def test_keys_open_their_screens(ws: Workspace, edit: Edit) -> None:
    """Every key that leads elsewhere, and escape back."""
    shape = bert_shape(vocab_size=500, positions=512, hidden_size=64, ffn_size=128, layers=2, head_size=16)
    facts = {"teacher_shape": dataclasses.asdict(shape), "labels": ["a", "b"], "mean_length": 40.0}
    edit(lambda session: writes.set_prepared(session, 1, facts))
    screen = StudyScreen("demo")
    kinds = {
        "enter": TrialScreen,
        "r": RerunScreen,
        "P": PromoteScreen,
        "a": AnalysisScreen,
        "h": HistoryScreen,
        "n": QueueTrialScreen,
        "E": SettingsScreen,
        "e": AnnotateDialogue,
        "y": CopyDialogue,
    }
    async with playing(ws, screen) as pilot:
        for key, kind in kinds.items():
            await pilot.press(key)
            await until(pilot, lambda kind=kind: isinstance(pilot.app.screen, kind), f"the screen of {key}")
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is screen, f"the study after {key}")


async def test_the_report_is_written_into_the_workspace(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """y offers it last; enter writes the page and tells where it is."""
    monkeypatch.setattr(study_material, "ask_importances", lambda workspace, study: ())
    async with playing(ws, StudyScreen("demo")) as pilot:
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, CopyDialogue), "the choice")
        assert "report: the whole study as a page" in words_on(pilot)
        await pilot.press("end", "enter")
        await told(pilot, f"Written: {ws.path / 'reports'}")
    [page] = (ws.path / "reports").iterdir()
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


async def test_stopping_asks_and_the_safe_answer_has_the_focus(ws: Workspace, runner_here: None, asked: Asked) -> None:
    """x for a running trial, Z for the study, z to pause."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        screen.query_one("#trials", LineTable).move_to(6)
        await until(pilot, lambda: screen.check_action("stop_trial", ()), "the running trial")
        for key, verb in (("x", "stop_trial"), ("Z", "stop_study")):
            before = len(asked())
            await pilot.press(key)
            await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
            await pilot.press("enter")
            await until(pilot, lambda: pilot.app.screen is screen, "the study")
            assert before == len(asked())
            await pilot.press(key)
            await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
            await pilot.press("y")
            await until(pilot, lambda verb=verb: asked() and asked()[-1].verb == verb, verb)
        await pilot.press("z")
        await until(pilot, lambda: asked()[-1].verb == "pause", "the request to pause")


async def test_archive_and_bring_back(ws: Workspace, edit: Edit) -> None:
    """A archives the trial under the cursor, from the list and the chart; H shows it, A restores it."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        chart = screen.query_one(FrontierChart)
        await until(pilot, lambda: 4 in {t.number for t, _ in chart._trials if t}, "the point")
        screen.query_one("#trials", LineTable).move_to(4)
        await until(pilot, lambda: screen.selected and screen.selected.number == 4, "the trial")
        await pilot.press("A")
        await until(pilot, lambda: 4 not in numbers(screen), "one row less")
        await until(pilot, lambda: 4 not in {t.number for t, _ in chart._trials if t}, "one point less")
        await pilot.press("H")
        await until(pilot, lambda: 4 in numbers(screen), "the row again")
        screen.query_one("#trials", LineTable).move_to(4)
        await until(pilot, lambda: screen.selected and screen.selected.number == 4, "the trial")
        await pilot.press("A")
        await until(pilot, lambda: not edit(lambda s: reads.trial(s, 1, 4)).archived, "the trial back")


async def test_starting_the_runner(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header names the key while nothing runs."""
    started: list[Workspace] = []
    monkeypatch.setattr(actions, "ensure_runner", lambda ws: started.append(ws) or actions.runner_status(ws))
    async with playing(ws, StudyScreen("demo")) as pilot:
        await shown(pilot, "R starts one")
        await pilot.press("R")
        await until(pilot, lambda: started, "the runner")


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_words_are_harmless(ws: Workspace, edit: Edit, size: tuple[int, int]) -> None:
    """Notes, tags, reasons and notices of others are text in every pane."""

    def spoil(session: Writing) -> None:
        trial = reads.trial(session, 1, 1)
        writes.edit_trial(session, trial.id, note=HOSTILE, tags=[HOSTILE])
        writes.add_notice(session, level="error", text=HOSTILE, now=3e9, study_id=1)

    edit(spoil)
    async with playing(ws, StudyScreen("demo"), size) as pilot:
        for key in ("1", "2", "3", "4"):
            await pilot.press(key)
            await pilot.pause()
            assert set() == control_codes(pilot)
        await shown(pilot, "[red]markup[")


@pytest.mark.parametrize("size", SIZES)
async def test_the_diagnosis_of_a_paused_study_stands_under_the_header(
    ws: Workspace, edit: Edit, size: tuple[int, int]
) -> None:
    """With its state in words, harmless, and gone when the study goes on."""

    def pause(session: Writing) -> None:
        study_id = reads.study(session, "demo").id
        writes.set_study_state(session, study_id, StudyState.PAUSED, now=1.0, diagnosis=f"3 of 3 failed {HOSTILE}")

    edit(pause)
    async with playing(ws, StudyScreen("demo"), size) as pilot:
        await shown(pilot, "paused: 3 of 3 failed [red]")
        assert set() == control_codes(pilot)

        def go_on(session: Writing) -> None:
            writes.set_study_state(session, reads.study(session, "demo").id, StudyState.RUNNING, now=2.0)

        edit(go_on)
        await until(pilot, lambda: "3 of 3 failed" not in words_on(pilot), "the diagnosis to go")


@pytest.mark.parametrize(("pane", "moves"), [("1", "jj"), ("2", ["left", "left"])])
async def test_keys_typed_in_one_breath_mean_the_trial_that_the_cursor_has_reached(
    ws: Workspace, pane: str, moves: Sequence[str]
) -> None:
    """As over a slow connection, or from a key that repeats: moving and acting arrive together."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await pilot.press(pane)
        for key in [*moves, "r"]:
            pilot.app.post_message(Key(key, key if len(key) == 1 else None))
        opened = await until(pilot, lambda: _top(pilot, RerunScreen), "the form of a rerun")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen, "the study again")
        assert screen.selected is not None
        assert opened.number == screen.selected.number != screen.news.view.frontier[0].number


def _top(pilot: Pilot[None], kind: type[Any]) -> Any:
    return pilot.app.screen if isinstance(pilot.app.screen, kind) else None


async def test_the_screen_behind_a_dialogue_goes_on(ws: Workspace, edit: Edit) -> None:
    """Who answers a question about a trial sees how it stands meanwhile."""
    screen = StudyScreen("demo")
    async with playing(ws, screen) as pilot:
        await pilot.press("semicolon")
        await until(pilot, lambda: pilot.app.screen is not screen, "the dialogue")
        running = screen.news.view.running[0] if screen.news else None
        assert running is not None
        edit(lambda session: writes.set_trial_metrics(session, running.id, {}, progress=0.87))
        await until(pilot, lambda: screen.news and screen.news.view.running[0].progress == 0.87, "the news behind it")
        assert pilot.app.screen is not screen


async def test_how_a_study_was_looked_at_is_remembered(ws: Workspace) -> None:
    """Order, axes and scale; a file that was damaged by hand does no harm."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await shown(pilot, "Trials by rank")
        await pilot.press("s", "s", "S", "2", "X", "L")
        await shown(pilot, "Trials by state, reversed")
    async with playing(ws, StudyScreen("demo")) as pilot:
        await shown(pilot, "Trials by state, reversed")
        await shown(pilot, ", log x)")
        assert "over params" not in words_on(pilot)
    kept = Memory(ws.path)
    kept.keep("study.demo", {"sort": "gone", "x": "gone", "columns": ["gone"], "log": "yes"})
    async with playing(ws, StudyScreen("demo")) as pilot:
        await shown(pilot, "Trials by rank")
        await shown(pilot, "over params")
