"""The workers screen says who works where and why the rest waits; its keys ask the runner and never more than that."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from tests.app.screens.driving import HARMLESS, HOSTILE, SIZES, control_codes, playing, shown, told, until, words_on

from bertdistill.app.keymap import of
from bertdistill.app.screens.dialogues import Choice, Confirm, CopyDialogue
from bertdistill.app.screens.workers import WorkersScreen
from bertdistill.app.ui import BertDistill
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.engine.steering import actions
from bertdistill.engine.study.config import study_from_dict
from bertdistill.store import reads, writes
from bertdistill.store.rows import Request, StudyState, TrialState
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]
Asked = Callable[[], list[Request]]
RUNNING = 7
"""Row id of the trial that runs; people know it as #6."""


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots are shares of the processor, whatever this machine has."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def wait_trial(session: Writing, **more: Any) -> int:
    """A queued trial; its row id."""
    found = writes.create_trial(session, study_id=1, origin="queued", params={}, settings={}, known={}, now=2e9, **more)
    return found.id


def second_worker(session: Writing, slots: int = 2) -> None:
    """Trial 8 runs beside 6, in a study that may have `slots` workers."""
    trial = wait_trial(session)
    writes.set_trial_state(session, trial, TrialState.RUNNING, now=2e9)
    writes.create_attempt(
        session, study_id=1, trial_id=trial, kind="trial", folder="runs/demo/8-1", slot="cpu1", now=2e9
    )
    study = reads.study_by_id(session, 1)
    writes.set_study_spec(session, 1, {**study.spec, "runner": {**study.spec.get("runner", {}), "slots": slots}})


def last(asked: Asked) -> tuple[str, int | None, dict[str, Any]]:
    """Verb, trial row and arguments of the newest request."""
    found = asked()[-1]
    return found.verb, found.trial_id, found.arguments


def test_every_key_of_the_table_does_something() -> None:
    """Each action of this place is a method of the screen."""
    assert [] == [a.name for a in of("workers") if not hasattr(WorkersScreen, f"action_{a.name.partition('(')[0]}")]


@pytest.mark.parametrize("size", SIZES)
async def test_workers_and_queue_at_every_size(ws: Workspace, edit: Edit, runner_here: None, size: Any) -> None:
    """Who works, how far it is, and why the rest waits."""
    edit(wait_trial)
    async with playing(ws, WorkersScreen(), size) as pilot:
        await shown(pilot, "demo/6")
        assert "━━━━━─────  5" in words_on(pilot)
        assert "demo/8" in words_on(pilot)
        assert "no free slot: the s" in words_on(pilot)
        assert "Workers: 1   demo ▶ running, 1 of 1" in words_on(pilot)
        await pilot.press("tab")
        await shown(pilot, "+ allows one")


async def test_a_live_worker_shows_phase_rate_memory_and_load(ws: Workspace, runner_here: None) -> None:
    """Memory is that of the worker's process, here the test's own."""
    folder = ws.absolute(f"runs/demo/{RUNNING}-1")
    folder.mkdir(parents=True)
    me = {"pid": os.getpid(), "start": process.start_ticks(os.getpid())}
    state = {"host": process.host(), "boot_id": process.boot_id(), "shim": me, "worker": me}
    RunPaths(folder).state.write_text(json.dumps(state))
    async with playing(ws, WorkersScreen()) as pilot:
        await shown(pilot, "does      train 50/100 examples")  # in the inspector
        await pilot.press("i")  # then the list has room for all its columns
        await shown(pilot, "12.5/s")
        line = next(line for line in words_on(pilot).split("\n") if "demo/6" in line)
        assert "12.5/s" in line
        assert " MB " in line or " GB " in line
        assert "cores, memory" in words_on(pilot)
        assert "Queue: 1" in words_on(pilot)  # the next proposal


async def test_a_runner_that_is_gone_is_shown_and_started(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, edit: Edit
) -> None:
    """Host, pid and since stand in the header, with the key that starts one."""
    started: list[Workspace] = []

    def start(workspace: Workspace) -> actions.RunnerStatus:
        started.append(workspace)
        return actions.RunnerStatus(True, "here", 7)

    monkeypatch.setattr(actions, "ensure_runner", start)
    edit(lambda s: writes.take_lease(s, host="far", pid=123, start_time=1.0, boot_id="x", now=1.7e9, log="runner.log"))
    edit(wait_trial)
    async with playing(ws, WorkersScreen()) as pilot:
        await shown(pilot, "runner gone: pid 123 on far")
        assert "R starts one" in words_on(pilot)
        assert "no runner is running" in words_on(pilot)
        await pilot.press("R")
        await told(pilot, "The runner is running: pid 7.")
        assert [ws.path] == [one.path for one in started]


async def test_more_workers_and_fewer(ws: Workspace, edit: Edit, asked: Asked, runner_here: None) -> None:
    """Plus and minus change runner.slots; below one there is nothing, and u takes a change back."""
    async with playing(ws, WorkersScreen()) as pilot:
        await shown(pilot, "1 of 1")
        await pilot.press("minus")
        await told(pilot, "One worker is the minimum; z pauses the study.")
        await pilot.press("plus")
        await told(pilot, "demo may have 2 workers at once.")
        assert ("slots", None, {"slots": 2}) == last(asked)
        await shown(pilot, "1 of 2")
        await pilot.press("minus")  # one runs and one may: nobody has to leave
        await told(pilot, "demo may have 1 worker at once.")
        await shown(pilot, "1 of 1")
        await pilot.press("u")
        await shown(pilot, "1 of 2")


@pytest.mark.parametrize(
    ("key", "verbs"), [("n", []), ("f", ["slots"]), ("s", ["slots", "stop_newest"]), ("escape", [])]
)
async def test_fewer_workers_asks_who_leaves(
    ws: Workspace, edit: Edit, asked: Asked, runner_here: None, key: str, verbs: list[str]
) -> None:
    """Nobody is stopped unless that is said; the trial that would leave is named."""
    edit(second_worker)
    async with playing(ws, WorkersScreen()) as pilot:
        await shown(pilot, "2 of 2")
        await pilot.press("minus")
        await shown(pilot, "Stop the newest, #8, after a checkpoint")
        assert isinstance(pilot.app.screen, Choice)
        await pilot.press(key)
        if verbs:
            await told(pilot, "demo may have 1 worker at once.")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkersScreen), "the workers")
        assert verbs == [request.verb for request in asked()]


@pytest.mark.parametrize(
    ("key", "arguments", "words"),
    [("s", {}, "was asked to stop"), ("k", {"now": True}, "was killed"), ("enter", None, ""), ("n", None, "")],
)
async def test_a_worker_is_stopped_politely_or_at_once(
    ws: Workspace, asked: Asked, runner_here: None, key: str, arguments: Any, words: str
) -> None:
    """The safe answer is the first: enter lets it run."""
    async with playing(ws, WorkersScreen()) as pilot:
        await pilot.press("x")
        await shown(pilot, "End trial #6 of demo for good?")
        await pilot.press(key)
        if arguments is None:
            await until(pilot, lambda: isinstance(pilot.app.screen, WorkersScreen), "the workers")
            assert [] == asked()
        else:
            await told(pilot, words)
            assert ("stop_trial", RUNNING, arguments) == last(asked)


async def test_a_worker_that_leaves_can_only_be_killed(ws: Workspace, edit: Edit, runner_here: None) -> None:
    """The polite way was asked already, and the row says so."""
    edit(lambda session: writes.set_attempt_stop_reason(session, 2, "trial"))
    async with playing(ws, WorkersScreen()) as pilot:
        await shown(pilot, "▶ leaving")
        await pilot.press("x")
        await shown(pilot, "k  Kill it now")
        assert "Stop it after a checkpoint" not in words_on(pilot)


async def test_a_waiting_trial_is_taken_out_of_the_queue(
    ws: Workspace, edit: Edit, asked: Asked, runner_here: None
) -> None:
    """The key works on the row under the cursor of the queue."""
    row = edit(wait_trial)
    async with playing(ws, WorkersScreen()) as pilot:
        await pilot.press("tab", "x")
        await shown(pilot, "Remove trial #8 of demo from the queue for good?")
        await pilot.press("y")
        await told(pilot, "Trial #8 of demo was asked to stop")
        assert ("stop_trial", row, {}) == last(asked)


async def test_a_preparation_is_stopped_with_its_study(ws: Workspace, edit: Edit, runner_here: None) -> None:
    """It has no trial of its own; it is told what it does."""
    edit(lambda s: writes.end_attempt(s, 2, now=2e9, exit_class="complete"))
    edit(
        lambda s: writes.create_attempt(
            s, study_id=1, trial_id=None, kind="prepare", folder="runs/demo/prepare-1", slot="cpu0", now=2e9
        )
    )
    async with playing(ws, WorkersScreen()) as pilot:
        await shown(pilot, "demo/prepare")
        await pilot.press("x")
        await shown(pilot, "Stop study demo?")


@pytest.mark.parametrize(
    ("keys", "question", "verb"),
    [
        ("z", "", "pause"),
        ("Z", "Stop study demo?", "stop_study"),
        ("K", "Stop all workers and the runner?", "stop_runner"),
    ],
)
async def test_study_and_runner_are_paused_and_stopped(
    ws: Workspace, asked: Asked, runner_here: None, keys: str, question: str, verb: str
) -> None:
    """Stopping asks first."""
    async with playing(ws, WorkersScreen()) as pilot:
        await shown(pilot, "demo/6")
        await pilot.press(keys)
        if question:
            await shown(pilot, question)
            assert isinstance(pilot.app.screen, Confirm)
            assert [] == asked()
            await pilot.press("y")
        await until(pilot, asked, "the request")
        assert verb == asked()[-1].verb


async def test_enter_opens_the_trial(ws: Workspace, runner_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """From both tables; a study's next proposal opens the study."""
    opened: list[Any] = []
    monkeypatch.setattr(BertDistill, "open_trial", lambda _, *where: opened.append(where))
    monkeypatch.setattr(BertDistill, "open_study", lambda _, *where: opened.append(where))
    async with playing(ws, WorkersScreen()) as pilot:
        await shown(pilot, "demo/6")
        await pilot.press("enter", "tab", "enter")
        await until(pilot, lambda: len(opened) == 2, "two screens")
        assert [("demo", 6), ("demo",)] == opened


async def test_copies_name_the_log(ws: Workspace, runner_here: None) -> None:
    """Of a worker its folder and log, of what waits the reason."""
    async with playing(ws, WorkersScreen()) as pilot:
        await shown(pilot, "demo/6")
        assert str(ws.path / "runs/demo/7-1/log.txt") in [text for _, text in pilot.app.screen.copies()]  # type: ignore[attr-defined]  # it is a LiveScreen
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, CopyDialogue), "the copies")


async def test_hostile_text_is_harmless(ws: Workspace, edit: Edit, runner_here: None) -> None:
    """Phases come from workers, diagnoses from their logs."""

    def write(session: Writing) -> None:
        writes.set_attempt_progress(session, 2, phase=HOSTILE, done=1, total=2, rate=1.0, unit="x")
        wait_trial(session)
        writes.set_study_state(session, 1, StudyState.PAUSED, now=2e9, diagnosis=HOSTILE)

    edit(write)
    async with playing(ws, WorkersScreen(), (160, 40)) as pilot:
        await shown(pilot, f"the study is paused: {HARMLESS}")
        assert f"demo/6: {HARMLESS}" in words_on(pilot)
        assert set() == control_codes(pilot)


async def test_an_ascii_terminal_shows_ascii(ws: Workspace, runner_here: None) -> None:
    """Glyphs, bars and courses have their ASCII forms."""
    async with playing(ws, WorkersScreen(), marker="ascii") as pilot:
        await shown(pilot, "#####.....  50% > running")
        inside = [line[1:-1] for line in words_on(pilot).split("\n")[1:-1] if line.startswith("│")]
        assert [] == [line for line in inside if not line.isascii()]


async def test_an_empty_workspace_has_slots_and_no_queue(tmp_path: Any) -> None:
    """Nothing can be done there, and nothing is offered."""
    async with playing(Workspace(tmp_path / "none"), WorkersScreen()) as pilot:
        await shown(pilot, "Nothing is waiting.")
        assert "free" in words_on(pilot)
        await pilot.press("plus", "minus", "x", "z", "Z", "K", "R", "enter")
        await pilot.pause()
        await told(pilot, "There is no worker in this slot")
        await pilot.press("w")
        await told(pilot, "The workers are on this screen")
        assert [WorkersScreen] == [type(screen) for screen in pilot.app.screen_stack[2:]]
        assert not (tmp_path / "none" / "tracker.db").exists()


def test_the_sample_study_has_one_slot(ws: Workspace, edit: Edit) -> None:
    """What the numbers above rest on."""
    spec = edit(lambda session: reads.study_by_id(session, 1).spec)
    assert 0 == study_from_dict(spec, where="test").runner.slots
