"""Promoted models: what was verified, which alias stands for which, and asking one beside its teacher."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
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
from tests.fakes import Workbench, behave, wait_for
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from bertdistill.app.children.ask_process import AnswerProcess, Reply, teacher_of
from bertdistill.app.screens.models import ModelsScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.screens.try_model import TryScreen, comparison, first_line
from bertdistill.app.widgets.model_report import report
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import actions
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.store import reads, writes
from bertdistill.store.rows import ModelVersion
from bertdistill.store.writing import Writing

Make = Callable[..., Workbench]
Edit = Callable[[Callable[[Writing], Any]], Any]
ONE = {"budget": {"trials": 1}}
CODE = 'folder = "."  # here\nload(folder)'
CARD = f"---\ntags:\n- secret-metadata\n---\n\n# The card\n\n## How to load it\n\n```python\n{CODE}\n```\n"

FAKE_CHILD = """
import json, sys
for line in sys.stdin:
    order = json.loads(line)
    request, side = order["request"], "teacher" if "teacher_of" in order else "student"
    if request.get("text") == "die":
        sys.exit("it broke")
    if request.get("text") == "wrong":
        print(json.dumps({"id": order["id"], "error": "\\x1b]52;c;AAAA\\x07this model is for questions"}), flush=True)
        continue
    label = "\\x1b[31m[red]markup[/] " + side if request.get("text") == "hostile" else "good"
    found = {"label": label, "probability": 0.9, "probabilities": {label: 0.9, "bad": 0.1}}
    if "question" in request:
        found = {"answer": request["passage"], "abstained": False, "best_span": "", "score": 2.0, "null_score": 1.0}
    latency = {"student": 2.0, "teacher": 6.0}[side]
    print(json.dumps({"id": order["id"], "found": found, "latency_cpu_ms": latency}), flush=True)
"""
"""Answers as the real one does, without torch: a classifier, or a reader that answers with the whole passage."""


def promoted(of: Workbench, name: str = "model", **more: Any) -> ModelVersion:
    """One more version, when its verification has ended."""
    made = actions.promote(of.workspace, "toy", 0, name, who="ada", **more)

    def settled() -> ModelVersion | None:
        found = actions.settle_promotion(of.workspace, made.id)
        return None if found.state == "verifying" else found

    version: ModelVersion = wait_for(settled, "the verification")
    if version.folder:
        (of.workspace.path / version.folder / "README.md").write_text(CARD)
    return version


def aliases(of: Workbench) -> dict[str, int]:
    with of.db.read() as session:
        return {one.alias: one.version_id for one in reads.aliases(session)}


def with_teacher(of: Workbench) -> None:
    """The fake preparation names a folder that nobody wrote."""
    folder = Path((of.study().prepared or {})["teacher_folder"])
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")


def trying(model: str) -> TryScreen:
    """The screen with a child that needs no torch."""
    screen = TryScreen(model)
    screen.answers = AnswerProcess((sys.executable, "-I", "-c", FAKE_CHILD))
    return screen


# --------------------------------------------------------------------------------------------------------------- models


async def test_versions_with_report_and_card(bench: Make, tmp_path: Path) -> None:
    """Newest first, each with state, aliases and score; the report and the card of the chosen one beside them."""
    of = bench(ONE)
    promoted(of, alias="prod", note="the first")
    behave(tmp_path, worse=3.0)
    promoted(of)
    screen = ModelsScreen()
    async with playing(of.workspace, screen) as pilot:
        await shown(pilot, "2 versions")
        words = words_on(pilot)
        assert words.index("model:2") < words.index("model:1")
        assert "⊘ refused" in words
        assert "accuracy differs from the record" in words
        assert not screen.check_action("try_it", ())
        await pilot.press("enter")
        await told(pilot, "model:2 has the state refused; only a verified model can be tried.")
        await pilot.press("j")
        await shown(pilot, "The card")
        words = words_on(pilot)
        listed = next(line.partition("││")[0] for line in words.splitlines() if "›model:1" in line)
        assert "prod" in listed  # beside the report, too
        assert "the first" in words
        assert "secret-metadata" not in words
        assert f"accuracy  {of.trial(0).metrics['accuracy']:.2f} %" in words
        chosen = screen.chosen
        assert chosen is not None
        console = Console(width=80)
        with console.capture() as drawn:
            console.print(report({**chosen.row, "changed": "weights.npy changed"}, chosen.version))
        assert "✗ changed since" in drawn.get(), "as the list says"
        assert "weights.npy changed" in drawn.get()
        copies = dict(screen.copies())
        folder = str(of.workspace.path / "models/model/v1")
        assert ("model:1", folder) == (copies["model"], copies["folder"])
        assert f"folder = {folder!r}\nload(folder)" == copies["load it"]
        assert (
            copies["ask it"]
            .split("ask ")[1]
            .startswith("model:1 TEXT" if of.spec.task != QUESTION_ANSWERING else "model:1 -q")
        )
        table = screen.query_one("#models", LineTable)
        await pilot.press("s", "s", "s")
        await shown(pilot, "Versions by report score")
        await pilot.press("slash", *"prod")
        await until(pilot, lambda: [row.key for row in table._rows] == ["model:1"], "the version with that alias")
        await shown(pilot, "1 of 2 versions, esc clears: prod")
        await pilot.press("escape")
        assert len(table._rows) == 2


async def test_an_alias_is_set_and_undone(bench: Make) -> None:
    """`a` asks for the word and checks it while it is typed; `U` asks, then goes back to the version before."""
    of = bench(ONE)
    first, second = promoted(of, alias="prod"), promoted(of)
    screen = ModelsScreen()
    async with playing(of.workspace, screen) as pilot:
        assert not screen.check_action("undo_alias", ())
        await pilot.press("a")
        await shown(pilot, "Existing: prod.")
        await pilot.press("enter")
        await shown(pilot, "the alias ''")
        await pilot.press(*"a b")
        await shown(pilot, "the alias 'a b'")
        await pilot.press("enter")
        pilot.app.screen.query_one(Input).value = "prod"
        await pilot.press("enter")
        await told(pilot, "model@prod now points to version 2")
        assert {"prod": second.id} == aliases(of)
        await until(pilot, lambda: screen.check_action("undo_alias", ()), "the alias to arrive")
        await pilot.press("U")
        await shown(pilot, "Undo the alias prod of model:2? Then back to model:1.")
        await pilot.press("y")
        await told(pilot, "The alias model@prod is undone.")
        assert {"prod": first.id} == aliases(of)


async def test_of_several_aliases_one_is_chosen(bench: Make) -> None:
    """The question names each with where it would go; one that pointed to nothing before is removed."""
    of = bench(ONE)
    promoted(of, alias="prod")
    actions.set_alias(of.workspace, "model", "best", 1, who="ada")
    async with playing(of.workspace, ModelsScreen()) as pilot:
        await pilot.press("U")
        await shown(pilot, "Undo which alias of model:1?")
        await pilot.press("1")
        await shown(pilot, "Undo the alias best of model:1? Then it is removed, because it")
        await pilot.press("y")
        await told(pilot, "The alias model@best is undone.")
        assert ["prod"] == list(aliases(of))


async def test_one_that_is_being_verified_settles_itself(bench: Make, tmp_path: Path) -> None:
    """The list follows a verification to its end, whoever started it."""
    hold = tmp_path / "hold"
    hold.touch()
    of = bench(ONE)
    behave(tmp_path, hold_promotion=str(hold))
    actions.promote(of.workspace, "toy", 0, "model", who="ada")
    async with playing(of.workspace, ModelsScreen()) as pilot:
        await shown(pilot, "▶ verifying")
        hold.unlink()
        await shown(pilot, "✓ verified")


async def test_o_opens_its_trial(bench: Make) -> None:
    """The way back from a model to where it came from."""
    of = bench(ONE)
    promoted(of)
    async with playing(of.workspace, ModelsScreen()) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial")


async def test_without_a_model_it_says_how(tmp_path: Path, ws: Workspace) -> None:
    """An empty workspace, and one without models, show the way."""
    for place in (Workspace(tmp_path / "nothing"), ws):
        async with playing(place, ModelsScreen()) as pilot:
            await shown(pilot, "No model yet.")
            await pilot.press("enter", "a", "U", "o", "M")
            await told(pilot, "The models are on this screen")
            await shown(pilot, "No model yet.")


async def test_hostile_text_is_harmless(bench: Make) -> None:
    """Notes, remarks, details and the card come from people and files."""
    of = bench(ONE)
    made = promoted(of, note=HOSTILE)
    (of.workspace.path / made.folder / "README.md").write_text(f"# {HOSTILE}\n")
    with of.db.write() as session:
        report = {**made.report, "remarks": [HOSTILE]}
        session.change(ModelVersion, made.id, report=report)
    async with playing(of.workspace, ModelsScreen()) as pilot:
        await shown(pilot, "[red]markup[/]")
        assert 3 == words_on(pilot).count(HARMLESS.split()[0])
        assert set() == control_codes(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_usable_at_every_size(bench: Make, size: tuple[int, int]) -> None:
    """The list is on screen; 2 shows the report, 1 the list again, also where only one of them fits."""
    of = bench(ONE)
    promoted(of, "a-rather-long-name")  # whose version is its last character
    async with playing(of.workspace, ModelsScreen(), size, marker="ascii") as pilot:
        await shown(pilot, "a-rather-long-name:1 ")
        assert "+ verified" in words_on(pilot)
        await pilot.press("2")
        await shown(pilot, "trial #0 of toy")
        await pilot.press("1")
        await shown(pilot, "Versions, newest first")


# ------------------------------------------------------------------------------------------------------------ trying it


async def ask(pilot: Pilot[None], screen: TryScreen, text: str) -> None:
    screen.query_one("#text", Input).value = text
    await pilot.press("enter")
    await until(pilot, lambda: len(screen.replies) == 2 and not screen._since, "both answers")
    await pilot.pause()


async def test_student_and_teacher_answer_side_by_side(bench: Make) -> None:
    """Both answers with probabilities and latency; what they have in common is said; the child ends with the screen."""
    of = bench(ONE)
    promoted(of)
    with_teacher(of)
    screen = trying("model:1")
    async with playing(of.workspace, screen) as pilot:
        await ask(pilot, screen, "a fine film")
        words = words_on(pilot)
        assert "Both give the same answer. The student is 3.0 times as fast here." in words
        assert "2.00 ms" in words
        assert "6.00 ms" in words
        assert 2 == words.count("0.9000")
        copies = dict(screen.copies())
        assert ("good", "good") == (copies["answer of the student"], copies["answer of the teacher"])
        assert "ask model:1 'a fine film'" in copies["command"]
        pid = screen.answers.pid
        assert pid is not None
        await pilot.press("escape")
        await until(pilot, lambda: not alive(pid), "the child to end")


def test_times_within_noise_are_not_compared() -> None:
    """A student as large as its teacher is about as fast, whatever one measurement of each says."""
    asked = {"label": "good"}
    words = [comparison(Reply(asked, 10.0), Reply(asked, teacher)) for teacher in (12.4, 8.1, 12.6, 5.0)]
    assert ["Both are about as fast here."] * 2 == [
        text.removeprefix("Both give the same answer. ") for text in words[:2]
    ]
    assert "The student is 1.3 times as fast here." in words[2]
    assert "The teacher is 2.0 times as fast here." in words[3]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_enter_in_the_list_tries_the_model(bench: Make) -> None:
    """The way in; nothing is asked before something is typed."""
    of = bench(ONE)
    promoted(of)
    async with playing(of.workspace, ModelsScreen()) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TryScreen), "the screen for trying")
        await shown(pilot, "Try model:1")
        await shown(pilot, "Type a sentence; f5 asks then.")
        await shown(pilot, "Type a sentence, such as: A fine film.")
        await pilot.press("f5")
        await pilot.pause()
        assert ({}, []) == (pilot.app.screen.replies, toasts(pilot))  # type: ignore[attr-defined]  # a TryScreen


async def test_an_answer_never_stands_beside_another_question(bench: Make) -> None:
    """What is typed over makes the answers those of before; typed back, or asked again, they are of now."""
    of = bench(ONE)
    promoted(of)
    with_teacher(of)
    screen = trying("model:1")
    async with playing(of.workspace, screen) as pilot:
        await ask(pilot, screen, "a fine film")
        assert "Before: " not in words_on(pilot)
        await pilot.press("s")
        await shown(pilot, "Changed since it was asked; f5 asks again.")
        assert 2 == words_on(pilot).count("Before: ")
        await pilot.press("backspace")
        await shown(pilot, "Both give the same answer.")
        screen.query_one("#text", Input).value = ""
        await shown(pilot, "Changed since it was asked; type a sentence, then f5 asks again.")
        await ask(pilot, screen, "another one")
        await shown(pilot, "Both give the same answer.")
        assert "Before: " not in words_on(pilot)


async def test_a_teacher_that_is_gone_is_said(bench: Make) -> None:
    """The student answers alone."""
    of = bench(ONE)
    promoted(of)
    screen = trying("model:1")
    async with playing(of.workspace, screen) as pilot:
        await shown(pilot, "the teacher's folder is gone")
        screen.query_one("#text", Input).value = "a fine film"
        await pilot.press("f5")
        await shown(pilot, "0.9000")
        assert ["student"] == list(screen.replies)


async def test_errors_and_a_dead_child_are_told(bench: Make) -> None:
    """An error stands in place of the answer; a child that died is started again by the next question."""
    of = bench(ONE)
    promoted(of)
    with_teacher(of)
    screen = trying("model:1")
    async with playing(of.workspace, screen) as pilot:
        await ask(pilot, screen, "wrong")
        assert "It did not answer: this model is for questions" in words_on(pilot)
        await ask(pilot, screen, "die")
        assert "the answering process ended: it broke" in words_on(pilot)
        await ask(pilot, screen, "fine")
        assert 2 == words_on(pilot).count("0.9000")
        assert set() == control_codes(pilot)


async def test_hostile_answers_are_harmless(bench: Make) -> None:
    """Labels and pasted texts drive no terminal and are no markup."""
    of = bench(ONE)
    promoted(of)
    with_teacher(of)
    screen = trying("model:1")
    async with playing(of.workspace, screen) as pilot:
        await ask(pilot, screen, "hostile")
        assert "[red]markup[/] student" in words_on(pilot)
        assert "They differ." in words_on(pilot)
        screen.query_one("#pair", Input).focus()
        await pilot.pause()
        pilot.app.post_message(Paste(HOSTILE))
        await shown(pilot, "漢字")
        assert set() == control_codes(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_questions_with_a_passage(ws: Workspace, edit: Edit, size: tuple[int, int]) -> None:
    """A reader has a question and a passage; enter goes on to an empty passage; a long answer scrolls."""

    def promote(session: Writing) -> None:
        row = writes.create_model_version(
            session, name="qa", trial_id=2, checkpoint_id=1, who="ada", now=1.0, note="", forced=False
        )
        writes.finish_model_version(
            session, row.id, state="verified", now=2.0, folder="models/qa/v1", metrics={"params": 80_000}
        )

    edit(lambda session: session.connection().exec_driver_sql("PRAGMA defer_foreign_keys = ON"))
    edit(_checkpoint)
    edit(promote)
    screen = trying("qa:1")
    async with playing(ws, screen, size) as pilot:
        await until(pilot, lambda: screen.query_one("#question").has_focus, "the question")
        await pilot.press(*"who", "enter")
        assert screen.query_one("#passage").has_focus
        screen.query_one(TextArea).post_message(Paste(HOSTILE + " word" * 400))
        await until(pilot, lambda: "word" in screen.query_one(TextArea).text, "the passage")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "student" in screen.replies, "the answer")
        await shown(pilot, "[red]markup[/]")
        await until(pilot, lambda: screen.query_one("#student-pane").max_scroll_y > 0, "something to scroll")
        assert set() == control_codes(pilot)
        assert "--question who" in dict(screen.copies())["command"]


def _checkpoint(session: Writing) -> None:
    """What a version of the sample workspace came from."""
    writes.add_checkpoint(
        session,
        trial_id=2,
        attempt_id=1,
        role="best",
        step=1,
        folder="runs/x",
        sha256="0",
        size_bytes=1,
        metrics={},
        now=1.0,
    )


def test_the_words_of_a_comparison() -> None:
    """Equal answers, the faster side, and abstentions."""
    student = Reply({"answer": "", "abstained": True}, 2.0)
    assert "no answer in the passage" == first_line(student.found)
    words = comparison(student, Reply({"answer": "Ada", "abstained": False}, 1.0))
    assert "They differ. The teacher is 2.0 times as fast here." == words


def test_the_teacher_of_a_moved_workspace_is_found(tmp_path: Path) -> None:
    """Its folder is told by where it was; in the caches of the workspace it has the same name."""
    ws = Workspace(tmp_path)
    assert "is not prepared" in teacher_of(ws, Prepared()).problem
    prepared = Prepared(teacher_folder="/elsewhere/teachers/abc", teacher_metrics={"null_threshold": -0.5})
    assert "the teacher's folder is gone: /elsewhere/teachers/abc" == teacher_of(ws, prepared).problem
    folder = ws.caches / "teachers" / "abc"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({}))
    found = teacher_of(ws, prepared)
    assert (folder, -0.5, "") == (found.folder, found.null_threshold, found.problem)
