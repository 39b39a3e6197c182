"""Analyses in a process of their own: what comes back, what a failure says, and that no child outlives its caller."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.ladders import Climbed

from bertdistill.app.children.analysis_process import (
    ask_importances,
    ask_ladder,
    ask_outlook,
    ask_predictions,
    complaint,
    read_predictions,
)
from bertdistill.app.views.analysis import confusion_row, judged_row, question_errors_row, text_row
from bertdistill.engine.analysis.error_analysis import Classified, Question, confusion, question_errors
from bertdistill.engine.analysis.passages import Passage
from bertdistill.engine.analysis.predictions import Predictions
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.search.outlook import Outlook
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

QUESTIONS = (
    Question("a", "T", "Who?", ("me", "I"), "me", Passage("I, me", ((0, 1), (3, 5)), (3, 5), 1)),
    Question("b", "T", "Why?", (), "", Passage("I, me")),
    Question("c", "T", "How?", (), ""),
)
TEXTS = (Classified("1", "fine", "good", "good"), Classified("2", "dull", "bad", "good"))


def test_questions_come_back_as_they_were() -> None:
    """From the JSON of `engine errors`."""
    found = question_errors(QUESTIONS)
    raw = {"task": QUESTION_ANSWERING, "step": 7, **question_errors_row(found)}
    raw["questions"] = [judged_row(one, passages=True) for one in found.judged]
    assert Predictions(QUESTION_ANSWERING, 7, questions=QUESTIONS) == read_predictions(json.loads(json.dumps(raw)))


def test_texts_come_back_as_they_were() -> None:
    """With the names of their classes in order."""
    found = confusion(TEXTS, ("bad", "good"))
    raw = {
        "task": TEXT_CLASSIFICATION,
        "step": 7,
        **confusion_row(found),
        "texts": [text_row(one) for one in found.texts],
    }
    assert Predictions(TEXT_CLASSIFICATION, 7, texts=TEXTS, labels=("bad", "good")) == read_predictions(
        json.loads(json.dumps(raw))
    )


async def test_a_ladder_comes_back_with_its_intervals(tmp_path: Path) -> None:
    """As the command prints it; the data is read in yet another process."""
    found = await ask_ladder(Climbed(tmp_path).workspace, "toy")
    scores = [one.scores["validation"] for one in found.rungs]
    assert [80.0, 93.0, 94.0] == [round(one.value, 6) for one in scores]
    assert all(one.interval for one in scores)


@pytest.mark.parametrize(
    ("err", "told", "hint"),
    [
        ("noise\nerror: no predictions\nhint: Rerun it.\n", "no predictions", "Rerun it."),
        ("Traceback\nValueError: broken\n", "ValueError: broken", ""),
        ("", "it failed", ""),
    ],
)
def test_a_failure_says_why(err: str, told: str, hint: str) -> None:
    """In the words of the process, with its remedy."""
    error = complaint(err, "it failed")
    assert (told, hint) == (str(error), error.hint)


async def test_importances_of_a_real_study(ws: Workspace) -> None:
    """The child loads the optimiser, this process does not need to."""
    found = await ask_importances(ws, "demo", "ped-anova")
    assert ["exact", "params"] == [one.objective for one in found]
    assert 5 == found[0].trials
    assert 1.0 == pytest.approx(sum(weight.share for weight in found[0].weights))


async def test_the_outlook_of_a_study(ws: Workspace) -> None:
    """What the process prints, or that it cannot tell."""
    raw = {"trials": 10, "gain": 0.1, "low": 0.0, "high": 0.2, "hypervolume": 0.5, "seconds": None}
    printing = (sys.executable, "-c", f"print({json.dumps(json.dumps(raw))})")
    assert Outlook(**raw) == await ask_outlook(ws, "demo", printing)
    assert await ask_outlook(ws, "demo", (sys.executable, "-c", "print('null')")) is None


async def test_a_trial_that_was_never_evaluated(ws: Workspace) -> None:
    """The command's own words arrive."""
    with pytest.raises(WorkerFailed, match=r"demo/5 is failed and was never evaluated") as raised:
        await ask_predictions(ws, "demo", 5)
    assert "first evaluation" in raised.value.hint


async def test_no_readable_answer(ws: Workspace) -> None:
    """A program that prints something else is told as such."""
    with pytest.raises(WorkerFailed, match="not readable"):
        await ask_importances(ws, "demo", "ped-anova", (sys.executable, "-c", "print('hello')"))


END = 30.0
"""Seconds after which a wait has failed."""


async def asking(ws: Workspace, told: Path, *, apart: bool) -> tuple[asyncio.Task[Any], int, psutil.Process]:
    """A question whose child never answers, the pid of that child, and a process of its own that holds its pipes.

    `apart`: in a session of its own, which does not end with the child.
    """
    program = (
        "import os, subprocess, sys, time; "
        f"own = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session={apart}); "
        f"p = {str(told)!r}; open(p + '.new', 'w').write(f'{{os.getpid()}} {{own.pid}}'); os.rename(p + '.new', p); "
        "time.sleep(600)"
    )
    task = asyncio.create_task(ask_importances(ws, "demo", "fanova", (sys.executable, "-c", program)))
    await until(told.exists)
    pid, own = map(int, told.read_text().split())
    return task, pid, psutil.Process(own)


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + END
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_a_caller_that_leaves_ends_the_child(ws: Workspace, tmp_path: Path) -> None:
    """Nothing continues to compute for a screen that is gone, not even a process that the child started."""
    task, pid, own = await asking(ws, tmp_path / "pid", apart=False)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(pid)
    with contextlib.suppress(psutil.NoSuchProcess):  # its parent is gone: whoever adopted it reaps it
        await until(lambda: own.status() == psutil.STATUS_ZOMBIE)


async def test_a_second_cancellation_waits_for_the_pipes_too(ws: Workspace, tmp_path: Path) -> None:
    """As the end of a loop cancels once more: pipes that outlive it would complain."""
    task, pid, own = await asking(ws, tmp_path / "pid", apart=True)
    try:
        task.cancel()
        await until(lambda: not psutil.pid_exists(pid))
        task.cancel()
        _, waiting = await asyncio.wait({task}, timeout=0.1)
        assert waiting == {task}
    finally:
        own.kill()
    with pytest.raises(asyncio.CancelledError):
        await task
